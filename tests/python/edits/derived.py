"""What follows a changed name: copies, derived constants, defaults, attributes."""

from . import Edit, swap

ONE_TO_FIVE = {"a.py": "X = 5\n"}
A = {"a.py": "X = 1\n"}

EDITS = [
    # Copies, wherever the import stands.
    Edit(
        "copy_import_in_try",
        {"m.py": "try:\n    from a import X\nexcept ImportError:\n    X = 0\n", **A},
        ONE_TO_FIVE,
        check="assert m.X == 5",
    ),
    Edit(
        "copy_import_in_if_with_and_class",
        {
            "m.py": """
                import contextlib
                if True:
                    from a import X
                with contextlib.suppress(ImportError):
                    from a import X as Y
                class K:
                    from a import X
                    try:
                        from a import X as Z
                    finally:
                        pass
                """,
            **A,
        },
        ONE_TO_FIVE,
        check="assert (m.X, m.Y, m.K.X, m.K.Z) == (5, 5, 5, 5)",
    ),
    Edit(
        "copy_import_behind_a_semicolon",
        {"m.py": "import sys; from a import X; import os\n", **A},
        ONE_TO_FIVE,
        check="assert m.X == 5 and m.os",
    ),
    Edit(
        "copy_import_of_two_modules_is_not_guessed",
        {
            "m.py": """
                if len("b") == 2:
                    from a import X
                else:
                    from b import X
                """,
            "a.py": "X = 1\nY = 1\n",
            "b.py": "X = 1\n",
        },
        {"a.py": "X = 5\nY = 5\n"},
        check="import a; assert (a.Y, m.X) == (5, 1)",
    ),
    Edit(
        "copy_by_star_all_removed",
        {
            "m.py": "from a import *\ndef f(): return x\n",
            "a.py": "__all__ = ['x']\nx = 1\n",
        },
        {"a.py": "x = 1\ny = 2\n"},
        check="assert (m.f(), m.y) == (1, 2)",
    ),
    Edit(
        "copy_by_star_all_grows_with_its_name",
        {"m.py": "from a import *\n", "a.py": "__all__ = ['C']\nC = 1\n"},
        {"a.py": "__all__ = ['C', 'D']\nC = 1\ndef D(): return 4\n"},
        check="assert m.D() == 4",
    ),
    Edit(
        "copy_by_star_all_shrinks",
        {"m.py": "from a import *\n", "a.py": "__all__ = ['C', 'D']\nC = D = 1\n"},
        {"a.py": "__all__ = ['C']\nC = D = 1\n"},
        check="assert m.C == 1 and not hasattr(m, 'D')",
    ),
    Edit(
        "copy_by_two_stars_one_loses_the_name",
        {
            "m.py": "from a import *\nfrom b import *\ndef f(): return x\n",
            "a.py": "x = 1\n",
            "b.py": "x = 2\n",
        },
        {"b.py": "y = 2\n"},
        check="assert m.f() == 1",
    ),
    Edit(
        "copy_by_star_statement_removed",
        {"m.py": "from a import *\nY = 1\n", "a.py": "X = 1\nY = 2\n"},
        "Y = 1\n",
        check="assert not hasattr(m, 'X') and m.Y == 1",
    ),
    Edit(
        "copy_of_a_submodule_removed",
        {
            "m.py": "import p.sub\ndef f(): return p.sub.X\n",
            "p/__init__.py": "from . import sub\nQ = 1\n",
            "p/sub.py": "X = 1\n",
        },
        {"p/__init__.py": "Q = 2\n"},
        check="assert (m.f(), m.p.Q) == (1, 2)",
    ),
    # Constants.
    Edit(
        "derived_by_unpacking_and_chains",
        "S = 1\nA, (B, *R) = S, (S + 1, S)\nC = D = S\nE = S; F = S * 2\n",
        swap("S = 1\n", "S = 2\n"),
        check="assert (m.A, m.B, m.R, m.C, m.D, m.E, m.F) == (2, 3, [2], 2, 2, 2, 4)",
    ),
    Edit(
        "derived_along_ways_of_different_length",
        "A = 1\nB = A\nX = A\nY = X\nC = Y\nSUM = B + C\nALL = [SUM, B, C]\n",
        swap("A = 1\n", "A = 10\n"),
        check="assert (m.SUM, m.ALL) == (20, [20, 10, 10])",
    ),
    Edit(
        "derived_from_two_modules",
        {
            "m.py": "import a, b\nS = a.X + b.X\ndef f(s=a.X * b.X): return s\n",
            "a.py": "X = 1\n",
            "b.py": "X = 2\n",
        },
        {"a.py": "X = 10\n", "b.py": "X = 20\n"},
        ways=("apply",),
        check="assert (m.S, m.f()) == (30, 200)",
    ),
    Edit(
        "derived_from_an_attribute_of_a_package",
        {
            "m.py": "import p.conf\nS = p.conf.X + 1\n",
            "p/__init__.py": "",
            "p/conf.py": "X = 1\n",
        },
        {"p/conf.py": "X = 5\n"},
        check="assert m.S == 6",
    ),
    Edit(
        "derived_by_functions_of_the_library",
        """
        import os.path
        import re
        from datetime import timedelta
        from pathlib import Path
        S = "a"
        P = Path("/") / S
        Q = P.parent / (P.stem + ".txt")
        J = os.path.join("/", S)
        R = re.compile(S + "+")
        D = {"a": 1, "b": 2}.get(S, 0)
        Z = list(zip(S * 2, enumerate(S)))
        T = timedelta(seconds=D)
        G = sum(ord(c) for c in S)
        """,
        swap('S = "a"', 'S = "b"'),
        check="""
            assert str(m.P) == "/b" and str(m.Q) == "/b.txt" and m.J == "/b"
            assert m.R.match("bb") and m.D == 2 and m.Z == [("b", (0, "b"))]
            assert m.T.seconds == 2 and m.G == 98
        """,
    ),
    Edit(
        "derived_patch_of_another_file_stays",
        {
            "m.py": "import a\n_old = a.g\na.g = lambda: _old() + 100\n",
            "a.py": "def g(): return 1\n",
        },
        {"a.py": "def g(): return 2\n"},
        check="import a; assert a.g() == 102",
    ),
    Edit(
        "derived_only_without_effects",
        """
        import os
        CALLS = []
        def load(n):
            CALLS.append(n)
            return n
        class Lazy:
            def get(self, n): return load(n)
            def __getattr__(self, n): return load(n)
        LAZY = Lazy()
        TABLE = {"x": LAZY}
        N = 1
        A = load(N)
        B = LAZY.get(N)
        C = TABLE["x"].get(N)
        D = (LAZY.some, N)
        E = [load(N)]
        F = os.getenv("HR_NO_SUCH", N)
        G = N + 1
        COUNT = 4
        """,
        swap("N = 1\n", "N = 2\n", "COUNT = 4", "COUNT = len(CALLS)"),
        fresh=False,
        check="assert m.G == 3 and len(m.CALLS) == 5 == m.COUNT, m.CALLS",
    ),
    Edit(
        "derived_condition_on_a_copy",
        {
            "m.py": """
                from a import DEBUG
                def one(): return 1
                def two(): return 2
                if DEBUG:
                    X, f = 1, one
                elif not DEBUG:
                    X, f = 2, two
                """,
            "a.py": "DEBUG = False\n",
        },
        {"a.py": "DEBUG = True\n"},
        check="assert (m.X, m.f(), m.one(), m.two()) == (1, 1, 1, 2)",
    ),
    Edit(
        "derived_choice_of_a_function",
        """
        def one(): return 1
        def two(): return 2
        FAST = True
        if FAST:
            f = one
        else:
            f = two
        """,
        swap("FAST = True", "FAST = False"),
        setup="h = m.one",
        check="assert (m.f(), m.one(), m.two(), h()) == (2, 1, 2, 1)",
    ),
    Edit(
        "derived_name_bound_twice_is_left_alone",
        "LIMIT = 1\nHI = 1\nLO = HI + LIMIT\nHI = LO + LIMIT\nX = LIMIT\n",
        swap("LIMIT = 1\n", "LIMIT = 5\n"),
        fresh=False,
        check="assert m.X == 5 and (m.HI, m.LO) == (3, 2)",
    ),
    Edit(
        "derived_value_that_the_program_rebound_stays",
        {"m.py": "import a\nA = a.X\nB = a.X\ndef f(x=a.X): return x\n", **A},
        ONE_TO_FIVE,
        setup="m.A = 'mine'; m.f.__defaults__ = ('mine',)",
        fresh=False,
        check="assert (m.A, m.B, m.f()) == ('mine', 5, 'mine')",
    ),
    # Classes.
    Edit(
        "derived_from_an_attribute_of_a_class",
        {
            "m.py": """
                from a import K
                B = K.A + 1
                class L(K):
                    x = K.A
                    def f(self, a=K.A): return a
                D = L.A, L.x
                """,
            "a.py": "class K:\n    A = 1\nX = K.A\n",
        },
        {"a.py": "class K:\n    A = 2\nX = K.A\n"},
        setup="o = m.L()",
        check="""
            import a
            assert (m.B, o.x, o.f(), m.D, a.X) == (3, 2, 2, (2, 2), 2)
        """,
    ),
    Edit(
        "derived_in_nested_classes",
        """
        N = 1
        class K:
            class I:
                a = N
                b = [N] * 2
            c = I.a
            _d = N
            e = _d + c
        """,
        swap("N = 1\n", "N = 2\n"),
        setup="i = m.K.I()",
        check="assert (i.a, i.b, m.K.c, m.K._d, m.K.e) == (2, [2, 2], 2, 2, 4)",
    ),
    Edit(
        "derived_in_an_abstract_class",
        """
        from abc import ABC, abstractmethod
        N = 1
        class K(ABC):
            A = N
            @abstractmethod
            def f(self, x=N): return x
        class L(K):
            def f(self, x=K.A): return super().f(), x
        """,
        swap("N = 1\n", "N = 2\n"),
        setup="o = m.L()",
        check="assert (o.A, o.f()) == (2, (2, 2))",
    ),
    Edit(
        "derived_in_classes_made_from_their_members",
        """
        from dataclasses import dataclass
        from enum import Enum
        from typing import NamedTuple
        N = 1
        @dataclass
        class K:
            x: int = N
            y: int = 7
            def f(self, z=N): return z
        class E(Enum):
            A = N
            B = N + 1
            def f(self, z=N): return z
        class T(NamedTuple):
            x: int = N
        """,
        swap("N = 1\n", "N = 5\n"),
        setup="o, a = m.K(), m.E.A; m.K.y = 8",
        fresh=False,
        check="""
            assert (m.K().x, m.K.x, m.K.y, o.f(), m.T().x) == (5, 5, 8, 5, 5)
            assert m.E.A is a and a.value == 5 and m.E(6) is m.E.B and a.f() == 5
        """,
    ),
    Edit(
        "derived_member_bound_twice_ends",
        """
        LIMIT = 1
        class C:
            HI = 1
            LO = HI + LIMIT
            HI = LO + LIMIT
            X = LIMIT
        """,
        swap("LIMIT = 1\n", "LIMIT = 5\n"),
        fresh=False,
        check="assert m.C.X == 5 and (m.C.HI, m.C.LO) == (3, 2)",
    ),
    # Defaults and annotations.
    Edit(
        "defaults_follow_with_the_body",
        {
            "m.py": """
                from a import X
                N = 1
                def f(x=N, *, y=X): return 1, x, y
                class K:
                    def f(self, x=N, y=X): return 1, x, y
                """,
            **A,
        },
        {
            "m.py": swap(
                "N = 1",
                "N = 2",
                "(x=N, *, y=X): return 1",
                "(x=N, *, y=X): return 2",
                "(self, x=N, y=X): return 1",
                "(self, x=N, y=X): return 2",
            ),
            **ONE_TO_FIVE,
        },
        ways=("apply",),
        setup="h = m.f; o = m.K()",
        check="assert h() == o.f() == (2, 2, 5), (h(), o.f())",
    ),
    Edit(
        "defaults_follow_with_the_header",
        """
        N = 1
        def f(x=N, *, y=N): return x, y
        """,
        """
        N = 2
        def f(x=N, z=N * 2, *, y=N): return x, y, z
        """,
        setup="h = m.f",
        check="assert h() == (2, 2, 4)",
    ),
    Edit(
        "defaults_follow_one_by_one",
        """
        def make(): return object()
        N = 1
        def f(a, acc=[], x=N, o=make()):
            acc.append(a)
            return acc, x, o
        """,
        swap("N = 1", "N = 2"),
        setup="o = m.f(1)[2]",
        fresh=False,
        check="r = m.f(2); assert r[:2] == ([1, 2], 2) and r[2] is o, r",
    ),
    Edit(
        "defaults_follow_an_attribute_of_a_module",
        {
            "m.py": """
                import a as n
                Z = n.X
                def f(x=n.X, *, y=n.X + 1): return x, y
                class K:
                    Y = n.X
                    def g(self, x=n.X): return x
                f2 = lambda x=n.X: x
                """,
            **A,
        },
        ONE_TO_FIVE,
        setup="h, o, l = m.f, m.K(), m.f2",
        check="assert (m.Z, h(), o.Y, o.g(), l()) == (5, (5, 6), 5, 5, 5)",
    ),
    Edit(
        "defaults_of_lambdas_follow",
        "N = 1\nf = lambda x=N: x\nclass K:\n    g = lambda self, x=N: x\n",
        swap("N = 1", "N = 2"),
        setup="h = m.f",
        check="assert h() == m.f() == m.K().g() == 2",
    ),
    Edit(
        "defaults_with_state_stay",
        """
        def f(x, acc=[], k=1):
            acc.append(x)
            return acc, k
        """,
        swap("k=1", "k=2"),
        setup="h = m.f; h(1); h(2)",
        fresh=False,
        check="assert h(3) == ([1, 2, 3], 2)",
    ),
    Edit(
        "defaults_with_state_stay_in_a_new_header",
        """
        def f(x, acc=[], *, seen={}, key=lambda a, b: (a, b)):
            acc.append(x)
            seen[x] = 1
            return acc, seen
        """,
        """
        def f(x: int, new=7, acc = [], *, key=lambda a, b: (a, b), seen={}) -> tuple:
            acc.append(x)
            seen[x] = new
            return acc, seen
        """,
        setup="h = m.f; h(1); h(2)",
        fresh=False,
        check="assert h(3) == ([1, 2, 3], {1: 1, 2: 1, 3: 7}), h",
    ),
    Edit(
        "defaults_whose_text_changed_are_new",
        "def f(x, acc=[]):\n    acc.append(x)\n    return acc\n",
        "def f(x, acc=[0]):\n    acc.append(x)\n    return acc\n",
        setup="h = m.f; h(1)",
        fresh=False,
        check="assert h(3) == [0, 3]",
    ),
    Edit(
        "annotations_follow",
        """
        T = int
        def f(x: T, *y: T, z: "T" = 1) -> T: return x
        class K:
            def g(self, x: T): return x
        """,
        swap("T = int", "T = str"),
        check="""
            assert m.f.__annotations__ == {"x": str, "y": str, "z": "T", "return": str}
            assert m.K.g.__annotations__ == {"x": str}
        """,
    ),
    Edit(
        "lru_cache_by_a_call_forgets",
        "import functools\ndef h(): return 1\nh = functools.lru_cache(h)\n",
        swap("return 1", "return 2"),
        setup="m.h()",
        check="assert m.h() == 2",
    ),
]
