"""Wrappers of definitions: what undo() gives back, and what is let go of."""

import gc
import weakref

CACHED = """
import functools
@functools.lru_cache(None)
def f(x):
    "old"
    return x
"""


def test_undo_clears_caches(project):
    m = project.load(m=CACHED)
    held = m.f
    held(1)
    project.save(m=CACHED.replace("return x", "return x * 2").replace("old", "new"))
    assert held(1) == 2 and held.__doc__ == "new"
    project.engine.undo()
    assert held(1) == 1 and held.__doc__ == "old"


def test_undo_of_other_decorator_arguments(project):
    m = project.load(m=CACHED)
    held = m.f
    held(1)
    project.save(m=CACHED.replace("None", "8").replace("return x", "return x * 2"))
    later = m.f
    assert held(1) == later(1) == 2 and later is not held
    project.engine.undo()
    assert m.f is held and held(1) == 1
    project.save(m=CACHED.replace("return x", "return x * 3"))
    assert held(1) == 3


def test_undo_of_a_name(project):
    m = project.load(m="f = lambda x: x\n")
    project.save(m="def f(x): return x + 1\n")
    assert m.f.__name__ == m.f.__qualname__ == "f"
    project.engine.undo()
    assert m.f.__name__ == m.f.__qualname__ == "<lambda>" and m.f(1) == 1


def test_old_wrappers_are_let_go_of(project):
    m = project.load(m=CACHED)
    gone = weakref.ref(m.f)
    for n in range(40):
        project.save(m=CACHED.replace("None", str(n)))
        m.f(n)
    gc.collect()
    assert gone() is None and m.f(7) == 7


def test_undo_of_a_function_that_moved(project):
    m = project.load(m="from a import g\nHELD = [g]\n", a="def g(): return 1\n")
    path = project.path("b")
    path.write_text("def g(): return 2\n")
    project.save(a="from b import g\n")
    assert m.HELD[0]() == 2 and m.g is m.HELD[0]
    project.engine.undo()
    assert m.HELD[0]() == 1 and m.g is m.HELD[0] and m.g.__module__ == "a"
    project.save(a="from b import g\nx = 1\n")
    assert m.HELD[0]() == 2


DISPATCH = """
from functools import singledispatch
@singledispatch
def f(x): return "base"
@f.register
def one(x: int): return "int"
"""


def test_undo_of_registered_types(project):
    m = project.load(m=DISPATCH)
    f = m.f
    project.save(m=DISPATCH.replace("x: int", "x: float"))
    assert (f(1), f(1.0)) == ("base", "int")
    project.engine.undo()
    assert (f(1), f(1.0)) == ("int", "base")
    project.save(m=DISPATCH.partition("@f.register")[0])
    assert f(1) == "base" and not hasattr(m, "one")
    project.engine.undo()
    assert f(1) == "int" == m.one(1)


def test_a_refused_save_registers_nothing(project):
    m = project.load(m=DISPATCH)
    more = "@f.register\ndef two(x: str): return 'str'\n"
    text = DISPATCH.replace("x: int", "x: float") + more
    revision = project.save(m=text + "S = f('')\n1 / 0\n")
    assert not revision.ok
    assert (m.f(1), m.f(1.0), m.f("")) == ("int", "base", "base")
    assert project.save(m=text).ok
    assert (m.f(1), m.f(1.0), m.f("")) == ("base", "int", "str")
