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
]
