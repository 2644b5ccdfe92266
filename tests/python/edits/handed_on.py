"""What old wrappers, caches and definitions that moved hand on to the new ones."""

from . import Edit, swap


class every(swap):
    """`swap`, wherever it stands."""

    def __call__(self, text, where):
        for old, new in self.pairs:
            text = text.replace(old, new)
        return text


DECORATORS = """
import functools
def plain(function):
    def wrapper(*args): return ("plain", function(*args))
    return wrapper
class Object:
    def __init__(self, function): self.function = function
    def __call__(self, *args): return ("object", self.function(*args))
"""

SHARED = """
def mk():
    def off(): return "off"
    return off
off = mk()
def feature(function): return off
@feature
def f(): return "f"
@feature
def g(): return "g"
"""

EDITS = [
    Edit(
        "cache_behind_plain_wrappers",
        DECORATORS
        + """
R = {}
def register(function): R[function.__name__] = function
@plain
@functools.lru_cache(None)
def f(x): return ("old", x)
@Object
@functools.lru_cache(None)
def g(x): return ("old", x)
@register
@functools.lru_cache(None)
def h(x): return ("old", x)
""",
        every('"old"', '"new"'),
        setup="f, g, h = m.f, m.g, m.R['h']; f(1), g(1), h(1)",
        check="""
            assert f(1) == m.f(1) == ("plain", ("new", 1))
            assert g(1) == m.g(1) == ("object", ("new", 1))
            assert h(1) == m.R["h"](1) == ("new", 1)
        """,
    ),
    Edit(
        "cache_of_before_and_a_changed_default",
        """
        from functools import lru_cache
        N = 1
        @lru_cache(None)
        def f(x, y=N): return (x, y)
        """,
        swap("@lru", "@(lambda f: f)\n@lru"),
        then=(swap("N = 1", "N = 2"),),
        setup="f = m.f; f(0)",
        mid="assert f(0) == m.f(0) == (0, 1)",
        check="assert f(0) == m.f(0) == (0, 2)",
    ),
    Edit(
        "cache_added_removed_and_added",
        """
        from functools import lru_cache
        @lru_cache(None)
        def f(x): return ("old", x)
        """,
        swap("@lru_cache(None)\n", ""),
        then=(swap("def f", "@lru_cache\ndef f"), swap('"old"', '"new"')),
        setup="f = m.f; f(0)",
        mid="assert f(0) == ('old', 0); plain = m.f",
        check="assert f(0) == plain(0) == m.f(0) == ('new', 0)",
        fresh=False,
    ),
    Edit(
        "cache_of_before_and_wrappers_that_go_one_by_one",
        DECORATORS
        + """
@functools.lru_cache
@plain
def f(x): return ("old", x)
""",
        swap("@functools.lru_cache\n", "@(lambda f: f)\n"),
        then=(swap("@plain\n", ""), swap('"old"', '"new"')),
        setup="f = m.f; f(0)",
        mid="assert f(0) == m.f(0) == ('plain', ('old', 0)); plain = m.f",
        check="assert f(0)[1] == plain(0) == m.f(0) == ('new', 0)",
        fresh=False,
    ),
    Edit(
        "wrapper_that_becomes_an_object",
        DECORATORS
        + """
@plain
def f(x): return ("old", x)
""",
        swap("@plain", "@Object"),
        then=(swap('"old"', '"new"'),),
        setup="f = m.f",
        mid="assert f(1) == m.f(1) == ('object', ('old', 1))",
        check="assert f(1) == m.f(1) == ('object', ('new', 1))",
    ),
    Edit(
        "wrapper_shared_by_several_names",
        SHARED,
        swap('@feature\ndef f(): return "f"', 'def f(): return "new"'),
        setup="off = m.off",
        check="assert m.f() == 'new' and off() == m.off() == m.g() == 'off'",
    ),
    Edit(
        "wrapper_that_is_a_function_of_the_module",
        SHARED.replace("off = mk()", "def off(): return 'off'"),
        every("@feature\n", ""),
        setup="off, g = m.off, m.g",
        check="assert (m.f(), m.g(), m.off(), off()) == ('f', 'g', 'off', 'off')",
    ),
    Edit(
        "wrapper_made_by_hand_gone_while_the_function_changes",
        DECORATORS
        + """
def f(x): return ("old", x)
f = plain(f)
""",
        swap('"old"', '"new"', "\nf = plain(f)\n", "\n"),
        setup="f = m.f",
        check="assert f(1) == m.f(1) == ('new', 1)",
    ),
    Edit(
        "wrapper_copied_signature",
        """
        import inspect
        def deco(function):
            def wrapper(*args): return function(*args)
            wrapper.__signature__ = inspect.signature(function)
            return wrapper
        @deco
        def f(a, b=1): return (a, b)
        """,
        swap("(a, b=1): return (a, b)", "(a, b=2, *, c=3): return (a, b, c)"),
        setup="import inspect; f = m.f",
        check="""
            assert f(1) == (1, 2, 3)
            assert str(inspect.signature(f)) == "(a, b=2, *, c=3)"
        """,
    ),
    Edit(
        "wrapper_of_a_wrapper_without_doc_has_none",
        """
        import functools
        def plain(function):
            def wrapper(*args): return function(*args)
            return wrapper
        def deco(function):
            @functools.wraps(function)
            def wrapper(*args): return function(*args)
            return wrapper
        @deco
        @plain
        def f(): return 1
        @deco
        @deco
        def g(): return 1
        """,
        every("(): return 1", '():\n    "doc"\n    return 2'),
        setup="f, g = m.f, m.g",
        check="assert (f(), f.__doc__, g(), g.__doc__) == (2, None, 2, 'doc')",
    ),
    Edit(
        "moved_cached_function",
        {
            "m.py": """
                from functools import lru_cache
                import other
                @lru_cache(None)
                def f(x): return ("old", x)
            """,
            "other.py": "from functools import lru_cache\n",
        },
        {
            "m.py": "from other import f\n",
            "other.py": """
                from functools import lru_cache
                @lru_cache(None)
                def f(x): return ("there", x)
            """,
        },
        then=({"other.py": swap('"there"', '"new"')},),
        setup="f = m.f; f(1)",
        mid="assert f(1) == m.f(1) == ('there', 1)",
        check="assert f(1) == m.f(1) == ('new', 1)",
        ways=("apply",),
    ),
    Edit(
        "moved_plainly_wrapped_function_and_back",
        {
            "base.py": DECORATORS,
            "m.py": """
                from base import *
                @plain
                def f(x): return ("old", x)
                g = lambda x: ("old", x)
                @Object
                def h(x): return ("old", x)
                import other
            """,
            "other.py": "from base import *\n",
        },
        {
            "m.py": "from base import *\nfrom other import f, g, h\n",
            "other.py": """
                from base import *
                @plain
                def f(x): return ("there", x)
                g = lambda x: ("there", x)
                @Object
                def h(x): return ("there", x)
            """,
        },
        then=(
            {
                "m.py": """
                    from base import *
                    @plain
                    def f(x): return ("back", x)
                    g = lambda x: ("back", x)
                    @Object
                    def h(x): return ("back", x)
                    import other
                """,
                "other.py": "from base import *\n",
            },
            {
                "m.py": every('"back"', '"new"'),
            },
        ),
        setup="f, g, h = m.f, m.g, m.h",
        mid="""
            assert f(1) == m.f(1) == ("plain", ("there", 1))
            assert g(1) == m.g(1) == ("there", 1)
            assert h(1) == m.h(1) == ("object", ("there", 1))
        """,
        check="""
            assert f(1) == m.f(1) == ("plain", ("new", 1))
            assert g(1) == m.g(1) == ("new", 1)
            assert h(1) == m.h(1) == ("object", ("new", 1))
        """,
        ways=("apply",),
    ),
    Edit(
        "closure_lambda_told_from_the_one_in_its_header",
        """
        def mk(n):
            g = lambda q: (q, n)
            return g
        """,
        swap("lambda q: (q, n)", "lambda q, y=lambda: 4: (q, 666, y())"),
        then=(swap("lambda: 4", "lambda: 5"),),
        setup="g = m.mk(1)",
        mid="assert g(8) == m.mk(1)(8) == (8, 666, 4)",
        check="assert g(8) == m.mk(1)(8) == (8, 666, 5)",
    ),
    Edit(
        "class_decorator_that_returns_a_function",
        """
        # here
        def singleton(cls):
            made = {}
            def get():
                if cls not in made:
                    made[cls] = cls()
                return made[cls]
            return get
        @singleton
        class K:
            def __init__(self): self.v = 1
            def get(self): return ("old", self.v)
        """,
        swap('"old"', '"mid"', "# here", "# here\n#"),
        then=(swap('"mid"', '"new"', "self.v)", "self.v)\n    def more(self): return 5"),),
        setup="get = m.K; o = get(); o.v = 7; bound = o.get",
        mid="assert bound() == ('mid', 7)",
        check="""
            assert m.K is get and m.K() is o and o.more() == 5
            assert bound() == o.get() == ("new", 7)
        """,
    ),
]
