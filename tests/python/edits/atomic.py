"""All or nothing: what cannot be applied changes nothing; the next good save works."""

from . import Edit, swap

TWO = """
    X = 1
    def f(): return 1
    def g(): return 1
"""
GOOD = """
    X = 3
    def f(): return 3
    def g(): return 3
"""
KEPT = "assert (m.f(), h(), m.g(), m.X) == (1, 1, 1, 1), (m.f(), h(), m.g(), m.X)"
THEN_GOOD = "assert (m.f(), h(), m.g(), m.X) == (3, 3, 3, 3)"
PAIR = {"m.py": TWO, "z.py": TWO}
PAIR_KEPT = """
    assert (m.f(), h(), m.g(), m.X) == (1, 1, 1, 1)
    assert (z.f(), z.g(), z.X) == (1, 1, 1)
"""


def broken(name, text, code, **more):
    """A save of `m.py` that must be refused, and that nothing may be left of."""
    return [
        Edit(name, TWO, text, setup="h = m.f", check=KEPT, refused=code, **more),
        Edit(
            name + "_then_good_save",
            TWO,
            text,
            setup="h = m.f",
            mid=KEPT,
            then=[GOOD],
            check=THEN_GOOD,
            refused=code,
            **more,
        ),
    ]


EDITS = [
    *broken("syntax_error", "X = 2\ndef f(): return 2\ndef g(: return 2\n", "HR101"),
    *broken("indentation_error", "X = 2\ndef f():\nreturn 2\n", "HR101"),
    *broken("unclosed_string", 'X = 2\ndef f(): return 2\nS = """never\n', "HR101"),
    *broken("unclosed_bracket", "X = (2\ndef f(): return 2\n", "HR101"),
    *broken("tabs_mixed", "X = 2\ndef f():\n\tif X:\n        return 2\n", "HR101"),
    *broken("return_outside_function", "X = 2\ndef f(): return 2\nreturn\n", "HR101"),
    *broken(
        "future_import_too_late", "X = 2\nfrom __future__ import division\n", "HR101"
    ),
    *broken("undecodable", b"X = 2\ndef f(): return '\xff\xfe'\n", "HR102"),
    *broken("unknown_encoding", b"# coding: no-such-thing\nX = 2\n", "HR102"),
    *broken("null_byte", b"X = 2\ndef f(): return 2\n\0", "HR102"),
    *broken("raises_at_end", TWO.replace("1", "2") + "    1 / 0\n", "HR110"),
    *broken(
        "raises_in_middle", "X = 2\nraise ValueError\ndef f(): return 2\n", "HR110"
    ),
    *broken("raises_name_error", "X = missing\ndef f(): return 2\n", "HR110"),
    *broken("raises_import_error", "import no_such_module_here\nX = 2\n", "HR110"),
    *broken(
        "raises_from_import_error", "from os import no_such_name\nX = 2\n", "HR110"
    ),
    *broken("raises_in_default", "X = 2\ndef f(a=1 / 0): return 2\n", "HR110"),
    *broken("raises_in_decorator", "X = 2\n@missing\ndef f(): return 2\n", "HR110"),
    *broken("raises_system_exit", "X = 2\nraise SystemExit(3)\n", "HR110"),
    *broken("raises_keyboard_interrupt", "X = 2\nraise KeyboardInterrupt\n", "HR110"),
    Edit(
        "raises_in_class_body",
        """
        class K:
            X = 1
            def a(self): return 1
        def f(): return 1
        """,
        """
        class K:
            X = 2
            def a(self): return 2
            Y = missing
        def f(): return 2
        """,
        setup="o = m.K()",
        check="assert (o.a(), m.K.X, m.f()) == (1, 1, 1) and not hasattr(m.K, 'Y')",
        refused="HR110",
    ),
    Edit(
        "raises_in_set_name",
        """
        class Field:
            def __init__(self, ok): self.ok = ok
            def __set_name__(self, owner, name):
                if not self.ok:
                    raise ValueError("not ok")
        class K:
            a = Field(True)
            def b(self): return 1
        def f(): return 1
        """,
        swap(
            "Field(True)",
            "Field(False)",
            "b(self): return 1",
            "b(self): return 2",
            "def f(): return 1",
            "def f(): return 2",
        ),
        setup="o = m.K()",
        check="assert o.b() == 1 and m.f() == 1 and m.K.a.ok is True",
        refused="HR110",
    ),
    Edit(
        "raises_after_many_changes_of_one_class",
        """
        class K:
            A = 1
            def a(self): return 1
            def b(self): return 1
        """,
        """
        class K:
            A = 2
            def a(self): return 2
            def c(self): return 2
        raise RuntimeError
        """,
        setup="o = m.K(); b = o.a",
        check="""
            assert (o.A, o.a(), b(), o.b()) == (1, 1, 1, 1) and not hasattr(o, "c")
        """,
        refused="HR110",
    ),
    Edit(
        "raises_leaves_no_new_module_behind",
        {"m.py": "X = 1\n"},
        {
            "m.py": "import newcomer\nX = 2\n",
            "newcomer.py": "raise RuntimeError('bad')\n",
        },
        check="import sys; assert m.X == 1 and 'newcomer' not in sys.modules",
        refused="HR110",
        ways=("apply",),
    ),
    Edit(
        "raises_rebinding_of_program_is_not_lost",
        TWO,
        "X = 2\nraise ValueError\n",
        setup="h = m.f; m.X = 'mine'; m.injected = 1",
        check="assert m.X == 'mine' and m.injected == 1 and m.f() == 1",
        refused="HR110",
        quiet=True,
        fresh=True,
    ),
    Edit(
        "raises_from_imports_elsewhere_unchanged",
        {
            "m.py": TWO,
            "user.py": """
                from m import X, f
                Y = X + 1
            """,
        },
        "X = 2\ndef f(): return 2\nraise ValueError\n",
        setup="import user; h = m.f",
        check="assert (user.X, user.Y, user.f(), h()) == (1, 2, 1, 1)",
        refused="HR110",
    ),
    Edit(
        "batch_with_syntax_error_in_first_name",
        PAIR,
        {"m.py": "def f(: pass\n", "z.py": GOOD},
        setup="import z; h = m.f",
        check=PAIR_KEPT,
        refused="HR101",
        ways=("apply",),
    ),
    Edit(
        "batch_with_syntax_error_in_last_name",
        PAIR,
        {"m.py": GOOD, "z.py": "def f(: pass\n"},
        setup="import z; h = m.f",
        check=PAIR_KEPT,
        refused="HR101",
        ways=("apply",),
    ),
    Edit(
        "batch_with_exception_in_first_name",
        PAIR,
        {"m.py": GOOD + "    1 / 0\n", "z.py": GOOD},
        setup="import z; h = m.f",
        check=PAIR_KEPT,
        refused="HR110",
        ways=("apply",),
    ),
    Edit(
        "batch_with_exception_in_last_name",
        PAIR,
        {"m.py": GOOD, "z.py": GOOD + "    1 / 0\n"},
        setup="import z; h = m.f",
        check=PAIR_KEPT,
        refused="HR110",
        ways=("apply",),
    ),
    Edit(
        "batch_refused_then_the_broken_file_alone_is_repaired",
        PAIR,
        {"m.py": GOOD, "z.py": GOOD + "    1 / 0\n"},
        setup="import z; h = m.f",
        mid=PAIR_KEPT,
        then=[{"z.py": GOOD}],
        check="assert (z.f(), z.g(), z.X) == (3, 3, 3) and m.f() == h() == 3",
        refused="HR110",
        ways=("apply",),
    ),
    Edit(
        "batch_with_undecodable_file",
        PAIR,
        {"m.py": GOOD, "z.py": b"X = '\xff'\n"},
        setup="import z; h = m.f",
        check=PAIR_KEPT,
        refused="HR102",
        ways=("apply",),
    ),
    Edit(
        "refused_file_is_new_then_good",
        {"m.py": "X = 1\n"},
        {"late.py": "def f(: pass\n"},
        mid="""
            try:
                import late
            except SyntaxError:
                pass
        """,
        then=[{"late.py": "def f(): return 1\n"}],
        check="import late; assert late.f() == 1",
        may_refuse="HR101",
        unchanged="import late; assert late.f() == 1",
    ),
    Edit(
        "refused_edit_taken_back",
        TWO,
        "X = 2\nraise ValueError\n",
        setup="h = m.f; f, g = m.f, m.g",
        then=[TWO],
        check="assert (m.f(), h(), m.X) == (1, 1, 1) and m.f is f and m.g is g",
        refused="HR110",
        quiet=True,
    ),
    Edit(
        "refused_state_survives",
        """
        n = 0
        def bump():
            global n
            n += 1
            return n
        """,
        "n = 100\ndef bump(: pass\n",
        setup="m.bump(); m.bump()",
        then=[
            """
        n = 0
        def bump():
            global n
            n += 10
            return n
        """
        ],
        check="assert m.bump() == 12",
        refused="HR101",
        fresh=False,
    ),
]
