"""Decorators and calls that put something into an object, and the object changes."""

from . import Edit, swap

REGISTRY = """
    class Registry:
        def __init__(self, prefix):
            self.prefix = prefix
            self.found = {}
        def add(self, f):
            self.found[self.prefix + f.__name__] = f
            return f
        def call(self, name):
            def register(f):
                self.found[self.prefix + name] = f
                return lambda: ("called", f())
            return register
        def group(self, f):
            made = Registry(self.prefix + f.__name__ + ".")
            self.found[f.__name__] = made
            return made
    runs = []
    reg = Registry("a")
    @reg.add
    def f(): return 1
    @reg.call("other")
    def g(): return 2
    @reg.add
    class K:
        def m(self): return 3
    def plain(): return 4
    reg.add(plain)
    runs.append(1)
    """

EDITS = [
    Edit(
        "registered_again_on_a_new_object",
        REGISTRY,
        swap('Registry("a")', 'Registry("b")'),
        setup="f, g, K, o = m.f, m.g, m.K, m.K()",
        check="""
            assert sorted(m.reg.found) == ["bK", "bf", "bother", "bplain"]
            assert m.reg.found["bf"] is m.f is f and f() == 1
            assert m.reg.found["bK"] is m.K is K and isinstance(o, m.K) and o.m() == 3
            assert m.g() == g() == ("called", 2) and m.reg.found["bother"]() == 2
            assert m.runs == [1]
        """,
    ),
    Edit(
        "registered_again_with_other_bodies",
        REGISTRY,
        swap(
            'Registry("a")',
            'Registry("b")',
            "def f(): return 1",
            "def f(): return 11",
            "def g(): return 2",
            "def g(x=2): return x * 11",
        ),
        setup="f, g = m.f, m.g",
        then=[{"m.py": swap("return 11", "return 12", "x * 11", "x * 12")}],
        check="""
            assert sorted(m.reg.found) == ["bK", "bf", "bother", "bplain"]
            assert m.reg.found["bf"] is m.f is f and f() == 12
            assert m.g() == g() == ("called", 24) and m.reg.found["bother"]() == 24
        """,
    ),
    Edit(
        "registered_again_and_taken_back",
        REGISTRY,
        swap('Registry("a")', 'Registry("b")'),
        setup="f, reg = m.f, m.reg",
        mid="assert m.reg.found['bf'] is m.f is f",
        revert=True,
        check="""
            assert sorted(m.reg.found) == ["aK", "af", "aother", "aplain"]
            assert m.reg.found["af"] is m.f is f and f() == 1
        """,
        quiet=True,
    ),
    Edit(
        "registered_again_in_a_group_of_a_group",
        """
        class Group:
            def __init__(self, f, **options):
                self.f, self.options, self.found = f, options, {}
            def add(self, **options):
                def make(f):
                    made = self.found[f.__name__] = Group(f, **options)
                    return made
                return make
        def group(**options):
            return lambda f: Group(f, **options)
        @group(debug=False)
        def cli(): return "cli"
        @cli.add()
        def db(): return "db"
        @db.add(n=1)
        def up(n): return n
        """,
        swap("debug=False", "debug=True"),
        check="""
            assert m.cli.options == {"debug": True}
            assert m.cli.found == {"db": m.db} and m.db.found == {"up": m.up}
            assert m.up.f(5) == 5 and m.up.options == {"n": 1}
        """,
    ),
    Edit(
        "registered_not_again_on_the_same_object",
        """
        found = []
        class Registry:
            def add(self, f): found.append(f); return f
        one = Registry()
        reg = one
        @reg.add
        def f(): return 1
        """,
        swap("reg = one", "reg: object = one", "return 1", "return 2"),
        check="assert len(m.found) == 1 and m.found[0] is m.f and m.f() == 2",
    ),
    Edit(
        "registered_not_again_when_its_class_changes",
        """
        found = []
        class Registry:
            def add(self, f): found.append(f); return f
            def size(self): return len(found)
        reg = Registry()
        @reg.add
        def f(): return 1
        """,
        swap("return len(found)", "return [len(found)]"),
        check="assert m.reg.size() == [1] and m.found[0] is m.f",
    ),
    Edit(
        "registered_by_a_model_with_another_field",
        """
        from pydantic import BaseModel, TypeAdapter
        from typing import List
        class Item(BaseModel):
            n: int = 1
        class Other(BaseModel):
            n: int = 1
        one = TypeAdapter(Item)
        many = TypeAdapter(List[Item])
        other = TypeAdapter(Other)
        """,
        swap(
            "class Item(BaseModel):\n    n: int = 1",
            "class Item(BaseModel):\n    n: int = 1\n    q: str = 'q'",
        ),
        setup="one, many, validator = m.one, m.many, m.other.validator",
        check="""
            assert one is m.one and one.validate_python({"q": "x"}).q == "x"
            assert [i.q for i in many.validate_python([{}])] == ["q"]
            assert "q" in one.json_schema()["properties"]
        """,
        needs="pydantic",
    ),
]
