"""functools.singledispatch: implementations that come, go, or are for another type."""

from . import Edit, swap

FUNCTION = """
    from functools import singledispatch
    @singledispatch
    def f(x): return "base"
    @f.register
    def one(x: int): return "int"
    @f.register(str)
    def two(x): return "str"
"""
SAME_NAME = """
    from functools import singledispatch
    @singledispatch
    def f(x): return "base"
    @f.register
    def _(x: int): return "int"
    @f.register
    def _(x: str): return "str"
"""
METHOD = """
    from functools import singledispatchmethod
    class K:
        @singledispatchmethod
        def f(self, x): return "base"
        @f.register
        def one(self, x: int): return "int"
        @f.register
        def two(self, x: str): return "str"
"""

EDITS = [
    Edit(
        "singledispatch_implementation_removed",
        FUNCTION,
        swap('@f.register\ndef one(x: int): return "int"\n', ""),
        setup="h = m.f; h(1)",
        check="assert (h(1), h(''), h(None)) == ('base', 'str', 'base') and m.f is h",
    ),
    Edit(
        "singledispatch_implementation_removed_and_back",
        FUNCTION,
        swap('@f.register\ndef one(x: int): return "int"\n', ""),
        setup="h = m.f; h(1)",
        mid="assert h(1) == 'base'",
        revert=True,
        check="assert (h(1), h('')) == ('int', 'str') and m.one(1) == 'int'",
        quiet=True,
    ),
    Edit(
        "singledispatch_type_in_annotation_changed",
        FUNCTION,
        swap("x: int", "x: float"),
        setup="h = m.f; h(1); one = m.one",
        then=[swap('return "int"', 'return "float"')],
        mid="assert (h(1), h(1.0)) == ('base', 'int') and m.one is one",
        check="assert (h(1), h(1.0), h('')) == ('base', 'float', 'str')",
    ),
    Edit(
        "singledispatch_type_in_argument_changed",
        FUNCTION,
        swap("register(str)", "register(bytes)", 'return "str"', 'return "bytes"'),
        setup="h = m.f; h('')",
        check="assert (h(''), h(b''), h(1)) == ('base', 'bytes', 'int')",
    ),
    Edit(
        "singledispatch_type_of_equal_names_changed",
        SAME_NAME,
        swap("x: int", "x: float"),
        setup="h = m.f; h(1)",
        check="assert (h(1), h(1.0), h('')) == ('base', 'int', 'str')",
    ),
    Edit(
        "singledispatch_equal_names_one_removed",
        SAME_NAME,
        swap('@f.register\ndef _(x: int): return "int"\n', ""),
        setup="h = m.f; h(1)",
        check="assert (h(1), h('')) == ('base', 'str')",
    ),
    Edit(
        "singledispatch_types_exchanged",
        SAME_NAME,
        swap("x: int", "x: bytes", "x: str", "x: int"),
        setup="h = m.f; h(1)",
        check="assert (h(1), h(''), h(b'')) == ('str', 'base', 'int')",
    ),
    Edit(
        "singledispatch_added_and_used_at_once",
        FUNCTION,
        swap(
            "@f.register(str)",
            "@f.register\ndef three(x: list): return 'list'\n"
            "R = f([])\n@f.register(str)",
        ),
        setup="h = m.f; h([])",
        check="assert m.R == h([]) == 'list'",
    ),
    Edit(
        "singledispatchmethod_implementation_removed",
        METHOD,
        swap('    @f.register\n    def one(self, x: int): return "int"\n', ""),
        setup="o = m.K(); o.f(1)",
        check="assert (o.f(1), o.f('')) == ('base', 'str')",
    ),
    Edit(
        "singledispatchmethod_type_changed",
        METHOD,
        swap("x: int", "x: float"),
        setup="o = m.K(); o.f(1)",
        check="assert (o.f(1), o.f(1.0), o.f('')) == ('base', 'int', 'str')",
    ),
    Edit(
        "singledispatch_of_another_module",
        {
            "m.py": "import a\n@a.f.register\ndef one(x: int): return 'int'\nZ = 1\n",
            "a.py": """
                from functools import singledispatch
                @singledispatch
                def f(x): return "base"
            """,
        },
        "import a\nZ = 1\n",
        setup="h = m.a.f; h(1)",
        check="assert h(1) == 'base' and not hasattr(m, 'one')",
    ),
]
