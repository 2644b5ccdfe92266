"""Classes of every kind: what they are registered in, what makes them, what binds them.

A class that is made again is in nobody's hands but as itself; a class that loses its base
keeps the memory and the attributes of its objects; a method of another kind is called as
the old one was.
"""

from . import Edit, swap

EDITS = [
    Edit(
        "registry_of_subclasses_in_another_file",
        {
            "base.py": """
                class Plugin:
                    known = {}
                    order = []
                    def __init_subclass__(cls, **kw):
                        super().__init_subclass__(**kw)
                        Plugin.known[cls.__name__] = cls
                        Plugin.order.append(cls)
            """,
            "m.py": """
                from base import Plugin
                class A(Plugin):
                    x = 1
                    def f(self): return self.x
            """,
        },
        swap("x = 1", "x = 2"),
        setup="import base; A = m.A; o = A()",
        then=[swap("return self.x", "return -self.x")],
        check="""
            assert base.Plugin.known == {"A": m.A} and m.A is A
            assert base.Plugin.order == [A]
            assert base.Plugin.known["A"]().f() == -2 == o.f()
        """,
    ),
    Edit(
        "registry_of_subclasses_after_a_refused_save",
        {
            "base.py": """
                class Plugin:
                    known = {}
                    def __init_subclass__(cls, **kw):
                        Plugin.known[cls.__name__] = cls
            """,
            "m.py": """
                from base import Plugin
                class A(Plugin):
                    x = 1
                V = 1
            """,
        },
        swap("x = 1", "x = 2", "V = 1", "V = 1 / 0"),
        refused="HR110",
        setup="import base; A = m.A",
        mid="assert base.Plugin.known == {'A': A} and A.x == 1 and m.A is A",
        then=[swap("V = 1 / 0", "V = 3")],
        check="assert base.Plugin.known == {'A': A} and A.x == 2 and m.V == 3",
    ),
    Edit(
        "bases_own_dict_when_the_base_goes",
        """
            class P:
                pass
            class A(P):
                def f(self): return 1
        """,
        swap("class A(P)", "class A", "return 1", "return 2"),
        setup="""
            import copy, pickle, weakref
            o = m.A()
            o.x = 5
        """,
        check="""
            assert vars(o) == {"x": 5} and o.f() == 2
            assert copy.copy(o).x == 5 == pickle.loads(pickle.dumps(o)).x
            assert weakref.ref(o)() is o and m.A.__bases__ == (object,)
            n = m.A()
            n.y = 6
            assert n.__dict__ == {"y": 6} and "__weakref__" in dir(n)
        """,
    ),
    Edit(
        "bases_own_dict_when_the_base_goes_and_comes_back",
        """
            class P:
                pass
            class A(P):
                def f(self): return 1
        """,
        swap("class A(P)", "class A"),
        setup="o = m.A(); o.x = 5",
        mid="assert vars(o) == {'x': 5} and m.A.__bases__ == (object,)",
        then=[swap("class A", "class A(P)", "return 1", "return 2")],
        check="assert vars(o) == {'x': 5} and m.A.__bases__ == (m.P,) and o.f() == 2",
    ),
    Edit(
        "dataclass_slots_default_above_a_dataclass",
        """
            from dataclasses import dataclass
            @dataclass(slots=True)
            class S:
                a: int
                b: int = 2
            @dataclass(slots=True)
            class T(S):
                c: int = 3
        """,
        swap("b: int = 2", "b: int = 20"),
        setup="t = m.T(1); T = m.T",
        check="""
            assert repr(m.S(1)) == "S(a=1, b=20)"
            assert repr(m.T(1)) == "T(a=1, b=20, c=3)" and m.T is T
            assert (t.a, t.c) == (1, 3) and isinstance(t, m.S)
        """,
        python=(3, 10),
    ),
    Edit(
        "dataclass_slots_order_above_two_levels",
        """
            from dataclasses import dataclass
            @dataclass(slots=True)
            class S:
                a: int
            @dataclass(slots=True)
            class T(S):
                b: int = 2
            @dataclass(slots=True)
            class U(T):
                c: int = 3
                def f(self): return self.a + self.b + self.c
        """,
        swap(
            "@dataclass(slots=True)\nclass S",
            "@dataclass(slots=True, order=True)\nclass S",
        ),
        setup="u = m.U(1)",
        check="assert m.S(1) < m.S(2) and u.f() == 6 and m.U(1) == u",
        python=(3, 10),
    ),
    Edit(
        "dataclass_docstring_removed",
        '''
            from dataclasses import dataclass
            @dataclass
            class D:
                """what it is"""
                a: int = 1
        ''',
        swap('    """what it is"""\n', ""),
        check='assert m.D.__doc__ == "D(a: int = 1)"',
    ),
    Edit(
        "enum_init_changed",
        """
            from enum import Enum
            class Planet(Enum):
                EARTH = (1, 2)
                MARS = (3, 4)
                def __init__(self, mass, radius):
                    self.product = mass * radius
        """,
        swap("mass * radius", "mass * radius * 10"),
        setup="earth = m.Planet.EARTH",
        check="""
            assert m.Planet.EARTH is earth
            assert [p.product for p in m.Planet] == [20, 120]
        """,
    ),
    Edit(
        "enum_generated_values_changed",
        """
            from enum import Enum, auto
            class Color(Enum):
                def _generate_next_value_(name, start, count, last):
                    return name.lower()
                RED = auto()
                BLUE = auto()
        """,
        swap("return name.lower()", "return name.title()"),
        setup="red = m.Color.RED",
        check="""
            assert m.Color.RED is red
            assert [c.value for c in m.Color] == ["Red", "Blue"]
            assert m.Color("Red") is red
        """,
    ),
    Edit(
        "enum_generated_values_changed_in_a_base_elsewhere",
        {
            "base.py": """
                from enum import Enum
                class Named(Enum):
                    def _generate_next_value_(name, start, count, last):
                        return name.lower()
                    def show(self): return self.value
            """,
            "m.py": """
                from enum import auto
                from base import Named
                class Color(Named):
                    RED = auto()
                    BLUE = auto()
            """,
        },
        {"base.py": swap("return name.lower()", "return name.title()")},
        setup="red = m.Color.RED",
        check="""
            assert m.Color.RED is red and red.show() == "Red"
            assert [c.value for c in m.Color] == ["Red", "Blue"]
        """,
    ),
    Edit(
        "int_enum_of_int_and_enum_value_changed",
        """
            from enum import Enum
            class Code(int, Enum):
                OK = 200
                GONE = 404
                def text(self): return f"{self.name} {self.value}"
        """,
        swap("GONE = 404", "GONE = 410"),
        setup="ok = m.Code.OK",
        check="""
            assert m.Code.OK is ok and m.Code.GONE == 410 and m.Code(410) is m.Code.GONE
            assert isinstance(m.Code.GONE, m.Code) and m.Code.GONE.text() == "GONE 410"
        """,
    ),
    Edit(
        "class_to_static_method_held",
        """
            class K:
                @classmethod
                def make(cls, n): return ("class", cls.__name__, n)
        """,
        swap(
            "@classmethod\n    def make(cls, n)",
            "@staticmethod\n    def make(n)",
            '("class", cls.__name__, n)',
            '("static", n)',
        ),
        setup="held = [m.K.make, m.K().make]",
        check="assert [f(1) for f in held] == [('static', 1)] * 2 == [m.K.make(1)] * 2",
    ),
    Edit(
        "class_to_static_method_and_back_held",
        """
            class K:
                @classmethod
                def make(cls, n): return (cls.__name__, n)
        """,
        """
            class K:
                @staticmethod
                def make(n): return ("static", n)
        """,
        setup="held = m.K.make",
        mid="static = m.K.make",
        then=[
            """
            class K:
                @classmethod
                def make(cls, n): return (cls.__name__, -n)
            """
        ],
        check="""
            assert held(1) == ("K", -1) == m.K.make(1)
            assert "static" not in globals() or static(1) == ("K", -1)
        """,
    ),
    Edit(
        "static_to_class_method_held",
        """
            class K:
                @staticmethod
                def make(n): return ("static", n)
        """,
        swap(
            "@staticmethod\n    def make(n)",
            "@classmethod\n    def make(cls, n)",
            '("static", n)',
            '("class", cls.__name__, n)',
        ),
        setup="held = m.K.make",
        check='assert held(1) == ("class", "K", 1) == m.K.make(1)',
    ),
    Edit(
        "method_to_static_and_class_method_held",
        """
            class K:
                def s(self, n): return ("method", n)
                def c(self, n): return ("method", n)
        """,
        """
            class K:
                @staticmethod
                def s(n): return ("static", n)
                @classmethod
                def c(cls, n): return ("class", cls.__name__, n)
        """,
        setup="o = m.K(); s, c = o.s, o.c",
        check="""
            assert s(1) == ("static", 1) == o.s(1)
            assert c(1) == ("class", "K", 1) == o.c(1)
        """,
    ),
    Edit(
        "ctypes_method_of_a_structure",
        """
            import ctypes
            class Vec(ctypes.Structure):
                _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_int)]
                def norm(self): return self.x + self.y
        """,
        swap("return self.x + self.y", "return self.x * self.y"),
        setup="v = m.Vec(2, 3); norm = v.norm",
        then=[swap("    def norm", "    unit = 'm'\n    def norm")],
        check="""
            assert v.norm() == 6 == norm() and v.unit == 'm' and m.Vec(1, 9).norm() == 9
        """,
    ),
    Edit(
        "ctypes_field_of_a_structure_added",
        """
            import ctypes
            class Vec(ctypes.Structure):
                _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_int)]
        """,
        swap('("y", ctypes.c_int)', '("y", ctypes.c_int), ("z", ctypes.c_int)'),
        refused="HR302",
        setup="v = m.Vec(2, 3)",
        check="assert (v.x, v.y) == (2, 3) and not hasattr(v, 'z')",
    ),
    Edit(
        "attrs_field_added_in_a_base",
        """
            import attr
            @attr.s(auto_attribs=True)
            class B:
                x: int
            @attr.define(slots=False)
            class E(B):
                y: int = 9
                def f(self): return self.x + self.y
        """,
        swap("x: int", "x: int\n    w: int = 4"),
        setup="e = m.E(1)",
        check="""
            assert repr(m.B(1)) == "B(x=1, w=4)" and repr(m.E(2)) == "E(x=2, w=4, y=9)"
            assert e.f() == 10
        """,
        needs="attr",
    ),
    Edit(
        "derived_from_an_enumeration_that_grows",
        """
            from enum import Enum
            class Color(Enum):
                RED = "red"
                BLUE = "blue"
            VALUES = [c.value for c in Color]
            BY_VALUE = {c.value: c for c in Color}
            NAMES = ", ".join(c.name.lower() for c in Color)
            MEMBERS = list(Color)
            COUNT = len(Color)
            SEEN = {Color.RED: []}
            class Form:
                choices = tuple(c.value for c in Color)
            def use(color=Color.RED.value): return color
        """,
        swap(
            'RED = "red"',
            'RED = "rot"',
            'BLUE = "blue"',
            'BLUE = "blue"\n    GREEN = "green"',
        ),
        setup="""
            red, use = m.Color.RED, m.use
            m.SEEN[red].append(1)
        """,
        check="""
            assert m.VALUES == ["rot", "blue", "green"] and list(m.Form.choices) == m.VALUES
            assert m.BY_VALUE == {"rot": red, "blue": m.Color.BLUE, "green": m.Color.GREEN}
            assert list(m.BY_VALUE) == m.VALUES
            assert m.NAMES == "red, blue, green" and m.COUNT == 3
            assert m.MEMBERS == list(m.Color) and m.MEMBERS[0] is red is m.Color.RED
            assert m.SEEN == {red: [1]} and use() == "rot"
        """,
    ),
    Edit(
        "derived_from_an_enumeration_in_another_file",
        {
            "kinds.py": """
                from enum import Enum, IntEnum
                class Color(Enum):
                    RED = "red"
                class Level(IntEnum):
                    LOW = 1
                    HIGH = 10
            """,
            "m.py": """
                import kinds
                from kinds import Color, Level as L
                VALUE = Color.RED.value
                FAR = kinds.Color.RED.value
                LEVELS = [x.value for x in kinds.Level]
                TABLE = {x: x.name for x in L}
            """,
        },
        {
            "kinds.py": swap(
                'RED = "red"', 'RED = "rot"', "HIGH = 10", "MID = 5\n    HIGH = 20"
            )
        },
        setup="low = m.L.LOW",
        check="""
            assert m.VALUE == "rot" == m.FAR and m.LEVELS == [1, 5, 20]
            assert m.L.LOW is low
        """,
    ),
    Edit(
        "derived_from_members_that_are_texts",
        """
            from enum import Enum
            class Mode(str, Enum):
                FAST = "fast"
                SLOW = "slow"
            DEFAULT = Mode.FAST
            TEXTS = {Mode.FAST: "quick", Mode.SLOW: "calm"}
            def use(mode=Mode.FAST): return TEXTS[mode], mode is Mode.FAST
        """,
        swap('FAST = "fast"', 'FAST = "faster"'),
        setup="slow = m.Mode.SLOW",
        check="""
            assert m.DEFAULT is m.Mode.FAST and m.DEFAULT == "faster"
            assert m.TEXTS[m.Mode.FAST] == "quick" and m.TEXTS["faster"] == "quick"
            assert m.use() == ("quick", True) and m.Mode.SLOW is slow
        """,
    ),
    Edit(
        "derived_from_an_enumeration_and_set_by_the_program_stays",
        """
            from enum import Enum
            class Color(Enum):
                RED = 1
            VALUES = [c.value for c in Color]
            OTHER = [c.value for c in Color]
        """,
        swap("RED = 1", "RED = 1\n    BLUE = 2"),
        setup="m.VALUES.append(9)",
        check="assert 9 in m.VALUES and m.OTHER == [1, 2]",
    ),
    Edit(
        "registry_of_subclasses_that_holds_them_weakly",
        """
            import weakref
            class Plugin:
                known = weakref.WeakValueDictionary()
                all = weakref.WeakSet()
                notes = weakref.WeakKeyDictionary()
                def __init_subclass__(cls, **kw):
                    Plugin.known[cls.__name__] = cls
                    Plugin.all.add(cls)
                    Plugin.notes[cls] = cls.x
            class A(Plugin):
                x = 1
        """,
        swap("x = 1", "x = 2"),
        setup="import gc; A = m.A",
        check="""
            gc.collect()
            assert dict(m.Plugin.known) == {"A": A} and m.A is A
            assert list(m.Plugin.all) == [A] and list(m.Plugin.notes) == [A]
            assert m.Plugin.known["A"].x == 2
        """,
    ),
    Edit(
        "closure_local_class_with_another_name",
        """
            def make(name):
                class Made:
                    size = 1
                    def get(self): return self.size
                Made.__name__ = name
                return Made
            One = make("One")
        """,
        swap(
            "size = 1",
            "size = 2",
            "def get(self): return self.size",
            "def get(self): return -self.size\n        def more(self): return 7",
        ),
        setup="One, o = m.One, m.One()",
        check="""
            assert o.get() == -2 and o.more() == 7 and m.One is One
            assert One.__name__ == "One"
        """,
    ),
    Edit(
        "moved_class_into_the_file_that_imported_it",
        {
            "models.py": """
                class Item:
                    kind = "item"
                    def __init__(self, n): self.n = n
                    def show(self): return (self.kind, self.n)
                class Special(Item):
                    def show(self): return ("s",) + super().show()
                def clip(n): return min(n, 5)
            """,
            "m.py": """
                from models import Item, Special, clip
                ITEMS = [Item(1), Special(2)]
                def total(): return [i.show() for i in ITEMS]
            """,
        },
        {
            "models.py": """
                def other(): return 1
            """,
            "m.py": """
                class Item:
                    kind = "ITEM"
                    def __init__(self, n): self.n = n
                    def show(self): return (self.kind, self.n)
                    @property
                    def double(self): return self.n * 2
                class Special(Item):
                    def show(self): return ("S",) + super().show()
                def clip(n): return min(n, 50)
                ITEMS = [Item(1), Special(2)]
                def total(): return [i.show() for i in ITEMS]
            """,
        },
        setup="""
            import pickle
            Item, i, clip, show = m.Item, m.ITEMS[0], m.clip, m.ITEMS[1].show
        """,
        check="""
            assert m.Item is Item and isinstance(i, m.Item) and type(i) is m.Item
            assert m.total() == [("ITEM", 1), ("S", "ITEM", 2)] and show() == m.total()[1]
            assert i.double == 2 and m.Special.__mro__[1] is Item
            assert m.Item.__module__ == "m" == m.Item.show.__module__
            assert pickle.loads(pickle.dumps(i)).show() == ("ITEM", 1)
            assert clip(60) == 50 == m.clip(60)
        """,
        ways=("apply",),
    ),
    Edit(
        "bases_two_that_change_with_the_class",
        """
            from dataclasses import dataclass
            class A:
                def f(self): return 1
            class B:
                def g(self): return 2
            @dataclass
            class C(A, B):
                x: int = 1
        """,
        swap("return 1", "return 10", "return 2", "return 20", "x: int = 1", "x: int = 3"),
        setup="c = m.C()",
        check="""
            assert (c.f(), c.g(), m.C().x) == (10, 20, 3)
            assert type(m.C) is type(m.A) is type and m.C.__bases__ == (m.A, m.B)
        """,
    ),
    Edit(
        "bases_that_change_beside_another_metaclass",
        {
            "base.py": """
                import abc
                class Base(abc.ABC):
                    @abc.abstractmethod
                    def run(self): ...
                class Meta(type):
                    def info(cls): return cls.__name__
                class WithMeta(metaclass=Meta):
                    pass
            """,
            "mix.py": """
                class Mix:
                    def more(self): return 2
            """,
            "m.py": """
                from dataclasses import dataclass
                from base import Base, WithMeta
                from mix import Mix
                @dataclass
                class C(Base, Mix):
                    x: int = 1
                    def run(self): return self.x
                @dataclass
                class D(Mix, WithMeta):
                    y: int = 1
                @dataclass
                class E(D):
                    z: int = 1
                    def q(self): return super().more() + self.z
            """,
        },
        {
            "mix.py": swap("return 2", "return 20"),
            "m.py": swap("x: int = 1", "x: int = 3", "y: int = 1", "y: int = 4"),
        },
        setup="c, e = m.C(), m.E()",
        check="""
            assert (c.more(), m.C().x, m.C().run()) == (20, 3, 3)
            assert (m.E().y, e.q(), m.E.info(), type(m.D).__name__) == (4, 21, "E", "Meta")
            assert type(m.Mix) is type and type(m.C).__name__ == "ABCMeta"
        """,
        ways=("apply",),
    ),
    Edit(
        "lines_of_generic_definitions_moved",
        """
            A = 1
            class Box[T]:
                def get(self) -> T: raise ValueError
            def first[T](xs: list[T]) -> T: raise ValueError
        """,
        swap("A = 1", "A = 1\nB = 2\nC = 3"),
        setup="""
            held = m.first
            def line(f, *args):
                try: f(*args)
                except ValueError as e: return e.__traceback__.tb_next.tb_lineno
        """,
        check="""
            assert (line(held, []), line(m.Box().get)) == (6, 5)
            assert held.__code__.co_firstlineno == 6
        """,
        python=(3, 12),
    ),
    Edit(
        "metaclass_given_and_taken_back_above_a_subclass",
        {
            "base.py": """
                class Base:
                    def f(self): return 1
            """,
            "m.py": """
                from base import Base
                class K(Base):
                    def g(self): return self.f()
                class L(K):
                    pass
            """,
        },
        {
            "base.py": """
                class Meta(type):
                    def info(cls): return cls.__name__
                class Base(metaclass=Meta):
                    def f(self): return 2
            """
        },
        setup="o = m.L()",
        mid="assert m.K.info() == 'K' and m.L.info() == 'L' and o.g() == 2",
        then=[
            {
                "base.py": """
                    class Base:
                        def f(self): return 3
                """
            }
        ],
        check="""
            assert type(m.K) is type(m.L) is type and not hasattr(m.L, "info")
            assert o.g() == 3 and isinstance(o, m.Base)
        """,
    ),
    Edit(
        "metaclass_abc_removed_above_subclasses",
        """
            from abc import ABC, ABCMeta, abstractmethod
            class Base(ABC):
                @abstractmethod
                def f(self): ...
            class Own(Base, metaclass=ABCMeta):
                @abstractmethod
                def g(self): ...
            class Half(Base):
                pass
            class Also(Base, ABC):
                @abstractmethod
                def g(self): ...
        """,
        swap("class Base(ABC)", "class Base", "    @abstractmethod\n    def f", "    def f"),
        check="""
            assert type(m.Base) is type(m.Half) is type
            m.Half().f()
            for cls in m.Own, m.Also:
                assert type(cls) is m.ABCMeta
                try: cls()
                except TypeError: pass
                else: raise AssertionError(cls)
        """,
    ),
    Edit(
        "registry_of_methods_of_a_class_made_again",
        {
            "base.py": """
                ALL = []
                class Commands:
                    def __init_subclass__(cls, **kw):
                        super().__init_subclass__(**kw)
                        cls.table = {n: f for n, f in vars(cls).items() if callable(f)}
                        ALL.extend(cls.table.values())
                class Meta(type):
                    def __new__(meta, name, bases, ns):
                        cls = super().__new__(meta, name, bases, ns)
                        cls.parts = [v for v in ns.values() if hasattr(v, "__get__")]
                        return cls
            """,
            "m.py": """
                from base import Commands, Meta
                class A(Commands):
                    x = 1
                    def go(self): return ("go", self.x)
                class B(metaclass=Meta):
                    x = 1
                    def go(self): return ("go", self.x)
                    @classmethod
                    def make(cls): return "make"
                    @property
                    def size(self): return "size"
            """,
        },
        """
            from base import Commands, Meta
            class A(Commands):
                x = 2
                def go(self): return ("go", self.x)
            class B(metaclass=Meta):
                x = 2
                def go(self): return ("go", self.x)
                @classmethod
                def make(cls): return "make"
                @property
                def size(self): return "size"
        """,
        setup="import base; a, b = m.A(), m.B()",
        then=[
            """
            from base import Commands, Meta
            class A(Commands):
                x = 2
                def go(self): return ("GO", self.x)
            class B(metaclass=Meta):
                x = 2
                def go(self): return ("GO", self.x)
                @classmethod
                def make(cls): return "MAKE"
                @property
                def size(self): return "SIZE"
            """
        ],
        check="""
            assert m.A.table["go"] is m.A.go and a.table["go"](a) == ("GO", 2)
            assert [f(a) for f in base.ALL] == [("GO", 2)]
            go, make, size = m.B.parts
            assert go is m.B.go and go(b) == ("GO", 2)
            assert make.__func__(m.B) == "MAKE" and size.fget(b) == "SIZE"
        """,
    ),
    Edit(
        "pydantic_validator_body_after_a_field",
        """
            from pydantic import BaseModel, field_validator
            class User(BaseModel):
                name: str
                tags: list = []
                @field_validator("name")
                @classmethod
                def check(cls, v): return v.strip()
            class Admin(User):
                level: int = 1
        """,
        swap("tags: list = []", 'tags: list = ["a"]'),
        mid="assert m.User(name=' q ').tags == ['a']",
        then=[swap("return v.strip()", 'return v.strip() + "!"')],
        check="""
            assert m.User(name=" q ").name == "q!" == m.Admin(name="q").name
            assert m.User(name="x").tags == ["a"]
        """,
        needs="pydantic",
    ),
    Edit(
        "alias_of_methods_in_a_class_made_again",
        """
            from dataclasses import dataclass
            @dataclass
            class V:
                x: int = 1
                def __add__(self, o): return ("add", self.x)
                __radd__ = __add__
                @classmethod
                def make(cls): return "make"
                build = make
        """,
        swap("x: int = 1", "x: int = 2"),
        setup="v = m.V()",
        mid="assert v + 1 == ('add', 1) == 1 + v and m.V().x == 2",
        then=[swap('"add"', '"ADD"', '"make"', '"MAKE"')],
        check="""
            assert v + 1 == ("ADD", v.x) == 1 + v
            assert m.V.make() == "MAKE" == m.V.build()
            assert m.V.__radd__ is m.V.__add__
        """,
    ),
    Edit(
        "alias_of_a_method_that_is_renamed_in_a_dataclass",
        """
            from dataclasses import dataclass
            @dataclass
            class A:
                x: int = 1
                def get(self): return ("get", self.x)
        """,
        """
            from dataclasses import dataclass
            @dataclass
            class A:
                x: int = 1
                def fetch(self): return ("fetch", self.x)
                get = fetch
        """,
        setup="a = m.A(); get = a.get",
        mid="assert a.get() == a.fetch() == get() == ('fetch', 1)",
        then=[swap('"fetch"', '"FETCH"')],
        check="""
            assert a.get() == a.fetch() == get() == ("FETCH", 1)
            assert m.A.get is m.A.fetch and m.A.get.__name__ == "fetch"
        """,
    ),
]
