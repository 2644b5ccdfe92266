"""`from __future__ import annotations` comes and goes."""

from . import Edit, swap

TEXT = """
    import dataclasses, typing
    runs = []
    def note(x): runs.append(x); return x
    N: int = note(1)
    def f(a: int, b=[]) -> str: return a, b
    def plain(a=1): return a
    def mk():
        def inner(a: int): return a
        return inner
    class K:
        x: int = 1
        y: str
        def g(self, a: int = 2) -> int: return a
        def h(self): return 3
    @dataclasses.dataclass
    class D:
        a: int = 1
        b: typing.List[int] = dataclasses.field(default_factory=list)
    try:
        import json
    except ImportError:
        json = None
    """
HOLD = "f, g, k, d, D, inner, default = m.f, m.K().g, m.K(), m.D(), m.D, m.mk(), m.f(0)[1]"
SAME = """
    assert m.runs == [1] and m.N == 7 and m.f is f and m.D is D
    assert f(1) == (1, default) and f(1)[1] is default and k.h() == 3 and g() == 2
    assert isinstance(d, m.D) and m.D().b == [] and repr(m.D()) == repr(d)
    """
#: `fresh`: the program has set nothing
TEXTS = """
    assert m.f.__annotations__ == {"a": "int", "return": "str"}
    assert m.K.g.__annotations__ == {"a": "int", "return": "int"}
    assert m.K.__annotations__ == {"x": "int", "y": "str"}
    assert m.__annotations__ == {"N": "int"}
    assert m.D.__annotations__["a"] == "int" and m.mk().__annotations__ == {"a": "int"}
    assert [x.type for x in m.dataclasses.fields(m.D)] == ["int", "typing.List[int]"]
    """
OBJECTS = """
    assert m.f.__annotations__ == {"a": int, "return": str}
    assert m.K.g.__annotations__ == {"a": int, "return": int}
    assert m.K.__annotations__ == {"x": int, "y": str}
    assert m.__annotations__ == {"N": int}
    assert m.D.__annotations__["a"] is int and m.mk().__annotations__ == {"a": int}
    """
WITH = "from __future__ import annotations\n"
ADD = swap("import dataclasses, typing\n", WITH + "import dataclasses, typing\n")
REMOVE = swap(WITH, "")


def with_future(text):
    return text.replace("    import dataclasses", "    " + WITH + "    import dataclasses")


EDITS = [
    Edit("future_added_to_a_module", TEXT, ADD, setup=HOLD, check=TEXTS),
    Edit(
        "future_removed_from_a_module",
        with_future(TEXT),
        REMOVE,
        setup=HOLD,
        check=OBJECTS,
    ),
    Edit(
        "future_added_and_state_kept",
        TEXT,
        ADD,
        setup=HOLD + "\nm.N = 7",
        check=SAME.rstrip() + "\n    assert 'int' in m.f.__annotations__.values()",
        fresh=False,
    ),
    Edit(
        "future_added_with_an_edit_and_taken_back",
        TEXT,
        {"m.py": ADD},
        setup=HOLD + "\nm.N = 7",
        then=[{"m.py": swap("return 3", "return 33")}],
        revert=True,
        check=SAME.rstrip() + "\n" + OBJECTS.lstrip("\n"),
        quiet=True,
        fresh=False,
    ),
    Edit(
        "future_removed_and_a_name_is_missing",
        WITH + "def f(a: Later): return 1\nclass K:\n    def g(self) -> K: return 1\n",
        swap(WITH, "", "return 1\nclass", "return 2\nclass"),
        setup="f = m.f",
        refused="HR110",
        check="assert f(0) == 1 and f.__annotations__ == {'a': 'Later'}",
    ),
    Edit(
        "future_added_with_names_that_are_missing",
        "class K:\n    def g(self): return 1\ndef f(a): return 1\n",
        WITH + "class K:\n    def g(self) -> K: return 2\ndef f(a: Later): return 2\n",
        setup="f, o = m.f, m.K()",
        check="assert f(0) == 2 == o.g() and f.__annotations__ == {'a': 'Later'}",
    ),
    Edit(
        "future_rule_without_a_meaning_added",
        "X = 1\ndef f(): return X\n",
        "from __future__ import print_function, division\nX = 2\ndef f(): return X\n",
        setup="f = m.f",
        check="assert f() == 2 and m.division",
    ),
    Edit(
        "future_rule_of_all_added",
        "X = 1\n",
        "from __future__ import barry_as_FLUFL\nX = 2\n",
        refused="HR403",
        check="assert m.X == 1",
    ),
]
