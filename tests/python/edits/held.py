"""What is held where no name leads: lambdas of headers, functions in objects."""

from . import Edit, swap

#: a line above, then another body
MOVED = swap("# here", "ABOVE = 1\n# and\n# here")
EDITED = swap('"old"', '"new"')

HELD = """
{decorator}
# here
@deco
def f(x=5):
    return ("old", x)
"""

CALLED = """
class Command:
    def __init__(self, function): self.callback = function
    def invoke(self, *args): return self.callback(*args)
def deco(function): return Command(function)
"""


def stray(name, decorator, call, setup="held = m.f"):
    """Moved by one save, edited by the next; `call` by what is held."""
    return Edit(
        name,
        HELD.format(decorator=decorator),
        MOVED,
        then=(EDITED,),
        setup=setup,
        check=f"""
            assert {call} == ("new", 1)
            assert m.ABOVE == 1
        """,
    )


EDITS = [
    Edit(
        "lambda_default_held",
        """
        def f(xs, key=lambda x: x + 1, *, other=lambda x: -x):
            return [key(other(x)) for x in xs]
        class K:
            def f(self, key=lambda x: x + 1): return key(1)
        """,
        """
        def f(xs, key=lambda x: x * 10, *, other=lambda x: x):
            return [key(other(x)) for x in xs]
        class K:
            def f(self, key=lambda x: x * 10): return key(1)
        """,
        setup="""
            key, other = m.f.__defaults__[0], m.f.__kwdefaults__["other"]
            method = m.K.f.__defaults__[0]
            o = m.K()
        """,
        check="""
            assert (key(5), other(5), method(5)) == (50, 5, 50)
            assert m.f.__defaults__ == (key,) and m.f([1]) == [10]
            assert m.f.__kwdefaults__ == {"other": other} and o.f() == 10
        """,
    ),
    Edit(
        "lambda_default_held_in_dict",
        """
        def f(op, ops={"a": lambda x: x + 1, "b": lambda x: x - 1}):
            return ops[op](1)
        """,
        swap("x + 1", "x + 100"),
        setup="a, b = m.f.__defaults__[0].values()",
        check="assert (a(1), b(1), m.f('a'), m.f('b')) == (101, 0, 101, 0)",
    ),
    Edit(
        "lambda_default_held_decorated_and_back",
        """
        import functools
        def deco(function):
            @functools.wraps(function)
            def wrapper(*args): return function(*args)
            return wrapper
        @deco
        def f(x, key=lambda x: x + 1): return key(x)
        """,
        swap("x + 1", "x * 10"),
        setup="key = m.f.__wrapped__.__defaults__[0]",
        mid="assert key(5) == 50 and m.f(5) == 50",
        revert=True,
        check="assert key(5) == 6 and m.f(5) == 6",
        quiet=True,
    ),
    Edit(
        "property_docstring_goes_and_comes_in_chain",
        """
        class K:
            @property
            def p(self):
                "one"
                return 1
            @p.setter
            def p(self, v): self.v = v
            @p.deleter
            def p(self): del self.v
        """,
        """
        class K:
            @property
            def p(self):
                return 2
            @p.setter
            def p(self, v): self.v = v
            @p.deleter
            def p(self): del self.v
        """,
        then=(swap("    return 2", '    "three"\n        return 3', "= v", "= -v"),),
        setup="o = m.K()",
        mid="assert m.K.p.__doc__ is None and o.p == 2",
        check="""
            o.p = 5
            assert m.K.p.__doc__ == "three" and (o.p, o.v) == (3, -5)
            import inspect
            assert inspect.getsource(m.K.p.fset).endswith("self.v = -v\\n")
            assert m.K.p.fset.__code__.co_firstlineno == 6
            assert m.K.p.fdel.__code__.co_firstlineno == 8
        """,
    ),
    Edit(
        "property_setter_removed_and_getter_changed",
        """
        class K:
            @property
            def p(self): return 1
            @p.setter
            def p(self, v): self.v = v
            @p.deleter
            def p(self): pass
        """,
        """
        class K:
            @property
            def p(self): return 2
            @p.deleter
            def p(self): pass
        """,
        setup="o = m.K()",
        check="""
            assert o.p == 2 and m.K.p.fset is None
            del o.p
        """,
    ),
    Edit(
        "decorator_object_that_is_not_called",
        CALLED
        + """
@deco
def f(x): return ("old", x)
""",
        swap("@deco\ndef f(x)", "@deco\n@(lambda f: f)\ndef f(x, y=2)"),
        then=(EDITED,),
        setup="held = m.f",
        mid="assert held.invoke(1) == m.f.invoke(1) == ('old', 1)",
        check="assert held.invoke(1) == m.f.invoke(1, 3) == ('new', 1)",
    ),
    stray("stray_in_object", CALLED, "held.invoke(1)"),
    stray(
        "stray_in_slot",
        """
class Command:
    __slots__ = ("run",)
    def __init__(self, function): self.run = function
def deco(function): return Command(function)
""",
        "held.run(1)",
    ),
    stray(
        "stray_in_object_of_object",
        """
class Inner:
    def __init__(self, function): self.function = function
class Outer:
    def __init__(self, function): self.inner = [Inner(function)]
    def __call__(self, *args): return self.inner[0].function(*args)
def deco(function): return Outer(function)
""",
        "held(1)",
    ),
    stray(
        "stray_in_bound_method",
        """
class Command:
    def __init__(self, function): self.function = function
    def run(self, *args): return self.function(*args)
def deco(function): return Command(function).run
""",
        "held(1)",
    ),
    stray(
        "stray_in_type",
        """
def deco(function):
    return type("T", (), {"__call__": lambda self, *args: function(*args)})()
""",
        "held(1)",
    ),
    stray(
        "stray_in_registry",
        """
class App:
    def __init__(self): self.handlers = {}
    def on(self, function): self.handlers[function.__name__] = function
app = App()
deco = app.on
""",
        "m.app.handlers['f'](1)",
        setup="held = m.app.handlers['f']; assert m.f is None",
    ),
    Edit(
        "stray_in_set_gets_no_second",
        HELD.format(decorator="S = set()\ndef deco(function): S.add(function)"),
        MOVED,
        then=(EDITED,),
        setup="(held,) = m.S",
        check="""
            assert held(1) == ("new", 1) and m.S == {held}
            assert held.__code__.co_firstlineno == 6
        """,
        fresh=False,
    ),
    Edit(
        "stray_lambda_of_a_call",
        """
        CALLS = []
        class Timer:
            def __init__(self): self.jobs = []
            def every(self, seconds, job): self.jobs.append(job)
        timer = Timer()
        # here
        timer.every(5, lambda: "old")
        """,
        MOVED,
        then=(EDITED,),
        setup="(job,) = m.timer.jobs",
        check="""
            assert job() == "new" and m.timer.jobs == [job]
            assert job.__code__.co_firstlineno == 9
        """,
        fresh=False,
    ),
    Edit(
        "stray_of_a_deleted_name",
        """
        HOOKS = set()
        # here
        def hook(): return "old"
        HOOKS.add(hook)
        del hook
        """,
        MOVED,
        then=(EDITED,),
        setup="(hook,) = m.HOOKS",
        check="assert hook() == 'new'",
        fresh=False,
    ),
    Edit(
        "closure_annotations_follow",
        """
        from typing import List, Optional
        import typing
        def mk(n):
            def g(x: int, gone: str = "") -> int: return (x, n)
            return g
        """,
        """
        from typing import List, Optional
        import typing
        def mk(n):
            def g(x: Optional[int], *a: List[str], k: typing.Any = 1) -> "K":
                return (x, n, k)
            return g
        """,
        then=(swap('"K"', "int", "k: typing.Any", "k"),),
        setup="g = m.mk(1)",
        mid="assert g.__annotations__ == m.mk(2).__annotations__ != {}",
        check="""
            assert g(5) == (5, 1, 1)
            assert g.__annotations__ == m.mk(2).__annotations__
            assert list(g.__annotations__) == ["x", "a", "return"]
            import inspect
            assert inspect.signature(g) == inspect.signature(m.mk(2))
        """,
    ),
    Edit(
        "closure_annotations_set_by_the_program_stay",
        """
        def mk():
            def g(x: int): return mk
            return g
        """,
        swap("x: int", 'x: int, y: str = ""'),
        setup="g = m.mk(); g.__annotations__['x'] = g.__annotations__['z'] = 1",
        check="assert g.__annotations__ == {'x': 1, 'y': str, 'z': 1}",
        fresh=False,
    ),
    Edit(
        "closure_defaults_of_a_generic_one",
        """
        def mk(n):
            def g[T](x: T = 1, *, k=2) -> T: return (x, k, n)
            return g
        """,
        swap("= 1, *, k=2", "= 10, y: int = n, *, k=20, j=7"),
        then=(swap("y: int = n", "y: str = 3", "(x, k, n)", "(x, k, j, n)"),),
        setup="g = m.mk(5)",
        mid="assert g() == (10, 20, 5) and g.__defaults__ == (10, 5)",
        check="""
            assert g() == (10, 20, 7, 5) and g(3, k=4) == (3, 4, 7, 5)
            assert g.__annotations__["y"] is str and g.__defaults__ == (10, 3)
        """,
        python=(3, 12),
    ),
    Edit(
        "closure_defaults_that_cannot_be_told",
        """
        def mk(n):
            def g(x=n or 1): return x
            return g
        """,
        swap("x=n or 1): return x", "x=n or 1, z=4 if n else 5): return (x, z)"),
        setup="g = m.mk(5)",
        check="assert g() == 5 and m.mk(6)() == (6, 4)",
        refused="HR201",
        partial=True,
        fresh=False,
    ),
    Edit(
        "closure_defaults_that_cannot_be_told_stay",
        """
        def mk(n):
            def g(x=n or 1, y=(2 if n else 3)): return (x, y)
            return g
        """,
        swap("return (x, y)", "return [x, y]"),
        setup="g = m.mk(5)",
        check="assert g() == [5, 2]",
    ),
    Edit(
        "lines_of_local_class_that_moved",
        """
        # here
        def mk():
            class L:
                a = 3
                def f(self): return 1
            return L
        """,
        MOVED,
        then=(swap("# here", "# here\n#\n#"),),
        setup="L = m.mk()",
        check="""
            import inspect
            assert inspect.getsource(m.mk()).startswith("    class L:")
            assert inspect.getsource(L.f).startswith("        def f")
            assert m.mk().a == 3 and m.ABOVE
        """,
    ),
]
