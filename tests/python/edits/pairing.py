"""Which block of the new text is which of the old, and what runs again with it."""

from . import Edit, swap

REGISTER = """
    R = {}
    def reg(name):
        def d(f):
            R[name] = f
            return f
        return d
"""
DISPATCH = """
    from functools import singledispatchmethod
    class K:
        @singledispatchmethod
        def f(self, x): return "base"
        @f.register
        def _(self, x: int): return "int"
"""
OVERLOADS = """
    from typing import overload
    @overload
    def f(x: int) -> int: ...
    @overload
    def f(x: str) -> str: ...
    def f(x): return x
"""

EDITS = [
    # -- which of several blocks of one name
    Edit(
        "pair_registered_method_added",
        DISPATCH,
        DISPATCH
        + """
        @f.register
        def _(self, x: str): return "str"
    """,
        setup="o = m.K(); h = m.K.__dict__['f'].dispatcher.dispatch(int)",
        check="assert (o.f(1), o.f('')) == ('int', 'str') and h(o, 1) == 'int'",
    ),
    Edit(
        "pair_registered_methods_of_one_name",
        REGISTER
        + """
    class K:
        @reg("a")
        def _(self): return "a"
    """,
        REGISTER
        + """
    class K:
        @reg("a")
        def _(self): return "a"
        @reg("b")
        def _(self): return "b"
    """,
        check="assert {k: f(0) for k, f in m.R.items()} == {'a': 'a', 'b': 'b'}",
    ),
    Edit(
        "pair_registered_inserted_and_changed",
        REGISTER
        + """
    @reg("a")
    def _(): return "a"
    @reg("b")
    def _(): return "b"
    """,
        REGISTER
        + """
    @reg("a")
    def _(): return "a"
    @reg("x")
    def _(): return "x"
    @reg("b")
    def _(): return "B"
    """,
        setup="h = dict(m.R)",
        check="""
            assert m.R["b"]() == h["b"]() == "B"
            assert m.R["x"]() == "x" and m.R["a"]() == "a"
        """,
    ),
    Edit(
        "pair_dispatched_moved_and_changed",
        """
        from functools import singledispatch
        @singledispatch
        def f(x): return "base"
        @f.register
        def _(x: int): return "int"
        @f.register
        def _(x: str): return "str"
        """,
        """
        from functools import singledispatch
        @singledispatch
        def f(x): return "base"
        @f.register
        def _(x: str): return "STR"
        @f.register
        def _(x: int): return "INT"
        """,
        check="assert (m.f(1), m.f('')) == ('INT', 'STR')",
    ),
    Edit(
        "pair_overload_added_body_changed",
        OVERLOADS,
        swap(
            "def f(x): return x\n",
            "@overload\ndef f(x: list) -> list: ...\ndef f(x): return x * 2\n",
        ),
        setup="h = m.f",
        check="assert m.f(2) == h(2) == 4 and m.f is h",
    ),
    Edit(
        "pair_overload_added_signature_changed",
        OVERLOADS,
        swap(
            "def f(x): return x\n",
            "@overload\ndef f(x: list) -> list: ...\ndef f(x, y=2): return x * y\n",
        ),
        setup="h = m.f",
        check="assert m.f(2) == h(2) == 4 and m.f is h",
    ),
    Edit(
        "pair_earlier_definition_inserted",
        "def f(): return 1\n",
        "def f(b=0): return b\nX = f()\ndef f(a=5): return a\n",
        setup="h = m.f",
        check="assert m.f() == h() == 5 and m.X == 0",
    ),
    # -- names bound more than once
    Edit(
        "twice_first_constant_changed",
        "X = 1\nX = 2\n",
        "X = 5\nY = X\nX = 2\n",
        check="assert (m.X, m.Y) == (2, 5)",
    ),
    Edit(
        "twice_inserted_before",
        "X = []\n",
        "X = 1\nY = X\nX = []\n",
        setup="m.X.append(7)",
        check="assert m.X == [7] and m.Y == 1",
    ),
    Edit(
        "twice_last_removed",
        "X = 1\nX = 2\n",
        "X = 1\n",
        check="assert m.X == 1",
    ),
    Edit(
        "twice_first_function_changed",
        "def h(): return 1\nY = h()\ndef h(): return 2\n",
        "def h(): return 10\nY = h() + 0\ndef h(): return 2\n",
        setup="g = m.h",
        check="assert m.h() == g() == 2 and m.Y == 10",
    ),
    Edit(
        "twice_first_method_changed",
        """
        class K:
            def g(self): return 1
            old = g
            def g(self): return 2
        """,
        """
        class K:
            def g(self): return 10
            old = g
            def g(self): return 2
        """,
        setup="o = m.K()",
        check="assert (o.g(), o.old()) == (2, 10)",
    ),
    Edit(
        "twice_import_then_own",
        "from os.path import join\ndef join(): return 1\n",
        "from posixpath import join, split\ndef join(): return 1\n",
        setup="h = m.join",
        check="assert m.join() == h() == 1 and m.split",
    ),
    Edit(
        "twice_default_then_import",
        """
        json = None
        try:
            import json
        except ImportError:
            pass
        """,
        """
        json = False
        try:
            import json
        except ImportError:
            pass
        X = json.dumps(1)
        """,
        check="assert m.json.dumps(1) == m.X == '1'",
    ),
    Edit(
        "twice_under_condition",
        "import os\nP = 'a'\nif os.sep:\n    P = 'b'\n",
        "import os\nP = 'c'\nQ = P\nif os.sep:\n    P = 'b'\n",
        check="assert (m.P, m.Q) == ('b', 'c')",
    ),
    Edit(
        "twice_reads_itself",
        "X = 1\nX = X + 1\n",
        "X = 5\nX = X + 1\n",
        check="assert m.X == 6",
    ),
    Edit(
        "twice_reads_itself_changed",
        "X = 1\nX = X + 1\n",
        "X = 1\nX = X + 2\n",
        check="assert m.X == 3",
    ),
    Edit(
        "twice_function_wrapped_by_hand",
        """
        def deco(n):
            return lambda f: lambda: (n, f())
        def h(): return 1
        h = deco(1)(h)
        """,
        """
        def deco(n):
            return lambda f: lambda: (n, f())
        def h(): return 1
        h = deco(2)(h)
        """,
        check="assert m.h() == (2, 1)",
    ),
    Edit(
        "twice_loop_adds",
        "X = 0\nfor i in range(3):\n    X += i\n",
        "X = 10\nfor i in range(3):\n    X += i\n",
        check="assert m.X == 13",
    ),
    Edit(
        "twice_loop_that_adds_changed",
        "X = 0\nfor i in range(3):\n    X += i\n",
        "X = 0\nfor i in range(4):\n    X += i\n",
        check="assert m.X == 6",
    ),
    Edit(
        "twice_items_of_a_new_dict",
        """
        def f(): return 1
        D = {'z': 0}
        D['a'] = f
        D.update(b=2)
        for k in (1, 2):
            D[k] = k
        """,
        swap("'z': 0", "'z': 1"),
        check="assert m.D == {'z': 1, 'a': m.f, 'b': 2, 1: 1, 2: 2}",
    ),
    Edit(
        "twice_items_of_the_old_dict_do_not_run",
        "N = []\nD = {}\nD['a'] = N.append(1)\nX = 1\n",
        swap("X = 1", "X = 2"),
        check="assert m.N == [1] and m.X == 2",
    ),
    Edit(
        "twice_attribute_of_a_new_object",
        """
        class App:
            def __init__(self, name): self.name, self.routes = name, []
        app = App("a")
        app.debug = True
        app.routes.append("x")
        """,
        swap('App("a")', 'App("b")'),
        check="assert (m.app.name, m.app.debug, m.app.routes) == ('b', True, ['x'])",
    ),
    Edit(
        "twice_state_of_the_last_kept",
        "X = None\nX = {}\n",
        "X = 0\nX = {}\nY = 1\n",
        setup="m.X['a'] = 1",
        check="assert m.X == {'a': 1} and m.Y == 1",
    ),
    Edit(
        "twice_augmented_in_class",
        """
        class K:
            a = [1]
            a += [2]
            b = 1
            b += 2
            c = 1
            c += 2
        """,
        """
        class K:
            a = [1]
            a += [3]
            b = 5
            b += 2
            c = 1
        """,
        check="assert (m.K.a, m.K.b, m.K.c) == ([1, 3], 7, 1)",
    ),
    Edit(
        "twice_private_names",
        """
        class K:
            __a = 1
            __a += 1
            def f(self): return self.__a
        """,
        """
        class K:
            __a = 5
            __a += 1
            def f(self): return self.__a
        """,
        setup="o = m.K()",
        check="assert o.f() == 6",
    ),
    Edit(
        "twice_on_a_condition_with_effects",
        """
        N = []
        def ask(yes):
            N.append(1)
            return yes
        X = 1
        if ask(True): X = 2
        Y = 1
        if ask(False): Y = 2
        Z = 1
        """,
        """
        N = []
        def ask(yes):
            N.append(1)
            return yes
        X = 5
        if ask(True): X = 2
        Y = 5
        if ask(False): Y = 2
        Z = 5
        """,
        check="assert (m.X, m.Y, m.Z, len(m.N)) == (2, 5, 5, 2)",
    ),
    Edit(
        "twice_property_setter_before_deleter",
        """
        class K:
            @property
            def p(self): return "get"
            @p.deleter
            def p(self): self.d = 1
        """,
        """
        class K:
            @property
            def p(self): return "get"
            @p.setter
            def p(self, v): self.s = v
            @p.deleter
            def p(self): self.d = 1
        """,
        setup="o = m.K()",
        check="o.p = 3; del o.p; assert (o.s, o.d, o.p) == (3, 1, 'get')",
    ),
    Edit(
        "twice_property_deleter_before_setter",
        """
        class K:
            @property
            def p(self): return 1
            @p.setter
            def p(self, v): self.v = v
        """,
        """
        class K:
            @property
            def p(self): return 1
            @p.deleter
            def p(self): self.d = 1
            @p.setter
            def p(self, v): self.v = v
        """,
        setup="o = m.K()",
        check="del o.p; o.p = 2; assert (o.d, o.v) == (1, 2)",
    ),
    Edit(
        "twice_class_derived_from_its_name",
        """
        class K:
            def f(self): return 1
        class K(K):
            def f(self): return super().f() + 100
        """,
        """
        class K:
            def f(self): return 10
        class K(K):
            def f(self): return super().f() + 200
        """,
        setup="o = m.K(); k = m.K",
        check="assert o.f() == 210 and m.K is k",
    ),
    Edit(
        "twice_class_derived_base_made_again",
        """
        class K:
            def f(self): return 1
        class K(K):
            def f(self): return super().f() + 100
        """,
        """
        class B: x = 5
        class K(B):
            def f(self): return 10
        class K(K):
            def f(self): return super().f() + 100
        """,
        setup="o = m.K(); k = m.K",
        check="assert o.f() == 110 and o.x == 5 and m.K is k",
    ),
    # -- members and statements that change places
    Edit(
        "order_of_equal_assignments",
        "X = 1\nX = 2\nclass K:\n    x = 1\n    x = 2\n",
        "X = 2\nX = 1\nclass K:\n    x = 2\n    x = 1\n",
        check="assert (m.X, m.K.x) == (1, 1)",
    ),
    Edit(
        "order_of_equal_definitions",
        """
        def f(): return 1
        def f(): return 2
        class K:
            def f(self): return 1
            def f(self): return 2
        """,
        """
        def f(): return 2
        def f(): return 1
        class K:
            def f(self): return 2
            def f(self): return 1
        """,
        setup="h = m.f; o = m.K()",
        check="assert (m.f(), h(), o.f()) == (1, 1, 1)",
    ),
    Edit(
        "order_of_registered_does_not_run",
        REGISTER
        + """
    N = []
    def note(f):
        N.append(1)
        return f
    class K:
        @note
        @reg("a")
        def _(self): return "a"
        @note
        @reg("b")
        def _(self): return "b"
    """,
        REGISTER
        + """
    N = []
    def note(f):
        N.append(1)
        return f
    X = 1
    class K:
        @note
        @reg("b")
        def _(self): return "b"
        @note
        @reg("a")
        def _(self): return "a"
    """,
        check="""
            assert {k: f(0) for k, f in m.R.items()} == {"a": "a", "b": "b"}
            assert m.N == [1, 1] and m.X == 1
        """,
    ),
    Edit(
        "order_of_dataclass_fields",
        """
        from dataclasses import dataclass
        @dataclass
        class K:
            a: int = 1
            b: int = 2
        """,
        """
        from dataclasses import dataclass
        @dataclass
        class K:
            b: int = 2
            a: int = 1
        """,
        setup="o = m.K(a=5, b=6)",
        check="assert m.K(1, 2).b == 1 and repr(o) == 'K(b=6, a=5)'",
    ),
    Edit(
        "order_of_named_tuple_fields",
        """
        from typing import NamedTuple
        class K(NamedTuple):
            a: int = 1
            b: int = 2
        """,
        """
        from typing import NamedTuple
        class K(NamedTuple):
            b: int = 2
            a: int = 1
        """,
        check="assert m.K(1, 2).b == 1 and m.K._fields == ('b', 'a')",
    ),
    Edit(
        "order_of_named_tuple_field_inserted",
        """
        from typing import NamedTuple
        class K(NamedTuple):
            a: int = 1
        """,
        """
        from typing import NamedTuple
        class K(NamedTuple):
            b: int = 2
            a: int = 1
        """,
        check="assert (m.K(5, 6).b, m.K(5, 6).a) == (5, 6)",
    ),
    Edit(
        "order_of_enum_members",
        """
        from enum import Enum, auto
        class K(Enum):
            A = auto()
            B = auto()
        class E(Enum):
            A = 1
            B = 2
        """,
        """
        from enum import Enum, auto
        class K(Enum):
            B = auto()
            A = auto()
        class E(Enum):
            B = 2
            A = 1
        """,
        setup="a, b = m.K.A, m.E.A",
        check="""
            assert m.K.A.value == 2 and m.K.A is a and m.E.A is b
            assert [e.name for e in m.E] == ["B", "A"]
        """,
    ),
    # -- statements that take another form
    Edit(
        "form_of_members",
        """
        class K:
            v = 1
            a = 1
            b = 2
            c = 1
            __p = 1
            def g(self): return 1
            def q(self): return self.__p
        """,
        """
        class K:
            v = 1; w = 3
            a, b = 1, 2
            c = d = 1
            __p = __r = 5
            if True:
                def g(self): return 2
            def q(self): return self.__p
        """,
        setup="o = m.K()",
        check="""
            assert (o.v, o.w, o.a, o.b, o.c, o.d) == (1, 3, 1, 2, 1, 1)
            assert (o.g(), o.q()) == (2, 5)
        """,
    ),
    Edit(
        "form_value_removed",
        "x: int = 1\nclass K:\n    x: int = 1\n    y = 1\n",
        "x: int\nclass K:\n    x: int\n    y = 1\n",
        setup="o = m.K()",
        check="""
            assert not hasattr(m, "x") and not hasattr(o, "x") and o.y == 1
            assert m.K.__annotations__ == {"x": int}
        """,
    ),
    Edit(
        "form_names_of_a_class_body",
        """
        class K:
            from os.path import join, split
            import os.path as p
            for i in range(2): pass
            if True:
                a = 1
                def f(self): return 1
            x = 1
        """,
        """
        class K:
            from os.path import split
            import os as q
            if True:
                b = 1
                def f(self): return 1
            x = 1
        """,
        setup="o = m.K()",
        check="""
            assert not {"join", "p", "i", "a"} & set(vars(m.K))
            assert m.K.split and m.K.q and (o.b, o.f(), o.x) == (1, 1, 1)
        """,
    ),
    Edit(
        "form_method_removed_function_stays",
        "def foo(): return 1\nclass K:\n    def foo(self): return 2\n    x = 1\n",
        "def foo(): return 1\nclass K:\n    x = 1\n",
        check="assert m.foo() == 1 and not hasattr(m.K, 'foo')",
    ),
    Edit(
        "form_docstring_displaced",
        'class K:\n    "doc"\n    x = 1\nclass L:\n    y = 1\n    "doc"\n    x = 1\n',
        'class K:\n    y = 1\n    "doc"\n    x = 1\nclass L:\n    "doc"\n    x = 1\n',
        check="assert (m.K.__doc__, m.L.__doc__) == (None, 'doc')",
    ),
    Edit(
        "form_module_docstring_displaced",
        '"doc"\nX = 1\n',
        'X = 1\n"doc"\n',
        check="assert m.__doc__ is None",
    ),
    Edit(
        "form_doc_and_module_assigned",
        'class K:\n    __doc__ = "a"\n    __module__ = "zz"\n    x = 1\n',
        'class K:\n    __doc__ = "b"\n    __module__ = "yy"\n    x = 2\n',
        check="assert (m.K.__doc__, m.K.__module__, m.K.x) == ('b', 'yy', 2)",
    ),
    # -- other words for the same: nothing runs
    Edit(
        "layout_annotation_added",
        "model = None\nR = {}\nclass K:\n    cache = None\n",
        """
        model: object = None
        R: 'dict[str, int]' = {}
        class K:
            cache: dict = None
        """,
        setup="m.model = 'LOADED'; m.R['a'] = 1; m.K.cache = 7",
        check="""
            assert (m.model, m.R, m.K.cache) == ("LOADED", {"a": 1}, 7)
            assert m.__annotations__ == {"model": object, "R": "dict[str, int]"}
            assert m.K.__annotations__ == {"cache": dict}
        """,
    ),
    Edit(
        "layout_annotation_removed",
        "model: object = None\n",
        "model = None\n",
        setup="m.model = 'LOADED'",
        check="""
            assert m.model == "LOADED"
            assert "model" not in getattr(m, "__annotations__", {})
        """,
    ),
    Edit(
        "layout_by_a_formatter",
        """
        L = ['q']
        D = [1, 2]
        N = 1000
        T = 1 + 2
        calls = []
        calls.append('a')
        if D and (L): M = []
        def f(): return 1
        """,
        """
        L = ["q"]
        D = [
            1,
            2,
        ]
        N = 1_000
        T = (1 + 2)
        calls = []
        calls.append(
            "a",
        )
        if (D) and L:
            M = []
        def f(): return 2
        """,
        setup="m.L.append(3); m.D.append(3); m.N = 5; m.T = 6; m.M.append(1)",
        check="""
            assert (m.L, m.D, m.N, m.T) == (["q", 3], [1, 2, 3], 5, 6)
            assert m.calls == ["a"] and m.M == [1] and m.f() == 2
        """,
    ),
    Edit(
        "layout_of_a_registry",
        """
        R = {}
        def reg(g): R[g.__name__] = g; return g
        @reg
        def a(): return 1
        """,
        """
        R: dict = {}
        def reg(g): R[g.__name__] = g; return g
        @reg
        def a(): return 2
        """,
        check="assert list(m.R) == ['a'] and m.R['a']() == 2",
    ),
    Edit(
        "layout_of_dataclass_fields",
        """
        from dataclasses import dataclass
        @dataclass
        class K:
            a: str = 'x'
        """,
        """
        from dataclasses import dataclass
        @dataclass
        class K:
            a: str = "x"
            def f(self): return self.a
        """,
        setup="o = m.K(); m.K.seen = 3",
        check="assert o.f() == 'x' and m.K.seen == 3",
    ),
    Edit(
        "layout_of_an_import",
        {"m.py": "from a import X\nimport json\n", "a.py": "X = 1\nY = 2\n"},
        {"m.py": "from a import X, Y\nimport json, os\n"},
        setup="m.X = 'mine'; m.json = 'fake'",
        check="assert (m.X, m.Y, m.json) == ('mine', 2, 'fake') and m.os",
    ),
    Edit(
        "layout_of_an_import_and_new_values",
        {"m.py": "from a import X\n", "a.py": "X = 1\nY = 2\n"},
        {"m.py": "from a import X, Y\n", "a.py": "X = 5\nY = 2\n"},
        check="assert (m.X, m.Y) == (5, 2)",
        ways=("apply",),
    ),
    Edit(
        "layout_of_an_import_other_module",
        {"m.py": "from a import X\n", "a.py": "X = 1\n", "b.py": "X = 2\n"},
        {"m.py": "from b import X\n"},
        check="assert m.X == 2",
    ),
    # -- helpers that are deleted
    Edit(
        "helper_deleted_import",
        "import os as _os\nP = _os.sep\ndel _os\n",
        "import os as _os\nP = _os.sep * 2\ndel _os\n",
        check="assert m.P == '//' and not hasattr(m, '_os')",
    ),
    Edit(
        "helper_deleted_and_changed",
        "_t = [1, 2]\nB = _t[1]\ndel _t\n",
        "_t = [1, 5]\nB = _t[1]\ndel _t\n",
        check="assert m.B == 5 and not hasattr(m, '_t')",
    ),
    Edit(
        "helper_deleted_of_helper",
        "_a = 1\ndef _b(): return 2\n_c = _a + _b()\nX = _c\ndel _a, _c\ndel _b\n",
        "_a = 1\ndef _b(): return 2\n_c = _a + _b()\nX = _c * 2\ndel _a, _c\ndel _b\n",
        check="assert m.X == 6 and not {'_a', '_b', '_c'} & set(vars(m))",
    ),
    Edit(
        "helper_deleted_with_another",
        "import os as _os\nP = _os.sep\ndel _os\n",
        """
        import os as _os
        import sys as _sys
        P = _os.sep + _sys.byteorder[:0]
        del _os, _sys
        """,
        check="assert m.P == '/' and not {'_os', '_sys'} & set(vars(m))",
        quiet=True,
    ),
    Edit(
        "helper_deleted_in_a_class",
        """
        class K:
            n = 3
            for i in range(n): x = i
            del i
        """,
        """
        class K:
            n = 3
            for i in range(n): x = i * 2
            del i
        """,
        check="assert m.K.x == 4 and not hasattr(m.K, 'i')",
    ),
]
