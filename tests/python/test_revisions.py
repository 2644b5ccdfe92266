"""Revisions of followed sources: their record, undo, and edits under replacements."""

import importlib
import inspect
import linecache
import re
import traceback

import pytest


def value(number):
    return f"def f():\n    return {number}\n"


# -- fields --------------------------------------------------------------------


def test_fields_of_a_good_revision(project):
    project.load(m=value(1))
    revision = project.save(m=value(2) + "\nX = 1\n")
    assert revision.ok and revision.error is None and not revision.undone
    assert not revision.live
    assert revision.files == [str(project.path("m"))]
    assert revision in project.engine.revisions()
    texts = value(1), value(2) + "\nX = 1\n"
    assert revision.texts == {str(project.path("m")): texts}
    assert 0 < revision.saved_ns <= revision.ready_ns <= revision.gil_ns
    assert revision.gil_ns <= revision.live_ns and revision.wall > 1.6e9
    edits = [(e.kind, e.module, e.qualname, e.line, e.code) for e in revision.edits]
    assert edits == [("changed", "m", "f", 1, None), ("ran", "m", "X", 4, None)]
    assert {e.file for e in revision.edits} == {str(project.path("m"))}


def test_fields_of_a_refused_revision(project):
    project.load(m=value(1))
    revision = project.save(m=value(2) + "\nX = 1 / 0\n")
    assert not revision.ok and not revision.undone
    assert revision.error.startswith("HR110: ")
    assert "ZeroDivisionError" in revision.error
    (refused,) = [e for e in revision.edits if e.kind == "refused"]
    assert (refused.code, refused.line, refused.module) == ("HR110", 4, "m")
    assert "nothing was changed" in refused.sentence
    revision = project.save(m="def f(:\n")
    (refused,) = revision.edits
    assert (refused.code, refused.line) == ("HR101", 1)


def test_a_refusal_by_a_rule_is_one_sentence(project):
    text = "X = 1\n\nclass K:\n    __slots__ = ('a',)\n"
    project.load(m=text)
    revision = project.save(m=text.replace("'a',", "'a', 'b'"))
    (refused,) = [e for e in revision.edits if e.kind == "refused"]
    assert refused.code == "HR301" and refused.sentence.startswith("the __slots__ of K")
    where = f"HR301: {project.path('m')}, line {refused.line}: "
    assert revision.error == where + refused.sentence
    assert refused.line in (3, 4)


def test_every_kind_of_edit(project):
    text = """
    class K:
        def a(self): return 1
        def b(self): return 1

    def f(): return 1

    def g(): return 1

    X = 1
    """
    new = """
    X = 2

    class K:
        def b(self): return 2
        def c(self): return 2

    def g(): return 2

    def h(): return 2
    """
    project.load(m=text)
    revision = project.save(m=new)
    kinds = {(e.kind, e.qualname) for e in revision.edits}
    assert kinds >= {
        ("changed", "K.b"),
        ("added", "K.c"),
        ("removed", "K.a"),
        ("changed", "g"),
        ("added", "h"),
        ("removed", "f"),
        ("ran", "X"),
    }


def test_edits_name_their_own_file(project):
    project.load(m="import n\n" + value(1), n=value(1))
    revision = project.save(m="import n\n" + value(2), n=value(2))
    assert {(e.module, e.file) for e in revision.edits} == {
        ("m", str(project.path("m"))),
        ("n", str(project.path("n"))),
    }
    revision = project.save(m="import n\n" + value(3), n=value(3) + "1 / 0\n")
    (refused,) = [e for e in revision.edits if e.kind == "refused"]
    assert (refused.module, refused.file) == ("n", str(project.path("n")))


def test_ids_count_up_and_a_save_of_nothing_is_none(project):
    project.load(m=value(1))
    first, second = project.save(m=value(2)), project.save(m=value(3))
    assert second.id == first.id + 1
    same = project.save(m=value(3))
    assert same.ok and same.edits == []
    assert project.engine.revisions()[-1].id == second.id
    comment = project.save(m="# only this\n" + value(3))
    assert comment.ok and all(e.kind == "moved" for e in comment.edits)


def test_texts_and_journals_of_old_revisions_are_dropped(project):
    m = project.load(m=value(0))
    made = [project.save(m=value(n)) for n in range(1, 41)]
    assert made[-1].texts and made[-32].texts
    assert made[0].texts is None
    undone = project.engine.undo(1000)
    assert len(undone) == 32 and m.f() == 40 - 32
    with pytest.raises(ValueError, match="too old"):
        project.engine.undo()
    assert project.save(m=value(99)).ok and m.f() == 99


def test_the_record_is_bounded(project):
    project.load(m=value(0))
    for n in range(1, 260):
        project.save(m=value(n))
    record = project.engine.revisions()
    assert len(record) == 200
    assert [r.id for r in record] == list(range(record[0].id, record[0].id + 200))


# -- undo ----------------------------------------------------------------------


def test_undo_and_the_save_after_it(project):
    m = project.load(m=value(1))
    held = m.f
    revision = project.save(m=value(2))
    assert project.engine.undo() == [revision]
    assert revision.undone and held is m.f and held() == 1
    assert project.save(m=value(2)).ok and held() == 2, "the same text, again"
    assert project.save(m=value(3)).ok and held() == 3


def test_undo_to_any_earlier_revision(project):
    m = project.load(m=value(0))
    made = [project.save(m=value(n)) for n in range(1, 11)]
    assert project.engine.undo(3) == made[:6:-1] and m.f() == 7
    assert project.engine.undo(0) == [] and m.f() == 7
    assert project.engine.undo(2) == made[6:4:-1] and m.f() == 5
    new = project.save(m=value(50))
    assert m.f() == 50
    assert project.engine.undo(2) == [new, made[4]] and m.f() == 4
    assert project.engine.undo(4) == made[3::-1] and m.f() == 0
    with pytest.raises(ValueError):
        project.engine.undo(-1)


def test_what_the_log_says(project):
    many = "".join(f"def g{n}(): return {{}}\n" for n in range(9))
    project.load(m=value(1), n=many.replace("{}", "1"))
    importlib.import_module("n")
    project.save(m=value(2) + "\nX = 1\n")
    project.save(m=value(3) + "\nprint()\n")
    project.save(n=many.replace("{}", "2"))
    project.engine.undo()
    project.save(m="def f(:\n")
    lines = [record.getMessage() for record in project.caplog.records]
    m, n = (re.escape(str(project.path(name))) for name in "mn")
    said = [
        rf"revision \d+: {m}, 2 edits in \d+\.\d+ ms: f, X",
        rf"revision \d+: {m}, 3 edits in \d+\.\d+ ms: f, line 4, X",
        rf"revision \d+: {n}, 9 edits in \d+\.\d+ ms: g0, g1, g2, g3, \.\.\.",
        rf"revision \d+ is undone: {n}",
        rf"revision \d+ was refused, nothing was changed: HR101: {m}:\n  File .*",
    ]
    assert len(lines) == len(said), lines
    for line, pattern in zip(lines, said):
        assert re.fullmatch(r"\[HotReload\]: " + pattern, line, re.DOTALL), line
    assert lines[-1].endswith(": invalid syntax")


def test_undo_of_nothing(program):
    program("import hot_reload\nassert hot_reload.undo() == hot_reload.undo(9) == []\n")


def test_undo_of_every_kind_of_change(project):
    old = """
    import os
    LIMIT = 1
    DERIVED = LIMIT + 1

    def kept(a, b=1): return a + b
    def gone(): return "gone"

    class Base: pass
    class K(Base):
        X = 1
        def a(self): return "old"
        def gone(self): return 1
        @property
        def p(self): return 1

    def outer():
        n = 1
        def inner(): return n
        return inner
    alive = outer()
    """
    new = """
    import os, json
    LIMIT = 2
    DERIVED = LIMIT + 1

    def kept(a, b=2, *, c=3): return a * b + c
    def added(): return "added"

    class Other: pass
    class Base: pass
    class K(Base, Other):
        X = 2
        def a(self): return "new"
        def added(self): return 1
        @property
        def p(self): return 2

    def outer():
        n = 1
        def inner(): return n + 1
        return inner
    alive = outer()
    """

    def picture(m):
        k = m.K()
        return (
            sorted(name for name in vars(m) if not name.startswith("__")),
            sorted(name for name in vars(m.K) if not name.startswith("_")),
            m.kept(5),
            str(inspect.signature(m.kept)),
            (m.LIMIT, m.DERIVED, m.copied.LIMIT),
            (k.a(), k.X, k.p, [c.__name__ for c in m.K.__mro__]),
            m.alive(),
        )

    tail = "\n    import copied\n"
    m = project.load(m=old + tail, copied="from m import LIMIT\n")
    held = m.alive
    o, before = m.K(), picture(m)
    for _ in range(3):
        assert project.save(m=new + tail).ok
        after = picture(m)
        assert o.a() == "new" and after != before and held() == 2
        assert project.engine.undo()
        assert picture(m) == before and o.a() == "old" and held() == 1


def test_undo_of_several_files(project):
    m = project.load(m="import n\n" + value(1), n=value(1))
    revision = project.save(m="import n\n" + value(2), n=value(2))
    assert (m.f(), m.n.f()) == (2, 2)
    assert project.engine.undo() == [revision]
    assert (m.f(), m.n.f()) == (1, 1)
    assert project.save(n=value(3)).ok and (m.f(), m.n.f()) == (1, 3)


def test_undo_keeps_what_the_program_has_changed_since(project):
    text = "COUNT = 0\ndef f():\n    return 1\n"
    m = project.load(m=text)
    project.save(m=text.replace("return 1", "return 2"))
    m.COUNT = 7
    project.engine.undo()
    assert m.f() == 1 and m.COUNT == 7


def test_undo_of_moved_lines(project):
    text = "def f():\n    return 1\n\ndef g():\n    raise ValueError\n"
    m = project.load(m=text)
    held = m.g
    assert project.save(m="# one\n# two\n" + text.replace("1", "2")).ok
    assert line_of(held) == 7
    project.engine.undo()
    assert (line_of(held), m.f()) == (5, 1)
    assert project.save(m="# one\n" + text).ok
    assert (line_of(held), m.f()) == (6, 1)


def test_source_shown_after_undo_is_that_of_the_running_code(project):
    text = "def f():\n    raise ValueError  # old\n"
    m = project.load(m=text)
    project.save(m="# moved\n\n" + text.replace("old", "new") + "X = 1\n")
    assert shown(m.f) == "raise ValueError  # new"
    project.engine.undo()
    assert shown(m.f) == "raise ValueError  # old"
    assert inspect.getsource(m.f) == text
    project.save(m="# again\n" + text)
    assert inspect.getsource(m.f) == text and line_of(m.f) == 3


def test_undo_when_only_lines_moved(project):
    text = "def g():\n    raise ValueError\n"
    m = project.load(m=text)
    assert project.save(m="\n\n\n" + text).ok
    assert line_of(m.g) == 5
    project.engine.undo()
    assert line_of(m.g) == 2


def test_refused_revisions_are_passed_over(project):
    m = project.load(m=value(1))
    good = project.save(m=value(2))
    assert not project.save(m="def f(:").ok
    assert not project.save(m="1 / 0").ok
    assert project.engine.undo() == [good] and m.f() == 1


def test_undo_and_the_watcher(project):
    m = project.load(m=value(1))
    project.start()
    project.write(m=value(2))
    project.wait(lambda: m.f() == 2)
    project.engine.undo()
    assert m.f() == 1
    assert project.engine.sync(5) and m.f() == 1, "the file is not read again"
    project.write(m=value(3))
    project.wait(lambda: m.f() == 3)
    project.engine.undo()
    assert m.f() == 1
    project.write(m=value(4))
    project.wait(lambda: m.f() == 4)


def test_undo_in_a_listener(project):
    """A program may take back what its own test of the new code rejects."""
    m = project.load(m=value(1))

    @project.engine.on_revision
    def reject(revision):
        if revision.ok and m.f() > 10:
            project.engine.undo()

    assert project.save(m=value(2)).ok and m.f() == 2
    revision = project.save(m=value(20))
    assert revision.undone and m.f() == 2


# -- with replacements ---------------------------------------------------------


def replacement():
    return "replaced"


def test_edit_under_a_replacement(project):
    m, engine = project.load(m=value(1)), project.engine
    held = m.f
    engine.replace(m, m.f, replacement)
    for number in (2, 3):
        assert project.save(m=value(number)).ok
        assert held() == "replaced" and engine.original(held)() == number
    engine.restore(m, m.f)
    assert held() == 3 and held is m.f
    assert engine.original(held) is held
    assert project.save(m=value(4)).ok and held() == 4


def test_undo_of_an_edit_under_a_replacement(project):
    m, engine = project.load(m=value(1)), project.engine
    held = m.f
    engine.replace(m, m.f, replacement)
    project.save(m=value(2))
    engine.undo()
    assert held() == "replaced" and engine.original(held)() == 1
    engine.restore(m, m.f)
    assert held() == 1
    assert project.save(m=value(3)).ok and held() == 3


def test_edit_of_a_method_under_a_replacement(project):
    text = "class K:\n    def a(self):\n        return 1\n"
    m, engine = project.load(m=text), project.engine
    o = m.K()
    engine.replace(m.K, m.K.a, lambda self: "replaced")
    assert project.save(m=text.replace("1", "2")).ok
    assert o.a() == "replaced" and engine.original(m.K.a)(o) == 2
    engine.restore(m.K, m.K.a)
    assert o.a() == 2


def test_restore_after_undo_and_replace_after_edit(project):
    m, engine = project.load(m=value(1)), project.engine
    held = m.f
    project.save(m=value(2))
    engine.replace(m, m.f, replacement)
    project.save(m=value(3))
    assert len(engine.undo(2)) == 2
    assert held() == "replaced"
    engine.restore(m, held)
    assert held() == 1


def test_edit_made_before_the_replacement_is_undone_under_it(project):
    m, engine = project.load(m=value(1)), project.engine
    held = m.f
    project.save(m=value(2))
    engine.replace(m, m.f, replacement)
    engine.undo()
    assert held() == "replaced" and engine.original(held)() == 1
    engine.restore(m, m.f)
    assert held() == 1


def test_edit_made_under_a_replacement_is_undone_after_restore(project):
    m, engine = project.load(m=value(1)), project.engine
    held = m.f
    engine.replace(m, m.f, replacement)
    project.save(m=value(2))
    engine.restore(m, m.f)
    assert held() == 2
    engine.undo()
    assert held() == 1
    assert project.save(m=value(3)).ok and held() == 3


# -- which modules -------------------------------------------------------------


def test_module_imported_before_start(project):
    m = project.load(m=value(1), start=False)
    project.engine.start(project.folder, watch=False)
    assert project.save(m=value(2)).ok and m.f() == 2
    assert "HR402" not in project.text()


def test_module_changed_between_import_and_start(project):
    m = project.load(m=value(1) + "def g():\n    return 1\n", start=False)
    project.write(m="X = 5\n\n" + value(1) + "def g():\n    return 2\n")
    project.engine.start(project.folder, watch=False)
    assert "HR402" in project.text() and "m.py" in project.text()
    assert m.g() == 1
    assert project.save(m="X = 5\n\n" + value(3) + "def g():\n    return 2\n").ok
    assert (m.f(), m.g(), m.X) == (3, 2, 5), "what differs comes with the next save"


def test_module_under_two_names(project):
    m = project.load(m=value(1))
    second = project.load_by_path("second", "m")
    assert second is not m and second.f is not m.f
    assert project.save(m=value(2)).ok
    assert (m.f(), second.f()) == (2, 2)
    project.engine.undo()
    assert (m.f(), second.f()) == (1, 1)


def test_deleted_and_renamed_files(project):
    m = project.load(m="import n\n" + value(1), n=value(1))
    project.start()
    project.path("n").rename(project.path("renamed"))
    assert project.engine.sync(5)
    assert m.n.f() == 1, "what was imported stays"
    project.write(m="import renamed as n\n" + value(2))
    project.wait(lambda: m.f() == 2)
    assert m.n.__name__ == "renamed"
    project.write(renamed=value(3))
    project.wait(lambda: m.n.f() == 3)
    project.write(n=value(4))
    project.wait(lambda: project.module("n").f() == 4)


def test_circular_imports_in_one_batch(project):
    text = "import {0}\nX = {1}\ndef f():\n    return X, {0}.X\n"
    m = project.load(m=text.format("n", 1), n=text.format("m", 1))
    for number in (2, 3):
        revision = project.save(m=text.format("n", number), n=text.format("m", number))
        assert revision.ok, revision.error
        assert m.f() == m.n.f() == (number, number)
    assert len(project.engine.undo(2)) == 2
    assert m.f() == m.n.f() == (1, 1)


def test_batch_is_ordered_by_imports_whatever_the_order_of_the_paths(project):
    for order in (("m", "n"), ("n", "m")):
        m = project.load(m="import n\nY = 1\n", n="X = 1\n")
        project.write(m="from n import NEW\nY = NEW\n", n="NEW = 5\n")
        revision = project.engine.apply(*(project.path(name) for name in order))
        assert revision.ok, revision.error
        assert m.Y == 5
        project.forget()


def test_packages(project):
    m = project.load(
        **{
            "m": "import pack.deep.a\nfrom pack import b, V\n",
            "pack/__init__": "V = 1\nfrom .b import f\n",
            "pack/b": value(1),
            "pack/deep/__init__": "",
            "pack/deep/a": "from .. import b\nfrom ..b import f\n",
        }
    )
    pack = project.module("pack")
    held = pack.f
    assert project.save(**{"pack/b": value(2)}).ok
    assert held() == 2 and pack.deep.a.f() == 2 and held is m.b.f
    assert project.save(**{"pack/__init__": "V = 2\nfrom .b import f\n"}).ok
    assert (pack.V, m.V) == (2, 2)
    new = "from ..b import f\nfrom . import c\nX = c.C\n"
    project.write(**{"pack/deep/c": "C = 3\n"})
    assert project.save(**{"pack/deep/a": new}).ok
    assert pack.deep.a.X == 3


def test_only_files_under_the_roots(project, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    m = project.load(m=value(1), **{"env/lib/a": value(1), "site-packages/b": value(1)})
    (project.folder / "env" / "pyvenv.cfg").write_text("")
    (outside / "o.py").write_text(value(1))
    a = project.load_by_path("a", "env/lib/a")
    b = project.load_by_path("b", "site-packages/b")
    o = project.load_by_path("o", outside / "o.py")
    for module in (a, b, o):
        with open(module.__file__, "w") as out:
            out.write(value(2))
        with pytest.raises(ValueError, match="apply: none of these files"):
            project.engine.apply(module.__file__)
        assert module.f() == 1
    assert m.f() == 1


def test_live_folder_inside_a_followed_root(project):
    """The extension's own folder lies in the webui's."""
    folder = project.folder / "extensions" / "ext"
    folder.mkdir(parents=True)
    (folder / "script.py").write_text(value(1))
    (folder / "utils.py").write_text(value(1))
    m = project.load(m=value(1), start=False)
    project.engine.start(project.folder, live=folder, skip=("script.py", "utils.py"))
    script = project.load_by_path("script", folder / "script.py")
    (folder / "live.py").write_text(
        "import m\nfrom hot_reload import replace\n"
        "replace(m, m.f, lambda: 'replaced')\n"
    )
    project.wait(lambda: m.f() == "replaced")
    (folder / "live.py").write_text(
        "import m\nfrom hot_reload import replace\n"
        "replace(m, m.f, lambda: 'again')\n"
    )
    project.wait(lambda: m.f() == "again")
    assert project.engine.sync(5)  # a run is recorded after what it did is live
    runs = [r for r in project.engine.revisions() if str(folder) in r.files[0]]
    assert len(runs) >= 2 and all(r.live for r in runs)
    (folder / "script.py").write_text(value(2))
    assert project.engine.sync(5) and script.f() == 1
    project.write(m=value(2))
    project.wait(lambda: project.engine.original(m.f)() == 2)
    assert m.f() == "again"


def test_start_without_a_folder_follows_the_program(tmp_path, program):
    (tmp_path / "helper.py").write_text(value(1))
    program(
        """
        from pathlib import Path
        import hot_reload
        hot_reload.start()
        import helper
        held = helper.f
        path = Path(helper.__file__)
        path.write_text(path.read_text().replace("1", "2"))
        assert hot_reload.apply(path).ok and held() == 2
        print("done")
        """
    )


# -- apply ---------------------------------------------------------------------


def test_apply_that_cannot(project, clean):
    with pytest.raises(RuntimeError, match="call hot_reload.start"):
        clean.apply("x.py")
    project.load(m=value(1))
    with pytest.raises(ValueError, match="name files under the folders"):
        clean.apply("/nowhere/x.py")
    with pytest.raises(ValueError):
        clean.apply()
    with pytest.raises(TypeError):
        clean.apply(1)


def test_apply_of_several_and_of_paths_of_every_kind(project, monkeypatch):
    m = project.load(m="import n\n" + value(1), n=value(1))
    project.write(m="import n\n" + value(2), n=value(2))
    revision = project.engine.apply(project.path("m"), str(project.path("n")).encode())
    assert revision.ok and len(revision.files) == 2 and (m.f(), m.n.f()) == (2, 2)
    monkeypatch.chdir(project.folder)
    project.write(n=value(3))
    assert project.engine.apply("n.py").ok and m.n.f() == 3


def test_apply_of_a_file_that_is_not_imported_yet(project):
    project.load(m=value(1))
    project.write(later=value(1))
    revision = project.engine.apply(project.path("later"))
    assert revision.ok and revision.edits == []


# -- memory --------------------------------------------------------------------

MEASURE = """
import ctypes, gc, os, sys
from pathlib import Path
import hot_reload, logging

class Info(ctypes.Structure):
    _fields_ = [(n, ctypes.c_size_t) for n in (
        "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    ).split()]

mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None)
if mallinfo2 is None:
    print("no mallinfo2")
    raise SystemExit
mallinfo2.restype = Info

def used():
    gc.collect()
    info = mallinfo2()
    return info.uordblks + info.hblkhd

logging.getLogger("hot_reload").setLevel(logging.CRITICAL)
here = Path.cwd().resolve()
sys.path.insert(0, str(here))
sys.dont_write_bytecode = True
"""


def measure(program, text):
    env = {"PYTHONMALLOC": "malloc", "MALLOC_ARENA_MAX": "1"}
    told = program(MEASURE + text, env=env)
    if "no mallinfo2" in told:
        pytest.skip("this C library has no mallinfo2()")
    return float(told.split()[-1])


EDITS = """
TEXT = '''
LIMIT = {0}
COUNT = []

def deco(f):
    return f

@deco
def f(a, b={0}):
    def inner():
        return a, {0}
    return inner

class K:
    X = {0}
    def a(self):
        return super().__repr__(), {0}
'''
path = here / "m.py"
path.write_text(TEXT.format(0))
hot_reload.start(str(here), watch=False)
import m
held, o, alive = m.f, m.K(), m.f(1)

def edit(first, last):
    for n in range(first, last):
        path.write_text(TEXT.format(n))
        assert hot_reload.apply(str(path)).ok
        assert held(1)() == (1, n) and o.a()[1] == n and alive() == (1, n)

edit(10_001, 10_301)
before = used()
edit(10_301, 11_301)
print("grew by", used() - before)
"""


def test_memory_over_a_thousand_edits(program):
    assert measure(program, EDITS) < 100 * 1024


def test_memory_of_followed_lines(program):
    per_line = measure(
        program,
        """
lines = []
for n in range(1000):
    lines += [
        f"def function_{n}(first, second=None):",
        '    # What it does, and for whom.',
        "    if first is None:",
        "        return second",
        "    result = [first]",
        "    for one in second:",
        "        result.append(one)",
        "    return result",
        "",
        "",
    ]
(here / "big.py").write_text("\\n".join(lines))
# As in most programs it is older than the process. Else it is compiled once more, to be
# compared, and the interpreter's own tables grow.
os.utime(here / "big.py", (1e9, 1e9))
import big
(here / "empty").mkdir()
hot_reload.start(str(here / "empty"), watch=False)
before = used()
hot_reload.start(str(here), watch=False)
print((used() - before) / len(lines))
""",
    )
    assert per_line * 1000 < 32 * 1024, "bytes in 1,000 lines"


# -- helpers -------------------------------------------------------------------


def raised(function):
    try:
        function()
    except ValueError as error:
        return traceback.extract_tb(error.__traceback__)[-1]


def line_of(function):
    return raised(function).lineno


def shown(function):
    return raised(function).line


def test_lines_of_a_refusal_after_undo(project):
    project.load(m="import sys\nX = 1\n")
    assert project.save(m="import sys\nX = 2\n").ok
    project.engine.undo()
    revision = project.save(m="import sys\nY = undefined_thing\nX = 2\n")
    assert "Y = undefined_thing" in revision.error
    assert linecache.getline(str(project.path("m")), 2) == "X = 1\n"
