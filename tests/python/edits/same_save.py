"""Names that are imported from another module of the same save; values that only
compare equal; nested classes that change and move."""

from . import Edit

EDITS = [
    Edit(
        "changed_default_reads_an_import_of_the_same_save",
        {
            "m.py": "from other import X\ndef f(x=X): return x\n",
            "other.py": "X = 1\n",
        },
        {
            "m.py": "from other import X\ndef f(y=0, x=X): return x\n",
            "other.py": "X = 2\n",
        },
        setup="h = m.f",
        check="assert h() == 2 and m.X == 2",
        ways=("apply",),
    ),
    Edit(
        "new_definition_reads_an_import_of_the_same_save",
        {"m.py": "from other import X as Y\n", "other.py": "X = 1\n"},
        {
            "m.py": "from other import X as Y\ndef f(x=Y): return x\n",
            "other.py": "X = 2\n",
        },
        check="assert m.f() == 2 and m.Y == 2",
        ways=("apply",),
    ),
    Edit(
        "changed_call_reads_an_import_of_the_same_save",
        {
            "m.py": """
            from other import X
            def g(x): return x, X
            R = g(X)
            """,
            "other.py": "X = 1\n",
        },
        {
            "m.py": """
            from other import X
            def g(x): return x, X
            R = [g(X)]
            """,
            "other.py": "X = 2\n",
        },
        check="assert m.R == [(2, 2)]",
        ways=("apply",),
    ),
    Edit(
        "name_that_is_bound_again_is_not_taken_from_the_import",
        {
            "m.py": "from other import X\nX = 1\ndef f(x=X): return x\n",
            "other.py": "X = 1\n",
        },
        {
            "m.py": "from other import X\nX = 1\ndef f(y=0, x=X): return x\n",
            "other.py": "X = 2\n",
        },
        check="assert m.f(5) == 1 and m.X == 1",
        ways=("apply",),
    ),
    Edit(
        "equal_true_becomes_one_in_a_list",
        "X = True\nY = [X]\nT = {'a': (X,)}\n",
        "X = 1\nY = [X]\nT = {'a': (X,)}\n",
        check="assert type(m.Y[0]) is int and type(m.T['a'][0]) is int",
    ),
    Edit(
        "equal_zero_becomes_minus_zero_in_a_tuple",
        "X = 0.0\nY = (X,)\n",
        "X = -0.0\nY = (X,)\n",
        check="assert str(m.Y) == '(-0.0,)'",
    ),
    Edit(
        "lines_of_nested_class_that_changes_and_moves",
        """
        class K:
            def a(self): return 1
            class N:
                def f(self): return 1
                def g(self): return 2
        """,
        """
        class K:
            def a(self): return 1
            def b(self): return 1
            class N:
                def f(self): return 3
                def g(self): return 2
        """,
        setup="n = m.K.N",
        check="""
        assert n is m.K.N and n().f() == 3
        assert n.g.__code__.co_firstlineno == 6
        assert getattr(n, '__firstlineno__', 4) == 4
        """,
    ),
]
