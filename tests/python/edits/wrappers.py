"""What wraps a definition: old wrappers that are held, copied texts, names."""

from . import Edit, swap

CACHED = """
    import functools
    @functools.lru_cache(None)
    def f(x): return x
"""
CLASS = """
    class W:
        def __init__(self, fn, n): self.{field}, self.n = fn, n
        def __call__(self, *a): return self.{field}(*a)
    def deco(n): return lambda fn: W(fn, n)
    @deco(1)
    def f(x): return x
"""
SLOTS = """
    class W:
        __slots__ = ("target",)
        def __init__(self, fn): self.target = fn
        def __call__(self, *a): return self.target(*a)
    class V:
        def __init__(self, fn): self.inside = {"call": fn}
        def __call__(self, *a): return self.inside["call"](*a)
    @W
    @V
    def f(x): return x
"""
WRAPS = """
    import functools
    def deco(fn):
        @functools.wraps(fn)
        def w(*a): return fn(*a)
        return w
    @deco
    @deco
    def f(x: int):
        "old"
"""
COPIES = """
    import functools
    class W:
        def __init__(self, fn): self.fn = fn; functools.update_wrapper(self, fn)
        def __call__(self, *a): return self.fn(*a)
    @W
    def a(x: int):
        "old a"
    @functools.lru_cache(None)
    def b(x: int):
        "old b"
    class K:
        @functools.cached_property
        def c(self):
            "old c"
            return 1
        @property
        def d(self):
            "old d"
            return 1
        @staticmethod
        def e():
            "old e"
"""

EDITS = [
    Edit(
        "wrapper_of_before_cache_argument",
        CACHED,
        swap("cache(None)", "cache(8)", "return x", "return x * 2"),
        setup="h = m.f; h(1)",
        then=[swap("x * 2", "x * 3"), swap("cache(8)", "cache(9)", "x * 3", "x * 4")],
        mid="assert m.f(1) == 2 == h(1); k = m.f",
        check="assert m.f(1) == h(1) == k(1) == 4",
        fresh=False,
    ),
    Edit(
        "wrapper_of_before_cache_argument_then_body",
        CACHED,
        swap("cache(None)", "cache(8)"),
        setup="h = m.f; h(1)",
        then=[swap("return x", "return x * 2")],
        mid="assert m.f(1) == 1 == h(1)",
        check="assert m.f(1) == 2 == h(1)",
    ),
    Edit(
        "wrapper_of_before_cache_removed",
        CACHED,
        swap("@functools.lru_cache(None)\n", "", "return x", "return x * 2"),
        setup="h = m.f; h(1)",
        then=[swap("x * 2", "x * 3")],
        mid="assert m.f(1) == 2 == h(1)",
        check="assert m.f(1) == 3 == h(1)",
    ),
    Edit(
        "wrapper_of_before_cache_added_around",
        "import functools\ndef f(x): return x\n",
        "import functools\n@functools.lru_cache(4)\ndef f(x): return x * 2\n",
        setup="h = m.f",
        then=[swap("cache(4)", "cache(5)"), swap("x * 2", "x * 3")],
        mid="assert m.f(1) == 2 == h(1)",
        check="assert m.f(1) == 3 == h(1)",
    ),
    Edit(
        "wrapper_of_before_object_argument",
        CLASS.format(field="f"),
        swap("deco(1)", "deco(2)", "return x", "return x * 2"),
        setup="h = m.f",
        then=[swap("x * 2", "x * 3")],
        mid="assert m.f(1) == 2 == h(1) and m.f.n == 2",
        check="assert m.f(1) == 3 == h(1)",
    ),
    Edit(
        "wrapper_of_before_method",
        """
        import functools
        class B:
            g = 1
        class K(B):
            @functools.lru_cache(None)
            def f(self): return 1
            def g(self): return "g"
        """,
        swap("cache(None)", "cache(8)", "return 1", "return self.g(), super().g"),
        setup="o = m.K(); h = m.K.f; h(o)",
        check="assert h(o) == o.f() == ('g', 1)",
    ),
    Edit(
        "wrapper_of_before_inner_function_held",
        WRAPS + "    def other(fn): return deco(fn)\n",
        swap('@deco\n@deco\ndef f(x: int):\n    "old"', "@other\ndef f(x): return 2"),
        setup="h = m.f; inner = m.f.__wrapped__.__wrapped__",
        then=[swap("return 2", "return 3")],
        mid="assert m.f(1) == inner(1) == 2 and m.f is h",
        check="assert m.f(1) == h(1) == inner(1) == 3",
        fresh=False,
    ),
    Edit(
        "wrapper_object_keeps_function_in_attribute",
        CLASS.format(field="fn"),
        swap("return x", "return x * 2"),
        setup="h = m.f",
        check="assert m.f(1) == 2 == h(1) and m.f is h and h.n == 1",
    ),
    Edit(
        "wrapper_object_keeps_function_in_slot_and_dict",
        SLOTS,
        swap("return x", "return x * 2"),
        setup="h = m.f",
        check="assert m.f(1) == 2 == h(1) and m.f is h",
    ),
    Edit(
        "wrapper_copied_doc_and_annotations",
        WRAPS,
        swap("x: int", "x: str", "old", "new"),
        setup="h = m.f; inner = m.f.__wrapped__.__wrapped__",
        check="""
            for fn in (h, h.__wrapped__, inner):
                assert (fn.__doc__, fn.__annotations__) == ("new", {"x": str})
            assert m.f is h
        """,
    ),
    Edit(
        "wrapper_copied_doc_comes_and_goes",
        WRAPS,
        swap('    "old"\n', "    return 1\n"),
        setup="h = m.f",
        mid="assert h.__doc__ is None and h(1) == 1",
        then=[swap("    return 1\n", '    "new"\n')],
        check="assert h.__doc__ == 'new' == m.f.__doc__",
    ),
    Edit(
        "wrapper_copied_texts_in_objects",
        COPIES,
        swap(
            *('x: int):\n    "old a', 'x: str):\n    "new a'),
            *('x: int):\n    "old b', 'x: str):\n    "new b'),
            *("old c", "new c", "old d", "new d", "old e", "new e"),
        ),
        setup="a, b, c = m.a, m.b, m.K.__dict__['c']",
        check="""
            assert (a.__doc__, a.__annotations__) == ("new a", {"x": str}) and m.a is a
            assert (b.__doc__, b.__annotations__) == ("new b", {"x": str}) and m.b is b
            assert c.__doc__ == "new c" and m.K.d.__doc__ == "new d"
            assert m.K.e.__doc__ == "new e" == m.K.__dict__["e"].__doc__
        """,
        python=(3, 10),
    ),
    Edit(
        "wrapper_own_doc_stays",
        """
        def deco(fn):
            def w(*a):
                "of the wrapper"
                return fn(*a)
            return w
        @deco
        def f(): return 1
        """,
        swap("def f(): return 1", 'def f():\n    "of f"\n    return 2'),
        setup="h = m.f",
        check="assert h() == 2 and h.__doc__ == 'of the wrapper'",
    ),
    Edit(
        "wrapper_edited_keeps_copied_doc",
        WRAPS,
        swap("def w(*a): return fn(*a)", "def w(*a): return fn(*a), 1"),
        setup="h = m.f",
        check="assert h(1) == ((None, 1), 1) and h.__doc__ == 'old'",
    ),
    Edit(
        "doc_set_by_program_stays",
        'def f():\n    "doc"\n    return 1\ndef g(a=1): return a\n',
        swap("return 1", "return 2", "a=1", "a=2"),
        setup="m.f.__doc__ = 'mine'; m.g.__doc__ = 'its'",
        check="""
            assert (m.f(), m.f.__doc__) == (2, "mine")
            assert (m.g(), m.g.__doc__) == (2, "its")
        """,
    ),
    Edit(
        "name_of_lambda_that_becomes_function",
        "f = lambda x: x\n",
        "def f(x): return x + 1\n",
        setup="h = m.f",
        check="""
            import pickle
            assert m.f is h and (h.__name__, h.__qualname__) == ("f", "f")
            assert pickle.loads(pickle.dumps(h)) is h and h(1) == 2
        """,
    ),
    Edit(
        "name_of_function_that_becomes_lambda_and_back",
        "def f(x): return x\n",
        "f = lambda x: x + 1\n",
        setup="h = m.f",
        mid="assert m.f is h and h.__name__ == '<lambda>'",
        then=["def f(x): return x + 2\n"],
        check="assert m.f is h and h.__name__ == 'f' and h(1) == 3",
    ),
    Edit(
        "name_of_decorated_that_becomes_plain",
        """
        def deco(fn):
            def w(*a): return fn(*a)
            return w
        @deco
        def f(x): return x
        """,
        swap("@deco\n", ""),
        setup="h = m.f",
        check="assert m.f is h and (h.__name__, h.__qualname__) == ('f', 'f')",
    ),
    Edit(
        "name_set_by_program_stays",
        "f = lambda x: x\n",
        "def f(x): return x + 1\n",
        setup="h = m.f; h.__name__ = 'mine'",
        check="assert m.f(1) == 2 and h.__name__ == 'mine'",
    ),
    Edit(
        "name_normalised_function",
        "def 𝐟(x): return x\n",
        "def 𝐟(x): return x + 1\n",
        setup="h = m.f",
        check="assert m.f is h and h(1) == 2",
    ),
    Edit(
        "name_normalised_written_otherwise",
        "def e\u0301(x): return x\n",
        "def \u00e9(x): return x + 1\n",
        setup="h = getattr(m, '\u00e9')",
        check="assert h(1) == 2 and getattr(m, '\u00e9') is h",
    ),
    Edit(
        "name_normalised_class_and_member",
        """
        class ﬁ:
            ﬂ = 1
            def 𝐠(self): return 1
            def __𝐩(self): return 1
            def q(self): return self.__p()
        """,
        """
        class ﬁ:
            ﬂ = 2
            def 𝐠(self): return 2
            def __𝐩(self): return 2
            def q(self): return self.__p()
        """,
        setup="o = m.fi(); h = o.g",
        check="assert type(o) is m.fi and (o.g(), h(), o.fl, o.q()) == (2, 2, 2, 2)",
    ),
    Edit(
        "name_normalised_deleted",
        "ﬁ = 1\nx = 1\n",
        "x = 1\n",
        check="assert not hasattr(m, 'fi')",
    ),
    Edit(
        "name_normalised_imported",
        {"m.py": "from a import ﬁ\n", "a.py": "ﬁ = 1\n"},
        {"a.py": "ﬁ = 2\n"},
        check="assert m.fi == 2",
    ),
]
