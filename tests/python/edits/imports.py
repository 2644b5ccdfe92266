"""Imports, packages, several modules and how they hang together."""

from . import Edit, swap

EDITS = [
    Edit(
        "import_added",
        "def f(x): return x\n",
        """
        import math
        from os import path as p
        def f(x): return (math.floor(x), p.sep)
        """,
        setup="h = m.f",
        check="import os; assert h(2.5) == (2, os.sep)",
    ),
    Edit(
        "import_removed",
        """
        import math
        import json
        def f(): return 1
        """,
        swap("import math\n", "", "return 1", "return json.dumps(1)"),
        setup="h = m.f",
        check="assert not hasattr(m, 'math') and h() == '1'",
    ),
    Edit(
        "import_alias_changed",
        """
        import json as codec
        def f(): return codec.__name__
        """,
        swap("import json", "import pickle"),
        setup="h = m.f",
        check="assert h() == 'pickle'",
    ),
    Edit(
        "import_of_a_module_that_did_not_exist",
        {"m.py": "def f(): return 1\n"},
        {
            "m.py": """
                from fresh import g
                def f(): return g()
            """,
            "fresh.py": "def g(): return 5\n",
        },
        setup="h = m.f",
        check="assert h() == 5",
        ways=("apply",),
    ),
    Edit(
        "import_moved_to_other_module",
        {
            "m.py": "def util(): return 1\n",
            "other.py": "",
            "user.py": """
                from m import util
                def call(): return util()
            """,
        },
        {
            "m.py": "from other import util\n",
            "other.py": "def util(): return 2\n",
        },
        setup="import user, other",
        check="assert user.call() == 2 and m.util is other.util",
        ways=("apply",),
    ),
    Edit(
        "import_inside_function_added",
        "def f(): return 1\n",
        """
        def f():
            import textwrap
            from collections import deque
            return deque([textwrap.dedent(" a")])
        """,
        setup="h = m.f",
        check="assert list(h()) == ['a'] and not hasattr(m, 'textwrap')",
    ),
    Edit(
        "import_conditional_changed",
        """
        try:
            import no_such_module_anywhere as impl
        except ImportError:
            import json as impl
        """,
        swap("import json", "import pickle"),
        check="assert m.impl.__name__ == 'pickle'",
    ),
    Edit(
        "import_type_checking_block",
        """
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from nowhere import Thing
        def f(x: "Thing"): return 1
        """,
        swap("import Thing", "import Thing, Other", "return 1", "return 2"),
        setup="h = m.f",
        check="assert h(0) == 2 and not hasattr(m, 'Other')",
    ),
    Edit(
        "star_import_new_name",
        {
            "m.py": "def f(): return 1\n",
            "user.py": """
                from m import *
                def call(): return (f(), globals().get("g", lambda: None)())
            """,
        },
        swap("def f(): return 1\n", "def f(): return 2\ndef g(): return 3\n"),
        setup="import user",
        check="assert user.call() == (2, 3)",
    ),
    Edit(
        "star_import_constant_and_removed_name",
        {
            "m.py": """
                X = 1
                Y = 1
            """,
            "user.py": "from m import *\n",
        },
        "X = 2\n",
        setup="import user",
        check="assert user.X == 2 and not hasattr(m, 'Y')",
    ),
    Edit(
        "star_import_private_names_stay_out",
        {
            "m.py": "X = 1\n",
            "user.py": "from m import *\n",
        },
        swap("X = 1", "X = 2\n_hidden = 3"),
        setup="import user",
        check="assert user.X == 2 and not hasattr(user, '_hidden')",
    ),
    Edit(
        "star_reexport_through_package",
        {
            "pkg/__init__.py": "from .impl import *\n",
            "pkg/impl.py": """
                LIMIT = 1
                def f(): return LIMIT
            """,
            "m.py": """
                import pkg
                from pkg import f, LIMIT
                def call(): return (f(), LIMIT, pkg.LIMIT)
            """,
        },
        {"pkg/impl.py": swap("LIMIT = 1", "LIMIT = 2")},
        setup="h = m.call",
        check="assert h() == (2, 2, 2)",
    ),
    Edit(
        "circular_imports",
        {
            "m.py": """
                import other
                def f(): return other.g() + 1
                def base(): return 1
            """,
            "other.py": """
                import m
                def g(): return m.base() * 10
            """,
        },
        {
            "m.py": swap("return 1", "return 2"),
            "other.py": swap("* 10", "* 100"),
        },
        setup="h = m.f",
        check="assert h() == 201",
    ),
    Edit(
        "circular_imports_with_new_names_on_both_sides",
        {
            "m.py": """
                def f(): return 1
                import other
                def call(): return other.g()
            """,
            "other.py": """
                from m import f
                def g(): return f()
            """,
        },
        {
            "m.py": swap(
                "def f(): return 1\n", "def f(): return 1\ndef f2(): return 2\n"
            ),
            "other.py": swap(
                "import f\ndef g(): return f()",
                "import f, f2\ndef g(): return (f(), f2())",
            ),
        },
        setup="h = m.call",
        check="assert h() == (1, 2)",
        ways=("apply",),
    ),
    Edit(
        "package_init_changed",
        {
            "pkg/__init__.py": """
                VERSION = 1
                from .part import f
                def top(): return VERSION
            """,
            "pkg/part.py": "def f(): return 1\n",
            "m.py": "import pkg\n",
        },
        {
            "pkg/__init__.py": swap("VERSION = 1", "VERSION = 2"),
            "pkg/part.py": swap("return 1", "return 2"),
        },
        setup="import pkg; h = pkg.f; part = pkg.part",
        check="assert pkg.top() == 2 and pkg.f() == h() == 2 and pkg.part is part",
    ),
    Edit(
        "package_relative_import_added",
        {
            "pkg/__init__.py": "",
            "pkg/a.py": "def f(): return 1\n",
            "pkg/b.py": "def g(): return 2\n",
            "m.py": "from pkg.a import f\n",
        },
        {
            "pkg/a.py": """
                from .b import g
                from . import b
                def f(): return (g(), b.g())
            """
        },
        setup="h = m.f",
        check="assert h() == (2, 2)",
    ),
    Edit(
        "package_sub_package_edited",
        {
            "pkg/__init__.py": "",
            "pkg/sub/__init__.py": "NAME = 'old'\n",
            "pkg/sub/deep.py": """
                from .. import sub
                def f(): return sub.NAME
            """,
            "m.py": "from pkg.sub.deep import f\n",
        },
        {"pkg/sub/__init__.py": swap("old", "new")},
        setup="h = m.f",
        check="assert h() == 'new'",
    ),
    Edit(
        "package_module_added_later",
        {
            "pkg/__init__.py": "",
            "m.py": "import pkg\n",
        },
        {"pkg/late.py": "def f(): return 1\n"},
        then=[{"pkg/late.py": swap("return 1", "return 2")}],
        mid="from pkg.late import f",
        check="from pkg.late import f as g; assert g() == 2",
    ),
    Edit(
        "package_namespace",
        {
            "space/one.py": "def f(): return 1\n",
            "m.py": "import space.one\n",
        },
        {"space/one.py": swap("return 1", "return 2")},
        setup="import space.one; h = space.one.f",
        check="assert h() == 2 and space.one.f is h",
    ),
    Edit(
        "package_namespace_with_star_and_from",
        {
            "space/one.py": "X = 1\ndef f(): return X\n",
            "space/two.py": "from space.one import *\nfrom .one import X as Y\n",
            "m.py": "import space.two\n",
        },
        {"space/one.py": swap("X = 1", "X = 5")},
        setup="from space import two",
        check="assert two.f() == 5 == two.X == two.Y",
    ),
    Edit(
        "two_files_second_uses_first",
        {
            "z.py": "def h1(): return 1\n",
            "a.py": "from z import h1\ndef f(): return h1()\n",
            "m.py": "import a, z\n",
        },
        {
            "a.py": "from z import h2\ndef f(): return h2()\n",
            "z.py": "def h2(): return 2\n",
        },
        setup="import a; h = a.f",
        check="assert h() == 2 and not hasattr(a, 'h1')",
        ways=("apply",),
    ),
    Edit(
        "two_files_first_uses_second",
        {
            "a.py": "def h1(): return 1\n",
            "z.py": "from a import h1\ndef f(): return h1()\n",
            "m.py": "import a, z\n",
        },
        {
            "a.py": "def h2(): return 2\n",
            "z.py": "from a import h2\ndef f(): return h2()\n",
        },
        setup="import z; h = z.f",
        check="assert h() == 2 and not hasattr(z, 'h1')",
        ways=("apply",),
    ),
    Edit(
        "two_files_class_and_its_base",
        {
            "z.py": "class Base: pass\n",
            "a.py": "from z import Base\nclass K(Base): pass\n",
            "m.py": "import a, z\n",
        },
        {
            "a.py": "from z import Base, Mixin\nclass K(Mixin, Base): pass\n",
            "z.py": """
                class Base: pass
                class Mixin:
                    def hi(self): return "hi"
            """,
        },
        setup="import a; o = a.K()",
        check="assert o.hi() == 'hi'",
        ways=("apply",),
    ),
    Edit(
        "two_files_signature_and_its_callers",
        {
            "lib.py": "def f(a): return a\n",
            "m.py": """
                from lib import f
                def call(): return f(1)
            """,
        },
        {
            "lib.py": "def f(a, b): return (a, b)\n",
            "m.py": swap("f(1)", "f(1, 2)"),
        },
        setup="h = m.call",
        check="assert h() == (1, 2)",
    ),
    Edit(
        "five_files_in_one_save",
        {
            "m.py": "import p0, p1, p2, p3, p4\n",
            **{f"p{i}.py": f"def f(): return {i}\n" for i in range(5)},
        },
        {f"p{i}.py": f"def f(): return {i * 10}\n" for i in range(5)},
        setup="hs = [m.p0.f, m.p1.f, m.p2.f, m.p3.f, m.p4.f]",
        check="assert [h() for h in hs] == [0, 10, 20, 30, 40]",
    ),
    Edit(
        "module_known_under_two_names",
        {
            "pkg/__init__.py": "",
            "pkg/tool.py": """
                X = 1
                def f(): return 1
                class K:
                    def a(self): return 1
            """,
            "m.py": """
                import os, sys
                sys.path.append(os.path.join(os.path.dirname(__file__), "pkg"))
                import tool
                import pkg.tool
                sys.path.pop()
            """,
        },
        {
            "pkg/tool.py": swap(
                "X = 1",
                "X = 2",
                "f(): return 1",
                "f(): return 2",
                "a(self): return 1",
                "a(self): return 2",
            )
        },
        setup="one, two = m.tool, m.pkg.tool; o = one.K(); p = two.K()",
        check="""
            assert one is not two
            assert one.X == two.X == one.f() == two.f() == o.a() == p.a() == 2
        """,
    ),
    Edit(
        "module_loaded_from_its_path_by_spec",
        {
            "plugin.py": "def f(): return 1\n",
            "m.py": """
                import importlib.util, os, sys
                path = os.path.join(os.path.dirname(__file__), "plugin.py")
                spec = importlib.util.spec_from_file_location("odd_name", path)
                plugin = importlib.util.module_from_spec(spec)
                sys.modules["odd_name"] = plugin
                spec.loader.exec_module(plugin)
            """,
        },
        {"plugin.py": swap("return 1", "return 2")},
        setup="h = m.plugin.f",
        check="assert h() == 2",
    ),
    Edit(
        "module_imported_lazily_after_its_save",
        {
            "late.py": "def f(): return 1\n",
            "m.py": """
                def call():
                    import late
                    return late.f()
            """,
        },
        {"late.py": swap("return 1", "return 2")},
        mid="assert m.call() == 2",
        then=[{"late.py": swap("return 2", "return 3")}],
        check="assert m.call() == 3",
    ),
    Edit(
        "module_deleted_from_disk_stays_alive",
        {
            "gone.py": "def f(): return 1\n",
            "m.py": "import gone\ndef g(): return gone.f()\n",
        },
        {"gone.py": None},
        setup="h = m.g",
        then=[swap("gone.f()", "(gone.f(), 2)")],
        check="assert h() == (1, 2)",
        fresh=False,
    ),
    Edit(
        "module_deleted_and_written_again",
        {
            "gone.py": "def f(): return 1\n",
            "m.py": "import gone\ndef g(): return gone.f()\n",
        },
        {"gone.py": None},
        setup="h = m.g; f = m.gone.f",
        then=[{"gone.py": "def f(): return 3\n"}],
        check="assert h() == 3 == f()",
    ),
    Edit(
        "module_renamed_on_disk",
        {
            "old.py": "def f(): return 1\n",
            "m.py": """
                import old
                def g(): return old.f()
            """,
        },
        {
            "old.py": None,
            "new.py": "def f(): return 2\n",
            "m.py": """
                import new
                def g(): return new.f()
            """,
        },
        setup="h = m.g",
        check="assert h() == 2 and not hasattr(m, 'old')",
        ways=("apply",),
    ),
    Edit(
        "module_becomes_a_package_member_of_the_same_name",
        {
            "m.py": "from helper import f\n",
            "helper.py": "def f(): return 1\n",
        },
        {
            "m.py": "from helper2.part import f\n",
            "helper2/__init__.py": "",
            "helper2/part.py": "def f(): return 2\n",
        },
        setup="f = m.f",
        check="assert m.f() == 2",
        ways=("apply",),
    ),
    Edit(
        "module_with_reload_by_hand",
        "def f(): return 1\n",
        swap("return 1", "return 2"),
        setup="import importlib; importlib.reload(m); h = m.f",
        check="assert h() == 2",
    ),
    Edit(
        "future_import_unchanged_with_new_statement",
        """
        from __future__ import annotations
        import sys
        X = 1
        """,
        swap("X = 1", "def f(a: Later) -> sys.nothing: return 1\nX = 2"),
        check="assert m.X == 2 and m.f.__annotations__['a'] == 'Later'",
    ),
    Edit(
        "from_import_of_a_class_and_subclass_elsewhere",
        {
            "m.py": """
                class K:
                    def a(self): return 1
            """,
            "user.py": """
                from m import K
                MADE = [K() for _ in range(3)]
                def total(): return sum(k.a() for k in MADE)
            """,
        },
        swap("return 1", "return 2"),
        setup="import user",
        check="assert user.total() == 6 and user.K is m.K",
    ),
]
