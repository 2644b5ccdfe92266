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
