"""What the engine takes for the text that a module was made from."""

import subprocess
import sys
import textwrap

PROGRAM = """
    from __future__ import annotations
    import logging, sys
    logging.basicConfig(level=logging.WARNING, stream=sys.stdout)

    def f(a: int = 3) -> str:
        "A closure, a default, annotations that are never evaluated."
        def g(): return a
        return g

    import hot_reload
    hot_reload.start(sys.path[0])
    hot_reload.stop()
    print("done")
"""


def test_a_script_made_from_its_text_is_not_doubted(tmp_path):
    """Its code was compared without the flags of its `from __future__` imports."""
    script = tmp_path / "main.py"
    script.write_text(textwrap.dedent(PROGRAM))
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "done\n", done.stdout + done.stderr


IMPORTED_CALLS = """
    import logging, sys
    logging.basicConfig(level=logging.WARNING, stream=sys.stdout)

    def f():
        logging.info("a call of what the module imported is compiled another way")

    import hot_reload
    hot_reload.start(sys.path[0])
    hot_reload.stop()
    print("done")
"""


def test_a_script_that_calls_what_it_imported_is_not_doubted(tmp_path):
    script = tmp_path / "main.py"
    script.write_text(textwrap.dedent(IMPORTED_CALLS))
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "done\n", done.stdout + done.stderr


def test_a_function_that_is_defined_twice_is_not_doubted(project):
    """As stubs of typing.overload: only the last one is the live one."""
    text = "def f(a): pass\n\ndef f(a, b): return 1\n"
    project.load(start=False, m=text)
    project.engine.start(project.folder, watch=False)
    assert "HR402" not in project.caplog.text


def test_a_method_that_was_changed_before_the_start_is_doubted(project):
    text = "class K:\n    def f(self): return {}\n{}    def g(self): return {}\n"
    m = project.load(start=False, m=text.format(1, "", 1))
    o = m.K()
    project.write(m=text.format(1, "    # one more line\n", 2))
    project.engine.start(project.folder, watch=False)
    assert "HR402" in project.caplog.text
    assert o.g() == 1
    project.write(m=text.format(2, "    # one more line\n", 2))
    assert project.engine.apply(project.path("m")).ok
    assert (o.f(), o.g()) == (2, 2)


def test_what_was_saved_while_the_engine_was_stopped_comes_with_the_next_save(project):
    text = "def f(): return {}\ndef g(): return {}\n"
    m = project.load(m=text.format(1, 1))
    project.engine.stop()
    project.write(m=text.format(2, 1))
    project.engine.start(project.folder, watch=False)
    assert "HR402" in project.caplog.text
    project.write(m=text.format(2, 2))
    assert project.engine.apply(project.path("m")).ok
    assert (m.f(), m.g()) == (2, 2)


def test_a_source_that_is_newer_than_the_compiled_file_is_compared(project):
    """Imported before start(), saved since, and no line has moved."""
    text = "def f(): return {}\ndef g(): return {}\n"
    m = project.load(start=False, m=text.format(1, 1))
    project.write(m=text.format(22, 1))
    project.engine.start(project.folder, watch=False)
    project.write(m=text.format(22, 2))
    assert project.engine.apply(project.path("m")).ok
    assert (m.f(), m.g()) == (22, 2)
