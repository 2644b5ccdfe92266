"""Imports of modules of the same save, wherever they stand; all of it by apply()."""

from . import Edit


def batch(name, *texts, check, **more):
    """m.py and helper.py, before and after."""
    before = {"m.py": texts[0], "helper.py": texts[1]}
    after = {"m.py": texts[2], "helper.py": texts[3]}
    return Edit(name, before, after, check=check, ways=("apply",), **more)


EDITS = [
    batch(
        "import_under_try_of_a_name_of_the_same_save",
        "import helper\nX = helper.x\n",
        "x = 1\n",
        """
            try:
                from helper import x, y
            except ImportError:
                x = y = 0
            X = x + y
        """,
        "x = 2\ny = 5\n",
        check="assert (m.x, m.y, m.X) == (2, 5, 7), (m.x, m.y, m.X)",
    ),
    batch(
        "import_under_if_is_used_there",
        "import helper\n",
        "x = 1\ndef f(): return 'old'\n",
        """
            import helper
            if True:
                import helper as h
                from helper import f
                X = h.x, f(), h.f()
        """,
        "x = 2\ndef f(): return 'new'\n",
        setup="import helper; f = helper.f",
        check="""
            assert m.X == (2, "new", "new"), m.X
            assert m.f is f and m.h is helper and f() == "new"
        """,
    ),
    batch(
        "import_with_more_behind_it",
        "from helper import x\nY = x\n",
        "x = 1\nz = 1\n",
        "from helper import x; Z = x; from helper import z\nY = x + z\n",
        "x = 2\nz = 3\n",
        check="assert (m.x, m.Z, m.z, m.Y) == (2, 2, 3, 5)",
    ),
    batch(
        "import_in_a_function_that_a_statement_calls",
        """
            def load():
                from helper import TABLE
                return dict(TABLE)
            X = 0
        """,
        "TABLE = {'a': 1}\n",
        """
            def load():
                from helper import TABLE
                return dict(TABLE)
            X = load()
        """,
        "TABLE = {'a': 2, 'b': 3}\n",
        setup="load = m.load",
        check="""
            assert m.X == {"a": 2, "b": 3}, m.X
            assert m.load is load and load() == m.X
        """,
    ),
    batch(
        "import_of_a_name_that_the_same_save_removes",
        "from helper import x\nY = x\n",
        "x = 1\n",
        """
            try:
                from helper import x
            except ImportError:
                x = "gone"
            Y = x
        """,
        "y = 1\n",
        check="assert (m.x, m.Y) == ('gone', 'gone')",
    ),
    batch(
        "import_star_under_try_of_the_same_save",
        "from helper import *\n",
        "__all__ = ['a']\na = 1\n",
        """
            try:
                from helper import *
            except ImportError:
                pass
            X = a, b
        """,
        "__all__ = ['a', 'b']\na = 2\nb = 3\n",
        check="assert (m.a, m.b, m.X) == (2, 3, (2, 3))",
    ),
    batch(
        "import_that_a_refused_module_cannot_be_forgiven",
        "import helper\nX = 1\n",
        "x = 1\n",
        """
            try:
                from helper import x
            except ImportError:
                x = 0
            X = 2
        """,
        "import m\nx = 2\nraise ValueError('no')\n",
        check="assert m.X == 1 and m.helper.x == 1 and not hasattr(m, 'x')",
        refused="HR110",
    ),
    Edit(
        "import_in_a_class_of_the_same_save",
        {
            "m.py": "class K:\n    pass\n",
            "p/__init__.py": "",
            "p/q.py": "x = 1\ndef f(self): return 1\n",
        },
        {
            "m.py": """
                class K:
                    from p.q import x, f
                    import p.q as q
                    y = q.x
            """,
            "p/q.py": "x = 2\ndef f(self): return 2\n",
        },
        setup="import p.q",
        check="""
            assert (m.K.x, m.K.y, m.K().f()) == (2, 2, 2)
            assert m.K.q is p.q and m.K.f is p.q.f
        """,
        ways=("apply",),
    ),
]
