"""Module level: constants and what is derived from them, state, statements, names."""

from . import Edit, swap

EDITS = [
    Edit(
        "constant_changed_seen_by_functions",
        """
        LIMIT = 1
        def f(): return LIMIT
        """,
        swap("LIMIT = 1", "LIMIT = 2"),
        setup="h = m.f",
        check="assert m.LIMIT == 2 == h()",
    ),
    Edit(
        "constant_added_and_removed",
        """
        A = 1
        B = 2
        """,
        """
        A = 1
        C = 3
        """,
        check="assert m.C == 3 and m.A == 1 and not hasattr(m, 'B')",
    ),
    Edit(
        "constant_type_changed",
        "X = 1\nY = 0.0\n",
        "X = True\nY = -0.0\n",
        check="assert m.X is True and str(m.Y) == '-0.0'",
    ),
    Edit(
        "constant_copied_by_from_import_as",
        {
            "m.py": "X = 1\n",
            "user.py": """
                from m import X as limit
                def call(): return limit
            """,
        },
        swap("X = 1", "X = 2"),
        setup="import user",
        check="assert user.call() == 2 == user.limit",
    ),
    Edit(
        "constant_copy_rebound_by_program_stays",
        {
            "m.py": "X = 1\n",
            "user.py": "from m import X\n",
        },
        swap("X = 1", "X = 2"),
        setup="import user; user.X = 'mine'",
        check="assert user.X == 'mine' and m.X == 2",
    ),
    Edit(
        "constant_equal_value_in_other_module_not_confused",
        {
            "m.py": "X = 1\n",
            "user.py": """
                Y = 1
                class K:
                    X = 1
            """,
        },
        swap("X = 1", "X = 2"),
        setup="import user",
        check="assert m.X == 2 and user.Y == 1 and user.K.X == 1",
    ),
    Edit(
        "constant_mutable_copied_elsewhere",
        {
            "m.py": "NAMES = ['a']\n",
            "user.py": """
                from m import NAMES
                def call(): return NAMES
            """,
        },
        swap("['a']", "['a', 'b']"),
        setup="import user",
        check="assert user.call() == ['a', 'b'] == m.NAMES and user.call() is m.NAMES",
    ),
    Edit(
        "constant_derived_in_same_module",
        """
        A = 1
        B = A + 1
        C = [A, B]
        D = f"{C[1]}!"
        """,
        swap("A = 1", "A = 10"),
        check="assert (m.B, m.C, m.D) == (11, [10, 11], '11!')",
    ),
    Edit(
        "constant_derived_in_other_module",
        {
            "m.py": "BASE = '/old'\n",
            "user.py": """
                from m import BASE
                URL = BASE + "/path"
                def call(): return URL
            """,
        },
        swap("/old", "/new"),
        setup="import user",
        check="assert user.call() == '/new/path' and user.BASE == '/new'",
    ),
    Edit(
        "constant_derived_in_other_module_by_attribute",
        {
            "m.py": "BASE = 1\n",
            "user.py": """
                import m
                NEXT = m.BASE + 1
            """,
        },
        swap("BASE = 1", "BASE = 5"),
        setup="import user",
        check="assert user.NEXT == 6",
    ),
    Edit(
        "constant_derived_through_three_modules",
        {
            "m.py": "A = 1\n",
            "mid.py": """
                from m import A
                B = A * 10
            """,
            "user.py": """
                from mid import B
                C = B + 1
            """,
        },
        swap("A = 1", "A = 2"),
        setup="import user",
        check="assert user.C == 21 and user.B == 20",
    ),
    Edit(
        "constant_derived_rebound_by_program_stays",
        """
        A = 1
        B = A + 1
        """,
        swap("A = 1", "A = 10"),
        setup="m.B = 'mine'",
        check="assert m.A == 10 and m.B == 'mine'",
    ),
    Edit(
        "constant_derived_default_argument",
        """
        N = 1
        def f(a=N, *, b=N + 1): return (a, b)
        """,
        swap("N = 1", "N = 5"),
        setup="h = m.f",
        check="assert m.f() == (5, 6) == h()",
    ),
    Edit(
        "constant_derived_and_changed_in_one_save",
        """
        A = 1
        B = A + 1
        """,
        swap("A = 1", "A = 10", "A + 1", "A + 2"),
        check="assert m.B == 12",
    ),
    Edit(
        "constant_moved_above_its_use",
        """
        def f(): return (A, B)
        A = 1
        B = 2
        """,
        """
        B = 2
        A = 3
        def f(): return (A, B)
        """,
        setup="h = m.f",
        check="assert h() == (3, 2)",
    ),
    Edit(
        "state_counter_kept",
        """
        import itertools
        counter = 0
        ids = itertools.count()
        def bump():
            global counter
            counter += 1
            return (counter, next(ids))
        def other(): return 1
        """,
        swap("return 1", "return 2"),
        setup="m.bump(); m.bump()",
        check="assert m.other() == 2 and m.bump() == (3, 2)",
        fresh=True,
    ),
    Edit(
        "state_cache_dict_kept",
        """
        CACHE = {}
        def get(k):
            if k not in CACHE:
                CACHE[k] = "old " + k
            return CACHE[k]
        """,
        swap('"old "', '"new "'),
        setup="c = m.CACHE; m.get('a')",
        check="assert m.CACHE is c and m.get('a') == 'old a' and m.get('b') == 'new b'",
        fresh=False,
    ),
    Edit(
        "state_loaded_model_kept_when_its_loader_changes",
        {
            "side.py": "loads = []\n",
            "m.py": """
                import side
                def load():
                    side.loads.append(1)
                    return object()
                MODEL = load()
                def f(): return 1
            """,
        },
        swap("return object()", "return [object()]", "return 1", "return 2"),
        setup="import side; model = m.MODEL",
        check="assert m.MODEL is model and len(side.loads) == 1 and m.f() == 2",
    ),
    Edit(
        "state_none_filled_later_kept",
        """
        model = None
        def load(path):
            global model
            model = ["loaded", path]
        def use(): return model
        """,
        swap("return model", "return (model, 2)"),
        setup="m.load('p')",
        check="assert m.use() == (['loaded', 'p'], 2)",
    ),
    Edit(
        "state_rebound_stays_when_other_statement_changes",
        """
        X = 1
        Y = 1
        """,
        swap("Y = 1", "Y = 2"),
        setup="m.X = 'mine'",
        check="assert m.X == 'mine' and m.Y == 2",
    ),
    Edit(
        "state_rebound_gives_way_to_its_own_statement",
        "X = 1\n",
        swap("X = 1", "X = 2"),
        setup="m.X = 'mine'",
        check="assert m.X == 2",
        fresh=False,
    ),
    Edit(
        "state_injected_name_stays",
        "X = 1\n",
        swap("X = 1", "X = 2"),
        setup="m.injected = 'from outside'",
        check="assert m.injected == 'from outside' and m.X == 2",
    ),
    Edit(
        "state_deleted_by_program_stays_deleted",
        """
        X = 1
        Y = 1
        """,
        swap("Y = 1", "Y = 2"),
        setup="del m.X",
        check="assert not hasattr(m, 'X') and m.Y == 2",
    ),
    Edit(
        "state_replaced_function_stays",
        """
        def f(): return "old"
        def g(): return 1
        """,
        swap("return 1", "return 2"),
        setup="m.f = lambda: 'mine'",
        check="assert m.f() == 'mine' and m.g() == 2",
    ),
    Edit(
        "state_lock_and_thread_kept",
        """
        import threading
        lock = threading.Lock()
        local = threading.local()
        def f(): return 1
        """,
        swap("return 1", "return 2"),
        setup="lock = m.lock; lock.acquire(); m.local.x = 5",
        check="""
            assert m.lock is lock and lock.locked() and m.local.x == 5
            assert m.f() == 2
        """,
    ),
    Edit(
        "state_logger_handlers_not_added_twice",
        """
        import logging
        log = logging.getLogger("hot_reload_edits_case")
        log.addHandler(logging.NullHandler())
        def f(): return 1
        """,
        swap("return 1", "return 2"),
        setup="import logging; before = len(m.log.handlers)",
        check="""
            assert len(m.log.handlers) == before and m.f() == 2
            m.log.handlers.clear()
        """,
    ),
    Edit(
        "side_effect_of_changed_statement_runs_once",
        {
            "side.py": "calls = []\n",
            "m.py": """
                import side
                side.calls.append("a")
                side.calls.append("b")
            """,
        },
        swap('"b"', '"c"'),
        setup="import side; side.calls.clear()",
        check="assert side.calls == ['c'], side.calls",
        fresh=False,
    ),
    Edit(
        "side_effect_of_new_statements_in_order",
        {
            "side.py": "calls = []\n",
            "m.py": "import side\n",
        },
        """
        import side
        x = 1
        side.calls.append(x)
        y = x + 1
        side.calls.append(y)
        """,
        setup="import side",
        check="assert side.calls == [1, 2] and m.y == 2",
    ),
    Edit(
        "side_effect_of_moved_statement_not_run_again",
        {
            "side.py": "calls = []\n",
            "m.py": """
                import side
                side.calls.append(1)
                def f(): return 1
            """,
        },
        """
        import side
        def f(): return 2
        side.calls.append(1)
        """,
        setup="import side",
        check="assert side.calls == [1] and m.f() == 2",
    ),
    Edit(
        "side_effect_of_removed_statement_not_undone",
        {
            "side.py": "calls = []\n",
            "m.py": """
                import side
                side.calls.append(1)
                X = 1
            """,
        },
        """
        import side
        X = 2
        """,
        setup="import side; seen = list(side.calls)",
        check="assert side.calls == seen and m.X == 2",
    ),
    Edit(
        "side_effect_of_print_and_assert_statements",
        """
        assert 1 + 1 == 2, "sane"
        X = 1
        """,
        swap('"sane"', '"still sane"', "X = 1", "X = 2"),
        check="assert m.X == 2",
    ),
    Edit(
        "main_guard_never_runs",
        """
        X = 1
        if __name__ == "__main__":
            raise SystemExit("ran")
        """,
        swap("X = 1", "X = 2", '"ran"', '"ran again"'),
        check="assert m.X == 2",
    ),
    Edit(
        "main_guard_added",
        "X = 1\n",
        """
        X = 2
        def main(): return "main"
        if "__main__" == __name__:
            main(undefined)
        """,
        check="assert m.X == 2 and m.main() == 'main'",
    ),
    Edit(
        "main_guard_else_branch",
        """
        if __name__ == "__main__":
            WHO = "script"
        else:
            WHO = "old module"
        """,
        swap("old module", "new module"),
        check="assert m.WHO == 'new module'",
    ),
    Edit(
        "under_if_function_changed",
        """
        import sys
        if sys.version_info >= (3,):
            def f(): return 1
        else:
            def f(): return 0
        """,
        swap("return 1", "return 2"),
        setup="h = m.f",
        check="assert h() == 2 and m.f is h",
    ),
    Edit(
        "under_if_condition_changed",
        """
        FLAG = True
        if FLAG:
            def f(): return "yes"
        else:
            def f(): return "no"
        """,
        swap("FLAG = True", "FLAG = False"),
        setup="h = m.f",
        check="assert m.f() == 'no' == h()",
    ),
    Edit(
        "under_if_statement_beside_it_is_not_run_again",
        {
            "side.py": "calls = []\n",
            "m.py": """
                import side
                if True:
                    side.calls.append(1)
                    def f(): return 1
            """,
        },
        swap("return 1", "return 2"),
        setup="import side; h = m.f",
        check="assert h() == 2 and side.calls == [1], side.calls",
    ),
    Edit(
        "under_try_function_changed",
        """
        try:
            import no_such_module_anywhere
            def f(): return "fast"
        except ImportError:
            def f(): return "slow"
        """,
        swap('"slow"', '"slower"'),
        setup="h = m.f",
        check="assert h() == 'slower'",
    ),
    Edit(
        "under_for_then_under_with_and_another_statement_before_it",
        """
        for _ in (1,):
            def f(): return 1
        """,
        """
        try:
            def g(): return 3
        finally:
            pass
        import contextlib
        with contextlib.suppress(KeyError):
            def f(): return 2
        """,
        setup="h = m.f",
        then=[swap("return 2", "return 4")],
        check="assert h is m.f and h() == 4 and m.g() == 3",
    ),
    Edit(
        "under_try_import_fallback_changed",
        """
        try:
            import no_such_module_anywhere as fast
        except ImportError:
            fast = None
        """,
        swap("fast = None", "fast = 'fallback'"),
        check="assert m.fast == 'fallback'",
    ),
    Edit(
        "under_with_function_changed",
        """
        import contextlib
        with contextlib.suppress(ValueError):
            def f(): return 1
        """,
        swap("return 1", "return 2"),
        setup="h = m.f",
        check="assert h() == 2",
    ),
    Edit(
        "under_for_functions_made_in_a_loop",
        """
        TABLE = {}
        for name in ("a", "b"):
            def f(name=name): return name + "1"
            TABLE[name] = f
        """,
        swap('name + "1"', 'name + "2"'),
        setup="a, b = m.TABLE['a'], m.TABLE['b']",
        check="assert (a(), b()) == ('a2', 'b2') and m.TABLE['a']() == 'a2'",
    ),
    Edit(
        "under_while_and_loop_variable",
        """
        n = 0
        while n < 3:
            n += 1
        """,
        swap("n < 3", "n < 5"),
        check="assert m.n == 5",
    ),
    Edit(
        "assignment_augmented",
        """
        X = [1]
        X += [2]
        Y = 1
        Y += 1
        """,
        swap("X += [2]", "X += [3]", "Y += 1", "Y += 5"),
        check="assert m.Y == 6 and m.X[0] == 1 and m.X[-1] == 3",
    ),
    Edit(
        "assignment_augmented_unchanged_base_changed",
        """
        Y = 1
        Y += 1
        """,
        swap("Y = 1\n", "Y = 10\n"),
        check="assert m.Y == 11",
    ),
    Edit(
        "assignment_unpacking",
        """
        A, (B, *C) = 1, (2, 3, 4)
        """,
        swap("1, (2, 3, 4)", "10, (20, 30)"),
        check="assert (m.A, m.B, m.C) == (10, 20, [30])",
    ),
    Edit(
        "assignment_chained_and_several_on_a_line",
        """
        A = B = 1; C = 2
        """,
        swap("A = B = 1; C = 2", "A = B = 5; C = 6"),
        check="assert (m.A, m.B, m.C) == (5, 5, 6)",
    ),
    Edit(
        "assignment_to_item_and_attribute",
        """
        class NS: pass
        D = {}
        D["a"] = 1
        NS.x = 1
        """,
        swap('D["a"] = 1', 'D["a"] = 2', "NS.x = 1", "NS.x = 2"),
        setup="d, ns = m.D, m.NS",
        check="assert d == {'a': 2} and ns.x == 2 and m.D is d and m.NS is ns",
    ),
    Edit(
        "assignment_annotated",
        """
        X: int = 1
        Y: str
        """,
        swap("X: int = 1", "X: float = 2.5"),
        check="assert m.X == 2.5 and m.__annotations__ == {'X': float, 'Y': str}",
    ),
    Edit(
        "assignment_target_swapped",
        """
        A, B = 1, 2
        """,
        swap("A, B", "B, A"),
        check="assert (m.A, m.B) == (2, 1)",
    ),
    Edit(
        "del_statement_added",
        """
        X = 1
        Y = 2
        """,
        swap("Y = 2\n", "Y = 2\ndel X\n"),
        check="assert not hasattr(m, 'X') and m.Y == 2",
    ),
    Edit(
        "del_statement_removed",
        """
        X = 1
        del X
        """,
        swap("del X\n", ""),
        check="assert m.X == 1",
    ),
    Edit(
        "del_statement_of_loop_variable_kept",
        """
        T = []
        for i in range(3):
            T.append(i)
        del i
        def f(): return 1
        """,
        swap("return 1", "return 2"),
        check="assert m.T == [0, 1, 2] and not hasattr(m, 'i') and m.f() == 2",
    ),
    Edit(
        "all_list_changed",
        {
            "m.py": """
                __all__ = ["f"]
                def f(): return 1
                def g(): return 2
            """,
            "user.py": "from m import *\n",
        },
        swap('["f"]', '["f", "g"]'),
        setup="import user",
        check="assert m.__all__ == ['f', 'g'] and user.f() == 1 and user.g() == 2",
    ),
    Edit(
        "module_docstring_changed",
        '''
        """old"""
        X = 1
        ''',
        swap("old", "new"),
        check="assert m.__doc__ == 'new' and m.X == 1",
    ),
    Edit(
        "module_getattr_changed",
        """
        def __getattr__(name):
            if name.startswith("x"):
                return "old " + name
            raise AttributeError(name)
        """,
        swap("old", "new"),
        check="assert m.x1 == 'new x1' and not hasattr(m, 'y')",
    ),
    Edit(
        "module_getattr_added_and_dir",
        "X = 1\n",
        """
        X = 1
        def __getattr__(name): return name
        def __dir__(): return ["X", "virtual"]
        """,
        check="assert m.virtual == 'virtual' and dir(m) == ['X', 'virtual']",
    ),
    Edit(
        "type_alias_and_typevar_changed",
        """
        from typing import Dict, List, TypeVar
        T = TypeVar("T")
        Alias = List[int]
        def f(x: Alias): return 1
        """,
        swap("List[int]", "Dict[str, int]"),
        setup="T = m.T; h = m.f",
        check="""
            from typing import Dict
            assert m.Alias == Dict[str, int] and m.T is T
        """,
    ),
    Edit(
        "regular_expression_changed",
        """
        import re
        WORD = re.compile(r"a+")
        def find(s): return WORD.findall(s)
        """,
        swap('r"a+"', 'r"b+"'),
        setup="h = m.find",
        check="assert h('aabb') == ['bb']",
    ),
    Edit(
        "global_written_by_function_called_at_module_level",
        """
        X = 0
        def init():
            global X
            X = 1
        init()
        """,
        swap("X = 1", "X = 2"),
        check="m.init(); assert m.X == 2",
    ),
    Edit(
        "exec_and_globals_names",
        """
        globals()["made"] = 1
        def f(): return made
        """,
        swap("= 1", "= 2"),
        setup="h = m.f",
        check="assert h() == 2 == m.made",
    ),
    Edit(
        "function_to_class_used_elsewhere",
        {
            "m.py": "def make(x): return x\n",
            "user.py": """
                from m import make
                def call(): return make(1)
            """,
        },
        """
        class make:
            def __init__(self, x): self.x = x + 1
        """,
        setup="import user",
        check="assert user.call().x == 2 and isinstance(user.call(), m.make)",
    ),
    Edit(
        "class_to_function",
        """
        class f:
            def __init__(self, x): self.x = x
        """,
        "def f(x): return x + 1\n",
        check="assert m.f(1) == 2",
    ),
    Edit(
        "function_to_constant",
        "def X(): return 1\n",
        "X = 2\n",
        check="assert m.X == 2",
    ),
    Edit(
        "constant_to_function",
        {
            "m.py": "X = 1\n",
            "user.py": "from m import X\n",
        },
        "def X(): return 2\n",
        setup="import user",
        check="assert m.X() == 2 == user.X()",
    ),
    Edit(
        "constant_to_class_and_back",
        "X = 1\n",
        """
        class X:
            y = 2
        """,
        mid="assert m.X.y == 2",
        then=["X = 3\n"],
        check="assert m.X == 3",
    ),
    Edit(
        "import_to_function_of_the_same_name",
        "from textwrap import dedent\n",
        "def dedent(text): return text + '!'\n",
        check="import textwrap; assert m.dedent(' a') == ' a!'; "
        "assert textwrap.dedent(' a') == 'a'",
    ),
]
