"""Bases, slots, metaclasses, abstract classes: how a class is made."""

from . import Edit, swap

SLOTS = """
    class K:
        __slots__ = ("x",)
        def a(self):
            return 1
"""

EDITS = [
    Edit(
        "bases_added_with_mixin",
        """
        class Mixin:
            def hello(self): return "hello " + self.name
        class A: pass
        class K(A):
            name = "k"
        """,
        swap("class K(A)", "class K(Mixin, A)"),
        setup="o = m.K(); k = m.K",
        check="assert o.hello() == 'hello k' and m.K is k and isinstance(o, m.Mixin)",
    ),
    Edit(
        "bases_removed",
        """
        class A:
            def a(self): return "A"
        class B:
            def b(self): return "B"
        class K(A, B): pass
        """,
        swap("class K(A, B)", "class K(B)"),
        setup="o = m.K()",
        check="""
            assert not hasattr(o, "a") and o.b() == "B"
            assert m.K.__mro__ == (m.K, m.B, object) and m.K not in m.A.__subclasses__()
        """,
    ),
    Edit(
        "bases_all_removed",
        """
        class A:
            def a(self): return "A"
        class K(A): pass
        """,
        swap("class K(A): pass", "class K: pass"),
        setup="o = m.K()",
        check="assert not hasattr(o, 'a') and m.K.__mro__ == (m.K, object)",
    ),
    Edit(
        "bases_order_changed",
        """
        class A:
            def a(self): return "A"
        class B:
            def a(self): return "B"
        class K(A, B): pass
        """,
        swap("K(A, B)", "K(B, A)"),
        setup="o = m.K()",
        check="assert o.a() == 'B'",
    ),
    Edit(
        "bases_changed_seen_by_subclasses",
        {
            "m.py": """
                class A:
                    def a(self): return "A"
                class K: pass
            """,
            "user.py": """
                import m
                class Sub(m.K): pass
            """,
        },
        swap("class K: pass", "class K(A): pass"),
        setup="import user; s = user.Sub()",
        check="assert s.a() == 'A' and user.Sub.__mro__[1:3] == (m.K, m.A)",
    ),
    Edit(
        "bases_new_class_in_same_save",
        """
        class K:
            def a(self): return 1
        """,
        """
        class Base:
            def b(self): return "b"
        class K(Base):
            def a(self): return self.b()
        """,
        setup="o = m.K()",
        check="assert o.a() == 'b' and isinstance(o, m.Base)",
    ),
    Edit(
        "bases_exception_parent_changed",
        """
        class Err(ValueError): pass
        def f(): raise Err()
        """,
        swap("Err(ValueError)", "Err(KeyError)"),
        setup="Err = m.Err",
        check="""
            try:
                m.f()
            except KeyError as e:
                assert isinstance(e, Err) and not isinstance(e, ValueError)
        """,
    ),
    Edit(
        "bases_layout_differs",
        """
        class K:
            def a(self): return 1
        """,
        """
        class K(dict):
            def a(self): return 2
        """,
        setup="o = m.K()",
        check="assert o.a() == 1 and m.K is type(o) and not issubclass(m.K, dict)",
        refused="HR302",
    ),
    Edit(
        "bases_layout_differs_batch_is_refused_whole",
        {
            "m.py": """
                def f(): return 1
                class K: pass
            """,
            "z.py": "def g(): return 1\n",
        },
        {
            "m.py": """
                def f(): return 2
                class K(list): pass
            """,
            "z.py": "def g(): return 2\n",
        },
        setup="import z; o = m.K(); h = m.f",
        check="assert m.f() == h() == 1 and z.g() == 1 and m.K is type(o)",
        refused="HR302",
        ways=("apply",),
    ),
    Edit(
        "bases_impossible_order",
        """
        class A: pass
        class B(A): pass
        class K(B): pass
        """,
        swap("class K(B)", "class K(A, B)"),
        setup="o = m.K()",
        check="assert m.K.__bases__ == (m.B,) and isinstance(o, m.B)",
        refused="HR110 or HR302",
    ),
    Edit(
        "bases_keyword_arguments_changed",
        """
        class A:
            def __init_subclass__(cls, tag=None, **kw):
                super().__init_subclass__(**kw)
                cls.tag = tag
        class K(A, tag="old"): pass
        """,
        swap('"old"', '"new"'),
        setup="o = m.K(); k = m.K",
        check="assert o.tag == 'new' and m.K is k",
    ),
    Edit(
        "slots_method_changed",
        SLOTS,
        swap("return 1", "return self.x"),
        setup="o = m.K(); o.x = 5; b = o.a",
        check="assert o.a() == 5 == b()",
    ),
    Edit(
        "slots_method_and_attribute_added",
        SLOTS,
        swap(
            "return 1\n",
            "return 1\n    def b(self): return self.x + self.N\n    N = 2\n",
        ),
        setup="o = m.K(); o.x = 5",
        check="assert o.b() == 7",
    ),
    Edit(
        "slots_one_added",
        SLOTS,
        swap('("x",)', '("x", "y")', "return 1", "return 2"),
        setup="o = m.K(); o.x = 5",
        check="n = m.K(); n.x, n.y = 1, 2; assert n.y == 2 and o.x == 5 and o.a() == 2",
        may_refuse="HR301",
        unchanged="assert o.a() == 1 and o.x == 5 and not hasattr(m.K, 'y')",
    ),
    Edit(
        "slots_one_removed",
        """
        class K:
            __slots__ = ("x", "y")
        """,
        swap('("x", "y")', '("x",)'),
        setup="o = m.K(); o.x, o.y = 5, 6",
        check="assert o.x == 5 and not hasattr(m.K, 'y')",
        may_refuse="HR301",
        unchanged="assert (o.x, o.y) == (5, 6) and m.K.__slots__ == ('x', 'y')",
        fresh=False,
    ),
    Edit(
        "slots_same_names_in_other_order",
        """
        class K:
            __slots__ = ("x", "y")
            def a(self): return 1
        """,
        swap('("x", "y")', '["y", "x"]', "return 1", "return 2"),
        setup="o = m.K(); o.x, o.y = 5, 6",
        check="assert (o.x, o.y) == (5, 6) and o.a() == 2",
        may_refuse="HR301",
        unchanged="assert (o.x, o.y) == (5, 6) and o.a() == 1",
    ),
    Edit(
        "slots_introduced",
        """
        class K:
            def a(self): return 1
        """,
        swap("def a(self): return 1", '__slots__ = ("x",)\n    def a(self): return 2'),
        setup="o = m.K(); o.x = 1",
        check="assert o.x == 1 and o.a() == 2",
        may_refuse="HR301",
        unchanged="assert o.x == 1 and o.a() == 1",
    ),
    Edit(
        "slots_given_up",
        SLOTS,
        swap('    __slots__ = ("x",)\n', ""),
        setup="o = m.K(); o.x = 5",
        check="n = m.K(); n.other = 1; assert o.x == 5",
        may_refuse="HR301",
        unchanged="assert o.x == 5 and o.a() == 1",
    ),
    Edit(
        "slots_added_in_base_of_others",
        """
        class A:
            __slots__ = ("x",)
        class K(A):
            __slots__ = ("y",)
            def a(self): return 1
        """,
        swap('("x",)', '("x", "w")', "return 1", "return 2"),
        setup="o = m.K(); o.x, o.y = 1, 2",
        check="assert (o.x, o.y) == (1, 2) and o.a() == 2",
        may_refuse="HR301",
        unchanged="assert (o.x, o.y) == (1, 2) and o.a() == 1",
    ),
    Edit(
        "slots_refused_then_good_save",
        SLOTS,
        swap('("x",)', '("x", "y")', "return 1", "return 2"),
        setup="o = m.K(); o.x = 5",
        then=[swap('("x", "y")', '("x",)', "return 2", "return 3")],
        check="assert o.a() == 3 and o.x == 5 and m.K().a() == 3",
        may_refuse="HR301",
        unchanged="assert o.a() == 3 and o.x == 5",
    ),
    Edit(
        "metaclass_method_changed",
        """
        class Meta(type):
            def tag(cls): return "old " + cls.__name__
        class K(metaclass=Meta):
            def a(self): return 1
        """,
        swap('"old "', '"new "', "return 1", "return 2"),
        setup="k = m.K; o = k()",
        check="assert k.tag() == 'new K' and o.a() == 2",
    ),
    Edit(
        "metaclass_made_parts_follow",
        """
        class Meta(type):
            def __new__(mcs, name, bases, ns):
                ns["fields"] = sorted(n for n in ns if not n.startswith("_"))
                return super().__new__(mcs, name, bases, ns)
        class K(metaclass=Meta):
            b = 1
            a = 2
        """,
        swap("a = 2", "a = 2\n    c = 3"),
        setup="k = m.K",
        check="assert k.fields == ['a', 'b', 'c'] and m.K is k",
    ),
    Edit(
        "metaclass_registry_no_second_entry",
        """
        registry = []
        class Meta(type):
            def __init__(cls, name, bases, ns):
                super().__init__(name, bases, ns)
                registry.append(name)
        class K(metaclass=Meta):
            def a(self): return 1
        """,
        swap("return 1", "return 2"),
        setup="o = m.K(); r = m.registry",
        check="assert o.a() == 2 and m.registry == ['K'] and m.registry is r",
    ),
    Edit(
        "metaclass_changed",
        """
        class A(type): pass
        class B(type):
            def tag(cls): return "B"
        class K(metaclass=A):
            def a(self): return 1
        """,
        swap("metaclass=A", "metaclass=B", "return 1", "return 2"),
        setup="o = m.K(); k = m.K",
        check="assert m.K.tag() == 'B' and m.K is k and o.a() == 2",
        may_refuse="HR303",
        unchanged="assert type(m.K) is m.A and o.a() == 1 and m.K is k",
    ),
    Edit(
        "metaclass_added",
        """
        class Meta(type):
            def tag(cls): return "Meta"
        class K:
            def a(self): return 1
        """,
        swap("class K:", "class K(metaclass=Meta):"),
        setup="o = m.K(); k = m.K",
        check="assert k.tag() == 'Meta' and m.K is k and isinstance(o, m.K)",
        may_refuse="HR303",
        unchanged="assert type(m.K) is type and o.a() == 1",
    ),
    Edit(
        "metaclass_call_singleton_kept",
        """
        class Single(type):
            _made = None
            def __call__(cls, *a):
                if cls._made is None:
                    cls._made = super().__call__(*a)
                return cls._made
        class K(metaclass=Single):
            def a(self): return 1
        """,
        swap("return 1", "return 2"),
        setup="o = m.K()",
        check="assert m.K() is o and o.a() == 2",
    ),
    Edit(
        "init_subclass_changed",
        """
        class A:
            def __init_subclass__(cls, **kw):
                super().__init_subclass__(**kw)
                cls.tag = "old"
        class K(A): pass
        """,
        swap('"old"', '"new"'),
        setup="A = m.A; o = m.K()",
        check="""
            class Later(A): pass
            assert Later.tag == "new" and o.tag in ("old", "new")
        """,
    ),
    Edit(
        "init_subclass_registry_no_second_entry",
        """
        plugins = []
        class Plugin:
            def __init_subclass__(cls, **kw):
                super().__init_subclass__(**kw)
                plugins.append(cls)
        class One(Plugin):
            def go(self): return 1
        """,
        swap(
            "return 1\n", "return 2\nclass Two(Plugin):\n    def go(self): return 3\n"
        ),
        setup="p = m.plugins; One = m.One",
        check="""
            assert p == [m.One, m.Two] and m.One is One
            assert [c().go() for c in p] == [2, 3]
        """,
    ),
    Edit(
        "set_name_called_for_new_attribute",
        """
        class Field:
            def __set_name__(self, owner, name):
                self.owner, self.name = owner, name
            def __get__(self, obj, cls=None):
                return (self.owner.__name__, self.name)
        class K:
            a = Field()
        """,
        swap("    a = Field()\n", "    a = Field()\n    b = Field()\n"),
        setup="o = m.K(); f = vars(m.K)['a']",
        check="""
            assert o.b == ("K", "b") and o.a == ("K", "a")
            assert vars(m.K)["b"].owner is m.K and vars(m.K)["a"] is f
        """,
    ),
    Edit(
        "set_name_owner_is_the_live_class",
        """
        owners = []
        class Field:
            def __init__(self, n): self.n = n
            def __set_name__(self, owner, name): owners.append((owner, name))
        class K:
            a = Field(1)
        """,
        swap("Field(1)", "Field(2)"),
        setup="o = m.K()",
        check="""
            assert o.a.n == 2 and all(owner is m.K for owner, name in m.owners)
        """,
    ),
    Edit(
        "class_getitem_and_subclasshook",
        """
        from abc import ABC
        class K(ABC):
            def __class_getitem__(cls, n): return ("old", n)
            @classmethod
            def __subclasshook__(cls, other): return NotImplemented
        """,
        swap(
            '"old"', '"new"', "return NotImplemented", "return hasattr(other, 'quack')"
        ),
        setup="""
            k = m.K
            class Duck: quack = 1
        """,
        check="assert k[3] == ('new', 3) and isinstance(Duck(), k)",
    ),
    Edit(
        "abc_abstract_method_added",
        """
        from abc import ABC, abstractmethod
        class A(ABC):
            @abstractmethod
            def a(self): ...
        class K(A):
            def a(self): return 1
        """,
        swap(
            "    def a(self): ...\n",
            "    def a(self): ...\n    @abstractmethod\n    def b(self): ...\n",
        ),
        setup="A = m.A; K = m.K",
        check="""
            assert A.__abstractmethods__ == {"a", "b"}
            class Half(A):
                def a(self): return 1
            try:
                Half()
            except TypeError:
                pass
            else:
                raise AssertionError("b is abstract")
        """,
    ),
    Edit(
        "abc_abstract_method_implemented",
        """
        from abc import ABC, abstractmethod
        class K(ABC):
            @abstractmethod
            def a(self): ...
        """,
        swap("    @abstractmethod\n    def a(self): ...", "    def a(self): return 1"),
        setup="K = m.K",
        check="assert K().a() == 1 and not K.__abstractmethods__",
    ),
    Edit(
        "abc_registered_class_kept",
        """
        from abc import ABC
        class A(ABC):
            def a(self): return 1
        """,
        swap("return 1", "return 2"),
        setup="m.A.register(dict); A = m.A",
        check="assert isinstance({}, m.A) and A is m.A and A().a() == 2",
    ),
    Edit(
        "protocol_member_added",
        """
        from typing import Protocol, runtime_checkable
        @runtime_checkable
        class P(Protocol):
            def a(self): ...
        """,
        swap("def a(self): ...", "def a(self): ...\n    def b(self): ..."),
        setup="""
            P = m.P
            class One:
                def a(self): ...
            class Both(One):
                def b(self): ...
        """,
        check="assert isinstance(Both(), P) and not isinstance(One(), P)",
    ),
    Edit(
        "protocol_with_default_method_changed",
        """
        from typing import Protocol
        class P(Protocol):
            def a(self): return 1
        class K(P):
            pass
        """,
        swap("return 1", "return 2"),
        setup="o = m.K()",
        check="assert o.a() == 2",
    ),
    Edit(
        "generic_class_method_changed",
        """
        from typing import Generic, TypeVar
        T = TypeVar("T")
        class Box(Generic[T]):
            def __init__(self, v): self.v = v
            def get(self) -> T: return self.v
        IntBox = Box[int]
        """,
        swap("return self.v", "return (self.v,)"),
        setup="o = m.Box(1); alias = m.IntBox; T = m.T",
        check="assert o.get() == (1,) == alias(1).get() and m.T is T",
    ),
    Edit(
        "class_with_instances_in_other_thread_and_cycle",
        """
        class Node:
            def __init__(self): self.me = self
            def a(self): return 1
        """,
        swap("return 1", "return self.me.b()\n    def b(self): return 2"),
        setup="""
            ns = [m.Node() for _ in range(10)]
        """,
        check="assert [n.a() for n in ns] == [2] * 10",
    ),
    Edit(
        "exception_class_init_changed",
        """
        class Err(Exception):
            def __init__(self, code):
                super().__init__("code %d" % code)
        """,
        swap('"code %d"', '"number %d"'),
        setup="Err = m.Err; e = Err(1)",
        check="assert str(Err(2)) == 'number 2' and isinstance(e, m.Err)",
    ),
]
