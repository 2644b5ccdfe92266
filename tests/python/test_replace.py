"""What replace(), restore() and original() mean."""

import builtins
import collections
import functools
import gc
import json
import logging
import pickle
import sys
import time

import pytest

pytestmark = pytest.mark.usefixtures("clean")

TG = """
def generate(x): return ("generate", x)
def other(x): return ("other", x)
def stream(n):
    for i in range(n): yield i
class Model:
    def __init__(self, name="model"): self.name = name
    def run(self, x): return ("run", self.name, x)
    @staticmethod
    def static(x): return ("static", x)
    @classmethod
    def cls(cls, x): return ("cls", cls.__name__, x)
    @property
    def title(self): return self.name.title()
    aliased = run
model = Model()
lam = lambda x: ("lambda", x)
"""
CHAT = """
from tg import generate, lam, Model
import functools
TABLE = {"generate": generate}
HANDLERS = [generate]
PARTIAL = functools.partial(generate, 1)
def chat(x): return generate(x)
def make():
    inner = generate
    def call(x): return inner(x)
    return call
CLOSURE = make()
def default(x, f=generate): return f(x)
"""


@pytest.fixture
def tg(module):
    return module("tg", TG)


@pytest.fixture
def chat(tg, module):
    return module("chat", CHAT)


def new(x=None):
    return ("new", x)


def newer(x=None):
    return ("newer", x)


def test_every_reference_sees_it(clean, tg, chat):
    before = tg.generate
    calls = [
        lambda: tg.generate(1),
        lambda: chat.chat(1),
        lambda: chat.TABLE["generate"](1),
        lambda: chat.HANDLERS[0](1),
        lambda: chat.PARTIAL(),
        lambda: chat.CLOSURE(1),
        lambda: chat.default(1),
    ]
    patch = clean.replace(tg, chat.generate, new)
    assert [c() for c in calls] == [("new", 1)] * len(calls)
    assert tg.generate is before is chat.generate is chat.HANDLERS[0]
    assert patch.active and patch.name == "generate" and patch.owner is tg
    assert clean.restore(tg, chat.generate) is True
    assert [c() for c in calls] == [("generate", 1)] * len(calls)
    assert not patch.active and clean.patches() == []


@pytest.mark.parametrize("which", ["original", "current", "replacement"])
def test_restore_takes_any_of_the_three(clean, tg, which):
    patch = clean.replace(tg, tg.generate, new)
    func = {
        "original": clean.original(tg.generate),
        "current": tg.generate,
        "replacement": new,
    }[which]
    assert clean.restore(tg, func) is True
    assert tg.generate(1) == ("generate", 1) and not patch.active
    assert clean.restore(tg, func) is False


def test_second_replace_replaces_the_replacement(clean, tg):
    first = clean.replace(tg, tg.generate, new)
    for before in (tg.generate, new, clean.original(tg.generate)):
        assert clean.replace(tg, before, newer) is first
        assert tg.generate(1) == ("newer", 1)
        assert clean.replace(tg, tg.generate, new) is first
    assert len(clean.patches()) == 1
    clean.restore(tg, new)
    assert tg.generate(1) == ("generate", 1)


def test_original(clean, tg):
    assert clean.original(tg.generate) is tg.generate
    clean.replace(tg, tg.generate, new)
    for func in (tg.generate, new, clean.original(tg.generate)):
        assert clean.original(func)(2) == ("generate", 2)
    clean.replace(tg, tg.generate, newer)
    assert clean.original(tg.generate)(2) == ("generate", 2)
    assert clean.original(print) is print


def test_replacement_that_stands_in_the_same_module(clean, tg):
    """Both functions are the module's own: each can be replaced by itself."""
    clean.replace(tg, tg.generate, tg.other)
    assert tg.generate(1) == ("other", 1)
    clean.replace(tg, tg.other, new)
    assert tg.other(1) == ("new", 1), "it is `other` that was to be replaced"
    assert tg.generate(1) == ("other", 1)
    assert [p.name for p in clean.patches()] == ["generate", "other"]
    clean.restore(tg, tg.other)
    assert tg.other(1) == ("other", 1) == tg.generate(1)
    clean.restore(tg, tg.generate)
    assert tg.generate(1) == ("generate", 1)


def test_two_functions_by_one_replacement(clean, tg):
    clean.replace(tg, tg.generate, new)
    clean.replace(tg, tg.other, new)
    assert tg.generate(1) == tg.other(1) == ("new", 1)
    clean.restore(tg, tg.generate)
    assert tg.generate(1) == ("generate", 1) and tg.other(1) == ("new", 1)
    clean.restore(tg, new)
    assert tg.other(1) == ("other", 1)


def test_exchange_of_two_functions(clean, tg):
    generate, other = tg.generate, tg.other
    clean.replace(tg, generate, other)
    clean.replace(tg, other, clean.original(generate))
    assert generate(1) == ("other", 1) and other(1) == ("generate", 1)
    assert clean.restore_all() == 2
    assert generate(1) == ("generate", 1) and other(1) == ("other", 1)


def test_found_by_identity_not_by_name(clean, tg):
    tg.lam.__name__ = "generate"
    patch = clean.replace(tg, tg.lam, new)
    assert patch.name == "lam" and tg.lam(1) == ("new", 1)
    assert tg.generate(1) == ("generate", 1)
    clean.restore(tg, tg.lam)
    with pytest.raises(ValueError, match="does not hold.*'tg'"):
        clean.replace(json, tg.generate, new)
    assert clean.patches() == []


def test_lambda_and_function_that_replaces(clean, tg):
    clean.replace(tg, tg.lam, lambda x: ("another", x))
    assert tg.lam(1) == ("another", 1)
    clean.restore(tg, tg.lam)
    assert tg.lam(1) == ("lambda", 1)


@pytest.mark.parametrize(
    "after, expected",
    [
        (functools.partial(new), ("new", 1)),
        (tuple, None),
        (abs, 1),
        ({1: "one"}.get, "one"),
        (collections.namedtuple("P", "x"), (1,)),
    ],
    ids=["partial", "class", "builtin", "method of built-in", "namedtuple"],
)
def test_any_callable_as_replacement(clean, tg, chat, after, expected):
    clean.replace(tg, tg.generate, after)
    if expected is None:
        assert chat.chat("ab") == ("a", "b")
    else:
        assert chat.chat(1) == expected
    assert tg.generate is chat.generate
    clean.restore(tg, after)
    assert chat.chat(1) == ("generate", 1)


def test_callable_without_a_name(clean, tg, chat, module):
    class Callable:
        def __init__(self, tag):
            self.tag = tag

        def __call__(self, x):
            return (self.tag, x)

        def __getattr__(self, name):
            raise AttributeError(name)

    tg.obj = chat.obj = old = Callable("old")
    clean.replace(tg, old, Callable("new"))
    assert tg.obj(1) == chat.obj(1) == ("new", 1)
    assert clean.original(tg.obj)(1) == ("old", 1)
    clean.restore(tg, tg.obj)
    assert tg.obj is chat.obj is old
    clean.replace(tg, old, new)
    assert tg.obj(1) == ("new", 1)
    clean.restore(tg, old)
    assert tg.obj is old
    clean.replace(tg, tg.generate, old)
    assert tg.generate(1) == ("old", 1)


# -- Built-ins and others that cannot be changed in place --------------------------


def test_builtin_is_rebound_wherever_the_program_holds_it(clean, module):
    holder = module(
        "holder",
        """
        from time import time
        import time as T
        LIST = [1, time, time]
        TABLE = {"time": time}
        class K:
            attribute = time
        def make():
            inner = time
            def call(): return inner()
            return call
        CALL = make()
        """,
    )
    original = time.time

    def fake():
        return 42

    def fake2():
        return 43

    for fake, n in ((fake, 42), (fake2, 43), (fake, 42)):  # noqa: B020
        clean.replace(time, original, fake)
        values = [
            time.time(),
            holder.time(),
            holder.LIST[1](),
            holder.LIST[2](),
            holder.TABLE["time"](),
            holder.K.attribute(),
            holder.CALL(),
        ]
        assert values == [n] * 7
    assert logging.time.time is time.time
    assert len(clean.patches()) == 1
    clean.restore(time, original)
    assert time.time is holder.time is original
    assert holder.LIST == [1, original, original]
    assert holder.TABLE["time"] is original and holder.K.attribute is original
    assert holder.CALL() > 1e9


def test_standard_library_keeps_its_own(clean, module):
    holder = module("holder2", "from json import loads\nfrom os.path import join\n")
    import shutil

    original = json.loads
    clean.replace(json, json.loads, new)  # a Python function: in place
    assert holder.loads("1") == ("new", "1") and json.loads is original
    clean.restore(json, json.loads)
    import _json

    before = _json.scanstring
    clean.replace(_json, _json.scanstring, new)
    assert sys.modules["json.decoder"].c_scanstring is before
    clean.restore(_json, before)
    assert _json.scanstring is before
    assert shutil


def test_list_that_the_program_changed_meanwhile(clean, module):
    holder = module("holder3", "from time import time\nLIST = [time, len]\n")
    original = time.time
    clean.replace(time, time.time, new)
    holder.LIST.insert(0, print)
    clean.restore(time, original)
    assert holder.LIST == [print, original, len]
    clean.replace(time, time.time, new)
    holder.LIST.remove(new)
    clean.restore(time, original)
    assert holder.LIST == [print, len]


def test_builtins_module(clean, module):
    holder = module("holder4", "def f(): return ascii(1)\n")
    clean.replace(builtins, ascii, new)
    assert holder.f() == ("new", 1)
    clean.restore(builtins, new)
    assert holder.f() == "1"


def test_modules_whose_names_look_like_ours(clean, module):
    holder = module("preloadable_stuff", "from time import time\n")
    original = time.time
    clean.replace(time, time.time, new)
    assert holder.time is new
    clean.restore(time, original)
    assert holder.time is original


# -- Methods ---------------------------------------------------------------------


def test_methods_of_a_class(clean, tg):
    K, model = tg.Model, tg.model
    bound, held = model.run, K.run

    def run(self, x, more=1):
        return ("new run", self.name, x, more)

    clean.replace(K, K.run, run)
    for call in (model.run, bound, functools.partial(held, model), model.aliased):
        assert call(1) == ("new run", "model", 1, 1)
    assert K.run is held
    assert clean.original(K.run)(model, 2) == ("run", "model", 2)
    clean.restore(K, K.run)
    assert bound(1) == ("run", "model", 1)


def test_static_and_class_methods(clean, tg):
    K = tg.Model
    clean.replace(K, K.static, lambda x: ("new static", x))
    clean.replace(K, K.cls, lambda cls, x: ("new cls", cls.__name__, x))
    assert K.static(1) == tg.model.static(1) == ("new static", 1)
    assert K.cls(1) == tg.model.cls(1) == ("new cls", "Model", 1)
    assert isinstance(K.__dict__["static"], staticmethod)
    assert isinstance(K.__dict__["cls"], classmethod)
    assert clean.restore_all() == 2
    assert K.static(1) == ("static", 1) and K.cls(1) == ("cls", "Model", 1)


def test_property(clean, tg):
    K = tg.Model
    before = K.__dict__["title"]
    clean.replace(K, K.title, property(lambda self: "new " + self.name))
    assert tg.model.title == "new model"
    clean.replace(K, K.title, property(lambda self: "newer " + self.name))
    assert tg.model.title == "newer model"
    clean.restore(K, before)
    assert tg.model.title == "Model" and K.__dict__["title"] is before


def test_bound_method_as_replacement_of_a_method(clean, tg):
    class Other:
        def method(self, model, x):
            return ("other", model.name, x)

    clean.replace(tg.Model, tg.Model.run, Other().method)
    assert tg.model.run(3) == ("other", "model", 3)
    clean.restore(tg.Model, tg.Model.run)
    assert tg.model.run(3) == ("run", "model", 3)


def test_inherited_method_is_replaced_for_that_class_alone(clean, module):
    m = module(
        "inherit",
        """
        class A:
            def f(self): return "A"
        class B(A): pass
        class C(B): pass
        """,
    )
    clean.replace(m.B, m.B.f, lambda self: "B only")
    assert (m.A().f(), m.B().f(), m.C().f()) == ("A", "B only", "B only")
    assert "f" in vars(m.B)
    clean.replace(m.B, m.B.f, lambda self: "B again")
    assert (m.A().f(), m.B().f()) == ("A", "B again")
    clean.restore(m.B, m.B.f)
    assert "f" not in vars(m.B) and m.C().f() == "A"


def test_function_of_one_object(clean, tg):
    a, b = tg.model, tg.Model("b")
    held = a.run

    def run(self, x):
        return ("mine", self.name, x)

    clean.replace(a, a.run, run)
    assert a.run(1) == held(1) == ("mine", "model", 1)
    assert b.run(1) == ("run", "b", 1)
    assert clean.original(a.run)(1) == ("run", "model", 1)
    clean.replace(a, a.run, lambda x: ("no self", x))
    assert a.run(1) == held(1) == ("no self", 1)
    clean.restore(a, a.run)
    assert a.run(1) == held(1) == ("run", "model", 1)
    assert "run" not in vars(a) and clean.patches() == []


def test_function_that_an_object_holds(clean, tg):
    a = tg.model
    a.callback = old = lambda x: ("old", x)
    clean.replace(a, a.callback, lambda x: ("new", x))
    assert a.callback(1) == ("new", 1)
    clean.restore(a, a.callback)
    assert a.callback is old
    clean.replace(a, a.callback, lambda self, x: ("new", self.name, x))
    assert a.callback(1) == ("new", "model", 1)
    clean.restore(a, old)
    assert a.callback is old


def test_two_objects_one_replacement(clean, tg):
    a, b = tg.Model("a"), tg.Model("b")

    def run(self, x):
        return ("mine", self.name, x)

    clean.replace(a, a.run, run)
    clean.replace(b, b.run, run)
    assert a.run(1) == ("mine", "a", 1) and b.run(1) == ("mine", "b", 1)
    clean.restore(a, run)
    assert a.run(1) == ("run", "a", 1) and b.run(1) == ("mine", "b", 1)


def test_object_without_a_dict(clean, module):
    m = module(
        "slots",
        """
        class S:
            __slots__ = ("x",)
            def f(self): return "f"
        s = S()
        """,
    )
    with pytest.raises(TypeError, match="no __dict__.*in its class"):
        clean.replace(m.s, m.s.f, new)
    with pytest.raises(TypeError, match="built-in class"):
        clean.replace(list, list.append, new)
    assert clean.patches() == [] and m.s.f() == "f"


# -- Errors ------------------------------------------------------------------------


def test_errors_say_what_to_do_and_change_nothing(clean, tg):
    generate = tg.generate
    with pytest.raises(ValueError, match="does not hold"):
        clean.replace(tg, print, new)
    with pytest.raises(TypeError, match="must be callable, not 3"):
        clean.replace(tg, generate, 3)
    with pytest.raises(ValueError, match="replace itself"):
        clean.replace(tg, generate, generate)
    with pytest.raises(TypeError):
        clean.replace(tg, generate)
    with pytest.raises(ValueError, match="does not hold"):
        clean.replace(tg.Model, generate, new)
    with pytest.raises(ValueError, match="does not hold"):
        clean.replace(tg.model, generate, new)
    assert clean.restore(tg, generate) is False
    assert clean.restore_all() == 0
    assert generate(1) == ("generate", 1) and clean.patches() == []


def test_keywords_and_signatures(clean, tg):
    clean.replace(owner=tg, before=tg.generate, after=new)
    clean.restore(owner=tg, func=new)
    for name in ("replace", "restore", "original", "patches", "restore_all"):
        assert getattr(clean, name).__doc__
    import inspect

    assert str(inspect.signature(clean.replace)) == "(owner, before, after)"


def test_patch_object(clean, tg):
    began = time.time()
    patch = clean.replace(tg, tg.generate, new)
    assert patch.before is tg.generate and patch.after is new
    assert patch.original(1) == ("generate", 1)
    assert patch.file == __file__ and patch.line == new.__code__.co_firstlineno
    assert patch.live is None and began - 1 < patch.since < time.time() + 1
    assert "generate" in repr(patch)
    assert clean.patches() == [patch]
    with pytest.raises(AttributeError):
        patch.name = "x"
    patch.restore()
    assert tg.generate(1) == ("generate", 1) and not patch.active
    patch.restore()
    assert "restored" in repr(patch)
    with pytest.raises(TypeError):
        type(patch)()
    gc.collect()


def test_many_times(clean, tg):
    functions = [lambda x, n=n: ("n", n) for n in range(50)]
    for _ in range(20):
        for n, f in enumerate(functions):
            clean.replace(tg, tg.generate, f)
            assert tg.generate(0) == ("n", n)
        assert len(clean.patches()) == 1
    clean.restore(tg, tg.generate)
    assert tg.generate(0) == ("generate", 0)


def test_pickle_and_weak_references_stay(clean, tg):
    import weakref

    ref = weakref.ref(tg.generate)
    data = pickle.dumps(tg.generate)
    clean.replace(tg, tg.generate, new)
    assert pickle.loads(data) is tg.generate is ref()
    assert pickle.dumps(tg.generate) == data


def test_replaced_twice_from_outside_then_undone_elsewhere(clean, live, tg):
    """A run that is undone leaves alone what was replaced after it."""
    live.start()
    live.save(
        "a", "import tg, hot_reload\nhot_reload.replace(tg, tg.generate, lambda x: 1)\n"
    )
    assert tg.generate(0) == 1
    for n in range(50):
        clean.replace(tg, tg.generate, lambda x, n=n: ("later", n))
    clean.undo()
    assert tg.generate(0) == ("later", 49)
    assert sys.getrefcount(tg) > 1
