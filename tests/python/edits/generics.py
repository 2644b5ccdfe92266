"""Type parameters and `type` statements (Python 3.12)."""

from . import Edit, swap

EDITS = [
    Edit(
        "type_parameter_function_signature",
        "def f[T](x: T) -> T: return x\n",
        "def f[T, U](x: T, y: U = 2) -> U: return (x, y)\n",
        setup="h = m.f",
        check="""
            assert h(1) == (1, 2)
            assert [t.__name__ for t in h.__type_params__] == ["T", "U"]
            assert h.__annotations__["x"] is h.__type_params__[0]
        """,
        python=(3, 12),
    ),
    Edit(
        "type_parameter_used_in_body",
        """
        def f[T](x: T):
            return "old"
        """,
        swap('"old"', "T.__name__"),
        setup="h = m.f",
        check="assert h(1) == 'T'",
        python=(3, 12),
        may_refuse="HR201",
        partial=True,
    ),
    Edit(
        "type_parameter_added_to_function",
        "def f(x): return x\n",
        "def f[T](x: T): return (x, T.__name__)\n",
        setup="h = m.f",
        check="assert m.f(1) == (1, 'T') == h(1)",
        python=(3, 12),
    ),
    Edit(
        "type_parameter_removed_from_function",
        "def f[T](x: T): return (x, T.__name__)\n",
        "def f(x): return x\n",
        setup="h = m.f",
        check="assert h(1) == 1 and h.__type_params__ == ()",
        python=(3, 12),
    ),
    Edit(
        "type_parameter_bound_changed",
        "def f[T: int](x: T): return x\n",
        "def f[T: (int, str)](x: T): return [x]\n",
        setup="h = m.f",
        check="""
            assert h(1) == [1] and h.__type_params__[0].__constraints__ == (int, str)
        """,
        python=(3, 12),
    ),
    Edit(
        "type_parameter_class_method_changed",
        """
        class Box[T]:
            def __init__(self, v: T): self.v = v
            def get(self) -> T: return self.v
        """,
        swap("return self.v", "return [self.v]"),
        setup="o = m.Box[int](1); k = m.Box; b = o.get",
        check="""
            assert o.get() == [1] == b() and m.Box is k
            assert m.Box[str]('a').get() == ['a']
        """,
        python=(3, 12),
    ),
    Edit(
        "type_parameter_class_method_uses_parameter",
        """
        class Box[T]:
            def name(self): return "old"
            def other(self): return T
        """,
        swap('"old"', "T.__name__"),
        setup="o = m.Box()",
        check="assert o.name() == 'T'",
        python=(3, 12),
    ),
    Edit(
        "type_parameter_class_method_added_with_own",
        """
        class Box[T]:
            x = 1
        """,
        swap("x = 1", "x = 1\n    def map[U](self, f: U) -> U: return (T, U, f)"),
        setup="o = m.Box()",
        check="T, U, f = o.map(3); assert (T.__name__, U.__name__, f) == ('T', 'U', 3)",
        python=(3, 12),
    ),
    Edit(
        "type_parameter_added_to_class",
        """
        class Box:
            def get(self): return 1
        """,
        swap("class Box", "class Box[T]", "return 1", "return 2"),
        setup="o = m.Box(); k = m.Box",
        check="assert o.get() == 2 and m.Box is k and m.Box[int]().get() == 2",
        python=(3, 12),
    ),
    Edit(
        "type_parameter_super_in_generic_class",
        """
        class A[T]:
            def a(self): return 1
        class K[T](A[T]):
            def a(self): return 5
        """,
        swap("return 5", "return super().a() + 5"),
        setup="o = m.K()",
        check="assert o.a() == 6",
        python=(3, 12),
    ),
    Edit(
        "type_statement_changed",
        """
        type Alias = list[int]
        def f(x: Alias): return 1
        """,
        swap("list[int]", "dict[str, int]", "return 1", "return 2"),
        setup="h = m.f",
        check="assert m.Alias.__value__ == dict[str, int] and h(0) == 2",
        python=(3, 12),
    ),
    Edit(
        "type_statement_generic_and_lazy",
        """
        type Pair[T] = tuple[T, T]
        """,
        """
        type Pair[T] = tuple[T, Later]
        Later = int
        """,
        check="""
            assert m.Pair.__value__.__args__[1] is int
            assert m.Pair.__type_params__[0].__name__ == "T"
        """,
        python=(3, 12),
    ),
    Edit(
        "type_parameter_default_changed",
        "def f[T = int](x: T): return x\n",
        "def f[T = str](x: T): return [x]\n",
        setup="h = m.f",
        check="assert h(1) == [1] and h.__type_params__[0].__default__ is str",
        python=(3, 13),
    ),
    Edit(
        "type_parameter_decorated_and_async",
        """
        def deco(fn): return fn
        @deco
        async def f[T](x: T) -> T: return x
        """,
        swap("return x", "return [x]"),
        setup="h = m.f",
        check="import asyncio; assert asyncio.run(h(1)) == [1]",
        python=(3, 12),
    ),
]
