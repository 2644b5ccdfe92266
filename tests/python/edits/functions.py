"""Functions: bodies, references, signatures, what hangs on them, lambdas."""

from . import Edit, swap

PLAIN = """
    def f():
        return 1
"""

EDITS = [
    Edit(
        "body_seen_by_held_reference",
        PLAIN,
        swap("1", "2"),
        setup="h = m.f",
        check="assert m.f() == 2 and h() == 2 and m.f is h",
    ),
    Edit(
        "body_seen_by_from_import",
        {
            "m.py": PLAIN,
            "user.py": """
                from m import f
                from m import f as other
                def call():
                    return f(), other()
            """,
        },
        swap("1", "2"),
        setup="import user",
        check="assert user.call() == (2, 2) and user.f is m.f is user.other",
    ),
    Edit(
        "body_seen_in_containers",
        """
        def f():
            return 1
        LIST = [f]
        TUPLE = (f, f)
        NESTED = {"a": {"b": [f]}}
        """,
        swap("return 1", "return 2"),
        setup="held = m.NESTED",
        check="""
            assert m.LIST[0]() == m.TUPLE[1]() == m.NESTED["a"]["b"][0]() == 2
            assert m.NESTED is held
        """,
    ),
    Edit(
        "body_seen_by_partial",
        """
        import functools
        def f(a, b):
            return a + b
        P = functools.partial(f, 1)
        """,
        swap("a + b", "a - b"),
        setup="import functools; p = m.P; q = functools.partial(m.f, b=5)",
        check="assert p(3) == -2 and q(1) == -4 and m.P is p",
    ),
    Edit(
        "body_seen_by_callbacks",
        """
        callbacks = []
        def on_event(cb):
            callbacks.append(cb)
        def greet(name):
            return "hello " + name
        on_event(greet)
        def fire(name):
            return [cb(name) for cb in callbacks]
        """,
        swap("hello", "good day"),
        setup="mine = m.callbacks",
        check="assert m.fire('x') == ['good day x'] and m.callbacks is mine",
    ),
    Edit(
        "body_seen_by_instance_attribute",
        PLAIN,
        swap("1", "2"),
        setup="""
            class Holder: pass
            o = Holder(); o.cb = m.f
        """,
        check="assert o.cb() == 2",
    ),
    Edit(
        "body_seen_as_default_argument",
        """
        def f():
            return 1
        def g(cb=f):
            return cb()
        """,
        swap("return 1", "return 2"),
        setup="h = m.g",
        check="assert h() == 2",
    ),
    Edit(
        "body_seen_by_weakref",
        PLAIN,
        swap("1", "2"),
        setup="import weakref; r = weakref.ref(m.f); d = weakref.WeakSet([m.f])",
        check="assert r() is m.f and r()() == 2 and m.f in d",
    ),
    Edit(
        "body_seen_by_map_and_sort_key",
        """
        def key(x):
            return x
        """,
        swap("return x", "return -x"),
        setup="it = map(m.key, [1, 2, 3]); h = m.key",
        check="assert list(it) == [-1, -2, -3]; assert sorted([1, 2], key=h) == [2, 1]",
    ),
    Edit(
        "body_seen_by_bound_method_of_function",
        """
        def f(self, x):
            return x
        """,
        swap("return x", "return x * 2"),
        setup="import types; b = types.MethodType(m.f, 'me'); g = m.f.__get__(7)",
        check="assert b(3) == 6 and g(4) == 8",
    ),
    Edit(
        "body_seen_by_thread_pool",
        PLAIN,
        swap("1", "2"),
        setup="""
            from concurrent.futures import ThreadPoolExecutor
            pool = ThreadPoolExecutor(1); call = m.f
        """,
        check="assert pool.submit(call).result() == 2; pool.shutdown()",
    ),
    Edit(
        "body_seen_by_pickle",
        PLAIN,
        swap("1", "2"),
        setup="import pickle; b = pickle.dumps(m.f)",
        check="assert pickle.loads(b) is m.f and m.f() == 2",
    ),
    Edit(
        "body_hash_and_equality_kept",
        PLAIN,
        swap("1", "2"),
        setup="d = {m.f: 'x'}",
        check="assert d[m.f] == 'x' and m.f() == 2",
    ),
    Edit(
        "body_calls_other_function_of_module",
        """
        def low(): return 1
        def high(): return low() + 10
        """,
        swap("return 1\n", "return 2\n", "+ 10", "+ 20"),
        setup="h = m.high",
        check="assert h() == 22",
    ),
    Edit(
        "body_recursive",
        """
        def fact(n):
            return 1 if n < 2 else n * fact(n - 1)
        """,
        swap("n * fact", "n + fact"),
        setup="h = m.fact",
        check="assert h(4) == 10",
    ),
    Edit(
        "body_constant_types_told_apart",
        """
        def f(): return 1
        def g(): return (0.0, 2)
        def h(): return b"a"
        """,
        swap("return 1\n", "return True\n", "(0.0, 2)", "(-0.0, 2.0)", 'b"a"', '"a"'),
        setup="f, g, h = m.f, m.g, m.h",
        check="""
            assert f() is True and h() == "a"
            assert repr(g()) == "(-0.0, 2.0)", g()
        """,
    ),
    Edit(
        "body_global_names_exchanged",
        """
        A, B = 1, 2
        def f(): return A
        """,
        swap("return A", "return B"),
        setup="h = m.f",
        check="assert h() == 2",
    ),
    Edit(
        "body_one_line_to_many",
        "def f(x): return x\n",
        """
        def f(
            x,
        ):
            y = (
                x
                + 1
            )
            return y
        """,
        setup="h = m.f",
        check="assert h(1) == 2",
    ),
    Edit(
        "body_very_long",
        "def f(x):\n" + "    x += 1\n" * 1500 + "    return x\n",
        "def f(x):\n" + "    x += 2\n" * 1500 + "    return x\n",
        setup="h = m.f",
        check="assert h(0) == 3000",
    ),
    Edit(
        "body_larger_frame_after_hot_calls",
        """
        def f(x):
            return x
        def loop(n):
            t = 0
            for i in range(n):
                t += f(i)
            return t
        """,
        swap("return x", "a = b = c = d = e = x\n    return [a, b, c, d, e].count(x)"),
        setup="m.loop(5000); h = m.f",
        check="assert m.loop(100) == 500 and h(3) == 5",
    ),
    Edit(
        "signature_parameter_added",
        "def f(a): return (a,)\n",
        "def f(a, b): return (a, b)\n",
        setup="h = m.f",
        check="""
            import inspect
            assert h(1, 2) == (1, 2)
            assert str(inspect.signature(h)) == "(a, b)"
        """,
    ),
    Edit(
        "signature_parameter_removed_after_hot_calls",
        """
        def f(a, b): return (a, b)
        def loop():
            for i in range(3000):
                f(i, i)
        def call(): return f(1)
        """,
        swap("f(a, b): return (a, b)", "f(a): return (a, a)"),
        setup="m.loop(); h = m.f",
        check="assert m.call() == (1, 1) == h(1)",
        fresh=False,
    ),
    Edit(
        "signature_kinds",
        "def f(a, b, c): return (a, b, c)\n",
        "def f(a, /, b, *rest, c=3, **kw): return (a, b, rest, c, kw)\n",
        setup="h = m.f",
        check="assert h(1, 2, 9, z=0) == (1, 2, (9,), 3, {'z': 0})",
    ),
    Edit(
        "defaults_changed",
        "def f(a=1, b=2): return (a, b)\n",
        swap("b=2", "b=20"),
        setup="h = m.f",
        check="assert h() == (1, 20) and h.__defaults__ == (1, 20)",
    ),
    Edit(
        "defaults_removed",
        "def f(a=1): return a\n",
        swap("a=1", "a"),
        setup="h = m.f",
        check="""
            try:
                h()
            except TypeError:
                pass
            else:
                raise AssertionError
            assert h(4) == 4 and h.__defaults__ is None
        """,
    ),
    Edit(
        "defaults_mutable_kept_when_body_changes",
        """
        def f(x, seen=[]):
            seen.append(x)
            return len(seen)
        """,
        swap("return len(seen)", "return list(seen)"),
        setup="h = m.f; h(1); h(2)",
        check="assert h(3) == [1, 2, 3]",
    ),
    Edit(
        "defaults_not_evaluated_again",
        {
            "side.py": """
                made = []
                def make():
                    made.append(object())
                    return made[-1]
            """,
            "m.py": """
                import side
                def f(a=side.make()):
                    return a
            """,
        },
        swap("return a", "return a, 2"),
        setup="import side; h = m.f",
        check="assert h() == (side.made[0], 2) and len(side.made) == 1",
    ),
    Edit(
        "kwdefaults_added_and_removed",
        "def f(*, a=1, b=2): return (a, b)\n",
        "def f(*, a, b=3, c=4): return (a, b, c)\n",
        setup="h = m.f",
        check="assert h(a=0) == (0, 3, 4) and h.__kwdefaults__ == {'b': 3, 'c': 4}",
    ),
    Edit(
        "kwdefaults_to_none",
        "def f(*, a=1): return a\n",
        "def f(a=2): return a\n",
        setup="h = m.f",
        check="assert h() == 2 and h.__kwdefaults__ is None",
    ),
    Edit(
        "docstring_changed",
        """
        def f():
            "old"
            return 1
        """,
        swap("old", "new"),
        setup="h = m.f",
        check="assert h.__doc__ == 'new' and h() == 1",
    ),
    Edit(
        "docstring_added",
        PLAIN,
        swap("return 1", '"new"\n    return 1'),
        setup="h = m.f",
        check="assert h.__doc__ == 'new'",
    ),
    Edit(
        "docstring_removed",
        """
        def f():
            '''old'''
            return 1
        """,
        swap("    '''old'''\n", ""),
        setup="h = m.f",
        check="assert h.__doc__ is None",
    ),
    Edit(
        "annotations_changed",
        "def f(a: int) -> int: return a\n",
        "def f(a: str, b: float = 0.5) -> bytes: return a\n",
        setup="h = m.f",
        check="""
            assert h.__annotations__ == {"a": str, "b": float, "return": bytes}
            assert h(1) == 1
        """,
    ),
    Edit(
        "annotations_removed",
        "def f(a: int) -> int: return a\n",
        "def f(a): return a\n",
        setup="h = m.f",
        check="assert h.__annotations__ == {}",
    ),
    Edit(
        "annotations_in_body_not_evaluated",
        """
        def f():
            x: nothing_of_that_name = 1
            return x
        """,
        swap("= 1", "= 2"),
        setup="h = m.f",
        check="assert h() == 2",
    ),
    Edit(
        "type_comment_changed",
        """
        def f(a):
            # type: (int) -> int
            return 1
        """,
        swap("(int) -> int", "(str) -> str", "return 1", "return 2"),
        setup="h = m.f",
        check="assert h('') == 2",
    ),
    Edit(
        "attribute_set_at_run_time_kept",
        """
        def f():
            f.calls += 1
            return "old"
        f.calls = 0
        """,
        swap("old", "new"),
        setup="h = m.f; h(); h()",
        check="assert h() == 'new' and h.calls == 3, h.calls",
    ),
    Edit(
        "attribute_statement_changed",
        """
        def f(): return 1
        f.route = "/old"
        """,
        swap("/old", "/new"),
        setup="h = m.f",
        check="assert h.route == '/new' and h is m.f",
    ),
    Edit(
        "attribute_of_function_whose_body_changes_kept",
        """
        def f(): return 1
        f.route = "/a"
        """,
        swap("return 1", "return 2"),
        setup="h = m.f; h.extra = 'mine'",
        check="assert h() == 2 and h.route == '/a' and h.extra == 'mine'",
    ),
    Edit(
        "global_statement_added",
        """
        total = 0
        def f():
            total = 5
            return total
        """,
        swap("total = 5", "global total\n    total = 6"),
        setup="h = m.f; h()",
        check="assert h() == 6 and m.total == 6",
    ),
    Edit(
        "global_counter_kept",
        """
        count = 0
        def f():
            global count
            count += 1
            return count
        """,
        swap("count += 1", "count += 10"),
        setup="h = m.f; h(); h()",
        check="assert h() == 12 and m.count == 12",
        fresh=False,
    ),
    Edit(
        "added_with_its_helper",
        PLAIN,
        """
        def f():
            return _help(4)
        def _help(x):
            return x + 1
        """,
        setup="h = m.f",
        check="assert h() == 5 and m._help(1) == 2",
    ),
    Edit(
        "added_between_others",
        """
        def a(): return "a"
        def c(): return "c"
        """,
        """
        def a(): return "a"
        def b(): return "b"
        def c(): return "c"
        """,
        setup="ha, hc = m.a, m.c",
        check="assert m.b() == 'b' and m.a is ha and m.c is hc",
        fresh=True,
    ),
    Edit(
        "added_metadata",
        "x = 1\n",
        """
        x = 1
        def f(a, b: int = 2):
            "doc"
        """,
        check="""
            f = m.f
            assert (f.__module__, f.__qualname__, f.__doc__) == ("m", "f", "doc")
            assert f.__globals__ is vars(m) and f.__code__.co_filename == m.__file__
            assert f.__annotations__ == {"b": int}
        """,
    ),
    Edit(
        "deleted_held_goes_on",
        """
        def f(): return 1
        def g(): return "g"
        """,
        swap('def g(): return "g"\n', ""),
        setup="h = m.g",
        check="assert not hasattr(m, 'g') and h() == 'g'",
        fresh=False,
    ),
    Edit(
        "deleted_global_is_a_name_error",
        """
        def helper(): return 1
        def f(): return helper()
        """,
        swap("def helper(): return 1\n", ""),
        setup="h = m.f",
        check="""
            try:
                h()
            except NameError:
                pass
            else:
                raise AssertionError("helper is still there")
        """,
    ),
    Edit(
        "renamed",
        """
        def old(): return 1
        def call(): return old()
        """,
        """
        def new(): return 2
        def call(): return new()
        """,
        setup="h = m.call",
        check="assert h() == 2 and m.new() == 2 and not hasattr(m, 'old')",
    ),
    Edit(
        "renamed_with_alias_for_the_old_name",
        "def old(): return 1\n",
        """
        def new(): return 2
        old = new
        """,
        setup="h = m.old",
        check="assert m.old() == m.new() == 2 and m.old is m.new and h() in (1, 2)",
    ),
    Edit(
        "alias_follows",
        """
        def f(): return 1
        g = f
        """,
        swap("return 1", "return 2"),
        setup="h = m.g",
        check="assert h() == m.g() == m.f() == 2 and m.f is m.g",
    ),
    Edit(
        "alias_to_another_function",
        """
        def a(): return "a"
        def b(): return "b"
        f = a
        """,
        swap("f = a", "f = b"),
        setup="ha, hb = m.a, m.b",
        check="""
            assert m.f is m.b and m.f() == "b"
            assert ha() == "a" and hb() == "b" and m.a is ha and m.b is hb
        """,
    ),
    Edit(
        "equal_bodies_not_confused",
        """
        def a(): return 1
        def b(): return 1
        """,
        """
        def a(): return 2
        def b(): return 1
        """,
        setup="ha, hb = m.a, m.b",
        check="assert ha() == 2 and hb() == 1 and m.a is ha and m.b is hb",
    ),
    Edit(
        "equal_names_in_two_modules",
        {
            "m.py": "def f(): return 1\n",
            "other.py": "def f(): return 1\n",
        },
        swap("return 1", "return 2"),
        setup="import other; hm, ho = m.f, other.f",
        check="assert hm() == 2 and ho() == 1 == other.f()",
    ),
    Edit(
        "equal_names_in_function_and_method",
        """
        def f(): return "function"
        class K:
            def f(self): return "method"
        """,
        swap('"method"', '"new method"'),
        setup="h = m.f; o = m.K()",
        check="assert h() == 'function' and o.f() == 'new method'",
    ),
    Edit(
        "defined_twice_first_changed",
        """
        def f(): return "first"
        keep = f
        def f(): return "second"
        """,
        swap('"first"', '"new first"'),
        setup="h, k = m.f, m.keep",
        check="assert m.f() == h() == 'second' and m.keep() == k() == 'new first'",
    ),
    Edit(
        "defined_twice_one_removed",
        """
        def f(): return "first"
        def f(): return "second"
        """,
        swap('def f(): return "second"\n', ""),
        check="assert m.f() == 'first'",
    ),
    Edit(
        "nested_body_three_deep",
        """
        def a():
            def b():
                def c():
                    return 1
                return c
            return b
        """,
        swap("return 1", "return 2"),
        setup="b = m.a(); c = b()",
        check="assert m.a()()() == 2 and b()() == 2 and c() == 2",
    ),
    Edit(
        "nested_signature_and_defaults",
        """
        def outer():
            def inner(a=1):
                return a
            return inner
        """,
        swap("inner(a=1)", "inner(a=2, b=3)", "return a", "return (a, b)"),
        setup="h = m.outer()",
        check="""
            assert m.outer()() == (2, 3)
            assert h(7, 8) == (7, 8), h
        """,
    ),
    Edit(
        "nested_same_names_told_apart",
        """
        def a():
            def inner(): return "a"
            return inner
        def b():
            def inner(): return "b"
            return inner
        """,
        swap('return "b"', 'return "B"'),
        setup="ia, ib = m.a(), m.b()",
        check="assert ia() == 'a' and ib() == 'B'",
    ),
    Edit(
        "nested_function_added_and_removed",
        """
        def outer():
            def one(): return 1
            return one
        """,
        """
        def outer():
            def two(): return 2
            def one(): return two() + 1
            return one
        """,
        check="assert m.outer()() == 3",
    ),
    Edit(
        "lambda_module_level_with_defaults",
        "f = lambda a, b=1: a + b\n",
        swap("b=1: a + b", "b=5: a * b"),
        setup="h = m.f",
        check="assert m.f(2) == 10 and h(2) == 10",
    ),
    Edit(
        "lambda_in_held_dict",
        """
        D = {"a": lambda: 1, "b": lambda: 2}
        """,
        swap("lambda: 1", "lambda: 10"),
        setup="d = m.D; a, b = d['a'], d['b']",
        check="assert m.D['a']() == d['a']() == a() == 10 and m.D['b']() == b() == 2",
    ),
    Edit(
        "lambda_in_held_list_one_of_many",
        "L = [lambda x: x + 1, lambda x: x + 2, lambda x: x + 3]\n",
        swap("x + 2", "x + 20"),
        setup="l = m.L; fs = list(l)",
        check="""
            assert [f(0) for f in fs] == [1, 20, 3] == [f(0) for f in m.L]
            assert [f(0) for f in l] == [1, 20, 3]
        """,
    ),
    Edit(
        "lambda_held_by_partial",
        """
        import functools
        P = functools.partial(lambda a, b: a + b, 1)
        """,
        swap("a + b", "a - b"),
        setup="p = m.P",
        check="assert m.P(5) == -4 and p(5) == -4",
    ),
    Edit(
        "lambda_passed_to_a_registry",
        """
        handlers = []
        def on(cb): handlers.append(cb)
        on(lambda: "old")
        """,
        """
        handlers = []
        def on(cb): handlers.append(cb)
        on(lambda: "new")
        """,
        setup="hs = m.handlers; h = hs[0]",
        check="assert h() == 'new' and hs is m.handlers",
    ),
    Edit(
        "lambda_in_function_held",
        """
        def mk():
            return sorted, lambda x: x
        """,
        swap("lambda x: x", "lambda x: -x"),
        setup="h = m.mk()[1]",
        check="assert h(1) == -1 and m.mk()[1](2) == -2",
    ),
    Edit(
        "lambda_as_default",
        "def f(x, key=lambda v: v): return key(x)\n",
        swap("lambda v: v", "lambda v: v * 2"),
        setup="h = m.f",
        check="assert h(4) == 8",
    ),
    Edit(
        "lambda_to_def",
        "f = lambda x: x\n",
        """
        def f(x):
            return x + 1
        """,
        setup="h = m.f",
        check="assert m.f(1) == 2 and h(1) == 2",
    ),
    Edit(
        "def_to_lambda",
        "def f(x): return x\n",
        "f = lambda x: x + 1\n",
        setup="h = m.f",
        check="assert m.f(1) == 2 and h(1) == 2",
    ),
    Edit(
        "comprehension_changed",
        """
        def f(xs):
            return [x + 1 for x in xs if x]
        def g(xs):
            return {k: [i for i in v] for k, v in xs.items()}
        """,
        swap("x + 1", "x + 2", "[i for", "[i * 2 for"),
        setup="f, g = m.f, m.g",
        check="assert f([0, 1]) == [3] and g({'a': [1]}) == {'a': [2]}",
    ),
    Edit(
        "comprehension_with_closure",
        """
        def f(n):
            return [(lambda: i + n)() for i in range(2)]
        """,
        swap("i + n", "i * n"),
        setup="h = m.f",
        check="assert h(5) == [0, 5]",
    ),
    Edit(
        "comprehension_at_module_level",
        "T = {n: n * n for n in range(3)}\n",
        swap("n * n", "n + n"),
        check="assert m.T == {0: 0, 1: 2, 2: 4}",
    ),
    Edit(
        "generator_expression_held",
        """
        def f():
            return (x for x in range(3))
        """,
        swap("(x for", "(x * 10 for"),
        setup="g = m.f(); next(g)",
        check="assert list(m.f()) == [0, 10, 20]; assert list(g) == [1, 2]",
        fresh=False,
    ),
    Edit(
        "walrus_in_body_and_module",
        """
        if (limit := 10) > 5:
            big = True
        def f(x):
            return (y := x + 1) * y
        """,
        swap("limit := 10", "limit := 11", "x + 1", "x + 2"),
        setup="h = m.f",
        check="assert m.limit == 11 and h(1) == 9 and m.big",
    ),
    Edit(
        "match_statement",
        """
        def f(x):
            match x:
                case {"a": v}:
                    return v
                case _:
                    return None
        """,
        swap('{"a": v}', '{"b": v}'),
        setup="h = m.f",
        check="assert h({'b': 1}) == 1 and h({'a': 1}) is None",
        python=(3, 10),
    ),
    Edit(
        "except_star",
        """
        def f():
            r = 0
            try:
                raise ExceptionGroup("g", [ValueError()])
            except* ValueError:
                r = 1
            return r
        """,
        """
        def f():
            r = 0
            try:
                raise ExceptionGroup("g", [TypeError()])
            except* TypeError:
                r = 2
            return r
        """,
        setup="h = m.f",
        check="assert h() == 2",
        python=(3, 11),
    ),
    Edit(
        "future_annotations_present",
        """
        from __future__ import annotations
        def f(a: Unknown) -> None:
            return 1
        class K:
            x: Missing = 1
            def a(self) -> K: return 1
        """,
        swap("Unknown", "Other", "return 1\nclass", "return 2\nclass"),
        setup="h = m.f; o = m.K()",
        check="""
            assert h(0) == 2
            assert h.__annotations__ == {"a": "Other", "return": "None"}
            assert m.K.__annotations__ == {"x": "Missing"} and o.a() == 1
        """,
    ),
    Edit(
        "future_annotations_added",
        """
        def f(a: int): return 1
        def g(a: int): return 1
        """,
        """
        from __future__ import annotations
        def f(a: int): return 2
        def g(a: int): return 1
        """,
        setup="h = m.f",
        check="assert h(0) == 2 and h.__annotations__ == {'a': 'int'}",
        may_refuse="HR403",
        unchanged="assert h(0) == 1 and h.__annotations__ == {'a': int}",
    ),
]
