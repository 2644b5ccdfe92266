"""Classes: members, identity, nested ones, super(), private names."""

from . import Edit, swap

K = """
    class K:
        X = 1
        def a(self):
            return 1
"""

EDITS = [
    Edit(
        "method_changed_held_bound_and_unbound",
        K,
        swap("return 1", "return 2"),
        setup="o = m.K(); b = o.a; u = m.K.a",
        check="assert o.a() == b() == u(o) == m.K().a() == 2 and m.K.a is u",
    ),
    Edit(
        "method_signature_and_defaults",
        K,
        swap("def a(self):\n        return 1", "def a(self, n=3):\n        return n"),
        setup="o = m.K(); b = o.a",
        check="assert o.a() == 3 and b(4) == 4",
    ),
    Edit(
        "method_added",
        K,
        swap("return 1\n", "return 1\n    def b(self):\n        return self.a() + 5\n"),
        setup="o = m.K()",
        check="assert o.b() == 6",
    ),
    Edit(
        "method_removed",
        K,
        swap("    def a(self):\n        return 1\n", ""),
        setup="o = m.K()",
        check="assert not hasattr(o, 'a') and m.K.X == 1",
    ),
    Edit(
        "method_renamed_and_used_by_another",
        """
        class K:
            def old(self): return 1
            def call(self): return self.old()
        """,
        """
        class K:
            def new(self): return 2
            def call(self): return self.new()
        """,
        setup="o = m.K()",
        check="assert o.call() == 2 and not hasattr(o, 'old')",
    ),
    Edit(
        "method_overrides_inherited_then_removed",
        """
        class A:
            def a(self): return "A"
        class K(A):
            x = 1
        """,
        swap("x = 1", "x = 1\n    def a(self): return 'K'"),
        setup="o = m.K()",
        mid="assert o.a() == 'K'",
        then=[swap("    def a(self): return 'K'\n", "")],
        check="assert o.a() == 'A'",
        quiet=True,
    ),
    Edit(
        "method_special_added",
        """
        class K:
            def __init__(self, n): self.n = n
        """,
        swap(
            "self.n = n\n",
            """self.n = n
    def __len__(self): return self.n
    def __call__(self): return "called"
    def __eq__(self, o): return self.n == o.n
    def __hash__(self): return self.n
    def __getitem__(self, i): return i
""",
        ),
        setup="o = m.K(3)",
        check="""
            assert len(o) == 3 and o() == "called" and o[7] == 7
            assert o == m.K(3) and hash(o) == 3
        """,
    ),
    Edit(
        "method_special_removed",
        """
        class K:
            def __len__(self): return 0
            def __repr__(self): return "K!"
        """,
        swap("    def __len__(self): return 0\n", ""),
        setup="o = m.K()",
        check="assert bool(o) and repr(o) == 'K!'",
    ),
    Edit(
        "method_eq_added_makes_unhashable",
        """
        class K:
            x = 1
        """,
        swap("x = 1\n", "x = 1\n    def __eq__(self, o): return True\n"),
        setup="o = m.K()",
        check="assert m.K.__hash__ is None and o == 5",
    ),
    Edit(
        "method_init_changed",
        """
        class K:
            def __init__(self): self.x = 1
            def get(self): return getattr(self, "y", "none")
        """,
        swap("self.x = 1", "self.x = 1; self.y = 2"),
        setup="o = m.K(); h = m.K",
        check="assert h().get() == 2 and o.x == 1 and o.get() in ('none', 2)",
    ),
    Edit(
        "method_new_changed",
        """
        class K:
            def __new__(cls):
                o = super().__new__(cls); o.tag = "old"; return o
        """,
        swap('"old"', '"new"'),
        setup="h = m.K; o = h()",
        check="assert h().tag == 'new' and isinstance(o, m.K)",
    ),
    Edit(
        "method_getattr_added",
        K,
        swap("return 1\n", "return 1\n    def __getattr__(self, n): return n\n"),
        setup="o = m.K()",
        check="assert o.anything == 'anything' and o.a() == 1",
    ),
    Edit(
        "method_is_module_function",
        """
        def f(self): return "old"
        class K:
            a = f
        """,
        swap('"old"', '"new"'),
        setup="o = m.K()",
        check="assert o.a() == 'new' and m.K.a is m.f",
    ),
    Edit(
        "method_alias_in_class",
        """
        class K:
            def a(self): return 1
            b = a
            __call__ = a
        """,
        swap("return 1", "return 2"),
        setup="o = m.K(); h = o.b",
        check="assert o.a() == o.b() == o() == h() == 2 and m.K.b is m.K.a",
    ),
    Edit(
        "method_under_if_in_class",
        """
        class K:
            if True:
                def a(self): return 1
            else:
                def a(self): return 0
            for n in "xy":
                locals()[n] = n
        """,
        swap("return 1", "return 2"),
        setup="o = m.K(); h = o.a",
        check="assert o.a() == 2 and h() == 2 and o.x == 'x'",
    ),
    Edit(
        "method_defined_twice",
        """
        class K:
            def a(self): return 1
            first = a
            def a(self): return 2
        """,
        swap("return 1", "return 10"),
        setup="o = m.K()",
        check="assert o.a() == 2 and o.first() == 10",
    ),
    Edit(
        "method_default_from_class_attribute",
        """
        class K:
            N = 3
            def a(self, n=N): return n
        """,
        swap("N = 3", "N = 4"),
        setup="o = m.K()",
        check="assert o.N == 4 and o.a() == 4",
    ),
    Edit(
        "method_replaced_by_program_stays",
        K,
        swap("X = 1", "X = 2"),
        setup="m.K.a = lambda self: 'mine'; o = m.K()",
        check="assert o.a() == 'mine' and o.X == 2",
    ),
    Edit(
        "method_and_instance_override",
        K,
        swap("return 1", "return 2"),
        setup="o = m.K(); o.a = lambda: 'own'; p = m.K()",
        check="assert o.a() == 'own' and p.a() == 2",
    ),
    Edit(
        "attribute_changed_seen_by_instances_and_subclasses",
        K,
        swap("X = 1", "X = 2"),
        setup="""
            class Sub(m.K): pass
            o, s = m.K(), Sub()
        """,
        check="assert o.X == s.X == Sub.X == m.K.X == 2",
    ),
    Edit(
        "attribute_removed",
        K,
        swap("    X = 1\n", ""),
        setup="o = m.K()",
        check="assert not hasattr(o, 'X') and o.a() == 1",
    ),
    Edit(
        "attribute_of_instance_wins",
        K,
        swap("X = 1", "X = 2"),
        setup="o = m.K(); o.X = 'own'",
        check="assert o.X == 'own' and m.K.X == 2",
    ),
    Edit(
        "attribute_rebound_by_program_stays",
        """
        class K:
            count = 0
            def __init__(self): type(self).count += 1
            def a(self): return 1
        """,
        swap("return 1", "return 2"),
        setup="o = m.K(); m.K()",
        check="assert o.a() == 2 and m.K.count == 2",
    ),
    Edit(
        "attribute_mutable_kept",
        """
        class K:
            cache = {}
            def a(self): return 1
        """,
        swap("return 1", "return 2"),
        setup="c = m.K.cache; c['x'] = 1; o = m.K()",
        check="assert m.K.cache is c and c == {'x': 1} and o.a() == 2",
    ),
    Edit(
        "attribute_derived_in_class",
        """
        class K:
            A = 1
            B = A + 1
            C = [A, B]
        """,
        swap("A = 1\n", "A = 5\n"),
        setup="o = m.K()",
        check="assert (o.A, o.B, o.C) == (5, 6, [5, 6])",
    ),
    Edit(
        "attribute_derived_from_module_constant",
        """
        SIZE = 1
        class K:
            size = SIZE * 2
            def a(self): return self.size
        """,
        swap("SIZE = 1", "SIZE = 4"),
        setup="o = m.K()",
        check="assert o.a() == 8",
    ),
    Edit(
        "attribute_annotations_changed",
        """
        class K:
            x: int = 1
            y: str
        """,
        swap("y: str", "y: bytes\n    z: float"),
        setup="k = m.K",
        check="assert k.__annotations__ == {'x': int, 'y': bytes, 'z': float}",
    ),
    Edit(
        "class_docstring_changed",
        """
        class K:
            "old"
            def a(self): return 1
        """,
        swap('"old"', '"new"'),
        setup="k = m.K",
        check="assert k.__doc__ == 'new' and m.K is k",
    ),
    Edit(
        "class_docstring_added_and_removed",
        """
        class A:
            "doc of A"
            x = 1
        class B:
            x = 1
        """,
        """
        class A:
            x = 1
        class B:
            "doc of B"
            x = 1
        """,
        setup="a, b = m.A, m.B",
        check="assert a.__doc__ is None and b.__doc__ == 'doc of B'",
    ),
    Edit(
        "class_body_statement_is_not_run_again",
        {
            "side.py": "runs = []\n",
            "m.py": """
                import side
                class K:
                    side.runs.append(1)
                    def a(self): return 1
                    X = 1
            """,
        },
        swap("return 1", "return 2", "X = 1", "X = 2"),
        setup="import side; o = m.K()",
        check="assert o.a() == 2 and o.X == 2 and side.runs == [1]",
    ),
    Edit(
        "class_identity_isinstance_and_type",
        K,
        swap("return 1", "return 2"),
        setup="""
            k = m.K; o = k()
            class Sub(k): pass
            s = Sub()
        """,
        check="""
            assert m.K is k and type(o) is m.K and isinstance(s, m.K) and s.a() == 2
            assert issubclass(Sub, m.K) and m.K.__subclasses__() == [Sub]
        """,
    ),
    Edit(
        "class_identity_pickle",
        K,
        swap("return 1", "return 2"),
        setup="import pickle; o = m.K(); o.v = 7; b = pickle.dumps(o)",
        check="p = pickle.loads(b); assert p.v == 7 and p.a() == 2 and type(p) is m.K",
    ),
    Edit(
        "class_identity_except",
        """
        class Err(ValueError):
            code = 1
        def f(): raise Err("old")
        """,
        swap("code = 1", "code = 2", '"old"', '"new"'),
        setup="Err = m.Err",
        check="""
            try:
                m.f()
            except Err as e:
                assert e.code == 2 and str(e) == "new"
        """,
    ),
    Edit(
        "class_identity_exception_raised_by_running_code",
        """
        class Err(Exception):
            def text(self): return "old"
        def gen():
            try:
                yield
                raise Err()
            except Err as e:
                yield e.text()
        """,
        swap('"old"', '"new"'),
        setup="g = m.gen(); next(g)",
        check="assert next(g) == 'new'",
    ),
    Edit(
        "class_as_key_and_weakref",
        K,
        swap("return 1", "return 2"),
        setup="import weakref; d = {m.K: 1}; r = weakref.ref(m.K); o = m.K()",
        check="assert d[m.K] == 1 and r() is m.K and o.a() == 2",
    ),
    Edit(
        "class_subclass_in_other_file_uses_super",
        {
            "m.py": K,
            "user.py": """
                from m import K
                class Sub(K):
                    def a(self): return ("sub", super().a())
                    def x(self): return super().X
            """,
        },
        swap("return 1", "return 2", "X = 1", "X = 5"),
        setup="import user; s = user.Sub(); b = s.a",
        check="assert s.a() == ('sub', 2) == b() and s.x() == 5",
    ),
    Edit(
        "class_base_edited_with_subclass_in_one_batch",
        {
            "base.py": """
                class Base:
                    def a(self): return 1
            """,
            "m.py": """
                from base import Base
                class K(Base):
                    def a(self): return super().a() + 10
            """,
        },
        {
            "base.py": swap(
                "return 1", "return self.extra()\n    def extra(self): return 3"
            ),
            "m.py": swap("+ 10", "+ self.extra() * 100"),
        },
        setup="o = m.K()",
        check="assert o.a() == 303",
    ),
    Edit(
        "class_nested_method_changed_and_added",
        """
        class Outer:
            class Inner:
                def a(self): return 1
            def mk(self): return self.Inner()
        """,
        swap("return 1\n", "return 2\n        def b(self): return 3\n"),
        setup="i = m.Outer.Inner(); o = m.Outer(); I = m.Outer.Inner",
        check="""
            assert i.a() == 2 and i.b() == 3 and o.mk().a() == 2
            assert m.Outer.Inner is I
        """,
    ),
    Edit(
        "class_nested_added_and_removed",
        """
        class Outer:
            class One:
                x = 1
        """,
        """
        class Outer:
            class Two:
                x = 2
        """,
        setup="o = m.Outer()",
        check="""
            assert o.Two.x == 2 and not hasattr(o, "One")
            assert o.Two.__qualname__ == "Outer.Two" and o.Two.__module__ == "m"
        """,
    ),
    Edit(
        "class_moved_within_the_file",
        """
        class A:
            def a(self): return 1
        class B:
            def b(self): return 1
        def f(): return 1
        """,
        """
        def f(): return 1
        class B:
            def b(self): return 1
        class A:
            def a(self): return 2
        """,
        setup="a, b = m.A(), m.B(); A, B = m.A, m.B",
        check="assert m.A is A and m.B is B and a.a() == 2 and b.b() == 1",
    ),
    Edit(
        "class_renamed",
        """
        class Old:
            def a(self): return 1
        """,
        """
        class New:
            def a(self): return 2
        """,
        setup="k = getattr(m, 'Old', None)",
        check="assert not hasattr(m, 'Old') and m.New().a() == 2",
    ),
    Edit(
        "class_deleted_instances_go_on",
        K
        + """
    y = 1
""",
        "y = 1\n",
        setup="o = m.K()",
        check="assert not hasattr(m, 'K') and o.a() == 1",
        fresh=False,
    ),
    Edit(
        "class_deleted_added_again_and_edited",
        K,
        "y = 1\n",
        setup="o = m.K()",
        then=[K, K.replace("return 1", "return 3")],
        check="assert m.K().a() == 3 and m.K().X == 1",
    ),
    Edit(
        "class_equal_name_in_two_modules",
        {"m.py": K, "other.py": K},
        swap("return 1", "return 2"),
        setup="import other; a, b = m.K(), other.K()",
        check="assert a.a() == 2 and b.a() == 1",
    ),
    Edit(
        "class_defined_twice",
        """
        class K:
            def a(self): return 1
        First = K
        class K(K):
            def a(self): return (2, super().a())
        """,
        swap("return 1", "return 10"),
        setup="o = m.K(); f = m.First()",
        check="assert o.a() == (2, 10) and f.a() == 10",
    ),
    Edit(
        "class_by_type_call",
        """
        def a(self): return 1
        K = type("K", (), {"a": a, "x": 1})
        """,
        swap("return 1", "return 2"),
        setup="o = m.K(); k = m.K",
        check="assert o.a() == 2 and m.K is k",
    ),
    Edit(
        "class_under_if",
        """
        if True:
            class K:
                def a(self): return 1
        """,
        swap("return 1", "return 2"),
        setup="o = m.K(); k = m.K",
        check="assert o.a() == 2 and m.K is k",
    ),
    Edit(
        "super_introduced_into_existing_method",
        """
        class A:
            def a(self): return 1
        class K(A):
            def a(self): return 5
        """,
        swap("return 5", "return super().a() + 5"),
        setup="o = m.K(); b = o.a",
        check="assert o.a() == 6 == b() == m.K().a()",
    ),
    Edit(
        "super_removed_from_method",
        """
        class A:
            def a(self): return 1
        class K(A):
            def a(self): return super().a() + 5
        """,
        swap("super().a() + 5", "7"),
        setup="o = m.K(); b = o.a",
        check="assert o.a() == 7 == b()",
    ),
    Edit(
        "super_in_static_and_class_methods",
        """
        class A:
            @classmethod
            def a(cls): return "A"
        class K(A):
            @classmethod
            def a(cls): return "K"
        """,
        swap('return "K"', 'return super().a() + "K"'),
        setup="o = m.K(); b = m.K.a",
        check="assert m.K.a() == 'AK' == o.a() == b()",
    ),
    Edit(
        "super_in_property_and_comprehension",
        """
        class A:
            p = 1
            def a(self): return 1
        class K(A):
            @property
            def p(self): return 0
            def a(self): return []
        """,
        swap(
            "return 0",
            "return super().p + 1",
            "return []",
            "s = super(); return [s.a()]",
        ),
        setup="o = m.K()",
        check="assert o.p == 2 and o.a() == [1]",
    ),
    Edit(
        "super_follows_changed_base",
        """
        class A:
            def a(self): return "A"
        class B:
            def a(self): return "B"
        class K(A):
            def a(self): return super().a() + "K"
        """,
        swap("class K(A)", "class K(B)"),
        setup="o = m.K()",
        check="assert o.a() == 'BK' and isinstance(o, m.B) and not isinstance(o, m.A)",
    ),
    Edit(
        "dunder_class_introduced",
        """
        class K:
            def a(self): return 1
        """,
        swap("return 1", "return __class__"),
        setup="o = m.K()",
        check="assert o.a() is m.K",
    ),
    Edit(
        "dunder_class_in_closure_of_method",
        """
        class K:
            def a(self):
                def g(): return 1
                return g
        """,
        swap("return 1", "return (self, __class__)"),
        setup="o = m.K()",
        check="assert o.a()() == (o, m.K)",
    ),
    Edit(
        "private_name_in_changed_method",
        """
        class K:
            __limit = 3
            def __get(self): return self.__limit
            def a(self): return 0
        """,
        swap("return 0", "return self.__get() + 1"),
        setup="o = m.K()",
        check="assert o.a() == 4 and m.K._K__limit == 3",
    ),
    Edit(
        "private_name_method_added_and_changed",
        """
        class _K:
            def a(self): return self.__one()
            def __one(self): return 1
        """,
        swap(
            "self.__one()",
            "self.__two()",
            "return 1",
            "return 1\n    def __two(self): return 2",
        ),
        setup="o = m._K()",
        check="assert o.a() == 2 and o._K__one() == 1",
    ),
    Edit(
        "private_name_attribute_and_argument",
        """
        class K:
            __x = 1
            def a(self, __p=5): return (self.__x, __p)
        """,
        swap("__x = 1", "__x = 2", "__p=5", "__p=6"),
        setup="o = m.K()",
        check="assert o.a() == (2, 6) and o.a(_K__p=7) == (2, 7)",
    ),
]
