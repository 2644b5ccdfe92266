"""Edits of what is replaced: it stays replaced, restored it shows the edit."""

from . import Edit

K = "class K:\n    x = 1\n    def f(self): return 1\n"
NEW = """
    import hot_reload
    class New:
        x = 50
        def f(self): return 100
    o = m.K()
    hot_reload.replace(m, m.K, New)
    assert (o.f(), o.x) == (100, 50)
"""
STILL = """
    assert (o.f(), o.x) == (100, 50)
    hot_reload.restore_all()
"""
BY_R = """
    import hot_reload
    def r(*args): return "r"
    hot_reload.replace(m, m.f, r)
"""


def restored(text, still="assert m.f() == 'r'"):
    return f"{still}\nhot_reload.restore_all()\n{text}"


EDITS = [
    Edit(
        "replaced_class_method",
        K,
        K.replace("return 1", "return 2"),
        setup=NEW,
        check=STILL + "    assert (o.f(), o.x) == (2, 1)",
    ),
    Edit(
        "replaced_class_attribute",
        K,
        K.replace("x = 1", "x = 2"),
        setup=NEW,
        check=STILL + "    assert (o.f(), o.x) == (1, 2)",
    ),
    Edit(
        "replaced_class_method_added",
        K,
        K + "    def g(self): return 3\n",
        setup=NEW,
        check="""
            assert not hasattr(o, "g") and o.f() == 100
            hot_reload.restore_all()
            assert (o.f(), o.g()) == (1, 3)
        """,
    ),
    Edit(
        "replaced_class_method_removed",
        K,
        "class K:\n    x = 1\n",
        setup=NEW,
        check=STILL + "    assert not hasattr(o, 'f') and o.x == 1",
    ),
    Edit(
        "replaced_class_method_to_property",
        K,
        K.replace("    def f", "    @property\n    def f"),
        setup=NEW,
        check=STILL + "    assert o.f == 1",
    ),
    Edit(
        "replaced_class_bases",
        "class A: pass\n" + K,
        "class A:\n    def g(self): return 4\n" + K.replace("K:", "K(A):"),
        setup=NEW,
        check="""
            assert o.f() == 100 and not hasattr(o, "g")
            hot_reload.restore_all()
            assert (o.f(), o.g()) == (1, 4)
        """,
    ),
    Edit(
        "replaced_class_dataclass",
        """
        from dataclasses import dataclass
        @dataclass
        class K:
            x: int = 1
            def f(self): return 1
        """,
        """
        from dataclasses import dataclass
        @dataclass
        class K:
            x: int = 2
            y: int = 3
            def f(self): return 1
        """,
        setup="""
            import hot_reload
            class New:
                x = 50
                def f(self): return 100
            o = m.K()
            hot_reload.replace(m, m.K, New)
        """,
        check="""
            assert (o.f(), m.K().x) == (100, 50) and not hasattr(m.K, "y")
            hot_reload.restore_all()
            assert (m.K().x, m.K().y, o.f()) == (2, 3, 1)
        """,
    ),
    Edit(
        "replaced_class_inherited_by_the_new_one",
        K,
        K.replace("return 1", "return 2"),
        setup="""
            import hot_reload
            class New(m.K):
                x = 50
            o = m.K()
            hot_reload.replace(m, m.K, New)
        """,
        check="""
            assert (o.f(), o.x) == (2, 50)
            hot_reload.restore_all()
            assert (o.f(), o.x) == (2, 1)
        """,
    ),
    Edit(
        "replaced_class_original_follows",
        K,
        K.replace("return 1", "return 2"),
        setup=NEW,
        check="""
            original = hot_reload.original(m.K)
            assert (original().f(), o.f()) == (2, 100)
            hot_reload.restore_all()
        """,
        fresh=False,
    ),
    Edit(
        "replaced_class_and_method",
        K,
        K.replace("return 1", "return 2"),
        setup=NEW + "    p = hot_reload.replace(m.K, m.K.f, lambda self: 'p')",
        check="""
            assert (o.f(), o.x) == ("p", 50)
            hot_reload.restore(m, m.K)
            assert (o.f(), o.x) == ("p", 1)
            p.restore()
            assert o.f() == 2
        """,
    ),
    Edit(
        "replaced_property_body",
        "class K:\n    @property\n    def p(self): return 1\n",
        "class K:\n    @property\n    def p(self): return 2\n",
        setup="""
            import hot_reload
            o = m.K()
            hot_reload.replace(m.K, m.K.__dict__["p"], property(lambda self: "r"))
        """,
        check=restored("assert o.p == 2", "assert o.p == 'r'"),
    ),
    Edit(
        "replaced_property_gets_a_setter",
        "class K:\n    @property\n    def p(self): return 1\n",
        """
        class K:
            @property
            def p(self): return 2
            @p.setter
            def p(self, value): self.v = value
        """,
        setup="""
            import hot_reload
            o = m.K()
            hot_reload.replace(m.K, m.K.__dict__["p"], property(lambda self: "r"))
        """,
        check="""
            assert o.p == "r"
            hot_reload.restore_all()
            o.p = 5
            assert (o.p, o.v) == (2, 5)
        """,
    ),
    Edit(
        "replaced_class_attribute_alone",
        "class K:\n    c = len\n",
        "class K:\n    c = max\n",
        setup="import hot_reload; hot_reload.replace(m.K, len, min)",
        check=restored("assert m.K.c is max", "assert m.K.c is min"),
        fresh=False,
    ),
    Edit(
        "replaced_lru_cache_arguments",
        "import functools\n@functools.lru_cache(4)\ndef f(): return 1\n",
        "import functools\n@functools.lru_cache(5)\ndef f(): return 2\n",
        setup=BY_R,
        check=restored("assert m.f() == 2"),
    ),
    Edit(
        "replaced_lru_cache_body",
        "import functools\n@functools.lru_cache\ndef f(): return 1\n",
        "import functools\n@functools.lru_cache\ndef f(): return 2\n",
        setup="m.f()\n" + BY_R.replace("\n    ", "\n").lstrip(),
        check=restored("assert m.f() == 2"),
    ),
    Edit(
        "replaced_partial",
        "import functools\nf = functools.partial(int, '1')\n",
        "import functools\nf = functools.partial(int, '2')\n",
        setup=BY_R,
        check=restored("assert m.f() == 2"),
    ),
    Edit(
        "replaced_function_default",
        "N = 1\ndef f(x=N): return x\n",
        "N = 2\ndef f(x=N): return x\n",
        setup=BY_R,
        check=restored("assert m.f() == 2"),
    ),
    Edit(
        "replaced_function_removed",
        "def f(): return 1\n",
        "X = 1\n",
        setup=BY_R + "    h = m.f",
        check=restored("assert not hasattr(m, 'f') and h() == 1"),
        fresh=False,
    ),
    Edit(
        "replaced_function_decorated",
        "def f(): return 1\n",
        "import functools\n@functools.lru_cache\ndef f(): return 2\n",
        setup=BY_R,
        check=restored("assert m.f() == 2"),
    ),
    Edit(
        "replaced_reverted",
        K,
        K.replace("x = 1", "x = 2").replace("return 1", "return 2"),
        setup=NEW,
        mid="assert (o.f(), o.x) == (100, 50)",
        revert=True,
        check=STILL + "    assert (o.f(), o.x) == (1, 1)",
        quiet=True,
    ),
    Edit(
        "replaced_enum",
        """
        import enum
        class C(enum.Enum):
            R = 1
            def a(self): return "a"
        """,
        """
        import enum
        class C(enum.Enum):
            R = 2
            G = 3
            def a(self): return "aa"
            def c(self): return "c"
        """,
        setup="""
            import enum, hot_reload
            class New(enum.Enum):
                R = m.C.R.value
                if hasattr(m.C, "G"):
                    G = 3
                def b(self): return "b"
            red = m.C.R
            hot_reload.replace(m, m.C, New)
        """,
        check="""
            assert m.C.R is red and (red.value, m.C.G.value) == (2, 3)
            assert red.b() == m.C.G.b() == "b"
            assert not hasattr(red, "a") and not hasattr(red, "c")
            hot_reload.restore_all()
            assert (red.a(), m.C(3).c(), m.C.R is red) == ("aa", "c", True)
            assert not hasattr(red, "b") and list(m.C) == [red, m.C.G]
        """,
    ),
]
