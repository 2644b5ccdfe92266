"""Threads that call while functions are exchanged: nothing torn, nothing crashed."""

import os

SWAPS = int(os.environ.get("HOT_RELOAD_SWAPS", "10000"))

HEAD = f"""
import asyncio, gc, sys, threading, time, types
import hot_reload
SWAPS = {SWAPS}
sys.setswitchinterval(1e-5)
m = types.ModuleType("m"); m.__file__ = "/m.py"; sys.modules["m"] = m
stop = threading.Event()
errors = []
calls = [0]
def guarded(work):
    def run():
        n = 0
        try:
            while not stop.is_set():
                work(); n += 1
        except BaseException as e:
            import traceback; errors.append(traceback.format_exc()); stop.set()
        calls[0] += n
    return run
def race(works, swap):
    threads = [threading.Thread(target=guarded(w)) for w in works]
    for t in threads: t.start()
    began = time.perf_counter()
    try:
        for i in range(SWAPS):
            swap(i)
            if errors: break
    finally:
        stop.set()
        for t in threads: t.join()
    print(f"{{SWAPS}} swaps, {{calls[0]}} rounds of {{len(threads)}} threads, "
          f"{{time.perf_counter() - began:.1f}} s")
    assert not errors, errors[0]
"""


def test_signature_closure_kind_and_globals_change(program):
    print(
        program(
            HEAD
            + """
exec("def f(*a, **k): return ('f', X)\\nX = 'm'", vars(m))
f = m.f

def closure(tag):
    def inner(a=0, *rest, k=1): return ("closure", tag, tag)
    return inner
def two_cells(x):
    y = x
    def inner(**others): return ("closure", x, y)
    return inner
def generator(n=2):
    yield ("generator", n)
async def coroutine(*a): return ("coroutine",)
def other(text, **names):
    space = dict(names); exec(text, space); return space["g"]
BIG = "def g(a=1, b=2, *, c=3):\\n" + "".join(
    f"    v{i} = a\\n" for i in range(200)) + "    return ('globals', TAG, TAG2)\\n"

def replacements(i):
    kind = i % 8
    if kind == 0: return closure(i)
    if kind == 1: return generator
    if kind == 2: return coroutine
    if kind == 3: return other(BIG, TAG=i, TAG2=i)
    if kind == 4: return two_cells(i)
    if kind == 5: return lambda: ("closure", 1, 1)
    if kind == 6: return other("def g(): return ('globals', T, T)", T=i)
    return None

def check(value):
    if hasattr(value, "send"):
        try:
            value = value.send(None)
        except StopIteration as e:
            value = e.value
        assert value[0] in ("generator", "coroutine"), value
    elif value[0] == "f":
        assert value == ("f", "m")
    else:
        assert value[0] in ("closure", "globals") and value[1] == value[2], value

def call(): check(f())
def call_star(): check(f(*()))
def call_kw(): check(f(**{}))
def call_attribute(): check(m.f())
def hold():
    held = [f() for _ in range(20)]
    for h in held: check(h)
def deep(n=5):
    if n: return deep(n - 1)
    check(f())

def swap(i):
    new = replacements(i)
    if new is None: hot_reload.restore(m, f)
    else: hot_reload.replace(m, f, new)
    if i % 500 == 0: gc.collect()
race([call, call, call_star, call_kw, call_attribute, hold, deep, call], swap)
hot_reload.restore_all()
assert f() == ("f", "m")
del swap; gc.collect()
assert hot_reload._core.retired() == 0, hot_reload._core.retired()
""",
            timeout=300,
        )
    )


def test_generators_suspended_across_swaps(program):
    print(
        program(
            HEAD
            + """
exec("def f(n):\\n    for i in range(n): yield ('f', i, X)\\nX = 'm'", vars(m))
f = m.f
TEXT = '''
def g(n):
    for i in range(n): yield (helper(i), i, TAG)
def helper(i): return TAG
'''
def swap(i):
    if i % 5 == 4: hot_reload.restore(m, f)
    else:
        space = dict(TAG=i); exec(TEXT, space)
        hot_reload.replace(m, f, space["g"])
    if i % 200 == 0: gc.collect()
local = threading.local()
def work():
    held = local.__dict__.setdefault("held", [])
    held.append(f(4)); next(held[-1])
    if len(held) > 30:
        for g in held[::2]:
            rest = list(g)
            assert [r[1] for r in rest] == [1, 2, 3], rest
            assert all(r[0] in ("f", r[2]) for r in rest), rest
        del held[:]
race([work] * 8, swap)
""",
            timeout=300,
        )
    )


def test_methods_and_classes(program):
    print(
        program(
            HEAD
            + """
SWAPS = max(SWAPS // 4, 100)
exec('''
class Base:
    def who(self): return "base"
class K(Base):
    def __init__(self, x=1): self.x = x
    def pair(self): return (1, 1, super().who())
    @property
    def p(self): return (1, 1)
    def __getitem__(self, i): return (1, 1)
    def __iter__(self):
        yield 1
        yield 1
''', vars(m))
k = m.K()
def donor(i):
    class K(m.Base):
        def __init__(self, x=1, *rest, y=2): self.x = x
        def pair(self, *a): return (i, i, super().who())
        @property
        def p(self): return (i, i)
        def __getitem__(self, *a): return (i, i)
        def __iter__(self): return iter((i, i))
    return K
def swap(i):
    if i % 4 == 3: hot_reload.restore(m, m.K)
    elif i % 4 == 2:
        hot_reload.restore_all()
        hot_reload.replace(m.K, m.K.pair, lambda self, q=0: (i, i, "base"))
        hot_reload.restore_all()
    else: hot_reload.replace(m, m.K, donor(i))
def pair():
    a, b, who = k.pair(); assert a == b and who == "base"
def prop():
    a, b = k.p; assert a == b
def item():
    a, b = k[0]; assert a == b
def new():
    assert m.K(5).x == 5 and isinstance(k, m.K)
def loop():
    a, b = k; assert a == b
race([pair, pair, prop, item, new, loop, new, prop], swap)
hot_reload.restore_all()
""",
            timeout=300,
        )
    )


def test_batches_are_seen_whole(program):
    """Two functions replaced by one class exchange are never seen half-changed."""
    print(
        program(
            HEAD
            + """
SWAPS = max(SWAPS // 4, 100)
exec('''
class K:
    def one(self): return 0
    def two(self): return 0
''', vars(m))
k = m.K()
def donor(i):
    class K:
        def one(self): return i
        def two(self): return i
    return K
seen = [0]
def work():
    a = k.one(); b = k.two(); c = k.one()
    if a == c: assert a == b, (a, b, c)
    seen[0] += 1
race([work] * 8, lambda i: hot_reload.replace(m, m.K, donor(i)))
""",
            timeout=300,
        )
    )


def test_replacing_threads(program):
    """Several threads replace and restore the same and different things."""
    print(
        program(
            HEAD
            + """
SWAPS = max(SWAPS // 10, 50)
exec("".join(f"def f{i}(x): return ('f', x)\\n" for i in range(4)) +
     "class K:\\n    def m(self): return 1\\n", vars(m))
import itertools, random, time as T
k = m.K()
count = itertools.count()
def work():
    i = next(count)
    f = getattr(m, f"f{i % 4}")
    hot_reload.replace(m, f, lambda x: ("f", x))
    assert f(1) == ("f", 1)
    hot_reload.replace(m.K, m.K.m, lambda self: 1)
    assert m.K().m() == 1
    hot_reload.patches(); hot_reload.status()
    assert hot_reload.original(f)(2) == ("f", 2)
    if i % 3 == 0: hot_reload.restore(m, f)
    if i % 50 == 0: hot_reload.restore_all()
race([work] * 8, lambda i: T.sleep(0.001))
hot_reload.restore_all()
assert hot_reload.patches() == []
assert [getattr(m, f"f{i}")(1) for i in range(4)] == [("f", 1)] * 4
""",
            timeout=300,
        )
    )


def test_replacing_threads_with_an_audit_hook(program):
    """Hooks run Python code after a commit: others may commit meanwhile."""
    print(
        program(
            HEAD
            + """
SWAPS = max(SWAPS // 20, 50)
sys.addaudithook(lambda event, args: event == "object.__setattr__" and sum(range(50)))
exec("def f(x): return ('f', x)\\nclass K:\\n    def m(self): return 1\\n", vars(m))
def work():
    hot_reload.replace(m, m.f, lambda x: ("f", x))
    hot_reload.replace(m, m.K, type("L", (), {"m": lambda self: 1}))
    hot_reload.restore(m, m.f); hot_reload.restore(m, m.K)
import time as T
race([work] * 8, lambda i: T.sleep(0.001))
hot_reload.restore_all()
assert m.f(1) == ("f", 1) and m.K().m() == 1
""",
            timeout=300,
        )
    )
