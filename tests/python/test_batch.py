"""Batches of many files: others run while they are planned, and may replace."""

import subprocess
import sys
import textwrap

PROGRAM = """
import os, sys, threading, time
import hot_reload

COUNT = 150
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
paths = [os.path.join(here, f"m{i}.py") for i in range(COUNT)]


def write(value):
    for path in paths:
        with open(path, "w") as file:
            file.write(f"def f(a={value}):\\n    return a + {value} - {value}\\n")


write(0)
hot_reload.configure(level="ERROR")
hot_reload.start(here, watch=False)
modules = [__import__(f"m{i}") for i in range(COUNT)]
held = [m.f for m in modules]
stop = threading.Event()
seen = set()


def mine():
    return "mine"


def toggle():
    while not stop.is_set():
        for m in modules[::7]:
            hot_reload.replace(m, m.f, mine)
            seen.add(m.f())
            hot_reload.restore(m, m.f)
            time.sleep(0.002)


thread = threading.Thread(target=toggle, daemon=True)
thread.start()
sys.setswitchinterval(1e-4)
for value in range(1, 13):
    write(value)
    revision = hot_reload.apply(*paths)
    assert revision.ok, revision.error
    assert len(revision.edits) == COUNT, len(revision.edits)
    assert len(revision.files) == COUNT, len(revision.files)
    got = {m.f() for m in modules}
    assert got <= {value, "mine"}, (value, got)
stop.set()
thread.join()
assert seen == {"mine"}, seen
assert [m.f() for m in modules] == [12] * COUNT
assert all(m.f is f for m, f in zip(modules, held))
hot_reload.undo(12)
assert [m.f() for m in modules] == [0] * COUNT
"""


def test_replacements_while_a_batch_is_planned(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", str(program)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
