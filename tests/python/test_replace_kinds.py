"""What can take the place of what, and what holds a thing that is rebound."""

import asyncio
import enum
import functools
import inspect
import json
import time

import pytest


@pytest.fixture
def m(module):
    return module(
        "m",
        """
        class K:
            def m(self): return 1
            @classmethod
            def c(cls): return 1
            @staticmethod
            def s(): return 1
            @property
            def p(self): return 1
            def __call__(self): return 1
        k = K()
        def f(x): return "f"
        def h(x): return "h"
        async def ag(): yield 1
        async def co(): return 0
        """,
    )


# -- members of classes ----------------------------------------------------------


def test_wrappers_of_the_same_kind(clean, m):
    held = m.K.__dict__["c"]
    clean.replace(m.K, m.K.c, classmethod(lambda cls: cls.__name__))
    clean.replace(m.K, m.K.s, staticmethod(lambda: 3))
    assert (m.k.c(), m.K.s()) == ("K", 3)
    assert m.K.__dict__["c"] is held
    clean.restore_all()
    assert (m.K.c(), m.k.s()) == (1, 1)


@pytest.mark.parametrize(
    "after, use",
    [
        (staticmethod(lambda: 2), lambda k: k.m()),
        (classmethod(lambda cls: 2), lambda k: k.m()),
        (property(lambda self: 2), lambda k: k.m),
    ],
)
def test_a_method_by_another_kind(clean, m, after, use):
    clean.replace(m.K, m.K.m, after)
    assert use(m.k) == 2
    clean.replace(m.K, m.K.m, lambda self: 3)
    clean.restore_all()
    assert m.k.m() == 1


def test_cached_property_gets_its_name(clean, m):
    clean.replace(m.K, m.K.__dict__["p"], functools.cached_property(lambda self: 2))
    assert m.K().p == 2
    clean.restore_all()
    assert m.K().p == 1


def test_what_is_refused(clean, m):
    for owner, before, after in (
        (m.K, m.K.m, 3),
        (m.k, m.k.m, 3),
        (m, m.f, 3),
        (m.k, m.K.__dict__["p"], property(lambda self: 2)),
        (m.k, m.K.__dict__["p"], lambda self: 2),
        (m.k, m.k.__call__, lambda self: 2),
    ):
        with pytest.raises(TypeError, match="^replace: "):
            clean.replace(owner, before, after)
    assert clean.patches() == [] and (m.k.m(), m.k.p, m.k()) == (1, 1, 1)


def test_owners_that_do_not_hold_it(clean, m):
    clean.replace(m, m.f, lambda x: 2)
    with pytest.raises(ValueError, match="does not hold"):
        clean.replace(json, m.f, lambda x: 3)
    assert m.f(1) == 2
    clean.restore_all()
    m.K.a = m.K.b = None
    with pytest.raises(ValueError, match="held as"):
        clean.replace(m.K, None, 1)


# -- enumerations ----------------------------------------------------------------


def test_enumerations_keep_their_members(clean, module):
    m = module(
        "colours",
        """
        import enum
        class C(enum.Enum):
            R = 1
            G = 2
            def a(self): return "a"
        red = C.R
        """,
    )

    class C(enum.Enum):
        R = 1
        G = 2

        def b(self):
            return "b", self.name

    clean.replace(m, m.C, C)
    assert m.C.R is m.red and isinstance(m.C.R, m.C) and m.C.G in m.C
    assert m.red.b() == ("b", "R") and not hasattr(m.red, "a")
    assert m.C(2) is m.C.G and list(m.C) == [m.C.R, m.C.G]
    assert C.R is not m.red and type(C.R) is C
    clean.restore_all()
    assert m.C.R is m.red and m.red.a() == "a" and m.C(1) is m.red

    class Other(enum.Enum):
        R = 10

    with pytest.raises(TypeError, match="the same names and values"):
        clean.replace(m, m.C, Other)
    assert m.C.R is m.red and m.red.value == 1 and clean.patches() == []


# -- kinds of functions ----------------------------------------------------------


def test_asynchronous_generator_of_a_method(clean, m):
    log = []

    class Source:
        async def ag(self):
            try:
                while True:
                    try:
                        log.append((yield len(log)))
                    except KeyError as error:
                        log.append(error.args[0])
            finally:
                log.append("closed")

    clean.replace(m, m.ag, Source().ag)
    assert inspect.isasyncgenfunction(m.ag)

    async def run():
        agen = m.ag()
        got = [await agen.asend(None), await agen.asend("sent")]
        got.append(await agen.athrow(KeyError("thrown")))
        await agen.aclose()
        return got

    assert asyncio.run(run()) == [0, 1, 2]
    assert log == ["sent", "thrown", "closed"]

    class Two:
        async def ag(self):
            yield 1
            yield 2

    clean.replace(m, m.ag, Two().ag)

    async def everything():
        return [item async for item in m.ag()]

    assert asyncio.run(everything()) == [1, 2]


def test_subclass_of_partial(clean, m):
    class P(functools.partial):
        pass

    async def new():
        return 1

    clean.replace(m, m.co, P(new))
    assert inspect.iscoroutinefunction(m.co) and asyncio.run(m.co()) == 1


def test_replaced_while_it_is_replaced(clean, m):
    class A:
        def __call__(self, x):
            return "A"

        @property
        def __doc__(self):
            clean.replace(m, m.f, m.h)
            return ""

    clean.replace(m, m.f, A())
    assert len(clean.patches()) == 1 and m.f(1) == "A"
    clean.restore(m, m.f)
    assert m.f(1) == "f"


# -- what is rebound where it is held --------------------------------------------


@pytest.fixture
def holder(module):
    return module(
        "holder",
        """
        from time import time
        alias = time
        T = {"t": time, 1: time}
        L = [time]
        class C:
            t = time
        """,
    )


def get(holder):
    t = holder.T
    return holder.time, holder.alias, t["t"], t[1], holder.L[0], holder.C.t


def test_other_names_of_the_owner(clean, holder):
    before = time.time
    clean.replace(holder, holder.time, lambda: 42)
    assert [f() for f in get(holder)] == [42] * 6
    assert time.time is before
    clean.replace(time, time.time, lambda: 43)
    assert [f() for f in get(holder)] == [43] * 6 and time.time() == 43
    assert len(clean.patches()) == 1
    clean.restore(time, time.time)
    assert get(holder) == (before,) * 6 and time.time is before


def test_what_the_program_did_meanwhile_stays(clean, holder):
    before = time.time
    clean.replace(time, time.time, lambda: 42)
    holder.T["t"] = holder.C.t = "the program's"
    del holder.alias, holder.T[1]
    clean.replace(time, time.time, lambda: 43)
    assert (holder.time(), holder.T["t"]) == (43, "the program's")
    assert not hasattr(holder, "alias") and 1 not in holder.T
    clean.restore_all()
    assert holder.time is before and holder.L == [before]
    assert holder.T == {"t": "the program's"} and holder.C.t == "the program's"
    assert not hasattr(holder, "alias")


def test_modules_imported_meanwhile(clean, holder, module):
    before = time.time

    def fake():
        return 42

    clean.replace(time, time.time, fake)
    late = module("late", "from time import time\n")
    mine = module("mine", "from time import time as clock\nother = clock\n")
    assert late.time is fake
    clean.restore_all()
    assert late.time is before and mine.other is fake


def test_attribute_of_an_object_that_the_program_sets(clean, m):
    clean.replace(m.k, m.k.m, lambda: 2)
    m.k.m = "the program's"
    clean.restore_all()
    assert m.k.m == "the program's"


def test_class_with_keys_that_are_no_names(module, clean):
    m = module("m", "class K:\n    locals()[1] = 2\n    def f(self): return 1\n")

    class New:
        locals()[3] = 4

        def f(self):
            return 2

    k = m.K()
    patch = clean.replace(m, m.K, New)
    assert k.f() == 2
    patch.restore()
    assert k.f() == 1 and m.K.__dict__[1] == 2 and 3 not in m.K.__dict__


def test_audit_hooks_do_not_see_a_class_half_replaced(program):
    program("""
        import sys, types, hot_reload
        m = types.ModuleType("m"); m.__file__ = "/m.py"; sys.modules["m"] = m
        exec("class K:\\n    'old'\\n    a = 1\\n    z = 1", vars(m))
        class New:
            "new"
            a = z = 2
        seen, on = [], False
        def hook(name, args):
            if on and name == "object.__setattr__":
                seen.append((m.K.a, m.K.__doc__, m.K.z))
        sys.addaudithook(hook)
        on = True
        hot_reload.replace(m, m.K, New)
        on = False
        assert set(seen) <= {(1, "old", 1), (2, "new", 2)}, seen
        assert m.K.__doc__ == "new"
        hot_reload.restore_all()
        assert m.K.__doc__ == "old"
    """)
