"""Definitions that move: to another file, under an `if` or `try`, and back."""

from . import Edit, swap

USER = "from a import g\nCALLS = [g]\n"

EDITS = [
    Edit(
        "moved_function_to_new_file",
        {"m.py": USER, "a.py": "def g(): return 1\n"},
        {"b.py": "def g(): return 2\n", "a.py": "from b import g\n"},
        setup="h = m.g",
        mid="assert m.CALLS[0]() == 2 and m.g is h",
        then=[{"b.py": swap("return 2", "return 3")}],
        check="""
            import a, b, pickle
            assert m.CALLS[0]() == 3 and a.g is b.g is m.g is h
            assert h.__module__ == "b" and pickle.loads(pickle.dumps(h)) is h
        """,
    ),
    Edit(
        "moved_function_to_file_that_is_there",
        {"m.py": USER, "a.py": "def g(): return 1\n", "b.py": "Y = 2\n"},
        {"b.py": "Y = 2\ndef g(): return Y\n", "a.py": "from b import g\n"},
        setup="import b; h = m.g",
        mid="assert m.CALLS[0]() == 2 and m.g is h is b.g",
        then=[{"b.py": swap("return Y", "return Y + 1")}],
        check="import a; assert m.CALLS[0]() == 3 and a.g is b.g is m.g is h",
        ways=("apply",),
    ),
    Edit(
        "moved_function_with_helper_and_closures",
        {
            "m.py": USER + "INNER = g()\n",
            "a.py": "def one(): return 1\ndef g():\n    return lambda: one()\n",
        },
        {
            "b.py": "def one(): return 2\ndef g():\n    return lambda: one() + 10\n",
            "a.py": "from b import g\n",
        },
        check="assert m.INNER() == 12 == m.CALLS[0]()()",
    ),
    Edit(
        "moved_function_that_the_other_file_had",
        {"m.py": USER, "a.py": "def g(): return 1\n", "b.py": "def g(): return 2\n"},
        {"a.py": "from b import g\n"},
        setup="import a, b; h, k = m.CALLS[0], b.g",
        mid="assert h() == 2 and b.g is k",
        then=[{"b.py": swap("return 2", "return 3")}],
        check="assert h() == 3 == a.g() and a.g is b.g is k",
    ),
    Edit(
        "moved_class_to_new_file",
        {
            "m.py": "from a import K\nk = K()\n",
            "a.py": "class K:\n    def v(self): return 1\n",
        },
        {
            "b.py": """
                class B:
                    def v(self): return 2
                class K(B):
                    def v(self): return super().v(), self.w()
                    def w(self): return 3
            """,
            "a.py": "from b import K\n",
        },
        setup="c = m.K; v = m.k.v",
        mid="assert m.k.v() == (2, 3) == v() and m.K is c",
        then=[{"b.py": swap("return 3", "return 4")}],
        check="""
            import a, b, pickle
            assert m.k.v() == (2, 4) == v() and isinstance(m.k, m.K)
            assert a.K is b.K is m.K is c and c.__module__ == "b"
            assert isinstance(pickle.loads(pickle.dumps(m.k)), c)
        """,
    ),
    Edit(
        "moved_class_to_file_that_is_there",
        {
            "m.py": "from a import K\nk = K()\n",
            "a.py": "class K:\n    def v(self): return 1\n",
            "b.py": "",
        },
        {
            "b.py": "class K:\n    def v(self): return 2\nclass L(K): pass\n",
            "a.py": "from b import K\n",
        },
        setup="import b; c = m.K",
        check="""
            assert m.k.v() == 2 and isinstance(m.k, m.K) and b.K is m.K is c
            assert issubclass(b.L, c) and b.L().v() == 2
        """,
        ways=("apply",),
    ),
    Edit(
        "moved_function_under_try_and_back",
        "def f(): return 1\nx = 1\n",
        "try:\n    def f(): return 2\nfinally:\n    x = 1\n",
        setup="h = m.f",
        mid="assert m.f is h and h() == 2",
        then=["x = 1\ndef f(): return 3\n", "x = 1\ndef f(): return 4\n"],
        check="assert m.f is h and h() == 4",
    ),
    Edit(
        "moved_class_under_if_and_back",
        "class K:\n    v = 1\nk = K()\n",
        "if True:\n    class K:\n        v = 2\nk = K()\n",
        setup="c = m.K",
        mid="assert m.K is c and m.k.v == 2",
        then=[swap("if True:\n    class K:\n        v = 2", "class K:\n    v = 3")],
        check="assert m.K is c and isinstance(m.k, c) and m.k.v == 3",
    ),
    Edit(
        "moved_decorated_function_under_if",
        """
        def deco(fn):
            def w(*a): return fn(*a)
            return w
        @deco
        def f(): return 1
        """,
        swap(
            "@deco\ndef f(): return 1",
            "if 1:\n    @deco\n    def f():\n        return 2",
        ),
        setup="h = m.f",
        check="assert m.f is h and h() == 2",
    ),
    Edit(
        "moved_function_becomes_optional_import",
        {"m.py": "def loads(x): return 1\n"},
        """
        try:
            from json import loads
        except ImportError:
            def loads(x): return 2
        """,
        setup="import json; h = m.loads; own = json.loads",
        check="""
            assert m.loads is json.loads is own and h("[3]") == [3] == own("[3]")
            assert own.__module__ == "json"
        """,
        fresh=False,
    ),
]
