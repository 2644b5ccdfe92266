"""What changed statements see of their save, make, and begin."""

from . import Edit, swap

ONE_TWO = "def one(): return 1\ndef two(): return 2\n"

EDITS = [
    # -- A value that is a function which is there -----------------------------
    Edit(
        "existing_function_selected_by_try",
        """
        def slow(): return "slow"
        def fast(): return "fast"
        try:
            impl = fast
        except ImportError:
            impl = slow
        """,
        swap("    impl = fast", "    import nothing_of_that_name\n    impl = fast"),
        setup="f, s = m.fast, m.slow",
        check="""
            assert m.impl is m.slow and m.impl() == "slow"
            assert (f(), s(), m.fast.__name__) == ("fast", "slow", "fast")
        """,
    ),
    Edit(
        "existing_function_selected_by_if_and_back",
        ONE_TWO + "if True:\n    f = one\nelse:\n    f = two\n",
        swap("if True", "if not True"),
        setup="one, two = m.one, m.two",
        mid="assert m.f is two and (one(), two()) == (1, 2)",
        revert=True,
        check="assert m.f is m.one and (m.one(), m.two()) == (1, 2)",
        quiet=True,
    ),
    Edit(
        "existing_function_selected_by_for",
        ONE_TWO + "for f in (one, two):\n    pass\n",
        swap("(one, two)", "(two, one)"),
        check="assert m.f is m.one and (m.one(), m.two()) == (1, 2)",
    ),
    Edit(
        "existing_method_gets_an_alias",
        """
        class K:
            def run(self): return "run"
            def start(self): return "start"
        """,
        """
        class K:
            def run(self): return "run"
            start = run
        """,
        setup="o = m.K(); held = o.start",
        mid="assert (o.run(), o.start(), held()) == ('run', 'run', 'run')",
        check="""
            assert m.K.start is m.K.run and m.K.run.__name__ == "run"
            assert [o.start() for _ in range(100)] == ["run"] * 100
        """,
    ),
    Edit(
        "existing_method_of_a_base_and_back",
        """
        class B:
            def f(self): return 1
        class K(B):
            def g(self): return 2
        """,
        swap("def g(self): return 2", "g = B.f"),
        setup="b, o = m.B(), m.K()",
        mid="assert (o.g(), b.f(), m.B.f.__name__) == (1, 1, 'f')",
        revert=True,
        check="""
            import gc
            gc.collect()
            assert [(o.g(), b.f()) for _ in range(100)] == [(2, 1)] * 100
        """,
        quiet=True,
    ),
    Edit(
        "existing_function_in_place_of_a_definition",
        ONE_TWO,
        "def one(): return 1\ntwo = one\n",
        setup="held = m.two",
        mid="assert held() == 1",
        check="assert m.two is m.one and m.one.__name__ == 'one' and m.one() == 1",
    ),
    Edit(
        "existing_function_in_place_of_lambdas",
        "def one(): return 1\nf = lambda: 5\nT = [lambda: 5]\nD = {'a': lambda: 5}\n",
        "def one(): return 1\nf = one\nT = [one]\nD = {'a': one}\n",
        setup="held = m.f",
        check="""
            assert m.f is m.T[0] is m.D["a"] is m.one and m.one.__name__ == "one"
        """,
    ),
    Edit(
        "existing_function_from_another_module_as_method",
        {
            "m.py": 'from o import g\nclass K:\n    def f(self): return "mine"\n',
            "o.py": 'def g(self): return "theirs"\n',
        },
        swap('def f(self): return "mine"', "f = g"),
        setup="k = m.K(); import o",
        check="""
            assert m.K.f is o.g and (o.g.__name__, o.g.__module__) == ("g", "o")
            assert k.f() == o.g(1) == "theirs"
        """,
    ),
    Edit(
        "existing_function_returned_by_a_decorator",
        """
        CACHE = {}
        def dedupe(key):
            def d(f): return CACHE.setdefault(key, f)
            return d
        @dedupe(1)
        def a(): return 1
        @dedupe(2)
        def b(): return 2
        """,
        swap("@dedupe(2)", "@dedupe(1)"),
        setup="a = m.a",
        check="assert m.b is m.a and (m.a(), m.a.__name__, a()) == (1, 'a', 1)",
    ),
    Edit(
        "existing_function_and_a_save_that_is_refused",
        """
        class B:
            def f(self): return 1
        class K(B):
            def g(self): return 2
        def __hot_reload_before__(revision): raise ValueError("no")
        """,
        swap("def g(self): return 2", "g = B.f"),
        setup="b, o = m.B(), m.K()",
        check="assert (o.g(), b.f(), m.B.f.__name__) == (2, 1, 'f')",
        refused="HR110",
        fresh=False,
    ),
    # -- What is made is of the module -----------------------------------------
    Edit(
        "made_while_a_statement_collects",
        "X = 1\n",
        """
        import gc
        X = 2
        def fn(): return X
        class K:
            def g(self): return X
        gc.collect()
        """,
        check="m.X = 50; assert (m.fn(), m.K().g()) == (50, 50)",
    ),
    Edit(
        "made_while_an_imported_module_collects",
        "X = 1\n",
        {
            "m.py": "X = 2\nCB = {'k': lambda: X}\nimport heavy\n",
            "heavy.py": "import gc\ngc.collect()\n",
        },
        check="m.X = 50; assert m.CB['k']() == 50",
        ways=("apply",),
    ),
    Edit(
        "made_while_another_thread_collects",
        "X = 1\n",
        "import time\nX = 2\ndef new(): return X\ntime.sleep(.05)\n",
        setup="""
            import gc, threading, time
            enough = []
            def collect():
                while not enough: gc.collect(); time.sleep(.002)
            collector = threading.Thread(target=collect); collector.start()
        """,
        check="""
            enough.append(1); collector.join()
            m.X = 50; assert m.new() == 50
        """,
    ),
    Edit(
        "made_while_the_program_has_frozen_objects",
        "X = 1\n",
        "X = 2\ndef new(): return X\nL = [lambda: X]\n",
        setup="import gc; gc.freeze(); frozen = gc.get_freeze_count()",
        check="""
            m.X = 50; assert (m.new(), m.L[0]()) == (50, 50)
            assert gc.get_freeze_count() and gc.isenabled()
        """,
    ),
    Edit(
        "made_globals_are_those_of_the_module",
        "X = 1\n",
        "X = 2\nG = globals()\nNS = [globals()]\n",
        check="assert m.G is m.__dict__ and m.NS[0] is m.__dict__",
    ),
    # -- What a new statement begins -------------------------------------------
    Edit(
        "begun_thread_writes_to_the_module",
        "X = 1\n",
        """
        import threading, time
        n = 0
        def w():
            global n
            for i in range(20):
                n += 1; time.sleep(.005)
        t = threading.Thread(target=w, daemon=True); t.start()
        """,
        check="m.t.join(); assert m.n == 20, m.n",
    ),
    Edit(
        "begun_thread_reads_the_module",
        "stop = False\n",
        """
        stop = False
        import threading, time
        def w():
            while not stop: time.sleep(.005)
        t = threading.Thread(target=w, daemon=True); t.start()
        """,
        check="m.stop = True; m.t.join(2); assert not m.t.is_alive()",
    ),
    Edit(
        "begun_task_reads_the_module",
        "X = 1\n",
        """
        X = 1
        import asyncio
        loop = asyncio.new_event_loop()
        OUT = []
        async def bg(): OUT.append(X)
        T = loop.create_task(bg())
        """,
        check="m.X = 50; m.loop.run_until_complete(m.T); assert m.OUT == [50]",
    ),
    Edit(
        "begun_generator_reads_the_module",
        "X = 1\n",
        """
        X = 1
        def g():
            while True: yield X
        G = g()
        FIRST = next(G)
        """,
        check="m.X = 50; assert (m.FIRST, next(m.G)) == (1, 50)",
    ),
    Edit(
        "decorator_replaced_where_a_new_statement_leads_to_the_result",
        """
        def w1(fn):
            def wrapper(*a): return 'w1', fn(*a)
            return wrapper
        def w2(fn):
            def wrapper(*a): return 'w2', fn(*a)
            return wrapper
        @w1
        def f(): return K
        class K:
            def m(self): return f
        """,
        swap(
            "@w1\ndef f(): return K",
            "@w2\ndef f(): return K, 2\n@w2\ndef g(): return f",
        ),
        setup="h = m.f; k = m.K()",
        then=[swap("return K, 2", "return K, 3")],
        check="""
        assert h is m.f is k.m() and h() == ('w2', (m.K, 3))
        assert m.g() == ('w2', h)
        """,
    ),
    Edit(
        "decorator_removed_where_another_module_leads_to_the_result",
        {
            "m.py": """
            import functools
            def w(fn):
                @functools.wraps(fn)
                def wrapper(*a): return 'w', fn(*a)
                return wrapper
            class K:
                @property
                def p(self): return str(f)
            @w
            def f(): return 1
            """,
            "n.py": "from m import K\n",
        },
        {
            "m.py": swap("@w\n", "", "return 1", "return 2"),
            "n.py": "from m import K\nclass L(K): pass\n",
        },
        setup="import n; h = m.f",
        ways=("apply",),
        check="assert h is m.f and h() == 2 and not hasattr(h, '__wrapped__')",
    ),
]
