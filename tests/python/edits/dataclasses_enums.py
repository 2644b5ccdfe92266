"""Dataclasses, enumerations, named tuples, typed dicts, pydantic models."""

from . import Edit, swap

DATA = """
    from dataclasses import dataclass, field
    @dataclass
    class K:
        x: int = 1
        def a(self):
            return self.x
"""
COLOR = """
    from enum import Enum
    class E(Enum):
        A = 1
        B = 2
        def d(self):
            return self.name
"""

EDITS = [
    Edit(
        "dataclass_method_changed",
        DATA,
        swap("return self.x", "return self.x * 2"),
        setup="o = m.K(3); k = m.K",
        check="assert o.a() == 6 and m.K is k and m.K(3) == o",
    ),
    Edit(
        "dataclass_field_added",
        DATA,
        swap("x: int = 1", "x: int = 1\n    y: int = 2"),
        setup="o = m.K(5); k = m.K",
        check="""
            import dataclasses
            assert m.K is k and m.K(1, 3).y == 3 and repr(m.K()) == "K(x=1, y=2)"
            assert [f.name for f in dataclasses.fields(o)] == ["x", "y"]
            assert o.x == 5 and o.y == 2
        """,
    ),
    Edit(
        "dataclass_field_removed",
        DATA,
        swap("x: int = 1", "y: int = 1\n    x: int = 1"),
        setup="k = m.K",
        then=[swap("    y: int = 1\n", "")],
        check="assert repr(m.K(4)) == 'K(x=4)' and m.K is k and not hasattr(m.K, 'y')",
        quiet=True,
    ),
    Edit(
        "dataclass_field_renamed_and_reordered",
        """
        from dataclasses import dataclass
        @dataclass
        class K:
            a: int
            b: str = "b"
        """,
        swap('a: int\n    b: str = "b"', "c: str\n    a: int = 7"),
        setup="k = m.K",
        check="assert repr(k('x')) == \"K(c='x', a=7)\" and m.K is k",
    ),
    Edit(
        "dataclass_default_factory_changed",
        DATA
        + """
        z: list = field(default_factory=list)
""",
        swap("default_factory=list", "default_factory=lambda: [1]"),
        setup="k = m.K; o = k()",
        check="assert k().z == [1] and k().z is not k().z and o.x == 1",
    ),
    Edit(
        "dataclass_default_factory_added",
        DATA,
        swap("x: int = 1", "x: int = 1\n    z: dict = field(default_factory=dict)"),
        setup="k = m.K",
        check="assert k().z == {} and k(2, {1: 2}).z == {1: 2}",
    ),
    Edit(
        "dataclass_becomes_frozen",
        DATA,
        swap("@dataclass\n", "@dataclass(frozen=True)\n"),
        setup="o = m.K(1)",
        check="""
            import dataclasses
            for one in (o, m.K()):
                try:
                    one.x = 5
                except dataclasses.FrozenInstanceError:
                    pass
                else:
                    raise AssertionError("not frozen")
            assert hash(o) == hash(m.K(1))
        """,
    ),
    Edit(
        "dataclass_frozen_given_up",
        DATA.replace("@dataclass\n", "@dataclass(frozen=True)\n"),
        swap("@dataclass(frozen=True)\n", "@dataclass\n"),
        setup="o = m.K(1)",
        check="o.x = 5; assert o.x == 5",
    ),
    Edit(
        "dataclass_order_and_eq_options",
        DATA,
        swap("@dataclass\n", "@dataclass(order=True, repr=False)\n"),
        setup="a, b = m.K(1), m.K(2)",
        check="assert a < b and 'object at' in repr(a)",
    ),
    Edit(
        "dataclass_slots_method_changed",
        """
        from dataclasses import dataclass
        @dataclass(slots=True)
        class K:
            x: int = 1
            def a(self): return self.x
        """,
        swap("return self.x", "return self.x + 10"),
        setup="o = m.K(2); k = m.K",
        check="assert o.a() == 12 and m.K is k and isinstance(o, m.K)",
        python=(3, 10),
    ),
    Edit(
        "dataclass_slots_field_added",
        """
        from dataclasses import dataclass
        @dataclass(slots=True)
        class K:
            x: int = 1
        """,
        swap("x: int = 1", "x: int = 1\n    y: int = 2"),
        setup="o = m.K(5)",
        check="assert m.K(1, 3).y == 3 and o.x == 5",
        python=(3, 10),
        may_refuse="HR301",
        unchanged="assert o.x == 5 and repr(m.K(2)) == 'K(x=2)'",
    ),
    Edit(
        "dataclass_super_in_slots",
        """
        from dataclasses import dataclass
        class A:
            __slots__ = ()
            def a(self): return 1
        @dataclass(slots=True)
        class K(A):
            x: int = 1
            def a(self): return self.x
        """,
        swap("return self.x", "return super(K, self).a() + 10"),
        setup="o = m.K(2)",
        check="assert o.a() == 11",
        python=(3, 10),
    ),
    Edit(
        "dataclass_post_init_added",
        DATA,
        swap(
            "def a(self)",
            "def __post_init__(self):\n        self.x += 100\n    def a(self)",
        ),
        setup="k = m.K; o = k(1)",
        check="assert k(1).x == 101",
    ),
    Edit(
        "dataclass_decorator_added",
        """
        from dataclasses import dataclass
        class K:
            x: int = 1
        """,
        swap("class K", "@dataclass\nclass K"),
        setup="k = m.K; o = k()",
        check="assert k(5).x == 5 and repr(k()) == 'K(x=1)' and m.K is k and o.x == 1",
    ),
    Edit(
        "dataclass_decorator_removed",
        DATA,
        swap("@dataclass\n", ""),
        setup="k = m.K; o = k()",
        check="""
            assert not hasattr(m.K, "__dataclass_fields__") and o.x == 1 and m.K is k
            try:
                m.K(5)
            except TypeError:
                pass
            else:
                raise AssertionError("still has the made __init__")
        """,
    ),
    Edit(
        "dataclass_inherited_fields_of_base_in_same_file",
        """
        from dataclasses import dataclass
        @dataclass
        class A:
            x: int = 1
        @dataclass
        class K(A):
            y: int = 2
        """,
        swap("y: int = 2", "y: int = 3\n    z: int = 4"),
        setup="o = m.K()",
        check="assert repr(m.K()) == 'K(x=1, y=3, z=4)' and isinstance(o, m.A)",
    ),
    Edit(
        "dataclass_own_eq_added",
        DATA,
        swap("def a(self)", "def __eq__(self, o): return True\n    def a(self)"),
        setup="o = m.K(2)",
        check="assert o == m.K(3) == 'anything'",
    ),
    Edit(
        "dataclass_pickle_and_replace",
        DATA,
        swap("return self.x", "return -self.x", "x: int = 1", "x: int = 9"),
        setup="import pickle; b = pickle.dumps(m.K(4))",
        check="""
            import dataclasses
            o = pickle.loads(b)
            assert o.a() == -4 and dataclasses.replace(o, x=1).a() == -1
            assert m.K().x == 9
        """,
    ),
    Edit(
        "dataclass_kw_only_field",
        """
        from dataclasses import dataclass, KW_ONLY
        @dataclass
        class K:
            x: int = 1
        """,
        swap("x: int = 1", "x: int = 1\n    _: KW_ONLY\n    y: int = 2"),
        setup="k = m.K",
        check="assert k(y=5).y == 5 and k.__match_args__ == ('x',)",
        python=(3, 10),
    ),
    Edit(
        "enum_member_added_others_keep_identity",
        COLOR,
        swap("B = 2", "B = 2\n    C = 3"),
        setup="E = m.E; a, b = E.A, E.B; d = {a: 'a'}",
        check="""
            assert m.E is E and E.A is a and E["B"] is b and E(2) is b and d[E.A] == "a"
            assert [x.name for x in E] == ["A", "B", "C"] and E(3) is E.C
            assert E.C.d() == "C" and len(E) == 3
        """,
    ),
    Edit(
        "enum_member_removed",
        COLOR,
        swap("    B = 2\n", ""),
        setup="E = m.E; a = E.A",
        check="""
            assert m.E is E and E.A is a and list(E) == [a] and not hasattr(E, "B")
            try:
                E(2)
            except ValueError:
                pass
            else:
                raise AssertionError("B is still there")
        """,
    ),
    Edit(
        "enum_value_changed",
        COLOR,
        swap("A = 1", "A = 10"),
        setup="E = m.E; a = E.A",
        check="""
            assert m.E.A is a and a.value == 10 and E(10) is a
            assert 1 not in [e.value for e in E]
        """,
    ),
    Edit(
        "enum_member_renamed",
        COLOR,
        swap("A = 1", "FIRST = 1"),
        setup="E = m.E; b = E.B",
        check="""
            assert E.FIRST.value == 1 and not hasattr(E, "A") and E.B is b
            assert E(1) is E.FIRST
        """,
    ),
    Edit(
        "enum_method_added_and_property",
        COLOR,
        swap(
            "return self.name",
            "return self.low\n    @property\n    def low(self): return 'l'",
        ),
        setup="a = m.E.A",
        check="assert a.d() == 'l' and a is m.E.A",
    ),
    Edit(
        "enum_pickle_and_held_in_default",
        COLOR
        + """
    def f(e=E.A): return e
""",
        swap("B = 2", "B = 2\n    C = 3"),
        setup="import pickle; b = pickle.dumps(m.E.A); a = m.E.A; h = m.f",
        check="assert pickle.loads(b) is a is m.E.A and h() is a and m.E.C.value == 3",
    ),
    Edit(
        "enum_compared_in_other_module",
        {
            "m.py": COLOR,
            "user.py": """
                from m import E
                CURRENT = E.A
                def is_a(): return CURRENT is E.A and CURRENT == E(1)
                def count(): return len(E)
            """,
        },
        swap("B = 2", "B = 2\n    C = 3"),
        setup="import user",
        check="assert user.is_a() and user.count() == 3 and m.E.A is user.CURRENT",
    ),
    Edit(
        "enum_auto_member_inserted",
        """
        from enum import Enum, auto
        class E(Enum):
            A = auto()
            B = auto()
        """,
        swap("B = auto()", "MID = auto()\n    B = auto()"),
        setup="a, b = m.E.A, m.E.B",
        check="""
            assert [(e.name, e.value) for e in m.E] == [("A", 1), ("MID", 2), ("B", 3)]
            assert m.E.A is a and m.E.B is b and b.value == 3
        """,
    ),
    Edit(
        "enum_alias_added",
        COLOR,
        swap("B = 2", "B = 2\n    ALSO_B = 2"),
        setup="b = m.E.B",
        check="assert m.E.ALSO_B is b is m.E.B and len(m.E) == 2",
    ),
    Edit(
        "int_enum_value_changed",
        """
        from enum import IntEnum
        class E(IntEnum):
            A = 1
            B = 2
        """,
        swap("B = 2", "B = 20\n    C = 3"),
        setup="a = m.E.A; E = m.E",
        check="""
            assert m.E.A is a and a + 1 == 2 and m.E.B == 20 and E(20) is E.B
            assert E.C == 3
        """,
    ),
    Edit(
        "flag_member_added",
        """
        from enum import Flag
        class F(Flag):
            R = 1
            W = 2
        """,
        swap("W = 2", "W = 2\n    X = 4"),
        setup="r, both = m.F.R, m.F.R | m.F.W",
        check="""
            F = m.F
            assert F.R is r and (both & F.W) is F.W and F.X in (F.X | F.R)
            assert (F.R | F.X).value == 5 and F(4) is F.X
        """,
    ),
    Edit(
        "int_flag_method_changed",
        """
        from enum import IntFlag
        class F(IntFlag):
            R = 1
            W = 2
            def show(self): return "old"
        """,
        swap('"old"', '"new"'),
        setup="r = m.F.R; both = m.F.R | m.F.W",
        check="assert r.show() == both.show() == 'new' and m.F.R is r",
    ),
    Edit(
        "enum_functional_and_str_mixin",
        """
        from enum import Enum
        class S(str, Enum):
            A = "a"
            def up(self): return self.value.upper()
        """,
        swap('A = "a"', 'A = "a"\n    B = "b"', ".upper()", ".title()"),
        setup="a = m.S.A",
        check="""
            assert m.S.A is a and m.S.B == 'b' and a.up() == 'A'
            assert m.S('b').up() == 'B'
        """,
    ),
    Edit(
        "enum_with_init_changed",
        """
        from enum import Enum
        class P(Enum):
            EARTH = (1, 2)
            def __init__(self, m, r): self.m, self.r = m, r
            def g(self): return self.m + self.r
        """,
        swap("self.m + self.r", "self.m * self.r"),
        setup="e = m.P.EARTH",
        check="assert e.g() == 2 and m.P.EARTH is e",
    ),
    Edit(
        "named_tuple_method_changed",
        """
        from typing import NamedTuple
        class P(NamedTuple):
            x: int
            y: int = 0
            def norm(self): return self.x + self.y
        """,
        swap("self.x + self.y", "self.x * self.y"),
        setup="p = m.P(2, 3); P = m.P",
        check="assert p.norm() == 6 and m.P(2, 5).norm() == 10 and m.P is P",
    ),
    Edit(
        "named_tuple_field_added",
        """
        from typing import NamedTuple
        class P(NamedTuple):
            x: int
            y: int = 0
        """,
        swap("y: int = 0", "y: int = 0\n    z: int = 5"),
        setup="P = m.P; p = P(1)",
        check="""
            assert m.P(1) == (1, 0, 5) and m.P(1).z == 5
            assert m.P._fields == ('x', 'y', 'z')
        """,
    ),
    Edit(
        "named_tuple_default_changed",
        """
        from typing import NamedTuple
        class P(NamedTuple):
            x: int
            y: int = 0
        """,
        swap("y: int = 0", "y: int = 9"),
        setup="P = m.P",
        check="assert m.P(1) == (1, 9) == P(1)",
    ),
    Edit(
        "named_tuple_functional",
        """
        from collections import namedtuple
        P = namedtuple("P", "x y")
        def mk(): return P(1, 2)
        """,
        swap('"x y"', '"x y z"', "P(1, 2)", "P(1, 2, 3)"),
        setup="mk = m.mk",
        check="assert mk().z == 3 and isinstance(mk(), m.P)",
    ),
    Edit(
        "typed_dict_key_added",
        """
        from typing import TypedDict
        class D(TypedDict):
            x: int
        """,
        swap("x: int", "x: int\n    y: str"),
        setup="D = m.D",
        check="""
            assert m.D.__annotations__ == {'x': int, 'y': str}
            assert m.D(x=1) == {'x': 1}
        """,
    ),
    Edit(
        "typed_dict_total_changed",
        """
        from typing import TypedDict
        class D(TypedDict):
            x: int
        """,
        swap("TypedDict)", "TypedDict, total=False)"),
        setup="D = m.D",
        check="assert m.D.__total__ is False and m.D.__optional_keys__ == {'x'}",
    ),
    Edit(
        "pydantic_method_changed",
        """
        from pydantic import BaseModel
        class K(BaseModel):
            x: int = 1
            def a(self): return self.x
        """,
        swap("return self.x", "return self.x * 2"),
        setup="o = m.K(x=3); K = m.K",
        check="assert o.a() == 6 and m.K is K and m.K(x='4').a() == 8",
        needs="pydantic",
    ),
    Edit(
        "pydantic_field_added",
        """
        from pydantic import BaseModel
        class K(BaseModel):
            x: int = 1
        """,
        swap("x: int = 1", "x: int = 1\n    y: str = 'y'"),
        setup="K = m.K; o = K(x=2)",
        check="""
            n = m.K(x=1, y="z")
            assert n.y == "z" and m.K().y == "y" and isinstance(n, K) and o.x == 2
        """,
        needs="pydantic",
    ),
    Edit(
        "pydantic_default_and_validator_changed",
        """
        from pydantic import BaseModel, field_validator
        class K(BaseModel):
            x: int = 1
            @field_validator("x")
            @classmethod
            def check(cls, v): return v + 1
        """,
        swap("v + 1", "v + 100", "x: int = 1", "x: int = 5"),
        setup="K = m.K",
        check="assert K(x=1).x == 101 and K().x == 5 and m.K is K",
        needs="pydantic",
    ),
]
