"""One save after the other: revert, ten edits, delete and add again, move, grow."""

from . import Edit, swap

F = "def f(): return {}\n"

EDITS = [
    Edit(
        "revert_function",
        """
        def f(a=1):
            "doc"
            return a
        """,
        """
        def f(a=2, *, b=3):
            "other"
            return (a, b)
        """,
        setup="h = m.f",
        mid="assert h() == (2, 3)",
        revert=True,
        check="assert h() == 1 and h.__doc__ == 'doc' and h.__kwdefaults__ is None",
        quiet=True,
    ),
    Edit(
        "revert_class",
        """
        class K:
            X = 1
            def a(self): return 1
        """,
        """
        class K:
            Y = 2
            def b(self): return 2
        """,
        setup="o = m.K(); k = m.K",
        mid="assert o.b() == 2",
        revert=True,
        check="""
            assert (o.X, o.a()) == (1, 1) and not hasattr(o, "Y") and m.K is k
            assert not hasattr(o, "b")
        """,
        quiet=True,
    ),
    Edit(
        "revert_module_level",
        """
        X = 1
        Y = X + 1
        import json
        """,
        """
        X = 2
        Z = 3
        import pickle
        """,
        mid="assert not hasattr(m, 'Y')",
        revert=True,
        check="""
            assert (m.X, m.Y) == (1, 2) and not hasattr(m, "Z")
            assert m.json and not hasattr(m, "pickle")
        """,
        quiet=True,
    ),
    Edit(
        "revert_closures",
        """
        def mk(n):
            def g(): return n
            return g
        """,
        swap("return n", "return n + 100"),
        setup="h = m.mk(1)",
        mid="assert h() == 101; late = m.mk(2)",
        revert=True,
        check="assert h() == 1 and m.mk(3)() == 3 and late() == 2",
        quiet=True,
        fresh=False,
    ),
    Edit(
        "revert_decorator",
        """
        def deco(fn): return lambda: ("d", fn())
        @deco
        def f(): return 1
        """,
        swap("@deco\n", ""),
        setup="h = m.f",
        mid="assert m.f() == h() == 1",
        revert=True,
        check="assert m.f() == h() == ('d', 1)",
        quiet=True,
    ),
    Edit(
        "ten_edits_of_a_function",
        F.format(0),
        F.format(1),
        setup="h = m.f",
        then=[F.format(n) for n in range(2, 11)],
        check="assert m.f() == h() == 10 and m.f is h",
    ),
    Edit(
        "ten_edits_that_add_a_method_each",
        "class K:\n    def a0(self): return 0\n",
        "class K:\n" + "".join(f"    def a{n}(self): return {n}\n" for n in range(2)),
        setup="o = m.K()",
        then=[
            "class K:\n"
            + "".join(f"    def a{n}(self): return {n}\n" for n in range(k))
            for k in range(3, 12)
        ],
        check="assert sum(getattr(o, f'a{n}')() for n in range(11)) == 55",
    ),
    Edit(
        "ten_edits_of_kind",
        "def f(): return [0]\n",
        "def f(): yield 1\n",
        setup="h = m.f",
        then=["def f(): return [2]\n", "f = lambda: [3]\n", "def f(): yield 4\n"] * 3,
        check="assert list(m.f()) == [4] == list(h())",
    ),
    Edit(
        "ten_edits_of_signature",
        "def f(a): return a\n",
        "def f(a, b=1): return (a, b)\n",
        setup="h = m.f",
        then=[
            "def f(*a): return a\n",
            "def f(a, *, k=2): return (a, k)\n",
            "def f(a, /): return a\n",
            "def f(**k): return k\n",
            "def f(a, b): return b\n",
        ],
        check="assert h(1, 2) == 2 == m.f(1, 2)",
    ),
    Edit(
        "delete_function_add_again_edit_again",
        "def f(): return 1\nx = 1\n",
        "x = 1\n",
        setup="h = m.f",
        mid="assert not hasattr(m, 'f')",
        then=["def f(): return 2\nx = 1\n", "def f(): return 3\nx = 1\n"],
        check="assert m.f() == 3",
    ),
    Edit(
        "delete_method_add_again_edit_again",
        "class K:\n    x = 1\n    def a(self): return 1\n",
        "class K:\n    x = 1\n",
        setup="o = m.K()",
        mid="assert not hasattr(o, 'a')",
        then=[
            "class K:\n    x = 1\n    def a(self): return 2\n",
            "class K:\n    x = 1\n    def a(self): return 3\n",
        ],
        check="assert o.a() == 3 == m.K().a()",
    ),
    Edit(
        "delete_constant_add_again",
        "X = 1\nY = 1\n",
        "Y = 1\n",
        then=["X = 5\nY = 1\n"],
        check="assert m.X == 5 and m.Y == 1",
    ),
    Edit(
        "delete_from_imported_function_add_again",
        {
            "m.py": "def f(): return 1\ndef g(): return 1\n",
            "user.py": "import m\ndef call(): return m.f()\n",
        },
        "def g(): return 1\n",
        setup="import user",
        then=["def g(): return 1\ndef f(): return 2\n"],
        check="assert user.call() == 2",
    ),
    Edit(
        "move_function_between_edits",
        """
        def a(): return 1
        def b(): return 1
        def c(): return 1
        """,
        """
        def c(): return 1
        def a(): return 2
        def b(): return 1
        """,
        setup="a, b, c = m.a, m.b, m.c",
        then=[
            """
        def b(): return 3
        def c(): return 3
        def a(): return 3
        """
        ],
        check="assert a() == b() == c() == 3 and (m.a, m.b, m.c) == (a, b, c)",
    ),
    Edit(
        "move_function_into_class",
        """
        def f(x=None): return 1
        """,
        """
        class K:
            def f(self): return 2
        def f(x=None): return K().f()
        """,
        setup="h = m.f",
        check="assert h() == 2 == m.K().f()",
    ),
    Edit(
        "move_method_to_base",
        """
        class A:
            pass
        class K(A):
            def a(self): return 1
        """,
        """
        class A:
            def a(self): return 2
        class K(A):
            pass
        """,
        setup="o, p = m.K(), m.A()",
        check="assert o.a() == 2 == p.a() and 'a' not in vars(m.K)",
    ),
    Edit(
        "move_function_to_other_file",
        {
            "m.py": "from a import f\ndef call(): return f()\n",
            "a.py": "def f(): return 1\n",
            "b.py": "",
        },
        {
            "m.py": "from b import f\ndef call(): return f()\n",
            "a.py": "",
            "b.py": "def f(): return 2\n",
        },
        setup="import a, b; h = m.call",
        check="assert h() == 2 and not hasattr(a, 'f') and m.f is b.f",
        ways=("apply",),
    ),
    Edit(
        "rename_and_back",
        "def f(): return 1\n",
        "def g(): return 2\n",
        setup="h = m.f if hasattr(m, 'f') else None",
        then=["def f(): return 3\n"],
        check="assert m.f() == 3 and not hasattr(m, 'g')",
    ),
    Edit(
        "swap_names_of_two_functions",
        """
        def a(): return "a"
        def b(): return "b"
        """,
        """
        def b(): return "a"
        def a(): return "b"
        """,
        setup="ha, hb = m.a, m.b",
        check="assert (m.a(), m.b()) == ('b', 'a') == (ha(), hb())",
    ),
    Edit(
        "swap_names_of_two_classes",
        """
        class A:
            x = "a"
        class B:
            x = "b"
        """,
        """
        class B:
            x = "a"
        class A:
            x = "b"
        """,
        setup="a, b = m.A(), m.B()",
        check="assert (m.A.x, m.B.x, a.x, b.x) == ('b', 'a', 'b', 'a')",
    ),
    Edit(
        "grow_from_empty",
        "",
        "import json\n",
        then=[
            "import json\nX = 1\n",
            "import json\nX = 1\ndef f(): return X\n",
            "import json\nX = 2\ndef f(): return json.dumps(X)\n",
        ],
        check="assert m.f() == '2'",
    ),
    Edit(
        "same_text_saved_again",
        {
            "side.py": "runs = []\n",
            "m.py": """
                import side
                side.runs.append(1)
                def f(): return 1
            """,
        },
        swap("return 1", "return 2"),
        setup="import side; h = m.f",
        then=[{"m.py": swap()}, {"m.py": swap()}],
        check="assert h() == 2 and side.runs == [1]",
    ),
    Edit(
        "edit_while_held_from_the_start_and_from_the_middle",
        F.format(1),
        F.format(2),
        setup="h = m.f",
        mid="k = m.f; from functools import partial; p = partial(k)",
        then=[F.format(3), F.format(4)],
        check="assert h() == k() == p() == 4 and h is k",
        fresh=False,
    ),
    Edit(
        "class_edits_mixed_with_function_edits",
        """
        class K:
            def a(self): return f()
        def f(): return 1
        """,
        swap("return 1", "return 2"),
        setup="o = m.K(); b = o.a",
        then=[
            swap("return f()", "return (f(), self.b())\n    def b(self): return 'b'"),
            swap("return 2", "return 3", "'b'", "'B'"),
            swap("class K:", "class L: y = 1\nclass K(L):"),
        ],
        check="assert o.a() == (3, 'B') == b() and o.y == 1",
    ),
    Edit(
        "constants_in_a_row_with_derived",
        "A = 1\nB = A * 2\n",
        "A = 2\nB = A * 2\n",
        then=["A = 3\nB = A * 2\n", "A = 3\nB = A * 3\n", "A = 4\nB = A * 3\n"],
        check="assert m.B == 12",
    ),
    Edit(
        "two_modules_alternate",
        {
            "m.py": "from other import g\ndef f(): return g() + 1\n",
            "other.py": "def g(): return 1\n",
        },
        {"other.py": swap("return 1", "return 10")},
        setup="h = m.f",
        then=[swap("+ 1", "+ 2"), {"other.py": swap("return 10", "return 20")}],
        check="assert h() == 22",
    ),
]
