"""What the name of the original means, in live files and in what they replace with."""

import builtins
import inspect
import sys

import pytest

TG = """
import functools
from time import localtime
import types

def f(x): return x
@functools.lru_cache
def cached(x): return x
class C:
    def __call__(self, x): return x
obj = C()
class Error(Exception): pass
class K:
    def m(self, x): return x
    @classmethod
    def c(cls): return 1
    @property
    def p(self): return 1
class S(K): pass
k = K()
s = S()
ns = types.SimpleNamespace(cb=lambda x: x)
def boom(): raise Error
def make(): return K()
def use(): pass
def show(x): return ascii(x)
"""
HEAD = """\
import functools, threading
import tg
from tg import f, K
from hot_reload import replace, original
"""


@pytest.fixture
def tg(module):
    return module("tg", TG)


def save(live, text):
    revision = live.save("a", HEAD + text)
    assert revision.ok, revision.error


@pytest.mark.parametrize(
    "owner, name, args, use",
    [
        ("tg", "f", "x", "tg.f(1)"),
        ("tg", "cached", "x", "tg.cached(1)"),
        ("tg", "obj", "x", "tg.obj(1)"),
        ("tg.k", "m", "x", "tg.k.m(1)"),
        ("tg.S", "m", "self, x", "tg.s.m(1)"),
        ("tg.K", "m", "self, x", "tg.k.m(1)"),
        ("tg.ns", "cb", "x", "tg.ns.cb(1)"),
    ],
)
def test_nothing_piles_up(live, tg, owner, name, args, use):
    live.start()
    for n in range(3):
        save(
            live,
            f"""#{n}
plain = {owner}.{name}
def mine({args}): return plain({args}) + 1
replace({owner}, plain, mine)
""",
        )
        assert eval(use) == 2
    assert len(live.engine.patches()) == 1
    live.engine.restore_all()
    assert eval(use) == 1


@pytest.mark.parametrize(
    "text",
    [
        "def deco(fn): return lambda x: fn(x) + 1\nreplace(tg, f, deco(f))",
        "def deco(fn): return lambda x: fn(x) + 1\nreplace(tg, f, deco(original(f)))",
        """
def deco(fn):
    @functools.wraps(fn)
    def call(x): return fn(x) + 1
    return call
replace(tg, f, deco(deco(f)))
replace(tg, f, deco(f))
""",
        """
def install():
    from tg import f
    def mine(x): return f(x) + 1
    replace(tg, f, mine)
install()
""",
        """
def mine(x): return f(x) + 1
thread = threading.Thread(target=lambda: replace(tg, f, mine))
thread.start(); thread.join()
""",
        "def mine(x, f=f): return f(x) + 1\nreplace(tg, f, mine)",
        "def mine(x, *, f=f): return f(x) + 1\nreplace(tg, f, mine)",
        "def add(fn, x): return fn(x) + 1\nreplace(tg, f, functools.partial(add, f))",
    ],
    ids=["deco", "original", "twice", "inside", "thread", "default", "kw", "partial"],
)
def test_what_the_replacement_holds(live, tg, text):
    live.start()
    for n in range(2):
        save(live, f"#{n}\n{text}\n")
        assert tg.f(1) == 2
    live.engine.restore_all()
    assert tg.f(1) == 1


def test_a_cell_of_the_program_is_left_alone(live, module, tg):
    other = module(
        "other",
        """
        from tg import f
        def make():
            fn = f
            def a(x): return fn(x) + 1
            def b(x): return fn(x) + 10
            return a, b
        a, b = make()
        """,
    )
    live.start()
    save(live, "import other\nreplace(tg, f, other.a)\n")
    assert (tg.f(1), other.b(1)) == (2, 12)


def test_partial_of_it_is_it(live, tg):
    live.start()
    save(live, "replace(tg, f, functools.partial(f))\n")
    assert tg.f(1) == 1


def test_class_methods_and_properties(live, tg):
    live.start()
    save(
        live,
        """
c = tg.K.c
p = tg.K.__dict__["p"]
replace(tg.K, c, lambda cls: c() + 1)
replace(tg.K, p, property(lambda self: p.fget(self) + 1))
""",
    )
    assert (tg.K.c(), tg.k.p) == (2, 2)
    assert live.engine.original(tg.K.__dict__["p"]).fget(tg.k) == 1
    live.engine.restore_all()
    assert (tg.K.c(), tg.k.p) == (1, 1)


def test_a_builtin_by_its_bare_name(live, tg):
    live.start()
    for n in range(2):
        save(
            live,
            f"#{n}\nimport builtins\ndef mine(x): return 'mine ' + ascii(x)\n"
            "replace(builtins, builtins.ascii, mine)\n",
        )
        assert tg.show(1) == "mine 1"
    live.engine.restore_all()
    assert tg.show(1) == builtins.ascii(1) == "1"


def test_a_class_stays_the_class(live, tg):
    live.start()
    for n in range(2):
        save(
            live,
            f"#{n}\n"
            """
from tg import Error, make, use
class New(K):
    def same(self, o): return isinstance(o, K)
    def m(self, x): return super().m(x) + 1
class NewError(Exception): pass
replace(tg, K, New)
replace(tg, Error, NewError)
replace(tg, make, lambda: K())
def mine():
    try: tg.boom()
    except Error: return 'caught'
replace(tg, use, mine)
""",
        )
        assert tg.K().same(tg.k) and isinstance(tg.make(), tg.K)
        assert tg.use() == "caught" and tg.k.m(1) == 2


def test_signature_of_what_wraps_the_original(clean, tg):
    import functools

    @functools.wraps(tg.f)
    def mine(x):
        return 5

    clean.replace(tg, tg.f, mine)
    assert str(inspect.signature(tg.f)) == "(x)"
    assert inspect.unwrap(tg.f)(1) == 1


def test_two_folders_with_files_of_one_name(live, tg, tmp_path):
    engine = live.engine
    engine.configure(withdraw=True)
    other = tmp_path / "live2"
    other.mkdir()
    live.start()
    engine.start(live=other)
    for folder, name in ((live.folder, "f"), (other, "make")):
        text = f"replace(tg, tg.{name}, lambda *a: 'new')\n"
        (folder / "a.py").write_text(HEAD + text)
        assert engine.sync(20)
    assert (tg.f(1), tg.make()) == ("new", "new")
    (other / "a.py").write_text("pass\n")
    assert engine.sync(20)
    assert tg.f(1) == "new" and tg.make() != "new"
    assert sys.modules["reloadable_a"]
