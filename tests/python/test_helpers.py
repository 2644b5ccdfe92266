"""Modules that help live files, and what replaces a thing again and again."""

import importlib
import sys

import pytest

TG = """
class C:
    def __call__(self, x): return ("c", x)
def f(x): return ("f", x)
def g(x): return ("g", x)
obj = C()
class K:
    def m(self, x): return ("m", x)
"""
HEAD = """\
import functools
import tg
from tg import f, g, K
from hot_reload import replace, restore, original
"""
HELPER = """\
import tg
from tg import f, obj
from hot_reload import replace
def mine(x): return ("mine", f(x))
def other(x): return ("other", obj(x))
def install():
    replace(tg, f, mine)
    replace(tg, tg.obj, other)
"""


@pytest.fixture
def tg(module):
    return module("tg", TG)


@pytest.fixture
def helper(tmp_path, monkeypatch):
    """Import a module that is no live file; from the live folder if told so."""

    def make(text, folder="lib"):
        path = tmp_path / folder
        path.mkdir(exist_ok=True)
        monkeypatch.syspath_prepend(str(path))
        (path / "the_helper.py").write_text(text)
        importlib.invalidate_caches()
        return importlib.import_module("the_helper")

    yield make
    sys.modules.pop("the_helper", None)


def save(live, text, name="a", ok=True):
    revision = live.save(name, HEAD + text)
    assert revision.ok == ok, revision.error


def test_names_in_a_helper_mean_the_original(live, tg, helper):
    h = helper(HELPER)
    live.start()
    for n in range(3):
        save(live, f"import the_helper; the_helper.install() #{n}\n")
        assert tg.f(1) == ("mine", ("f", 1)) and tg.obj(1) == ("other", ("c", 1))
        assert len(live.engine.patches()) == 2
    live.engine.restore_all()
    assert tg.f(1) == ("f", 1) and tg.obj(1) == ("c", 1)
    assert h.f is tg.f and h.obj is tg.obj
    save(live, "import the_helper; the_helper.install()\n1/0\n", ok=False)
    assert h.f is tg.f and tg.f(1) == ("f", 1)
    save(live, "import the_helper; the_helper.install()\n")
    assert tg.f(1) == ("mine", ("f", 1))
    live.engine.undo()
    assert h.f is tg.f and tg.f(1) == ("f", 1) and tg.obj(1) == ("c", 1)


def test_a_helper_in_the_live_folder(live, tg, helper):
    live.write("the_helper", HELPER)
    live.start()
    h = helper(HELPER, "live")
    for n in range(2):
        save(live, f"import the_helper; replace(tg, f, the_helper.mine) #{n}\n")
        assert tg.f(1) == ("mine", ("f", 1))
    save(live, "restore(tg, f)\n")
    assert h.f is tg.f and tg.f(1) == ("f", 1)


def test_a_module_of_the_program_sees_the_replacement(live, tg, helper):
    h = helper("from tg import f\ndef use(x): return f(x)\ndef call(fn): return fn()\n")
    live.start()
    save(live, "import the_helper\nthe_helper.call(lambda: replace(tg, f, g))\n")
    assert h.use(1) == ("g", 1) and h.f is tg.f
    save(live, "import the_helper\nreplace(tg, g, the_helper.call)\n")
    assert h.use(1) == ("g", 1)


@pytest.mark.parametrize("what", ["tg.obj, tg.obj", "tg, tg.obj", "tg, tg.f"])
def test_what_stays_may_replace_again(live, tg, helper, what):
    owner, before = what.split(", ")
    if owner == "tg.obj":
        tg.obj.cb = lambda x: x
        before = "tg.obj.cb"
    h = helper("import functools\nnew = functools.partial(max, 5)\n")
    live.start()
    for n in range(3):
        save(live, f"import the_helper as h; replace({owner}, {before}, h.new) #{n}\n")
        assert eval(before)(1) == 5
    assert len(live.engine.patches()) == 1
    live.engine.restore_all()
    assert eval(before)(9) != 5 or h is None
    save(live, f"replace({owner}, {before}, {before})\n", ok=False)


def test_one_object_for_several(live, tg, helper):
    helper("class N:\n    def __call__(self, *a): return 'n'\nnew = N()\n")
    text = "from the_helper import new\n"
    text += "replace(tg, tg.obj, new)\nreplace(tg, tg.f, new)\n"
    live.start()
    for n in range(3):
        save(live, f"{text}#{n}\n")
        assert tg.obj(1) == tg.f(1) == "n" and len(live.engine.patches()) == 2
    live.engine.restore_all()
    assert tg.obj(1) == ("c", 1) and tg.f(1) == ("f", 1)


@pytest.mark.parametrize(
    "text, line",
    [
        ("def new(x): return tg.f(x)\n", 5),
        ("def new(*a, **k):\n    for r in tg.f(*a, **k): yield r\n", 6),
        ("def new(x): return [tg.f(y) for y in x]\n", 5),
        ("c = functools.lru_cache(f)\ndef new(x): return c(x)\n", 6),
    ],
)
def test_a_circle_is_told(live, tg, caplog, text, line):
    live.start()
    save(live, f"{text}replace(tg, f, new)\n")
    said = [r.getMessage() for r in caplog.records if "calls itself" in r.getMessage()]
    assert len(said) == 1 and f"a.py:{line}: new replaces f" in said[0]


def test_a_circle_of_a_method_is_told(live, tg, caplog):
    live.start()
    save(live, "def new(self, x): return K.m(self, x)\nreplace(K, K.m, new)\n")
    assert "calls itself" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "def new(x): return original(tg.f)(x)\n",
        "def new(x): return f(x)\n",
        "def new(x): return tg.g(x), tg.obj.f(x)\n",
        "import hot_reload\ndef new(x): return hot_reload.original(tg.f)(x)\n",
    ],
)
def test_no_circle_is_told_where_there_is_none(live, tg, caplog, text):
    live.start()
    save(live, f"{text}replace(tg, f, new)\n")
    assert "calls itself" not in caplog.text


def test_a_getter_is_still_what_it_was(live, tg):
    live.start()
    save(live, "def g(self): return 2\nK.p = property(lambda self: 1)\n")
    text = "def g(self): return 2\nreplace(K, K.p, property(g))\n"
    save(live, text + "tg.values = K().p, g(0)\n")
    assert tg.values == (2, 2)
    live.engine.restore_all()
    assert tg.K().p == 1 and sys.modules["reloadable_a"].g(0) == 2


def test_undo_leaves_what_was_replaced_again(live, tg):
    live.start()
    save(live, "replace(tg, f, lambda x: 'a')\nreplace(K, K.m, lambda self, x: 'm')\n")
    save(live, "restore(tg, f)\n", "b")
    live.engine.replace(tg, tg.f, lambda x: "program")
    live.engine.undo()
    assert tg.f(1) == "program" and len(live.engine.patches()) == 2
    live.engine.restore(tg, tg.f)
    assert tg.f(1) == ("f", 1), "one restore() gives the very original"
    live.engine.undo()
    assert tg.f(1) == ("f", 1) and tg.K().m(1) == ("m", 1)


def test_live_files_leave_watch_as_it_is(project, tmp_path):
    m = project.load(m="def f(): return 1\n")
    (tmp_path / "live").mkdir()
    project.engine.start(live=tmp_path / "live")
    project.write(m="def f(): return 2\n")
    project.engine.sync(5)
    assert m.f() == 1


# -- What a live file's own code replaces, and restores, later ---------------------

LATER = """
def mine(x): return ("mine", f(x))
def on(): return replace(tg, f, mine)
def off(): return restore(tg, f)
"""


def test_a_live_file_replaces_and_restores_later(live, project, tg):
    live.start()
    save(live, LATER)
    own = sys.modules["reloadable_a"]
    for _ in range(3):
        own.on()
        own.on()
        assert tg.f(1) == ("mine", ("f", 1)) and len(live.engine.patches()) == 1
        assert own.off() is True and own.off() is False
        assert tg.f(1) == ("f", 1)
    patch = own.on()
    patch.restore()
    assert own.mine(1) == ("mine", ("f", 1))
    save(live, LATER + "# again\n")
    sys.modules["reloadable_a"].on()
    assert own.off() is True, "also the code of the version before"
    assert tg.f(1) == ("f", 1)


def test_an_original_that_is_held_follows_the_sources(live, project):
    m = project.load(m="def f(): return 1\n")
    live.start()
    text = "import m\nfrom m import f\ndef mine(): return -f()\n"
    text += "def on(): replace(m, f, mine)\ndef off(): restore(m, f)\n"
    save_here(live, text)
    own = sys.modules["reloadable_a"]
    own.on()
    own.off()
    project.save(m="def f(): return 2\n")
    assert (own.f(), own.mine(), m.f()) == (2, -2, 2), "restored: what there is"
    own.on()
    assert m.f() == -2
    project.save(m="def f(): return 3\n")
    assert (own.f(), m.f()) == (3, -3)
    own.off()
    live.engine.undo()
    assert (own.f(), m.f()) == (2, 2)
    m.f.__defaults__ = None
    m.f.__code__ = (lambda: 9).__code__
    own.on()
    assert (own.f(), m.f()) == (9, -9), "also what the program made of it"


def save_here(live, text):
    revision = live.save("a", "from hot_reload import replace, restore\n" + text)
    assert revision.ok, revision.error


MEMBERS = """
class K:
    def m(self): return 1
    @property
    def p(self): return 1
    @staticmethod
    def s(): return 1
    @classmethod
    def c(cls): return 1
k = K()
"""


@pytest.mark.parametrize(
    "owner, name, new, call",
    [
        ("m.K", "m.K.m", "lambda self: ('n', old(self))", "m.k.m()"),
        ("m.k", "m.k.m", "lambda: ('n', old())", "m.k.m()"),
        ("m.K", "m.K.p", "property(lambda self: ('n', old.fget(self)))", "m.k.p"),
        ("m.K", "m.K.s", "lambda: ('n', old())", "m.k.s()"),
        ("m.K", "m.K.c", "lambda cls: ('n', old())", "m.k.c()"),
    ],
)
@pytest.mark.parametrize("by", ["old", "name"])
def test_members_replaced_and_restored_later(live, module, by, owner, name, new, call):
    m = module("m", MEMBERS)
    what = "old" if by == "old" else name
    live.start()
    save_here(
        live,
        f"import m\nold = {name}\nnew = {new}\n"
        f"def on(): replace({owner}, {what}, new)\n"
        f"def off(): return restore({owner}, {what})\n",
    )
    own = sys.modules["reloadable_a"]
    for _ in range(3):
        own.on()
        assert eval(call, {"m": m}) == ("n", 1)
        assert own.off() is True
        assert eval(call, {"m": m}) == 1


@pytest.mark.parametrize("held", ["f", "original(f)", "original(tg.f)"])
@pytest.mark.parametrize("after", ["W({})", "W({}).__call__"])
def test_an_object_that_holds_the_original(live, tg, held, after):
    live.start()
    text = "class W:\n    def __init__(self, f): self.f = f\n"
    text += "    def __call__(self, x): return ('w', self.f(x))\n"
    for n in range(3):
        save(live, f"{text}replace(tg, f, {after.format(held)}) #{n}\n")
        assert tg.f(1) == ("w", ("f", 1))
    live.engine.restore_all()
    assert tg.f(1) == ("f", 1)
    assert live.engine.original(tg.f) is tg.f, "outside of live files"


def test_an_object_of_the_program_is_left_alone(live, tg, helper):
    h = helper(
        "from tg import f\nclass W:\n    def __init__(self): self.f = f\n"
        "    def __call__(self, x): return x\nw = W()\n"
    )
    live.start()
    save(live, "from the_helper import w\nreplace(tg, f, w)\n")
    assert h.w.f is tg.f and tg.f(3) == 3


@pytest.mark.parametrize("owner, name", [("tg", "f"), ("tg", "obj"), ("tg.k", "m")])
def test_a_live_file_replaces_with_one_or_the_other(live, tg, owner, name):
    tg.k = tg.K()
    call = eval(f"{owner}.{name}")
    want = call(1)
    live.start()
    save_here(
        live,
        f"import tg\nold = {owner}.{name}\n"
        "def a(x): return ('a', old(x))\n"
        "def b(x): return ('b', old(x))\n"
        "def both(x): return ('both', a(x))\n"
        f"def use(how): replace({owner}, {owner}.{name}, globals()[how])\n",
    )
    own = sys.modules["reloadable_a"]
    for how in "a", "b", "a", "a", "both", "b", "a":
        own.use(how)
        inner = ("a", want) if how == "both" else want
        assert eval(f"{owner}.{name}")(1) == (how, inner)
    live.engine.restore_all()
    assert eval(f"{owner}.{name}")(1) == want
