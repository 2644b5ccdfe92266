"""Lines: tracebacks, sources, what moved; and texts of every encoding."""

from . import Edit, swap

RAISES = """
    def f():
        raise ValueError
"""
LINE = """
    import sys, traceback
    def line(call):
        try:
            call()
        except ValueError:
            frames = traceback.extract_tb(sys.exc_info()[2])
            return frames[-1].lineno, frames[-1].line
"""

EDITS = [
    Edit(
        "lines_of_traceback_after_move_down",
        RAISES,
        "# a comment\n" + "\n" * 7 + "def f():\n    raise ValueError\n",
        setup=LINE + "    h = m.f",
        check="assert line(h) == (10, 'raise ValueError'), line(h)",
    ),
    Edit(
        "lines_of_traceback_after_move_up",
        "\n" * 7 + "def f():\n    raise ValueError\n",
        RAISES,
        setup=LINE + "    h = m.f",
        check="assert line(h) == (2, 'raise ValueError')",
    ),
    Edit(
        "lines_of_traceback_in_changed_function",
        RAISES,
        swap("    raise", "    x = 1\n    y = 2\n    raise"),
        setup=LINE + "    h = m.f",
        check="assert line(h) == (4, 'raise ValueError')",
    ),
    Edit(
        "lines_of_method_after_attribute_added",
        """
        class K:
            def a(self):
                raise ValueError
        """,
        swap("class K:\n", "class K:\n    X = 1\n\n"),
        setup=LINE + "    o = m.K(); b = o.a",
        check="assert line(b) == (5, 'raise ValueError') and o.X == 1",
    ),
    Edit(
        "lines_of_closure_moved",
        """
        def mk():
            def g():
                raise ValueError
            return g
        """,
        swap("def mk():\n", "# one\n# two\ndef mk():\n"),
        setup=LINE + "    h = m.mk()",
        check="assert line(h) == (5, 'raise ValueError') == line(m.mk())",
    ),
    Edit(
        "lines_of_lambda_and_decorated_function_moved",
        """
        import functools
        def deco(fn):
            @functools.wraps(fn)
            def w(*a): return fn(*a)
            return w
        L = lambda: int("x")
        @deco
        def f():
            raise ValueError
        """,
        swap("import functools\n", "import functools\n\n\n"),
        setup=LINE + "    h, l = m.f, m.L",
        check="assert line(h)[0] == 11 and line(l)[0] == 8, (line(h), line(l))",
    ),
    Edit(
        "lines_of_nested_class_moved",
        """
        class A:
            class B:
                def f(self):
                    raise ValueError
        """,
        "# one\n# two\n"
        "class A:\n    class B:\n        def f(self):\n            raise ValueError\n",
        setup=LINE + "    o = m.A.B()",
        check="assert line(o.f)[0] == 6",
    ),
    Edit(
        "lines_only_comments_changed",
        """
        # old comment
        def f():  # here
            return 1  # there
        """,
        swap("old comment", "new comment", "# here", "# HERE", "# there", "# THERE"),
        setup="h = m.f",
        check="""
            import inspect
            assert h() == 1 and m.f is h and "THERE" in inspect.getsource(h)
        """,
    ),
    Edit(
        "lines_only_whitespace_changed",
        """
        def f():
            return 1
        X = [1]
        """,
        """
        def f():

            return  1

        X = [
            1,
        ]
        """,
        setup="x, h = m.X, m.f",
        check="assert h() == 1 and m.f is h and m.X == [1]",
        quiet=True,
    ),
    Edit(
        "lines_two_functions_exchange_places",
        """
        def a():
            raise ValueError("a")
        def b():
            raise ValueError("b")
        """,
        """
        def b():
            raise ValueError("b")
        def a():
            raise ValueError("a")
        """,
        setup=LINE + "    ha, hb = m.a, m.b",
        check="""
            assert line(ha) == (4, 'raise ValueError("a")') and m.a is ha
            assert line(hb) == (2, 'raise ValueError("b")') and m.b is hb
        """,
    ),
    Edit(
        "lines_of_running_frame_stay",
        """
        def g():
            yield 1
            raise ValueError
        """,
        "# pushed\n# down\ndef g():\n    yield 1\n    raise ValueError\n",
        setup=LINE + "    it = m.g(); next(it)",
        check="assert line(lambda: next(it))[0] in (3, 5); h = list; "
        "assert line(lambda: h(m.g()))[0] == 5",
    ),
    Edit(
        "source_of_function_and_class",
        """
        def f():
            return "old"
        class K:
            def a(self):
                return "old"
        """,
        """
        X = 1
        class K:
            def a(self):
                return "new"
        def f():
            # a comment
            return "new"
        """,
        setup="h, k, b = m.f, m.K, m.K().a",
        check="""
            import inspect
            src = 'def f():\\n    # a comment\\n    return "new"\\n'
            assert inspect.getsource(h) == src, inspect.getsource(h)
            assert inspect.getsource(k).endswith('return "new"\\n')
            assert inspect.getsource(b) == '    def a(self):\\n        return "new"\\n'
        """,
    ),
    Edit(
        "source_of_decorated_function",
        """
        def deco(fn): return fn
        @deco
        def f(): return 1
        """,
        swap("@deco\n", "\n@deco\n", "return 1", "return 2"),
        setup="h = m.f",
        check="""
            import inspect
            assert inspect.getsource(h) == "@deco\\ndef f(): return 2\\n"
            assert inspect.getsourcelines(h)[1] == 3
        """,
    ),
    Edit(
        "source_first_line_numbers_as_after_fresh_import",
        """
        def a(): pass
        class K:
            def b(self): pass
            c = lambda self: 1
        def d():
            def e(): pass
            return e
        """,
        swap("def a(): pass\n", "def a():\n    x = 1\n    return x\n"),
        setup="a, b, c, d = m.a, m.K.b, m.K.c, m.d; e = d()",
        check="""
            lines = [f.__code__.co_firstlineno for f in (a, b, c, d, e)]
            assert lines == [1, 5, 6, 7, 8], lines
        """,
    ),
    Edit(
        "source_qualified_names_of_new_parts",
        "x = 1\n",
        """
        def outer():
            def inner(): return 1
            return inner
        class K:
            class L:
                def a(self): return lambda: 1
        """,
        check="""
            assert m.outer().__qualname__ == "outer.<locals>.inner"
            assert m.K.L.a.__qualname__ == "K.L.a" and m.K.L().a().__module__ == "m"
            assert m.K.L().a().__qualname__ == "K.L.a.<locals>.<lambda>"
        """,
    ),
    Edit(
        "source_code_names_and_flags",
        "def f(): return 1\n",
        """
        def f():
            "doc"
            return [x for x in (1, 2)]
        """,
        setup="h = m.f",
        check="""
            assert h.__code__.co_name == "f" and h.__code__.co_filename == m.__file__
            if hasattr(h.__code__, "co_qualname"):
                assert h.__code__.co_qualname == "f"
            assert h() == [1, 2]
        """,
    ),
    Edit(
        "text_crlf",
        b"X = 1\r\ndef f():\r\n    '''a\r\nb'''\r\n    return X\r\n",
        b"X = 2\r\ndef f():\r\n    '''a\r\nc'''\r\n    return X\r\n",
        setup="h = m.f",
        check="assert h() == 2 and h.__doc__ == 'a\\nc'",
    ),
    Edit(
        "text_line_ends_converted",
        b"def f():\n    return 1\nX = [1]\n",
        b"def f():\r\n    return 2\r\nX = [1]\r\n",
        setup="h, x = m.f, m.X",
        check="assert h() == 2 and m.X == [1]",
    ),
    Edit(
        "text_old_mac_line_ends",
        b"def f():\r    return 1\rX = 1\r",
        b"def f():\r    return 2\rX = 2\r",
        setup="h = m.f",
        check="assert h() == 2 == m.X",
    ),
    Edit(
        "text_bom",
        b"\xef\xbb\xbfdef f():\n    return '\xc3\xa4'\n",
        b"\xef\xbb\xbfdef f():\n    return '\xc3\xb6'\n",
        setup="h = m.f",
        check="assert h() == '\\xf6'",
    ),
    Edit(
        "text_bom_added",
        b"def f():\n    return 1\n",
        b"\xef\xbb\xbfdef f():\n    return 2\n",
        setup="h = m.f",
        check="assert h() == 2",
    ),
    Edit(
        "text_latin_1",
        b"# -*- coding: latin-1 -*-\ndef f():\n    return '\xe4'\n",
        b"# -*- coding: latin-1 -*-\ndef f():\n    return '\xf6\xe4'\n",
        setup="h = m.f",
        check="assert h() == '\\xf6\\xe4'",
    ),
    Edit(
        "text_encoding_changed",
        b"# coding: latin-1\nX = '\xe4'\ndef f(): return X\n",
        b"# coding: utf-8\nX = '\xc3\xb6'\ndef f(): return X\n",
        setup="h = m.f",
        check="assert h() == '\\xf6'",
    ),
    Edit(
        "text_encoding_on_second_line",
        b"#!/usr/bin/env python\n# vim: set fileencoding=cp1252 :\nX = '\x80'\n",
        b"#!/usr/bin/env python\n# vim: set fileencoding=cp1252 :\nX = '\x80\x80'\n",
        check="assert m.X == '\\u20ac\\u20ac'",
    ),
    Edit(
        "text_utf_8_identifiers_normalised",
        "def gr\u00f6\u00dfe(): return 1\nK = gr\u00f6\u00dfe\n",
        swap("return 1", "return 2"),
        setup="h = m.K",
        check="assert h() == 2",
    ),
    Edit(
        "text_tabs",
        "class K:\n\tdef a(self):\n\t\treturn 1\n",
        "class K:\n\tdef a(self):\n\t\treturn 2\n\tdef b(self):\n\t\treturn 3\n",
        setup="o = m.K()",
        check="assert o.a() == 2 and o.b() == 3",
    ),
    Edit(
        "text_tabs_to_spaces",
        "class K:\n\tdef a(self):\n\t\treturn 1\nX = 1\n",
        "class K:\n    def a(self):\n        return 1\nX = 2\n",
        setup="o = m.K(); b = m.K.a",
        check="assert o.a() == 1 and m.K.a is b and m.X == 2",
    ),
    Edit(
        "text_form_feed",
        "X = 1\n\x0c\ndef f():\n    return 1\n",
        "X = 1\n\x0c\ndef f():\n    return 2\n\x0c\nY = 1\n",
        setup="h = m.f",
        check="assert h() == 2 and m.Y == 1",
    ),
    Edit(
        "text_no_final_newline",
        "def f(): return 1",
        "def f(): return 2",
        setup="h = m.f",
        check="assert h() == 2",
    ),
    Edit(
        "text_final_newline_added",
        "X = 1\ndef f(): return 1",
        "X = 1\ndef f(): return 1\nY = 2\n",
        setup="h = m.f",
        check="assert m.f is h and m.Y == 2",
    ),
    Edit(
        "text_emptied_and_filled",
        "def f(): return 1\nX = 1\n",
        "",
        mid="assert not hasattr(m, 'f') and not hasattr(m, 'X')",
        then=["def f(): return 2\n"],
        check="assert m.f() == 2 and not hasattr(m, 'X')",
    ),
    Edit(
        "text_strings_that_look_like_code",
        r'''
        S = """
        def f(): return "inside"
        # not a comment
        """
        def f(): return "outside"
        T = r"\\"
        U = 'a\
        def g(): return 1'
        ''',
        swap('"outside"', '"changed"'),
        setup="h, s = m.f, m.S",
        check="assert h() == 'changed' and m.S is s and not hasattr(m, 'g')",
    ),
    Edit(
        "text_string_content_changed",
        '''
        S = """
        def f(): return 1
        """
        ''',
        swap("return 1", "return 2"),
        check="assert 'return 2' in m.S and not hasattr(m, 'f')",
    ),
    Edit(
        "text_continuation_lines",
        "X = 1 + \\\n    2\ndef f(a,\n  b=(\n1)): return (a,\nb)\n",
        "X = 1 + \\\n    3\ndef f(a,\n  b=(\n2)): return (a,\nb)\n",
        setup="h = m.f",
        check="assert m.X == 4 and h(1) == (1, 2)",
    ),
    Edit(
        "text_semicolons_and_one_line_blocks",
        "X = 1; Y = 2\nclass K: a = 1; b = 2\nif X: Z = 1\n",
        "X = 1; Y = 3\nclass K: a = 5; b = 2\nif X: Z = 7\n",
        setup="k = m.K",
        check="assert m.Y == 3 and m.K.a == 5 and m.Z == 7 and m.K is k",
    ),
    Edit(
        "text_comments_at_odd_indentation",
        """
        class K:
            def a(self):
                return 1
        # at column zero, inside the class
            def b(self):
                return 1
                    # deeper
        # after
        X = 1
        """,
        swap("def b(self):\n        return 1", "def b(self):\n        return 2"),
        setup="o = m.K(); x = m.K.a",
        check="assert o.b() == 2 and o.a() == 1 and m.K.a is x",
    ),
    Edit(
        "text_soft_keywords_as_names",
        """
        match = 1
        case = 2
        type = 3
        _ = 4
        def f(): return (match, case, type, _)
        """,
        swap("match = 1", "match = 10", "type = 3", "type = 30"),
        setup="h = m.f",
        check="assert h() == (10, 2, 30, 4)",
    ),
    Edit(
        "text_nested_f_strings",
        """
        X = 1
        def f(): return f"{X!r:>{X + 3}} {'a' + f'{X}'}"
        """,
        swap("X = 1", "X = 2", "{'a'", "{'b'"),
        setup="h = m.f",
        check="assert h() == '    2 b2'",
    ),
    Edit(
        "text_nested_f_strings_with_same_quotes",
        """
        X = 1
        def f(): return f"{f"{X}" + "}"}"
        Y = 1
        """,
        swap('"}"}"', '"{"}"', "Y = 1", "Y = 2"),
        setup="h = m.f",
        check="assert h() == '1{' and m.Y == 2",
        python=(3, 12),
    ),
]
