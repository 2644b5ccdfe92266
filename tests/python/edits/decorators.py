"""Decorators: unchanged, changed, added, removed; those of the standard library."""

from . import Edit, swap

DECO = """
    import functools
    def deco(fn):
        @functools.wraps(fn)
        def w(*a, **k):
            return ("w", fn(*a, **k))
        return w
"""
PLAIN_F = (
    DECO
    + """
    def f():
        return 1
"""
)
DECORATED_F = (
    DECO
    + """
    @deco
    def f():
        return 1
"""
)
ARGS = """
    def tag(name):
        def deco(fn):
            def w(*a):
                return (name, fn(*a))
            return w
        return deco
"""
CACHED = """
    import functools
    calls = []
    @functools.lru_cache(maxsize=None)
    def f(x):
        calls.append(x)
        return x + 1
"""

EDITS = [
    Edit(
        "decorator_same_signature_changed",
        DECORATED_F,
        swap("def f():\n    return 1", "def f(a, b=2):\n    return a + b"),
        setup="h = m.f",
        check="assert m.f(1) == ('w', 3) == h(1) and m.f is h",
    ),
    Edit(
        "decorator_same_wrapped_attribute",
        DECORATED_F,
        swap("return 1", "return 2"),
        setup="h = m.f; inner = m.f.__wrapped__",
        check="assert inner() == 2 and m.f.__wrapped__ is inner and h() == ('w', 2)",
    ),
    Edit(
        "decorator_same_docstring_changed",
        DECORATED_F,
        swap("return 1", '"doc"\n    return 1'),
        setup="h = m.f",
        check="assert m.f.__wrapped__.__doc__ == 'doc' and h() == ('w', 1)",
    ),
    Edit(
        "decorator_same_imported_elsewhere",
        {
            "m.py": DECORATED_F,
            "user.py": """
                from m import f
                CALLS = {"f": f}
            """,
        },
        swap("return 1", "return 2"),
        setup="import user",
        check="assert user.f() == ('w', 2) == user.CALLS['f']()",
    ),
    Edit(
        "decorator_same_without_wraps",
        """
        def deco(fn):
            def w(): return ("w", fn())
            return w
        @deco
        def f(): return 1
        @deco
        def g(): return "g"
        """,
        swap("return 1", "return 2"),
        setup="hf, hg = m.f, m.g",
        check="assert hf() == ('w', 2) == m.f() and hg() == ('w', 'g') == m.g()",
    ),
    Edit(
        "decorator_same_is_not_run_again",
        {
            "side.py": """
                runs = []
                def deco(fn):
                    runs.append(fn.__name__)
                    return fn
            """,
            "m.py": """
                from side import deco
                @deco
                def f(): return 1
                @deco
                def g(): return 1
            """,
        },
        swap("def f(): return 1", "def f(): return 2"),
        setup="import side; h = m.f",
        check="assert h() == 2 and side.runs == ['f', 'g'], side.runs",
    ),
    Edit(
        "decorator_stacked_body_changed",
        DECO
        + """
    def twice(fn):
        return lambda *a: [fn(*a), fn(*a)]
    @twice
    @deco
    def f():
        return 1
""",
        swap("return 1", "return 2"),
        setup="h = m.f",
        check="assert m.f() == h() == [('w', 2), ('w', 2)]",
    ),
    Edit(
        "decorator_stacked_order_changed",
        ARGS
        + """
    @tag("a")
    @tag("b")
    def f():
        return 1
""",
        swap('@tag("a")\n@tag("b")', '@tag("b")\n@tag("a")'),
        setup="h = m.f",
        check="assert m.f() == ('b', ('a', 1)) == h()",
    ),
    Edit(
        "decorator_with_arguments_body_changed",
        ARGS
        + """
    @tag("x")
    def f():
        return 1
""",
        swap("return 1", "return 2"),
        setup="h = m.f",
        check="assert m.f() == ('x', 2) == h()",
    ),
    Edit(
        "decorator_arguments_changed",
        ARGS
        + """
    @tag("x")
    def f():
        return 1
""",
        swap('"x"', '"y"'),
        setup="h = m.f",
        check="assert m.f() == ('y', 1) == h()",
    ),
    Edit(
        "decorator_replaced_by_another",
        DECO
        + """
    def other(fn):
        return lambda: ("o", fn())
    @deco
    def f():
        return 1
""",
        swap("@deco\n", "@other\n"),
        setup="h = m.f",
        check="assert m.f() == ('o', 1) == h()",
    ),
    Edit(
        "decorator_added_and_body_changed",
        PLAIN_F,
        swap("def f():\n    return 1", "@deco\ndef f():\n    return 2"),
        setup="h = m.f",
        check="assert m.f() == ('w', 2) == h()",
    ),
    Edit(
        "decorator_removed_held",
        DECORATED_F,
        swap("@deco\n", ""),
        setup="h = m.f",
        check="assert m.f() == 1 == h()",
    ),
    Edit(
        "decorator_removed_then_added_again",
        DECORATED_F,
        swap("@deco\n", ""),
        setup="h = m.f",
        then=[swap("def f():\n    return 1", "@deco\ndef f():\n    return 3")],
        check="assert m.f() == ('w', 3) == h()",
    ),
    Edit(
        "decorator_own_wrapper_changed",
        DECORATED_F,
        swap('("w", fn', '("new", fn'),
        setup="h = m.f",
        check="assert m.f() == ('new', 1) == h()",
    ),
    Edit(
        "decorator_own_wrapper_loses_variable",
        """
        def deco(fn):
            n = 5
            def w(): return (n, fn())
            return w
        @deco
        def f(): return 1
        """,
        swap("(n, fn())", '("-", fn())'),
        setup="h = m.f",
        check="assert m.f() == ('-', 1) == h()",
    ),
    Edit(
        "decorator_own_wrapper_changed_with_the_function",
        DECORATED_F,
        swap('("w", fn', '("new", fn', "return 1", "return 2"),
        setup="h = m.f",
        check="assert m.f() == ('new', 2) == h()",
    ),
    Edit(
        "decorator_from_other_file_edited",
        {
            "deco.py": """
                import functools
                def loud(fn):
                    @functools.wraps(fn)
                    def w(*a): return fn(*a) + "!"
                    return w
            """,
            "m.py": """
                from deco import loud
                @loud
                def f(): return "a"
                class K:
                    @loud
                    def a(self): return "k"
            """,
        },
        {"deco.py": swap('"!"', '"!!"')},
        setup="h = m.f; o = m.K(); b = o.a",
        check="assert h() == 'a!!' == m.f() and o.a() == 'k!!' == b()",
    ),
    Edit(
        "decorator_and_function_edited_in_two_files",
        {
            "deco.py": """
                def loud(fn):
                    def w(*a): return fn(*a) + "!"
                    return w
            """,
            "m.py": """
                from deco import loud
                @loud
                def f(): return "a"
            """,
        },
        {"deco.py": swap('"!"', '"!!"'), "m.py": swap('"a"', '"b"')},
        setup="h = m.f",
        check="assert h() == 'b!!' == m.f()",
    ),
    Edit(
        "decorator_object_with_call",
        """
        class deco:
            def __init__(self, fn):
                self.fn, self.calls = fn, 0
            def __call__(self, *a):
                self.calls += 1
                return (self.calls, self.fn(*a))
        @deco
        def f(): return 1
        """,
        swap("return 1", "return 2"),
        setup="h = m.f; h()",
        check="assert h() == (2, 2) and m.f is h",
        fresh=True,
    ),
    Edit(
        "decorator_that_sets_attributes",
        """
        def mark(fn):
            fn.marked = True
            return fn
        @mark
        def f(): return 1
        """,
        swap("return 1", "return 2"),
        setup="h = m.f",
        check="assert h() == 2 and h.marked and m.f is h",
    ),
    Edit(
        "decorator_that_returns_something_else",
        """
        def name_of(fn):
            return fn.__name__ + "!"
        @name_of
        def f(): return 1
        x = 1
        """,
        swap("x = 1", "x = 2"),
        check="assert m.f == 'f!' and m.x == 2",
    ),
    Edit(
        "decorator_lambda_expression",
        """
        @(lambda fn: lambda: ("l", fn()))
        def f(): return 1
        """,
        swap("return 1", "return 2"),
        setup="h = m.f",
        check="assert h() == ('l', 2) == m.f()",
    ),
    Edit(
        "registry_no_second_entry",
        """
        routes = {}
        order = []
        def route(path):
            def deco(fn):
                order.append(path)
                routes[path] = fn
                return fn
            return deco
        @route("/a")
        def a(): return "a"
        @route("/b")
        def b(): return "b"
        """,
        swap('return "a"', 'return "A"'),
        setup="r = m.routes",
        check="""
            assert m.order == ["/a", "/b"], m.order
            assert r is m.routes and r["/a"]() == "A" and r["/a"] is m.a
        """,
    ),
    Edit(
        "registry_of_wrappers_calls_new_code",
        {
            "app.py": """
                handlers = []
                def on(fn):
                    def w(*a): return ("handled", fn(*a))
                    handlers.append(w)
                    return w
            """,
            "m.py": """
                from app import on
                @on
                def start(): return 1
            """,
        },
        swap("return 1", "return 2"),
        setup="import app",
        check="assert [h() for h in app.handlers] == [('handled', 2)]",
    ),
    Edit(
        "registry_new_entry_added_once",
        """
        routes = []
        def route(fn):
            routes.append(fn.__name__)
            return fn
        @route
        def a(): return 1
        """,
        """
        routes = []
        def route(fn):
            routes.append(fn.__name__)
            return fn
        @route
        def a(): return 1
        @route
        def b(): return 2
        """,
        setup="r = m.routes",
        check="assert r == ['a', 'b'] and m.routes is r",
    ),
    Edit(
        "registry_of_methods",
        """
        commands = {}
        def command(fn):
            commands[fn.__name__] = fn
            return fn
        class K:
            @command
            def go(self): return 1
        """,
        swap("return 1", "return 2"),
        setup="o = m.K(); c = m.commands",
        check="assert c['go'](o) == 2 == o.go() and list(m.commands) == ['go']",
    ),
    Edit(
        "atexit_and_signal_handlers_follow",
        """
        import atexit
        seen = []
        @atexit.register
        def bye(): seen.append("old")
        """,
        swap('"old"', '"new"'),
        setup="h = m.bye",
        check="""
            h(); assert m.seen == ["new"]
            import atexit; atexit.unregister(h)
        """,
    ),
    Edit(
        "lru_cache_held_runs_new_code",
        CACHED,
        swap("x + 1", "x + 2"),
        setup="h = m.f; h(1); h(1)",
        check="assert h(1) == 3 == m.f(1) and m.f is h, h(1)",
    ),
    Edit(
        "lru_cache_other_function_keeps_its_results",
        CACHED
        + """
    @functools.lru_cache
    def g(x):
        calls.append("g")
        return x
""",
        swap("x + 1", "x + 2"),
        setup="h = m.g; h(1)",
        check="assert h(1) == 1 and m.calls == ['g'] and m.f(1) == 3",
    ),
    Edit(
        "lru_cache_maxsize_changed",
        CACHED,
        swap("maxsize=None", "maxsize=2"),
        setup="h = m.f; h(1)",
        check="assert m.f.cache_info().maxsize == 2 and m.f(1) == 2 == h(1)",
    ),
    Edit(
        "lru_cache_added",
        """
        import functools
        calls = []
        def f(x):
            calls.append(x)
            return x
        """,
        swap("def f(x)", "@functools.lru_cache\ndef f(x)"),
        setup="h = m.f",
        check="m.f(1); m.f(1); assert m.calls == [1] and h(1) == 1",
    ),
    Edit(
        "lru_cache_removed",
        CACHED,
        swap("@functools.lru_cache(maxsize=None)\n", "", "x + 1", "x + 5"),
        setup="h = m.f; h(1)",
        check="assert m.f(1) == 6 and not hasattr(m.f, 'cache_info')",
    ),
    Edit(
        "cache_of_method",
        """
        import functools
        class K:
            @functools.cache
            def a(self, x): return x + 1
        """,
        swap("x + 1", "x + 2"),
        setup="o = m.K(); o.a(1); b = o.a",
        check="assert o.a(1) == 3 == b(1)",
    ),
    Edit(
        "cache_imported_elsewhere",
        {
            "m.py": """
                from functools import cache
                @cache
                def load(name): return "old " + name
            """,
            "user.py": """
                from m import load
                def call(): return load("x")
            """,
        },
        swap("old", "new"),
        setup="import user; user.call()",
        check="assert user.call() == 'new x'",
    ),
    Edit(
        "cache_of_a_caller_of_the_changed_function",
        """
        from functools import cache
        def base(): return 1
        @cache
        def f(x): return base() + x
        """,
        swap("+ x", "+ x + 1"),
        setup="h = m.f; h(1)",
        check="assert h(1) == 3",
    ),
    Edit(
        "cached_property_body_changed",
        """
        from functools import cached_property
        class K:
            @cached_property
            def p(self): return 1
        """,
        swap("return 1", "return 2"),
        setup="o = m.K(); old = m.K(); old.p",
        check="assert o.p == 2 and m.K().p == 2 and old.p in (1, 2)",
    ),
    Edit(
        "cached_property_to_property",
        """
        from functools import cached_property
        class K:
            @cached_property
            def p(self): return 1
        """,
        swap("@cached_property", "@property", "return 1", "return 2"),
        setup="o = m.K()",
        check="""
            assert o.p == 2
            try:
                m.K().p = 3
            except AttributeError:
                pass
            else:
                raise AssertionError("a property without setter was set")
        """,
    ),
    Edit(
        "singledispatch_base_changed",
        """
        from functools import singledispatch
        @singledispatch
        def f(x): return "any"
        @f.register
        def _(x: int): return "int"
        """,
        swap('"any"', '"ANY"'),
        setup="h = m.f",
        check="assert h('') == 'ANY' and h(1) == 'int' and m.f is h",
    ),
    Edit(
        "singledispatch_implementation_added",
        """
        from functools import singledispatch
        @singledispatch
        def f(x): return "any"
        @f.register
        def _(x: int): return "int"
        """,
        swap(
            'return "int"\n', 'return "int"\n@f.register\ndef _(x: str): return "str"\n'
        ),
        setup="h = m.f; h('')",
        check="assert h('') == 'str' and h(1) == 'int' and h(1.0) == 'any'",
    ),
    Edit(
        "singledispatch_many_underscores",
        """
        from functools import singledispatch
        @singledispatch
        def f(x): return "any"
        @f.register(int)
        def _(x): return "int"
        @f.register(str)
        def _(x): return "str"
        @f.register(list)
        def _(x): return "list"
        """,
        swap('"str"', '"STR"'),
        setup="h = m.f; h(1), h(''), h([])",
        check="assert (h(1), h(''), h([]), h(1.0)) == ('int', 'STR', 'list', 'any')",
    ),
    Edit(
        "singledispatchmethod_changed",
        """
        from functools import singledispatchmethod
        class K:
            @singledispatchmethod
            def f(self, x): return "any"
            @f.register
            def _(self, x: int): return "int"
        """,
        swap('"int"', '"INT"', '"any"', '"ANY"'),
        setup="o = m.K()",
        check="assert o.f(1) == 'INT' and o.f('') == 'ANY'",
    ),
    Edit(
        "total_ordering_method_changed",
        """
        import functools
        @functools.total_ordering
        class K:
            def __init__(self, n): self.n = n
            def __eq__(self, o): return self.n == o.n
            def __lt__(self, o): return self.n < o.n
        """,
        swap("self.n < o.n", "self.n > o.n"),
        setup="a, b = m.K(1), m.K(2)",
        check="assert b < a and a >= b and max(a, b) is a",
    ),
    Edit(
        "class_decorator_added_changed_and_removed",
        """
        def mark(name):
            def deco(cls):
                cls.mark = name
                return cls
            return deco
        class K:
            def a(self): return 1
        """,
        swap("class K", "@mark('one')\nclass K"),
        setup="o = m.K(); K = m.K",
        mid="assert o.mark == 'one' and m.K is K",
        then=[swap("'one'", "'two'"), swap("@mark('two')\n", "")],
        check="assert not hasattr(o, 'mark') and m.K is K and o.a() == 1",
        quiet=True,
    ),
    Edit(
        "class_decorator_returning_a_new_class",
        """
        def sub(cls):
            class Sub(cls):
                def extra(self): return "extra"
            return Sub
        @sub
        class K:
            def a(self): return 1
        """,
        swap("return 1", "return 2"),
        setup="o = m.K(); K = m.K",
        check="assert o.a() == 2 and o.extra() == 'extra' and m.K is K",
    ),
    Edit(
        "decorated_method_body_changed",
        DECO
        + """
    class K:
        @deco
        def a(self): return 1
""",
        swap("return 1", "return 2"),
        setup="o = m.K(); b = o.a",
        check="assert o.a() == ('w', 2) == b()",
    ),
    Edit(
        "decorated_method_decorator_added_and_removed",
        DECO
        + """
    class K:
        @deco
        def a(self): return 1
        def b(self): return 1
""",
        swap("@deco\n    def a", "def a", "def b", "@deco\n    def b"),
        setup="o = m.K(); a, b = o.a, o.b",
        check="assert o.a() == a() == 1 and o.b() == b() == ('w', 1)",
    ),
    Edit(
        "decorated_generator_and_coroutine",
        DECO
        + """
    @deco
    def g():
        yield 1
    @deco
    async def c():
        return 1
""",
        swap("yield 1", "yield 2", "return 1", "return 2"),
        setup="hg, hc = m.g, m.c",
        check="""
            import asyncio
            assert list(hg()[1]) == [2] and asyncio.run(hc()[1]) == 2
        """,
    ),
]
