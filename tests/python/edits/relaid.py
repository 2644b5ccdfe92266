"""Lines of what did not run: statements with other words, classes of a package."""

from . import Edit, swap

LINE = """
    import sys, traceback
    def line(call, *args):
        try:
            call(*args)
        except ValueError:
            frames = traceback.extract_tb(sys.exc_info()[2])
            return frames[-1].lineno, frames[-1].line
"""

EDITS = [
    Edit(
        "lines_under_if_after_a_comment",
        """
        import sys
        if sys:
            def f():
                raise ValueError
            class K:
                def g(self):
                    raise ValueError
        """,
        """
        import sys
        # one
        if sys:  # two
            # three
            def f():
                # four
                raise ValueError
            # five
            class K:
                def g(self):
                    # six
                    raise ValueError
        """,
        setup=LINE + "    f, g = m.f, m.K().g",
        check="""
            assert line(f) == line(m.f) == (7, "raise ValueError"), line(f)
            assert line(g) == line(m.K().g) == (12, "raise ValueError"), line(g)
        """,
    ),
    Edit(
        "lines_under_try_after_a_blank_line",
        """
        try:
            import json
        except ImportError:
            json = None
        else:
            def f():
                json.loads("1")
                raise ValueError
        """,
        swap("    def f():\n", "\n\n    def f():\n"),
        setup=LINE + "    f = m.f",
        check="assert line(f) == (10, 'raise ValueError'), line(f)",
    ),
    Edit(
        "lines_of_lambdas_in_a_dict_with_another_annotation",
        """
        def fail(): raise ValueError
        X = 1
        D: dict = {
            "a": lambda x: x.boom(),
            "b": lambda x: x,
        }
        """,
        swap("X = 1\n", "X = 1\n# one\n# two\n", "D: dict", "D: object"),
        setup="a, b = m.D['a'], m.D['b']",
        check="""
            assert a is m.D["a"] and a.__code__.co_firstlineno == 6
            assert b is m.D["b"] and b.__code__.co_firstlineno == 7
        """,
    ),
    Edit(
        "lines_of_a_lambda_that_is_a_default",
        "def f(g=lambda: 1, *, h=lambda: 2):\n    return g, h\n",
        "X = 1\n\ndef f(g=lambda: 1, *, h=lambda: 2):\n    return g, h\n",
        setup="g, h = m.f()",
        check="""
            assert m.f() == (g, h)
            assert g.__code__.co_firstlineno == h.__code__.co_firstlineno == 3
        """,
    ),
    Edit(
        "lines_of_a_class_whose_module_was_set",
        {
            "m.py": "from p import K, E\n",
            "p/__init__.py": """
                from ._k import K, E
                for _one in (K, E):
                    _one.__module__ = "p"
            """,
            "p/_k.py": """
                import enum
                class K:
                    def f(self):
                        raise ValueError
                class E(enum.Enum):
                    A = 1
                    def f(self):
                        raise ValueError
            """,
        },
        {"p/_k.py": swap("import enum\n", "import enum\n\n\n")},
        setup=LINE + "    k, e = m.K().f, m.E.A.f",
        check="""
            assert line(k) == (6, "raise ValueError"), line(k)
            assert line(e) == (10, "raise ValueError"), line(e)
            assert m.K.__module__ == m.E.__module__ == "p"
        """,
    ),
    Edit(
        "lines_of_a_class_in_a_function_that_moved",
        """
        def mk():
            class K:
                X = 20
                def g(self): return 1
                class Inner:
                    Y = 10
            return K
        """,
        """
        import sys


        def mk():
            class K:
                X = 20
                def g(self): return 1
                class Inner:
                    Y = 10
            return K
        """,
        setup="import inspect, linecache; mk = m.mk",
        check="""
            linecache.checkcache()
            K = mk()
            assert inspect.getsource(K).lstrip().startswith("class K:"), inspect.getsource(K)
            assert K.g.__code__.co_firstlineno == 7
            assert inspect.getsource(K.Inner).lstrip().startswith("class Inner:")
            assert getattr(K, "__firstlineno__", 5) == 5
        """,
    ),
]
