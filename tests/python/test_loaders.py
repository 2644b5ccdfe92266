"""Modules whose loader makes their code in a way of its own."""

import importlib.abc
import importlib.machinery
import importlib.util
import sys

import pytest

BEFORE = """
X = ONE

def f(): return ONE

class K:
    def g(self): return ONE
"""


def translate(data):
    return data.replace(b"ONE", b"1").replace(b"TWO", b"2")


class Method(importlib.machinery.SourceFileLoader):
    def source_to_code(self, data, path):
        return super().source_to_code(translate(data), path)


class Lines(Method):
    """What it makes stands on other lines."""

    def source_to_code(self, data, path):
        return super().source_to_code(b"\n\n" + data, path)


class Static(importlib.machinery.SourceFileLoader):
    @staticmethod
    def source_to_code(data, path, *, _optimize=-1):
        return compile(translate(data), path, "exec", dont_inherit=True)


class Wrapper(importlib.abc.Loader):
    """As instrumentation puts around all loaders."""

    def __init__(self, name, path):
        self.loader = Method(name, path)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        self.loader.exec_module(module)


class Silent(importlib.abc.Loader):
    """It does not tell how it makes the code."""

    def __init__(self, name, path):
        self.path = path

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        with open(self.path, "rb") as file:
            exec(compile(translate(file.read()), self.path, "exec"), vars(module))


@pytest.fixture
def load(project, monkeypatch):
    def load(kind, text, late):
        class Finder:
            @staticmethod
            def find_spec(name, path=None, target=None):
                if name == "m":
                    file = str(project.path("m"))
                    return importlib.util.spec_from_file_location(
                        name, file, loader=kind(name, file)
                    )

        monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
        m = project.load(m=text, start=not late)
        if late:
            project.engine.start(project.folder, watch=False)
        return project, m

    return load


def values(m):
    return m.X, m.f(), m.K().g()


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("kind", [Method, Lines, Static, Wrapper])
def test_its_compiler_is_used(load, kind, late):
    project, m = load(kind, BEFORE, late)
    f = m.f
    assert "HR402" not in project.text()
    assert project.save(m=BEFORE.replace("return ONE", "return TWO")).ok
    assert values(m) == (1, 2, 2) and m.f is f
    assert project.save(m=BEFORE.replace("ONE", "TWO")).ok
    assert values(m) == (2, 2, 2) and f() == 2


@pytest.mark.parametrize("late", [False, True])
def test_a_silent_one_that_makes_other_code_is_refused(load, late):
    project, m = load(Silent, BEFORE, late)
    for _ in range(2):
        revision = project.save(m=BEFORE.replace("ONE", "TWO"))
        assert revision.error.startswith("HR402: ") and "loader of m" in revision.error
    assert values(m) == (1, 1, 1)


@pytest.mark.parametrize("late", [False, True])
def test_a_silent_one_that_makes_the_same_code(load, late):
    text = BEFORE.replace("ONE", "1")
    project, m = load(Silent, text, late)
    assert project.save(m=text.replace("return 1", "return 2")).ok
    assert values(m) == (1, 2, 2)
    assert project.save(m=text.replace("1", "2")).ok
    assert values(m) == (2, 2, 2)
