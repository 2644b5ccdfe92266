"""Sources that get in the way of the save: what they import, reload, raise."""

from . import Edit

EDITS = [
    Edit(
        "dataclass_field_added_below_nested_heirs",
        {
            "m.py": """
                from dataclasses import dataclass, make_dataclass
                from base import B
                class Outer:
                    @dataclass
                    class Inner(B):
                        b: int = 2
                def make():
                    @dataclass
                    class Local(B):
                        c: int = 3
                    return Local
                Made = make_dataclass("Made", [("d", int, 4)], bases=(B,))
                Local = make()
            """,
            "base.py": """
                from dataclasses import dataclass
                @dataclass
                class B:
                    a: int = 1
            """,
        },
        {
            "base.py": """
                from dataclasses import dataclass
                @dataclass
                class B:
                    a: int = 1
                    aa: int = 11
            """,
        },
        check="""
            assert repr(m.B()) == "B(a=1, aa=11)", m.B()
            assert (m.Outer.Inner().b, m.Local().c, m.Made().d) == (2, 3, 4)
        """,
    ),
    Edit(
        "raises_an_exception_with_a_lone_surrogate",
        "X = 1\n",
        """
            X = 2
            raise OSError("no file caf\\udce9")
        """,
        setup="assert m.X == 1",
        check="assert m.X == 1",
        refused="HR110",
    ),
    Edit(
        "module_with_a_statement_that_reloads_it",
        """
            X = 1
            def f(): return 1
            def g(): return 1
        """,
        """
            X = 2
            import importlib, sys
            if not hasattr(sys, "reloaded"):
                sys.reloaded = True
                importlib.reload(sys.modules["m"])
            TEXTS = [str(i) * 500 for i in range(2000)]
            def f(): return 2
            def g(): return 2
        """,
        setup="f = m.f",
        check="""
            assert (m.X, m.f(), m.g(), len(m.TEXTS)) == (2, 2, 2, 2000)
            import sys
            del sys.reloaded
        """,
    ),
    Edit(
        "abc_of_a_metaclass_with_two_bases_forgets_what_it_found",
        """
            from abc import ABCMeta
            class Other(type):
                pass
            class Meta(Other, ABCMeta):
                pass
            class HasRun(metaclass=Meta):
                @classmethod
                def __subclasshook__(cls, other):
                    return hasattr(other, "run")
            class K:
                pass
        """,
        """
            from abc import ABCMeta
            class Other(type):
                pass
            class Meta(Other, ABCMeta):
                pass
            class HasRun(metaclass=Meta):
                @classmethod
                def __subclasshook__(cls, other):
                    return hasattr(other, "run")
            class K:
                def run(self): pass
        """,
        setup="k = m.K(); isinstance(k, m.HasRun)",
        check="assert isinstance(k, m.HasRun)",
    ),
]
