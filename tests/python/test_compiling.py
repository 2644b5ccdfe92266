"""How a block is compiled: its loader's way, its lines, texts that are not whole;
and saves that wait for a module."""

import importlib.machinery
import importlib.util
import sys
import warnings

import pytest

# -- loaders -------------------------------------------------------------------


class Doubling(importlib.machinery.SourceFileLoader):
    """Every 1 in its sources means 100, every 2 means 200."""

    def source_to_code(self, data, path):
        data = data.replace(b"1", b"100").replace(b"2", b"200")
        return super().source_to_code(data, path)


@pytest.fixture
def doubling(project, monkeypatch):
    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name != "m":
                return None
            file = str(project.path("m"))
            loader = Doubling(name, file)
            return importlib.util.spec_from_file_location(name, file, loader=loader)

    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    return project


TEXT = """
from __future__ import annotations
X = 1

def f(a: Nothing = 1):
    return a, 1

class K:
    x = 1
    def g(self: Nobody): return 1
"""


def test_a_loader_compiles_what_changed(doubling):
    m = doubling.load(m=TEXT)
    o, f = m.K(), m.f
    assert (m.X, f(), o.x, o.g()) == (100, (100, 100), 100, 100)
    assert doubling.save(m=TEXT.replace("return a, 1", "return a, 2")).ok
    assert f() == (100, 200) and f.__code__.co_firstlineno == 5
    assert doubling.save(m=TEXT.replace("1", "2")).ok
    assert (m.X, f(), o.x, o.g()) == (200, (200, 200), 200, 200)
    assert f.__annotations__ == {"a": "Nothing"}


def test_a_loader_that_makes_no_code(doubling, monkeypatch):
    m = doubling.load(m="X = 1\n")
    monkeypatch.setattr(Doubling, "source_to_code", lambda self, data, path: None)
    revision = doubling.save(m="X = 2\n")
    assert not revision.ok and "source_to_code" in revision.error and m.X == 100


# -- lines ---------------------------------------------------------------------

WARNS = """
X = 1

def a(): return 1

def f(x):
    return 1
"""


def by_literal(text):
    return text.replace("    return 1\n", "\n    return x is 1\n")


def by_escape(text):
    return text.replace("    return 1\n", "\n    return '\\d'\n")


def by_assertion(text):
    return text.replace("    return 1\n", "\n    assert (x, 1)\n")


@pytest.mark.parametrize("change", [by_literal, by_escape, by_assertion])
def test_a_warning_names_the_line(project, change):
    project.load(m=WARNS)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert project.save(m=change(WARNS)).ok
    assert seen and {w.lineno for w in seen} == {8}


@pytest.mark.parametrize("change", [by_literal, by_escape, by_assertion])
def test_a_warning_that_is_an_error_quotes_the_line(project, change):
    project.load(m=WARNS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        revision = project.save(m=change(WARNS))
    assert revision.error.startswith("HR101: ")
    (refused,) = [e for e in revision.edits if e.kind == "refused"]
    assert refused.line == 8
    assert change(WARNS).splitlines()[7].strip() in revision.error


def test_an_error_of_the_compiler_quotes_the_line(project):
    project.load(m=WARNS)
    text = WARNS.replace("    return 1\n", "    global x\n")
    revision = project.save(m=text)
    (refused,) = [e for e in revision.edits if e.kind == "refused"]
    assert (refused.code, refused.line) == ("HR101", 7)
    assert "global x" in revision.error


@pytest.mark.parametrize("end", ["\\\n", "\\"])
def test_a_text_that_ends_in_a_backslash(project, end):
    m = project.load(m="X = 1\n")
    project.path("m").write_bytes(b"X = 2\n" + end.encode())
    revision = project.engine.apply(project.path("m"))
    assert revision.error.startswith("HR101: ") and m.X == 1
    project.path("m").write_bytes(b"X = 2\n# " + end.encode())
    assert project.engine.apply(project.path("m")).ok and m.X == 2


# -- modules that are not there ------------------------------------------------


def test_a_save_waits_for_a_module(project):
    m = project.load(m="X = 1\n")
    project.start()
    project.write(m="import helper\nX = helper.Y\n")
    project.wait(lambda: "No module named 'helper'" in project.text())
    project.write(helper="Y = 2\n")
    project.wait(lambda: m.X == 2)
    project.write(helper="Y = 3\n")
    project.wait(lambda: m.X == 3)


def test_a_save_waits_for_a_submodule(project):
    m = project.load(**{"m": "import p\nX = 1\n", "p/__init__": ""})
    (project.folder / "p" / "sub").mkdir()
    project.start()
    project.write(m="import p\nfrom p.sub import Y\nX = Y\n")
    # A folder is a package already: what is missing is the name in it.
    project.wait(lambda: "cannot import name 'Y'" in project.text())
    project.write(m="import p\nfrom p.other import Y\nX = Y\n")
    project.wait(lambda: "No module named 'p.other'" in project.text())
    project.write(**{"p/other": "Y = 2\n"})
    project.wait(lambda: m.X == 2)


def test_a_save_that_was_taken_back_waits_no_more(project):
    m = project.load(m="X = 1\n")
    project.start()
    project.write(m="import helper\nX = 2\n")
    project.wait(lambda: "No module named 'helper'" in project.text())
    project.write(m="X = 3\n")
    project.wait(lambda: m.X == 3)
    project.write(helper="Y = 2\n")
    project.engine.sync(1)
    assert m.X == 3 and "helper" not in sys.modules


def test_a_save_waits_for_a_package_without_a_folder(project):
    m = project.load(m="X = 1\n")
    project.start()
    project.write(m="from pack.sub import Y\nX = Y\n")
    project.wait(lambda: "No module named 'pack'" in project.text())
    project.write(**{"pack/__init__": ""})
    project.wait(lambda: "No module named 'pack.sub'" in project.text())
    project.write(**{"pack/sub": "Y = 2\n"})
    project.wait(lambda: m.X == 2)
    project.write(**{"pack/sub": "Y = 3\n"})
    project.wait(lambda: m.X == 3)


@pytest.mark.parametrize("statement", ["from . import b", "from p import b"])
def test_a_save_waits_for_a_submodule_that_is_imported_by_its_name(project, statement):
    project.load(m="import p\n", **{"p/__init__": "X = 1\n"})
    p = project.module("p")
    project.start()
    project.write(**{"p/__init__": f"{statement}\nX = b.Y\n"})
    project.wait(lambda: "cannot import name 'b'" in project.text())
    project.write(**{"p/b": "Y = 2\n"})
    project.wait(lambda: p.X == 2)
    project.write(**{"p/b": "Y = 3\n"})
    project.wait(lambda: p.X == 3)


def test_a_name_that_no_module_has_is_not_waited_for(project):
    m = project.load(m="X = 1\n", a="Y = 1\n")
    project.start()
    project.write(m="from a import Z\nX = Z\n")
    project.wait(lambda: "cannot import name 'Z'" in project.text())
    project.write(a="Y = 1\nZ = 2\n")
    project.engine.sync(5)
    project.write(a="Y = 1\nZ = 3\n")
    project.write(m="from a import Z\nX = Z + 0\n")
    project.wait(lambda: m.X == 3)
