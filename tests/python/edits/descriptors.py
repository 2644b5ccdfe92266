"""Properties, static and class methods, descriptors, and turning one into another."""

from . import Edit, swap

PROPERTY = """
    class K:
        def __init__(self): self._p = 1
        @property
        def p(self):
            return self._p
        @p.setter
        def p(self, v):
            self._p = v
        @p.deleter
        def p(self):
            self._p = "gone"
"""

EDITS = [
    Edit(
        "property_getter_changed",
        PROPERTY,
        swap("return self._p", "return ('get', self._p)"),
        setup="o = m.K()",
        check="assert o.p == ('get', 1); o.p = 2; assert o.p == ('get', 2)",
    ),
    Edit(
        "property_deleter_changed",
        PROPERTY,
        swap('"gone"', '"deleted"'),
        setup="o = m.K()",
        check="del o.p; assert o.p == 'deleted'; o.p = 3; assert o.p == 3",
    ),
    Edit(
        "property_setter_added",
        """
        class K:
            _p = 1
            @property
            def p(self): return self._p
        """,
        swap(
            "return self._p\n",
            "return self._p\n    @p.setter\n    def p(self, v): self._p = v\n",
        ),
        setup="o = m.K()",
        check="o.p = 5; assert o.p == 5",
    ),
    Edit(
        "property_setter_removed",
        PROPERTY,
        swap(
            "    @p.setter\n    def p(self, v):\n        self._p = v\n",
            "",
        ),
        setup="o = m.K()",
        check="""
            try:
                o.p = 5
            except AttributeError:
                assert o.p == 1
            else:
                raise AssertionError("it can still be set")
        """,
    ),
    Edit(
        "property_held_object_follows",
        PROPERTY,
        swap("return self._p", "return ('get', self._p)"),
        setup="o = m.K(); p = m.K.__dict__['p']; g = p.fget",
        check="assert o.p == ('get', 1) == g(o) == p.__get__(o)",
    ),
    Edit(
        "property_docstring_changed",
        """
        class K:
            @property
            def p(self):
                "old"
                return 1
        """,
        swap("old", "new"),
        setup="k = m.K",
        check="assert k.p.__doc__ == 'new' and k().p == 1",
    ),
    Edit(
        "property_built_by_call",
        """
        class K:
            def get(self): return 1
            p = property(get, doc="d")
            q = property(lambda self: "old")
        """,
        swap("return 1", "return 2", '"old"', '"new"'),
        setup="o = m.K()",
        check="assert o.p == 2 and o.q == 'new' and o.get() == 2",
    ),
    Edit(
        "property_inherited_and_overridden",
        """
        class A:
            @property
            def p(self): return "A"
        class K(A):
            pass
        """,
        swap("    pass", "    @property\n    def p(self): return super().p + 'K'"),
        setup="o = m.K()",
        check="assert o.p == 'AK'",
    ),
    Edit(
        "property_inherited_setter_used_by_subclass",
        """
        class A:
            _p = 0
            @property
            def p(self): return self._p
        class K(A):
            @A.p.setter
            def p(self, v): self._p = v
        """,
        swap("self._p = v", "self._p = v * 2"),
        setup="o = m.K()",
        check="o.p = 3; assert o.p == 6",
    ),
    Edit(
        "static_method_changed_held",
        """
        class K:
            @staticmethod
            def s(x): return x
        """,
        swap("return x", "return x + 1"),
        setup="o = m.K(); h = m.K.s",
        check="assert h(1) == 2 == o.s(1) and m.K.s is h",
    ),
    Edit(
        "class_method_changed_held",
        """
        class K:
            n = 1
            @classmethod
            def c(cls): return cls.n
        class Sub(K):
            n = 2
        """,
        swap("return cls.n", "return cls.n * 10"),
        setup="h = m.K.c; s = m.Sub.c",
        check="assert h() == 10 and s() == 20 and m.Sub().c() == 20",
    ),
    Edit(
        "class_method_added_as_constructor",
        """
        class K:
            def __init__(self, n): self.n = n
        """,
        swap(
            "self.n = n\n",
            "self.n = n\n    @classmethod\n    def zero(cls): return cls(0)\n",
        ),
        setup="k = m.K",
        check="assert type(k.zero()) is m.K and k.zero().n == 0",
    ),
    Edit(
        "static_to_class_method",
        """
        class K:
            @staticmethod
            def s(): return 1
        """,
        swap(
            "@staticmethod\n    def s()",
            "@classmethod\n    def s(cls)",
            "return 1",
            "return cls",
        ),
        setup="o = m.K()",
        check="assert o.s() is m.K and m.K.s() is m.K",
    ),
    Edit(
        "class_to_static_method",
        """
        class K:
            @classmethod
            def s(cls): return cls
        """,
        swap(
            "@classmethod\n    def s(cls)",
            "@staticmethod\n    def s()",
            "return cls",
            "return 1",
        ),
        setup="o = m.K()",
        check="assert o.s() == 1 == m.K.s()",
    ),
    Edit(
        "static_to_method",
        """
        class K:
            @staticmethod
            def s(): return 1
        """,
        swap(
            "    @staticmethod\n    def s()",
            "    def s(self)",
            "return 1",
            "return self",
        ),
        setup="o = m.K()",
        check="assert o.s() is o",
    ),
    Edit(
        "method_to_class_method",
        """
        class K:
            def c(self): return self
        """,
        swap(
            "    def c(self): return self",
            "    @classmethod\n    def c(cls): return cls",
        ),
        setup="o = m.K()",
        check="assert o.c() is m.K and m.K.c() is m.K",
    ),
    Edit(
        "method_to_property",
        """
        class K:
            def p(self): return 1
        """,
        swap("    def p", "    @property\n    def p"),
        setup="o = m.K()",
        check="assert o.p == 1",
    ),
    Edit(
        "attribute_to_property",
        """
        class K:
            p = 1
        """,
        """
        class K:
            @property
            def p(self): return 2
        """,
        setup="o = m.K()",
        check="assert o.p == 2 and isinstance(vars(m.K)['p'], property)",
    ),
    Edit(
        "property_to_attribute",
        """
        class K:
            @property
            def p(self): return 1
        """,
        """
        class K:
            p = 2
        """,
        setup="o = m.K()",
        check="assert o.p == 2; o.p = 3; assert o.p == 3",
    ),
    Edit(
        "property_to_cached_property",
        """
        from functools import cached_property
        class K:
            n = 0
            @property
            def p(self):
                self.n += 1
                return self.n
        """,
        swap("@property", "@cached_property"),
        setup="o = m.K()",
        check="assert (o.p, o.p) == (1, 1)",
    ),
    Edit(
        "cached_property_set_name_of_new_one",
        """
        from functools import cached_property
        class K:
            x = 1
        """,
        swap("x = 1", "x = 1\n    @cached_property\n    def p(self): return [self.x]"),
        setup="o = m.K()",
        check="assert o.p == [1] and o.p is o.p",
    ),
    Edit(
        "own_descriptor_class_changed",
        """
        class Upper:
            def __set_name__(self, owner, name): self.name = "_" + name
            def __get__(self, o, cls=None): return getattr(o, self.name).upper()
            def __set__(self, o, v): setattr(o, self.name, v)
        class K:
            p = Upper()
        """,
        swap(".upper()", ".title()"),
        setup="o = m.K(); o.p = 'abc'",
        check="assert o.p == 'Abc'",
    ),
    Edit(
        "own_descriptor_arguments_changed",
        """
        class Const:
            def __init__(self, v): self.v = v
            def __get__(self, o, cls=None): return self.v
        class K:
            p = Const(1)
        """,
        swap("Const(1)", "Const(2)"),
        setup="o = m.K()",
        check="assert o.p == 2",
    ),
    Edit(
        "partialmethod_changed",
        """
        from functools import partialmethod
        class K:
            def set(self, v): return ("set", v)
            on = partialmethod(set, True)
        """,
        swap('("set", v)', '("SET", v)'),
        setup="o = m.K()",
        check="assert o.on() == ('SET', True)",
    ),
    Edit(
        "abstract_property_and_static",
        """
        from abc import ABC, abstractmethod
        class A(ABC):
            @property
            @abstractmethod
            def p(self): ...
            @staticmethod
            def s(): return 1
        class K(A):
            @property
            def p(self): return 1
        """,
        swap(
            "def s(): return 1",
            "def s(): return 2",
            "def p(self): return 1",
            "def p(self): return 2",
        ),
        setup="o = m.K(); s = m.A.s",
        check="assert o.p == 2 and o.s() == 2 == s()",
    ),
]
