"""Lists, dicts and sets that several statements build, and loops that compute."""

from . import Edit, swap

LOOP = """
C = 1
X = []
for i in (1, 2):
    X.append((i, C))
"""
PORTS = """
BASE = 1
NAMES = ["a", "b"]
PORTS = {}
for name in NAMES:
    PORTS[name] = BASE + len(name)
PORTS["z"] = 1
"""

EDITS = [
    Edit(
        "built_list_follows_a_constant",
        LOOP,
        swap("C = 1", "C = 2"),
        check="assert m.X == [(1, 2), (2, 2)]",
    ),
    Edit(
        "built_list_loop_changed",
        LOOP,
        swap("(i, C)", "(i, C, 5)"),
        then=[swap("(i, C, 5)", "i")],
        check="assert m.X == [1, 2] and m.i == 2",
    ),
    Edit(
        "built_list_loop_and_constant_changed",
        LOOP,
        swap("C = 1", "C = 2", "(1, 2)", "(1, 2, 3)"),
        check="assert m.X == [(1, 2), (2, 2), (3, 2)] and m.i == 3",
    ),
    Edit(
        "built_list_statement_added_and_removed",
        LOOP,
        LOOP + "X.append(7)\n",
        mid="assert m.X[-1] == 7",
        then=[LOOP + "X.append(8)\n"],
        check="assert m.X == [(1, 1), (2, 1), 8]",
    ),
    Edit(
        "built_list_that_the_program_added_to_stays",
        LOOP,
        swap("C = 1", "C = 2"),
        setup="x = m.X; x.append('program')",
        check="assert m.C == 2 and m.X is x and x == [(1, 1), (2, 1), 'program']",
        fresh=False,
    ),
    Edit(
        "built_dict_follows_a_constant",
        PORTS,
        swap("BASE = 1", "BASE = 10"),
        check="assert m.PORTS == {'a': 11, 'b': 11, 'z': 1}",
    ),
    Edit(
        "built_dict_follows_its_keys",
        PORTS,
        swap('"a", "b"', '"a", "c"'),
        check="assert m.PORTS == {'a': 2, 'c': 2, 'z': 1}",
    ),
    Edit(
        "built_dict_last_statement_changed",
        PORTS,
        swap('PORTS["z"] = 1', 'PORTS["y"] = 2'),
        check="assert m.PORTS == {'a': 2, 'b': 2, 'y': 2}",
    ),
    Edit(
        "built_dict_copies_in_other_modules_follow",
        {"m.py": PORTS, "n.py": "import m\nfrom m import PORTS\nALL = tuple(PORTS)\n"},
        {"m.py": swap('"a", "b"', '"a", "c"')},
        setup="import n",
        check="assert n.PORTS is m.PORTS and n.ALL == ('a', 'c', 'z')",
    ),
    Edit(
        "built_list_of_functions_has_no_second_entry",
        """
        def a(): return 1
        def b(): return 2
        TABLE = []
        TABLE.append(a)
        TABLE.append(3)
        """,
        swap("TABLE.append(3)", "TABLE.append(b)\nTABLE.extend([4])"),
        setup="h = m.a",
        check="assert m.TABLE == [h, m.b, 4]",
    ),
    Edit(
        "built_in_a_class_body_follows",
        """
        N = 2
        class K:
            SQUARES = {}
            for i in range(3):
                SQUARES[i] = i * N
        """,
        swap("N = 2", "N = 3"),
        setup="k = m.K()",
        check="assert k.SQUARES == {0: 0, 1: 3, 2: 6}",
    ),
    Edit(
        "derived_in_a_loop_or_try_follows",
        """
        C = "7"
        try:
            X = int(C)
        except ValueError:
            X = 0
        for k in (1, C):
            Y = k
        """,
        swap('C = "7"', 'C = "x"'),
        check="assert m.X == 0 and m.Y == m.k == 'x'",
    ),
    Edit(
        "twice_assignment_gives_what_the_name_held_in_the_end",
        "X = 87\nX += 1\nX += 1\n",
        "X = 88\nX += 1\nX += 1\n",
        then=["X = 89\nX += 1\nX += 1\n"],
        check="assert m.X == 91",
    ),
    Edit(
        "star_name_that_the_module_also_imports_itself",
        {
            "m.py": "import math\nfrom other import *\ndef f(): return math.pi // 1\n",
            "other.py": "import math\nX = 1\n",
        },
        {"other.py": "X = 2\n"},
        check="assert m.f() == 3 and m.X == 2",
    ),
    Edit(
        "star_name_with_an_equal_new_object",
        {
            "m.py": "from other import *\n",
            "other.py": "p, *q = 1, [], 2\n",
        },
        {"other.py": "p, *q = 3, [], 2\n"},
        setup="import other",
        check="assert m.q is other.q and m.p == 3",
    ),
]
