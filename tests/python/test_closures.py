"""Closures alive: what undo() does about them, and how long many of them take."""

import os
import subprocess
import sys
import textwrap

HEAD = """
    import os, sys, tempfile, time
    import hot_reload
    folder = os.path.realpath(tempfile.mkdtemp())
    sys.path.insert(0, folder)
    path = os.path.join(folder, "m.py")
    def write(text):
        with open(path, "w") as out:
            out.write(text)
    def save(text):
        write(text)
        revision = hot_reload.apply(path)
        assert revision.ok, revision.error
        return [e.code for e in revision.edits if e.kind == "refused"]
"""


def run(text):
    program = textwrap.dedent(HEAD) + textwrap.dedent(text)
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "HOT_RELOAD_SOCKET": "0"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


def test_undo_reaches_closures_made_since():
    run(
        """
        TEXT = "def mk(a):\\n    def g(x=1): return {}\\n    return g\\n"
        write(TEXT.format("a"))
        hot_reload.start(folder, watch=False)
        import m
        old = m.mk(1)
        assert save(TEXT.format("-a").replace("x=1", "x=2")) == []
        new = m.mk(3)
        assert (old(), new()) == (-1, -3) and new.__defaults__ == (2,)
        hot_reload.undo()
        assert (old(), new()) == (1, 3) and new.__defaults__ == (1,)
        assert save(TEXT.format("[a]")) == []
        assert (old(), new()) == ([1], [3])
        """
    )


def test_undo_of_several_saves_reaches_closures_of_each():
    run(
        """
        TEXT = "def mk(a):\\n    def g(): return {}\\n    return g\\n"
        write(TEXT.format("a, 0"))
        hot_reload.start(folder, watch=False)
        import m
        made = [m.mk(0)]
        for n in range(1, 5):
            save(TEXT.format(f"a, {n}"))
            made.append(m.mk(n))
        for n in (3, 2, 1, 0):
            hot_reload.undo()
            assert [g() for g in made] == [(i, n) for i in range(5)]
        """
    )


def test_undo_that_does_not_fit_a_closure_is_said():
    said = run(
        """
        TEXT = "def mk(a, b):\\n    def g(): return {}\\n    return g\\n"
        write(TEXT.format("a, b"))
        hot_reload.start(folder, watch=False)
        import m
        old = m.mk(1, 2)
        save(TEXT.format("a"))
        new = m.mk(3, 4)
        hot_reload.undo()
        assert old() == (1, 2) and new() == 3
        save(TEXT.format("[a]"))
        assert old() == [1] and new() == [3]
        """
    )
    assert "HR201" in said


def test_undo_reaches_local_classes():
    run(
        """
        TEXT = "def mk(n):\\n    class K:\\n        def f(self): return {}\\n"
        END = "    return K\\n"
        write(TEXT.format("n") + END)
        hot_reload.start(folder, watch=False)
        import m
        old = m.mk(1)()
        save(TEXT.format("self.g()") + "        def g(self): return -n\\n" + END)
        new = m.mk(2)()
        assert (old.f(), new.f()) == (-1, -2)
        hot_reload.undo()
        assert (old.f(), new.f()) == (1, 2)
        assert not hasattr(old, "g") and not hasattr(new, "g")
        """
    )


def test_functions_that_only_move_keep_their_closures_apart():
    run(
        """
        TEXT = "def mk(x):\\n    return (lambda: x,\\n            lambda: -x)\\n"
        write(TEXT)
        hot_reload.start(folder, watch=False)
        import m
        a, b = m.mk(1)
        assert save("X = 1\\n\\n" + TEXT) == []
        assert (a(), b()) == (1, -1)
        assert (a.__code__.co_firstlineno, b.__code__.co_firstlineno) == (4, 5)
        """
    )


def test_many_closures_are_quick():
    run(
        """
        TEXT = "def mk(n):\\n    def g(): return n + {}\\n    return g\\n"
        write(TEXT.format(1))
        hot_reload.start(folder, watch=False)
        import m
        def measure(count):
            made = [m.mk(i) for i in range(count)]
            best = 9e9
            for n in (2, 3, 1):
                begun = time.perf_counter()
                save(TEXT.format(n))
                best = min(best, time.perf_counter() - begun)
                assert made[-1]() == count - 1 + n
            begun = time.perf_counter()
            hot_reload.undo(3)
            undo = time.perf_counter() - begun
            assert made[-1]() == count
            return best, undo
        few, many = measure(10000), measure(80000)
        # Linear is 8, quadratic 64.
        assert many[0] < 30 * few[0] + 0.1, (few, many)
        assert many[1] < 30 * few[1] + 0.1, (few, many)
        """
    )


def test_many_refused_closures_are_one_refusal():
    run(
        """
        TEXT = "def mk(n, b):\\n    def g(): return {}\\n    return g\\n"
        write(TEXT.format("n"))
        hot_reload.start(folder, watch=False)
        import m
        made = [m.mk(i, 0) for i in range(5000)]
        assert save(TEXT.format("n, b")) == ["HR201"]
        assert save(TEXT.format("-n")) == []
        assert [g() for g in made] == [-i for i in range(5000)]
        """
    )


def test_what_saves_take_out_is_not_followed_for_ever():
    run(
        """
        import gc
        HEAD = "def mk(n):\\n    class K:\\n"
        A = HEAD + "        def f(self): return n\\n    return K\\n"
        B = HEAD + "        @property\\n        def f(self): return n\\n    return K\\n"
        write(A)
        hot_reload.start(folder, watch=False)
        import m
        held = [m.mk(i)() for i in range(10)]
        def count(saves):
            for n in range(saves):
                save((A, B)[(n + 1) % 2])
            gc.collect()
            return len(gc.get_objects())
        count(80)
        before = count(40)
        assert count(80) < before + 1000
        hot_reload.undo()
        assert [o.f for o in held] == list(range(10))
        """
    )
