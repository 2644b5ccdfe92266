"""Closures that are alive when the edit comes, and what they hold."""

from . import Edit, swap

COUNTER = """
    def counter():
        n = 0
        def bump():
            nonlocal n
            n += 1
            return n
        return bump
"""

EDITS = [
    Edit(
        "closure_body_changed_state_kept",
        COUNTER,
        swap("n += 1", "n += 10"),
        setup="h = m.counter(); h(); h()",
        check="assert h() == 12 and m.counter()() == 10",
        fresh=False,
    ),
    Edit(
        "closure_many_instances",
        """
        def add(n):
            def g(x): return x + n
            return g
        """,
        swap("x + n", "x * n"),
        setup="hs = [m.add(i) for i in range(50)]",
        check="assert [h(2) for h in hs] == [2 * i for i in range(50)]",
    ),
    Edit(
        "closure_in_module_variable",
        """
        def add(n):
            def g(x): return x + n
            return g
        add5 = add(5)
        """,
        swap("x + n", "x * n"),
        setup="h = m.add5",
        check="assert m.add5(3) == 15 and h(3) == 15 and m.add5 is h",
    ),
    Edit(
        "closure_in_instance_attribute",
        """
        class K:
            def __init__(self, n):
                self.f = lambda: n + 1
        """,
        swap("n + 1", "n + 2"),
        setup="o = m.K(10)",
        check="assert o.f() == 12 and m.K(1).f() == 3",
    ),
    Edit(
        "closure_three_deep",
        """
        def a(x):
            def b(y):
                def c(z): return (x, y, z)
                return c
            return b
        """,
        swap("(x, y, z)", "(z, y, x)"),
        setup="b = m.a(1); c = b(2)",
        check="assert c(3) == (3, 2, 1) and b(5)(6) == (6, 5, 1)",
    ),
    Edit(
        "closure_of_method",
        """
        class K:
            def mk(self):
                def g(): return (self, 1)
                return g
        """,
        swap("(self, 1)", "(self, 2)"),
        setup="o = m.K(); h = o.mk()",
        check="assert h() == (o, 2) and o.mk()() == (o, 2)",
    ),
    Edit(
        "closure_loses_variable",
        """
        def mk(a, b):
            def g(): return (a, b)
            return g
        """,
        swap("return (a, b)", "return (b,)"),
        setup="h = m.mk(1, 2)",
        check="assert m.mk(3, 4)() == (4,) and h() == (2,)",
    ),
    Edit(
        "closure_loses_all_variables",
        """
        def mk(a):
            def g(): return a
            return g
        """,
        swap("return a", "return 'none'"),
        setup="h = m.mk(1)",
        check="assert m.mk(3)() == 'none' and h() == 'none'",
    ),
    Edit(
        "closure_order_of_variables_changes",
        """
        def mk():
            beta, gamma = "b", "g"
            def g(): return (beta, gamma)
            return g
        """,
        """
        def mk():
            alpha, gamma, beta = "a", "g", "b"
            def h(): return alpha
            def g(): return (gamma, beta)
            return g
        """,
        setup="h = m.mk()",
        check="assert m.mk()() == ('g', 'b') and h() == ('g', 'b')",
    ),
    Edit(
        "closure_gains_unknown_variable",
        """
        def mk(a, b):
            def g(): return (a,)
            return g
        """,
        swap("(a,)", "(a, b)"),
        setup="h = m.mk(1, 2)",
        check="assert m.mk(3, 4)() == (3, 4) and h() == (1,)",
        refused="HR201",
        partial=True,
        fresh=False,
    ),
    Edit(
        "closure_gains_variable_none_alive",
        """
        def mk(a, b):
            def g(): return (a,)
            return g
        """,
        swap("(a,)", "(a, b)"),
        setup="mk = m.mk; mk(1, 2)()",
        check="assert mk(3, 4)() == (3, 4)",
    ),
    Edit(
        "closure_gains_first_variable",
        """
        def mk(a):
            def g(): return 1
            return g
        """,
        swap("return 1", "return a"),
        setup="h = m.mk(5)",
        check="assert m.mk(6)() == 6 and h() == 1",
        refused="HR201",
        partial=True,
        fresh=False,
    ),
    Edit(
        "closure_gains_global",
        """
        limit = 7
        def mk(a):
            def g(): return a
            return g
        """,
        swap("return a", "return a + limit + len('x')"),
        setup="h = m.mk(1)",
        check="assert h() == 9 and m.mk(2)() == 10",
    ),
    Edit(
        "closure_variable_becomes_global",
        """
        value = "global"
        def mk(value):
            def g(): return value
            return g
        """,
        swap("mk(value)", "mk(other)"),
        setup="h = m.mk('mine')",
        check="assert m.mk('mine')() == 'global' and h() == 'global'",
    ),
    Edit(
        "closure_global_becomes_variable",
        """
        value = "global"
        def mk(other):
            def g(): return value
            return g
        """,
        swap("mk(other)", "mk(value)"),
        setup="h = m.mk('mine')",
        check="assert m.mk('mine')() == 'mine' and h() == 'global'",
        refused="HR201",
        partial=True,
        fresh=False,
    ),
    Edit(
        "closure_gains_variable_of_a_sibling",
        """
        def mk(a, b):
            def left(): return a
            def right(): return (a, b)
            return left, right
        """,
        swap("return a\n", "return (b, a)\n"),
        setup="left, right = m.mk(1, 2)",
        check="assert m.mk(3, 4)[0]() == (4, 3) and left() == (2, 1)",
        may_refuse="HR201",
        partial=True,
        unchanged="""
            assert left() == 1 and right() == (1, 2)
            assert m.mk(3, 4)[0]() == (4, 3)
        """,
    ),
    Edit(
        "closure_gains_variable_through_the_middle",
        """
        def a(x):
            def b():
                def c(): return "old"
                return c, x
            return b
        """,
        swap('"old"', "x"),
        setup="b = m.a(1); c = b()[0]",
        check="assert b()[0]() == 1 and m.a(2)()[0]() == 2 and c() in ('old', 1)",
        may_refuse="HR201",
        partial=True,
        unchanged="assert c() == 'old' and m.a(2)()[0]() == 2",
    ),
    Edit(
        "closure_gains_variable_while_its_maker_runs",
        """
        def gen(a, b):
            def g(): return a
            yield g
            yield b
        """,
        swap("return a", "return (a, b)"),
        setup="it = m.gen(1, 2); h = next(it)",
        check="""
            assert next(m.gen(3, 4))() == (3, 4) and h() == (1, 2) and next(it) == 2
        """,
        may_refuse="HR201",
        partial=True,
        unchanged="""
            assert next(m.gen(3, 4))() == (3, 4) and h() == 1 and next(it) == 2
        """,
    ),
    Edit(
        "closure_variable_renamed",
        """
        def mk(old):
            def g(): return old
            return g
        """,
        """
        def mk(new):
            def g(): return new
            return g
        """,
        setup="h = m.mk(1)",
        check="assert m.mk(new=2)() == 2 and h() == 1",
        may_refuse="HR201",
        partial=True,
        unchanged="assert m.mk(new=2)() == 2 and h() == 1",
    ),
    Edit(
        "closure_variable_new_constant_in_maker",
        """
        def mk(a):
            b = "old"
            def g(): return (a, b)
            return g
        """,
        swap('"old"', '"new"'),
        setup="h = m.mk(1)",
        check="assert m.mk(2)() == (2, 'new') and h()[0] == 1",
    ),
    Edit(
        "closure_shared_cell_kept",
        """
        def mk():
            n = 0
            def inc():
                nonlocal n
                n += 1
            def get(): return n
            return inc, get
        """,
        swap("n += 1", "n += 5", "return n\n", "return ('n', n)\n"),
        setup="inc, get = m.mk(); inc()",
        check="inc(); assert get() == ('n', 6)",
        fresh=False,
    ),
    Edit(
        "closure_empty_cell",
        """
        def mk():
            def g(): return later
            if False:
                later = 1
            return g
        """,
        swap("return later", "return ('now', later)", "False", "True"),
        setup="h = m.mk()",
        check="""
            assert m.mk()() == ("now", 1)
            try:
                r = h()
            except NameError:
                pass
            else:
                assert r == ("now", 1)
        """,
    ),
    Edit(
        "closure_recursive_inner",
        """
        def mk():
            def walk(n): return [] if n == 0 else [n] + walk(n - 1)
            return walk
        """,
        swap("[n] + walk(n - 1)", "walk(n - 1) + [n]"),
        setup="h = m.mk()",
        check="assert m.mk()(3) == [1, 2, 3] and h(3) == [1, 2, 3]",
    ),
    Edit(
        "closure_defaults_of_instances_kept",
        """
        def mk(n):
            def g(x=n): return x
            return g
        """,
        swap("return x", "return x + 1"),
        setup="h = m.mk(10)",
        check="assert h() == 11 and m.mk(20)() == 21",
    ),
    Edit(
        "closure_generator_inside",
        """
        def mk(n):
            def g():
                yield n
                yield n + 1
            return g
        """,
        swap("yield n + 1", "yield n + 2"),
        setup="h = m.mk(1); it = h(); next(it)",
        check="assert list(h()) == [1, 3] and next(it) == 2",
        fresh=False,
    ),
    Edit(
        "closure_lambda_in_dict_of_factory",
        """
        def table(n):
            return {"add": lambda x: x + n, "mul": lambda x: x * n}
        """,
        swap("x * n", "x ** n"),
        setup="t = m.table(2)",
        check="assert t['mul'](3) == 9 and t['add'](3) == 5",
    ),
    Edit(
        "closure_two_lambdas_on_one_line",
        """
        def pair(n):
            return (lambda: n, lambda: n + 1)
        """,
        swap("lambda: n,", "lambda: -n,"),
        setup="a, b = m.pair(3)",
        check="assert (a(), b()) == (-3, 4)",
    ),
    Edit(
        "closure_class_inside_function",
        """
        def mk(n):
            class Local:
                def get(self): return n
            return Local
        """,
        swap("return n", "return n + 1"),
        setup="L = m.mk(1); o = L()",
        check="assert m.mk(5)().get() == 6 and o.get() == 2 and L().get() == 2",
    ),
    Edit(
        "closure_class_inside_function_method_added",
        """
        def mk(n):
            class Local:
                def get(self): return n
            return Local
        """,
        swap("return n\n", "return n\n        def more(self): return n + 1\n"),
        setup="L = m.mk(1); o = L()",
        check="assert m.mk(5)().more() == 6 and o.get() == 1",
    ),
    Edit(
        "closure_maker_gone_held_goes_on",
        """
        def mk(n):
            def g(): return n
            return g
        x = 1
        """,
        "x = 2\n",
        setup="h = m.mk(4)",
        check="assert not hasattr(m, 'mk') and h() == 4 and m.x == 2",
        fresh=False,
    ),
    Edit(
        "closure_edited_many_times",
        COUNTER,
        swap("n += 1", "n += 2"),
        setup="h = m.counter()",
        mid="h()",
        then=[swap("n += 2", "n += 3"), swap("n += 3", "n -= 1")],
        check="assert h() in (1, -1) and m.counter()() == -1",
    ),
    Edit(
        "closure_gains_variable_then_loses_it",
        """
        def mk(a, b):
            def g(): return a
            return g
        """,
        swap("return a", "return a + b"),
        setup="h = m.mk(1, 2)",
        then=[swap("return a + b", "return a * 100")],
        check="assert h() == 100 and m.mk(2, 2)() == 200",
        refused="HR201",
        partial=True,
    ),
    Edit(
        "closure_module_of_maker_reached_elsewhere",
        {
            "m.py": """
                def add(n):
                    def g(x): return x + n
                    return g
            """,
            "user.py": """
                from m import add
                TABLE = {n: add(n) for n in range(3)}
                def call(n, x): return TABLE[n](x)
            """,
        },
        swap("x + n", "x - n"),
        setup="import user; t = user.TABLE",
        check="assert user.call(2, 10) == 8 and user.TABLE is t",
    ),
]
