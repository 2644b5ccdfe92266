"""Which live closure belongs to which new code, what it holds, and local classes."""

from . import Edit, swap

BUTTONS = """
    class Button: pass
    def build(x):
        b = Button()
        b.click = lambda: ("click", x)
        b.save = lambda: ("save", x)
        return b
"""
DECORATOR = """
    import functools
    def deco(f):
        @functools.wraps(f)
        def w(*a, **k): return f(*a, **k)
        return w
    @deco
    def f(x): return x
"""
LOCAL = """
    def mk(n):
        class K:
            size = 1
            def f(self): return n
            def g(self): return "g"
        return K
"""

EDITS = [
    # -- which code ---------------------------------------------------------
    Edit(
        "closure_lambda_inserted_before_others",
        BUTTONS,
        swap("b.click =", 'b.hover = lambda: ("hover", x)\n    b.click ='),
        setup="b = m.build(1)",
        check="""
            assert (b.click(), b.save()) == (("click", 1), ("save", 1))
            assert m.build(2).hover() == ("hover", 2)
        """,
    ),
    Edit(
        "closure_lambda_inserted_and_others_changed",
        BUTTONS,
        swap(
            'b.click = lambda: ("click", x)',
            'b.hover = lambda: ("hover", x)\n    b.click = lambda: ("Click", x)',
            '("save", x)',
            '("Save", x)',
        ),
        setup="b = m.build(1)",
        check='assert (b.click(), b.save()) == (("Click", 1), ("Save", 1))',
    ),
    Edit(
        "closure_lambda_removed_and_other_changed",
        BUTTONS,
        swap('b.click = lambda: ("click", x)', "pass", '"save"', '"Save"'),
        setup="b = m.build(1); save = b.save",
        check="assert save() == ('Save', 1)",
    ),
    Edit(
        "closure_lambdas_of_two_places_exchanged",
        BUTTONS,
        swap('("click", x)', '("now save", x)', '("save", x)', '("click", x)'),
        setup="b = m.build(1)",
        check='assert (b.click(), b.save()) == (("now save", 1), ("click", 1))',
    ),
    Edit(
        "closure_lambdas_reordered",
        """
        def build(log):
            d = {}
            d["delete"] = lambda: log.append("DELETE")
            d["view"] = lambda: log.append("view")
            return d
        """,
        """
        def build(log):
            d = {}
            d["view"] = lambda: log.append("seen")
            d["delete"] = lambda: log.append("DELETE")
            return d
        """,
        setup="log = []; d = m.build(log)",
        check="d['view'](); assert log == ['seen']; d['delete'](); assert log[1:]",
    ),
    Edit(
        "closure_lambdas_as_arguments_reordered",
        """
        def build(on, x):
            on("click", lambda: ("click", x))
            on("save", lambda: ("save", x))
        """,
        """
        def build(on, x):
            on("save", lambda: ("saved", x))
            on("open", lambda: ("open", x))
            on("click", lambda: ("clicked", x))
        """,
        setup="d = {}; m.build(d.setdefault, 1)",
        check='assert (d["click"](), d["save"]()) == (("clicked", 1), ("saved", 1))',
    ),
    Edit(
        "closure_definitions_of_one_name_in_branches",
        """
        def mk(x, w):
            if w == 1:
                def g(): return x
            else:
                def g(): return -x
            return g
        """,
        """
        def mk(x, w):
            if w == 0:
                def g(): return "zero"
            elif w == 1:
                def g(): return x
            else:
                def g(): return [-x]
            return g
        """,
        setup="a, b = m.mk(1, 1), m.mk(1, 2)",
        check="assert (a(), b()) == (1, [-1])",
    ),
    Edit(
        "closure_lambdas_that_nothing_tells_apart",
        """
        def build(x):
            return [lambda: x]
        """,
        """
        def build(x):
            return [lambda: x + 1, lambda: x + 2]
        """,
        setup="a = m.build(1)[0]",
        check="assert a() == 1 and [f() for f in m.build(1)] == [2, 3]",
        refused="HR201",
        partial=True,
        fresh=False,
    ),
    Edit(
        "closure_lambda_inserted_into_a_list",
        "STEPS = [lambda x: x + 1, lambda x: x * 2]\n",
        "STEPS = [lambda x: x - 100, lambda x: x + 1, lambda x: x * 3]\n",
        setup="a, b = m.STEPS[-2:]",
        check="assert (a(1), b(5)) == (2, 15) and m.STEPS[1:] == [a, b]",
    ),
    # -- defaults -------------------------------------------------------------
    Edit(
        "closure_defaults_of_a_wrapper_added",
        DECORATOR,
        swap("*a, **k): return f", "*a, retries=3, **k): return retries, f"),
        setup="h = m.f",
        check="assert m.f(1) == (3, 1) == h(1) and h(1, retries=5) == (5, 1)",
    ),
    Edit(
        "closure_defaults_of_a_wrapper_and_a_new_function",
        DECORATOR,
        swap(
            "*a, **k): return f",
            "*a, retries=3, **k): return retries, f",
            "def f(x): return x",
            "def f(x, y=1): return x, y\n@deco\ndef g(x): return -x",
        ),
        setup="h = m.f",
        check="assert m.f(1) == (3, (1, 1)) == h(1) and m.g(1) == (3, -1)",
    ),
    Edit(
        "closure_defaults_added_from_a_changed_constant",
        "LIMIT = 1\n"
        "def mk(k):\n"
        "    def g(a): return a, k, LIMIT\n"
        "    return g\n",
        swap("LIMIT = 1", "LIMIT = 2", "g(a)", "g(a, *, n=LIMIT)", "LIMIT\n", "n\n"),
        setup="h = m.mk(0)",
        check="assert h(7) == (7, 0, 2)",
    ),
    Edit(
        "closure_defaults_inserted_between",
        """
        def mk(k):
            def g(a, b=2): return a, b, k
            return g
        """,
        swap("b=2): return a, b", "z=26, b=2): return a, z, b"),
        setup="h = m.mk(0)",
        check="assert h(7) == (7, 26, 2, 0)",
    ),
    Edit(
        "closure_defaults_appended",
        """
        def mk(k):
            def g(a, b=2): return a, b, k
            return g
        """,
        swap("b=2): return a, b", "b=2, c=3): return a, b, c"),
        setup="h = m.mk(0)",
        check="assert h(7, 8) == (7, 8, 3, 0) and h(7) == (7, 2, 3, 0)",
    ),
    Edit(
        "closure_defaults_text_changed",
        """
        def mk(k):
            def g(x=3, *, y=[]): return x, y, k
            return g
        """,
        swap("x=3", "x=4"),
        setup="h = m.mk(0); h()[1].append(1)",
        check="assert h() == (4, [1], 0)",
    ),
    Edit(
        "closure_defaults_removed",
        """
        def mk(k):
            def g(x=3): return x, k
            return g
        """,
        swap("x=3", "x"),
        setup="h = m.mk(0)",
        check="""
            try:
                h()
            except TypeError:
                assert h(1) == (1, 0)
            else:
                raise AssertionError
        """,
    ),
    Edit(
        "closure_defaults_become_keyword_only",
        """
        def mk(k):
            def g(x, n=k): return x, n
            return g
        """,
        swap("n=k", "*, n=k"),
        setup="h = m.mk(5)",
        check="""
            assert h(1) == (1, 5)
            try:
                h(1, 2)
            except TypeError:
                pass
            else:
                raise AssertionError
        """,
    ),
    Edit(
        "closure_defaults_set_by_the_program_kept",
        """
        def mk(k):
            def g(a=1, b=2): return a, b, k
            return g
        """,
        swap("b=2", "b=3"),
        setup="h = m.mk(0); h.__defaults__ = (10, 20)",
        check="assert h() == (10, 3, 0)",
        fresh=False,
    ),
    Edit(
        "closure_defaults_that_nobody_knows",
        """
        def mk(k):
            def g(a): return a
            return g
        """,
        """
        def mk(k):
            local = k * 2
            def g(a, b=local): return a, b
            return g
        """,
        setup="h = m.mk(1)",
        check="assert h(7) == 7 and m.mk(1)(7) == (7, 2)",
        refused="HR201",
        partial=True,
        fresh=False,
    ),
    # -- variables --------------------------------------------------------------
    Edit(
        "closure_variable_out_and_back",
        DECORATOR,
        swap("return f(*a, **k)", "return None"),
        setup="h = m.f",
        then=[swap("return None", "return f(*a, **k), 1")],
        check="assert m.f(1) == (1, 1) == h(1)",
    ),
    Edit(
        "closure_variable_out_and_back_later",
        DECORATOR,
        swap("return f(*a, **k)", "return None"),
        setup="h = m.f",
        then=[
            swap("return None", "return 1"),
            swap("return 1", "return 2"),
            swap("return 2", "return f(*a, **k), 3"),
        ],
        check="assert m.f(1) == (1, 3) == h(1)",
    ),
    Edit(
        "closure_calls_itself_now",
        """
        def mk(fn):
            def retry(n): return fn(n)
            return retry
        """,
        swap("fn(n)", "fn(n) if n < 3 else retry(n - 1)"),
        setup="h, k = m.mk(abs), m.mk(str)",
        check="assert h(5) == 2 and k(5) == '2'",
    ),
    Edit(
        "closure_decorated_calls_itself_now",
        """
        import functools
        def mk(fn):
            @functools.lru_cache(None)
            def retry(n): return fn(n)
            return retry
        """,
        swap("return fn(n)", "return fn(n) if n < 3 else retry(n - 1)"),
        setup="h = m.mk(abs)",
        check="assert h(5) == 5 and m.mk(abs)(5) == 2",
        refused="HR201",
        partial=True,
        fresh=False,
    ),
    Edit(
        "closure_gains_helper",
        """
        def mk(n):
            def g(): return n
            return g
        """,
        """
        def mk(n):
            def helper(x: int, by=10) -> int: return x * by + n
            def g(): return helper(6)
            return g
        """,
        setup="h, k = m.mk(1), m.mk(2)",
        check="assert (h(), k()) == (61, 62)",
    ),
    Edit(
        "closure_gains_two_helpers_that_call_each_other",
        """
        def mk():
            def g(n): return 0
            return g
        """,
        """
        def mk():
            def even(n): return n == 0 or odd(n - 1)
            def odd(n): return n != 0 and even(n - 1)
            def g(n): return even(n)
            return g
        """,
        setup="h = m.mk()",
        check="assert h(10) is True and h(9) is False",
    ),
    Edit(
        "closure_gains_imports_of_its_maker",
        """
        def mk():
            def g(): return None
            return g
        """,
        """
        def mk():
            import json, os.path as p
            from math import floor, ceil as up
            def g(): return json.dumps(floor(1.5)), up(1.5), p.sep
            return g
        """,
        setup="h = m.mk()",
        check="assert h() == ('1', 2, '/')",
    ),
    Edit(
        "closure_gains_import_that_fails",
        """
        def mk():
            def g(): return 1
            return g
        """,
        """
        def mk(really=False):
            if really:
                import no_such_module as n
            def g(): return 2 if not really else n
            return g
        """,
        setup="h = m.mk()",
        check="assert h() == 1 and m.mk()() == 2",
        refused="HR201",
        partial=True,
        fresh=False,
    ),
    Edit(
        "closure_gains_counter_of_its_own",
        """
        def mk():
            def g(): return 1
            return g
        """,
        """
        def mk():
            n = 10
            def g():
                nonlocal n
                n += 1
                return n
            return g
        """,
        setup="h, k = m.mk(), m.mk()",
        check="assert (h(), h(), k()) == (11, 12, 11)",
    ),
    Edit(
        "closure_gains_counter_that_another_counts",
        """
        def mk():
            n = 0
            def bump():
                nonlocal n
                n += 1
            def get(): return "?"
            return bump, get
        """,
        swap('"?"', "n"),
        setup="bump, get = m.mk(); bump()",
        check="assert get() == '?' and m.mk()[1]() == 0",
        refused="HR201",
        partial=True,
        fresh=False,
    ),
    # -- classes --------------------------------------------------------------
    Edit(
        "closure_class_method_added_and_used",
        LOCAL,
        swap(
            "return n\n",
            "return self.more()\n        def more(self): return n * 10\n",
        ),
        setup="a = m.mk(1)(); K = type(a)",
        check="assert a.f() == 10 and K().f() == 10 and m.mk(2)().f() == 20",
    ),
    Edit(
        "closure_class_members_of_every_kind",
        LOCAL,
        swap(
            "size = 1",
            "size = 2\n        twice = n",
            'def g(self): return "g"\n',
            """@property
        def p(self): return self.size, self.twice, n
        @staticmethod
        def s(x=5): return x
        @classmethod
        def c(cls): return cls.__name__, n
""",
        ),
        setup="a = m.mk(1)()",
        check="""
            assert a.p == (2, 1, 1) and a.s() == 5 and a.c() == ("K", 1)
            assert not hasattr(a, "g") and a.f() == 1
        """,
    ),
    Edit(
        "closure_class_method_becomes_attribute",
        """
        def mk(n):
            class L:
                def f(self): return self.g()
                def g(self): return n
            return L
        """,
        """
        def mk(n):
            class L:
                def f(self): return self.y
                y = n
            return L
        """,
        setup="a, b = m.mk(1)(), m.mk(2)()",
        check="assert (a.f(), b.f()) == (1, 2) and not hasattr(a, 'g')",
    ),
    Edit(
        "closure_class_super_introduced",
        """
        class Base:
            def f(self): return 100
        def mk(B):
            class L(B):
                def f(self): return 1
                def g(self): return 2
            return L
        """,
        swap("return 1\n", "return super().f() + 1\n", "return 2", "return __class__"),
        setup="a = m.mk(m.Base)(); b = m.mk(m.Base)()",
        check="assert a.f() == 101 and a.g() is type(a) and b.g() is type(b)",
    ),
    Edit(
        "closure_class_left_whole_when_decorated",
        """
        from dataclasses import dataclass
        def mk(n):
            @dataclass
            class D:
                x: int = 1
                def f(self): return self.x
            return D
        """,
        swap(
            *("x: int = 1", "x: int = 1\n        y: int = 2"),
            *("self.x", "self.x + self.y"),
        ),
        setup="a = m.mk(1)()",
        check="assert a.f() == 1 and m.mk(1)().f() == 3",
        refused="HR201",
        partial=True,
        fresh=False,
    ),
    Edit(
        "closure_class_methods_of_a_decorated_one",
        """
        from dataclasses import dataclass
        def mk(n):
            @dataclass
            class D:
                x: int = 1
                def f(self): return self.x
            return D
        """,
        swap("return self.x", "return self.x + n"),
        setup="a = m.mk(1)()",
        check="assert a.f() == 2 or a.f() == 1 and m.mk(1)().f() == 2",
        may_refuse="HR201",
        partial=True,
        unchanged="assert a.f() == 1 and m.mk(1)().f() == 2",
        fresh=True,
    ),
    Edit(
        "closure_class_left_whole_when_a_variable_is_unknown",
        """
        def mk(n, other):
            class K:
                def f(self): return n
                def g(self): return 1
            return K
        """,
        swap("return n", "return self.g()", "return 1", "return other"),
        setup="a = m.mk(1, 2)()",
        check="assert (a.f(), a.g()) == (1, 1) and m.mk(1, 2)().f() == 2",
        refused="HR201",
        partial=True,
        fresh=False,
    ),
    Edit(
        "closure_class_left_whole_when_its_base_changes",
        """
        class A: x = "a"
        class B: x = "b"
        def mk():
            class K(A):
                def f(self): return self.x
            return K
        """,
        swap("K(A)", "K(B)", "return self.x", "return [self.x]"),
        setup="a = m.mk()()",
        check="assert a.f() == 'a' and m.mk()().f() == ['b']",
        refused="HR201",
        partial=True,
        fresh=False,
    ),
    Edit(
        "closure_class_refused_then_fits",
        """
        def mk(n):
            class K:
                def f(self): return n
            return K
        """,
        swap("return n", "return self.y\n        y = n * 2"),
        setup="a = m.mk(1)()",
        mid="assert a.f() == 1",
        then=[swap("y = n * 2", "y = n")],
        check="assert a.f() == 1 == a.y and m.mk(3)().f() == 3",
        refused="HR201",
        partial=True,
    ),
]
