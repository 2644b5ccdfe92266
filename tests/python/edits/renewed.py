"""Edits of what replaces something, and of closures beneath a replacement."""

from . import Edit, swap

FG = """
def f(): return 1
def g(): return "g"
"""
MAKE = """
def make(n):
    def f(): return ("old", n)
    return f
f = make(1)
h = make(2)
"""
CLASSES = """
class K:
    x = 1
    def a(self): return 1
    @property
    def p(self): return 1
    @staticmethod
    def s(): return 1
class New(K):
    x = 2
    def a(self): return ("new", super().a())
    @property
    def p(self): return "p"
    @staticmethod
    def s(): return "s"
    @classmethod
    def c(cls): return "c"
"""
BY_NEW = """
    import hot_reload
    o = m.K()
    hot_reload.replace(m, m.K, m.New)
"""


def by_g(what="m, m.f"):
    return f"import hot_reload\nheld = m.f\nhot_reload.replace({what}, m.g)"


EDITS = [
    Edit(
        "replaced_by_function_that_is_edited",
        FG,
        FG.replace('return "g"', 'return "G"'),
        setup=by_g(),
        check="""
            assert held() == m.f() == m.g() == "G"
            hot_reload.restore_all()
            assert held() == m.f() == 1 and m.g() == "G"
        """,
    ),
    Edit(
        "replaced_by_function_that_is_edited_twice_and_back",
        FG,
        FG.replace('return "g"', 'return "G"'),
        then=[FG.replace('return "g"', "return 3")],
        revert=True,
        mid="assert held() == m.f() == 'G'",
        setup=by_g(),
        check="""
            assert held() == m.f() == "g"
            hot_reload.restore_all()
            assert held() == m.f() == 1
        """,
        quiet=True,
    ),
    Edit(
        "replaced_by_function_that_moves_then_changes",
        FG,
        "# a line\n" + FG,
        then=["# a line\n" + FG.replace('return "g"', 'return "G"')],
        setup=by_g(),
        check="""
            assert m.f() == "G" and m.f.__code__.co_firstlineno == 4
            hot_reload.restore_all()
            assert m.f() == 1
        """,
    ),
    Edit(
        "replaced_by_function_with_other_defaults",
        "def f(a=1): return a\ndef g(a=2): return a\n",
        "def f(a=1): return a\ndef g(a=3, *, b=4): return a, b\n",
        setup=by_g(),
        check="assert m.f() == (3, 4); hot_reload.restore_all(); assert m.f() == 1",
    ),
    Edit(
        "replaced_by_function_that_becomes_a_generator",
        FG,
        FG.replace('return "g"', 'yield "G"'),
        setup=by_g(),
        check="""
            assert list(m.f()) == ["G"]
            hot_reload.restore_all()
            assert m.f() == 1
        """,
    ),
    Edit(
        "replaced_and_its_replacement_edited",
        FG,
        FG.replace('return "g"', 'return "G"').replace("return 1", "return 2"),
        setup=by_g(),
        check="assert m.f() == 'G'; hot_reload.restore_all(); assert m.f() == 2",
    ),
    Edit(
        "replaced_by_closure_that_is_edited",
        MAKE + "def t(): return 't'\n",
        swap('"old"', '"new"'),
        setup="import hot_reload; hot_reload.replace(m, m.t, m.h)",
        check="""
            assert m.t() == m.h() == ("new", 2)
            hot_reload.restore_all()
            assert m.t() == "t" and m.f() == ("new", 1)
        """,
    ),
    Edit(
        "replaced_closure_that_is_edited",
        MAKE,
        swap('"old"', '"new"'),
        setup="import hot_reload; hot_reload.replace(m, m.f, lambda: 'r')",
        check="""
            assert m.f() == "r" and m.h() == ("new", 2)
            assert hot_reload.original(m.f)() == ("new", 1)
            hot_reload.restore_all()
            assert m.f() == ("new", 1)
        """,
    ),
    Edit(
        "replaced_closure_by_a_closure_of_the_same_code",
        MAKE,
        swap('"old"', '"new"'),
        setup="import hot_reload; hot_reload.replace(m, m.f, m.h)",
        check="""
            assert m.f() == m.h() == ("new", 2)
            hot_reload.restore_all()
            assert m.f() == ("new", 1)
        """,
    ),
    Edit(
        "replaced_decorated_whose_wrapper_is_edited",
        """
        def deco(fn):
            def call(): return ("old", fn())
            return call
        @deco
        def f(): return 1
        """,
        swap('"old"', '"new"'),
        setup="import hot_reload; hot_reload.replace(m, m.f, lambda: 'r')",
        check="""
            assert m.f() == "r"
            hot_reload.restore_all()
            assert m.f() == ("new", 1)
        """,
    ),
    Edit(
        "replaced_class_by_one_whose_method_is_edited",
        CLASSES,
        swap('"new"', '"newer"'),
        setup=BY_NEW,
        check="""
            assert o.a() == ("newer", 1)
            hot_reload.restore_all()
            assert o.a() == 1 and m.New().a() == ("newer", 1)
        """,
    ),
    Edit(
        "replaced_class_by_one_whose_wrapped_methods_are_edited",
        CLASSES,
        swap('"p"', '"P"', '"s"', '"S"', '"c"', '"C"'),
        setup=BY_NEW,
        check="""
            assert (o.p, o.s(), o.c()) == ("P", "S", "C")
            hot_reload.restore_all()
            assert (o.p, o.s()) == (1, 1) and not hasattr(o, "c")
        """,
    ),
    Edit(
        "replaced_class_by_one_that_gains_and_loses_members",
        CLASSES,
        swap("x = 2", "y = 3\n    def b(self): return 'b'"),
        setup=BY_NEW,
        check="""
            assert (o.y, o.b(), o.a(), o.x) == (3, "b", ("new", 1), 1)
            hot_reload.restore_all()
            assert (o.a(), o.x) == (1, 1)
            assert not hasattr(o, "y") and not hasattr(o, "b")
        """,
    ),
    Edit(
        "replaced_class_by_one_with_a_member_added_then_changed",
        CLASSES,
        CLASSES + "    def b(self): return 1\n",
        then=[CLASSES + "    def b(self): return 2\n"],
        setup=BY_NEW,
        check="""
            assert (o.b(), o.a()) == (2, ("new", 1))
            hot_reload.restore_all()
            assert o.a() == 1 and not hasattr(o, "b")
        """,
    ),
    Edit(
        "replaced_method_of_an_object_by_function_that_is_edited",
        "class K:\n    def a(self): return 1\no = K()\ndef g(self): return 'g'\n",
        swap("'g'", "'G'"),
        setup="import hot_reload; h = m.o.a; hot_reload.replace(m.o, m.o.a, m.g)",
        check="""
            assert m.o.a() == h() == "G"
            hot_reload.restore_all()
            assert m.o.a() == h() == 1
        """,
    ),
    Edit(
        "replaced_inherited_method_by_function_that_is_edited",
        """
        class K:
            def a(self): return 1
        class S(K): pass
        def g(self): return "g"
        """,
        swap('"g"', '"G"'),
        setup="import hot_reload; hot_reload.replace(m.S, m.S.a, m.g)",
        check="""
            assert (m.S().a(), m.K().a()) == ("G", 1)
            hot_reload.restore_all()
            assert m.S().a() == 1
        """,
    ),
    Edit(
        "replaced_static_method_by_function_that_is_edited",
        """
        class K:
            @staticmethod
            def a(): return 1
        def g(): return "g"
        """,
        swap('"g"', '"G"'),
        setup="import hot_reload; hot_reload.replace(m.K, m.K.a, m.g)",
        check="assert m.K.a() == 'G'; hot_reload.restore_all(); assert m.K.a() == 1",
    ),
    Edit(
        "replaced_property_by_one_whose_getter_is_edited",
        """
        class K:
            @property
            def a(self): return 1
        def g(self): return "g"
        prop = property(g)
        """,
        swap('"g"', '"G"'),
        setup="""
            import hot_reload
            hot_reload.replace(m.K, m.K.a, m.prop)
            assert m.g(0) == "g"
        """,
        check="""
            assert m.K().a == m.g(0) == "G"
            hot_reload.restore_all()
            assert m.K().a == 1
        """,
        fresh=False,
    ),
    Edit(
        "replaced_object_by_function_that_is_edited",
        "import functools\nf = functools.partial(int, 1)\ndef g(): return 'g'\n",
        swap("'g'", "'G'"),
        setup="import hot_reload; hot_reload.replace(m, m.f, m.g)",
        check="assert m.f() == 'G'; hot_reload.restore_all(); assert m.f() == 1",
    ),
]
