"""Types that are made of other types, and these change."""

from . import Edit, swap

EDITS = [
    Edit(
        "type_alias_of_aliases",
        """
        import typing
        from typing import Awaitable, Callable, Dict, List, Mapping, Union
        Message = Dict[str, int]
        Receive = Callable[[], Awaitable[Message]]
        Send = typing.Callable[[Message], None]
        Any = Callable[..., Message]
        Rows = list[Message]
        Table = dict[str, Rows]
        Either = Union[Rows, None]
        App = typing.Callable[[Message, Receive, Send], Awaitable[None]]
        def f(m: Message, r: Receive) -> Table: return {}
        """,
        swap("Message = Dict[str", "Message = Mapping[str"),
        setup="f = m.f",
        check="""
            import typing
            M = m.Mapping[str, int]
            R = m.Callable[[], m.Awaitable[M]]
            S = m.Callable[[M], None]
            assert m.Message == M and m.Receive == R and m.Send == S
            assert m.Any == m.Callable[..., M] and m.Rows == list[M]
            assert m.Table == dict[str, list[M]] and m.Either == m.Union[list[M], None]
            assert m.App == m.Callable[[M, R, S], m.Awaitable[None]]
            assert f.__annotations__ == {"m": M, "r": R, "return": m.Table}
        """,
    ),
    Edit(
        "type_alias_from_another_module",
        {
            "m.py": """
                import types_
                from types_ import Row
                Rows = list[Row]
                Call = types_.typing.Callable[[types_.Row], Rows]
            """,
            "types_.py": "import typing\nRow = tuple[int, str]\n",
        },
        {"types_.py": swap("int, str", "int, bytes")},
        check="""
            assert m.Rows == list[tuple[int, bytes]]
            assert m.Call.__args__ == (tuple[int, bytes], list[tuple[int, bytes]])
        """,
    ),
    Edit(
        "type_alias_that_the_program_has_set",
        "Row = list[int]\nRows = list[Row]\nOther = dict[str, Row]\n",
        swap("list[int]", "list[str]"),
        setup="m.Other = 5",
        check="assert m.Rows == list[list[str]] and m.Other == 5",
        fresh=False,
    ),
]
