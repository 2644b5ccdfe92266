"""Every allocation fails in turn: what was asked for is done, or nothing is.

Only calls in which no Python code is run or compiled: without memory CPython's
compiler crashes, and MAKE_FUNCTION (3.12, 3.13) releases a code object twice.
"""

import sys

import pytest

HEAD = """
import sys, types
import hot_reload
try:
    from _testcapi import set_nomemory, remove_mem_hooks
except ImportError:
    print("no _testcapi"); sys.exit(77)
m = types.ModuleType("m"); m.__file__ = "/m.py"; sys.modules["m"] = m
exec('''
from time import time
def f(x): return ("f", x)
class Base:
    def who(self): return "base"
class K(Base):
    tag = 0
    def who(self): return "K" + super().who()
    @property
    def p(self): return 1
    @staticmethod
    def s(): return 1
    def only(self): return 1
k = K()
bound = k.only
LIST = [time]
''', vars(m))
def new(x): return ("new", x)
def newer(x): return ("newer", x)
class New(m.Base):
    tag = 1
    def who(self): return "N" + super().who()
    @property
    def p(self): return 2
    @staticmethod
    def s(): return 2
    def more(self): return 2
class Sub(m.K):
    def who(self): return "S" + super().who()
sys.unraisablehook = lambda u: None
import builtins, gc, linecache, logging, time, tokenize, traceback
hot_reload._core.retired()

def state():
    return (m.f(1), m.k.who(), m.k.p, m.K.s(), m.K.tag, hasattr(m.k, "more"),
            hasattr(m.k, "only"), m.bound() if hasattr(m.k, "only") else None,
            m.time is time.time, m.LIST[0] is time.time,
            [c.__name__ for c in m.K.__mro__],
            [(p.name, p.after) for p in hot_reload.patches()])

def each(before, act, after=None):
    \"\"\"Fail the first, the second, ... allocation in `act` until none fails.\"\"\"
    n = failures = 0
    while True:
        n += 1
        before()
        then = state()
        error = None
        set_nomemory(n, n + 1)
        try:
            act()
        except (MemoryError, AttributeError) as e:
            error = e    # 3.13 says the latter when a class's dict cannot grow
        finally:
            remove_mem_hooks()
        if error is None:
            expected = after
            now = state()
            hot_reload.restore_all()
            before(); act()
            assert now == state(), (n, now, state())
        else:
            failures += 1
            assert state() == then, (n, then, state(), error)
        hot_reload.restore_all()
        assert state() == FIRST, (n, state())
        if error is None and n > 30 and n > failures + 30:
            break
        assert n < 3000
    print(act.__name__, n, "allocations,", failures, "MemoryErrors")

def nothing(): pass
FIRST = state()
# CPython's compiler crashes without memory: what is compiled once is compiled now.
hot_reload.replace(m, m.f, print); hot_reload.restore_all()
def replace_f(): hot_reload.replace(m, m.f, new)
def replace_again(): hot_reload.replace(m, m.f, newer)
def replace_by_builtin(): hot_reload.replace(m, m.f, print)
def replace_class(): hot_reload.replace(m, m.K, New)
def replace_by_subclass(): hot_reload.replace(m, m.K, Sub)
def replace_method(): hot_reload.replace(m.K, m.K.who, lambda self: "lambda")
def replace_of_object(): hot_reload.replace(m.k, m.k.only, ONLY)
ONLY = lambda self: 9
def replace_builtin(): hot_reload.replace(time, time.time, new)
def restore_f(): hot_reload.restore(m, m.f)
def restore_class(): hot_reload.restore(m, m.K)
def restore_builtin(): hot_reload.restore(time, new)
METHOD = lambda self: "lambda"
def replace_method(): hot_reload.replace(m.K, m.K.who, METHOD)
"""

CASES = {
    "function": ["nothing, replace_f", "nothing, replace_by_builtin"],
    "again": ["replace_f, replace_again", "replace_by_builtin, replace_f"],
    "method": ["nothing, replace_method", "nothing, replace_of_object"],
    "class": ["nothing, replace_class", "nothing, replace_by_subclass"],
    "class again": ["replace_class, replace_by_subclass"],
    "built-in": ["nothing, replace_builtin"],
    "restore": [
        "replace_f, restore_f",
        "replace_class, restore_class",
        "replace_builtin, restore_builtin",
    ],
}


@pytest.mark.parametrize("name", CASES)
def test_each_allocation_fails(program, name):
    text = HEAD + "".join(
        f"each({case})\n"
        for case in CASES[name]
        if "by_builtin" not in case or sys.version_info < (3, 12)
    )
    try:
        print(program(text, timeout=300))
    except AssertionError as error:
        if "ended with 77" in str(error):
            pytest.skip("this Python has no _testcapi, which makes allocations fail")
        raise
