"""The interpreter ends while the engine is at work: no crash, no hang, its status."""

import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

RUNS = int(os.environ.get("HOT_RELOAD_SHUTDOWNS", "100"))

# A save arrives at a moment around the end that differs from run to run.
SAVES = """
import os, sys, threading, time, types, hot_reload
number = int(sys.argv[1]); folder = sys.argv[2]
tg = types.ModuleType("tg"); tg.__file__ = "/tg.py"; sys.modules["tg"] = tg
exec("def f(x): return x", vars(tg))
hot_reload.start(live=folder)
path = os.path.join(folder, "a.py")
def save(i):
    with open(path, "w") as file:
        file.write(f"import tg, hot_reload\\n"
                   f"hot_reload.replace(tg, tg.f, lambda x: {i})\\n"
                   f"x = sum(range({number % 7} * 20000))\\n")
def saves():
    for i in range(10**6): save(i)
if number % 3 == 0:
    pid = os.fork()
    if pid == 0:
        until = time.time() + 0.25
        i = 0
        while time.time() < until: save(i); i += 1
        os._exit(0)
    time.sleep(number % 10 / 100)
elif number % 3 == 1:
    threading.Thread(target=saves, daemon=True).start()
    time.sleep(number % 10 / 200)
else:
    save(1)
if number % 4 == 3:
    sys.exit(number % 100)
"""


def end(folder, number, text, *options):
    mine = folder / f"live{number}"
    mine.mkdir()
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", *options, str(text), str(number), mine],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=60,
    )


def test_a_save_arrives_while_the_interpreter_ends(tmp_path):
    text = tmp_path / "program.py"
    text.write_text(SAVES)
    bad = []
    with ThreadPoolExecutor(2) as pool:
        for number, result in enumerate(
            pool.map(lambda n: end(tmp_path, n, text), range(RUNS))
        ):
            expected = number % 100 if number % 4 == 3 else 0
            if result.returncode != expected or "Fatal" in result.stdout:
                bad.append((number, result.returncode, result.stdout[-1500:]))
    assert not bad, f"{len(bad)} of {RUNS}: {bad[:3]}"


ENDS = {
    "sys.exit in a live file ends nothing": (
        0,
        """
        with open("live/a.py", "w") as f: f.write("import sys; sys.exit(9)")
        assert hot_reload.sync(10)
        """,
    ),
    "os._exit in a live file": (
        7,
        """
        with open("live/a.py", "w") as f: f.write("import os; os._exit(7)")
        time.sleep(20)
        """,
    ),
    "os._exit in the host": (
        8,
        """
        with open("live/a.py", "w") as f: f.write("x = 1")
        os._exit(8)
        """,
    ),
    "sys.exit in the host": (5, "sys.exit(5)"),
    "an exception in the host": (1, "1 / 0"),
    "an endless live file": (
        0,
        """
        with open("live/a.py", "w") as f: f.write("while True: pass")
        time.sleep(0.2)
        """,
    ),
    "a live file that sleeps": (
        0,
        """
        with open("live/a.py", "w") as f: f.write("import time; time.sleep(30)")
        time.sleep(0.2)
        """,
    ),
    "a live file that wakes up too late": (
        0,
        """
        with open("live/a.py", "w") as f:
            f.write("import time; time.sleep(4.3)\\nprint('too late')\\n")
        time.sleep(0.2)
        import atexit
        """,
    ),
    "a thread of the host that goes on": (
        0,
        """
        def saves():
            for i in range(40):
                with open("live/a.py", "w") as f: f.write(f"x = {i}")
                time.sleep(0.01)
        threading.Thread(target=saves).start()
        """,
    ),
    "daemon threads that call what is exchanged": (
        0,
        """
        tg = types.ModuleType("tg"); sys.modules["tg"] = tg
        exec("def f(x): return x", vars(tg))
        def calls():
            while True: tg.f(1)
        for _ in range(4): threading.Thread(target=calls, daemon=True).start()
        for i in range(50):
            hot_reload.replace(tg, tg.f, lambda x, i=i: i)
        """,
    ),
    "replaced and never restored": (
        0,
        """
        import json, collections
        hot_reload.replace(json, json.loads, lambda s: 1)
        hot_reload.replace(time, time.time, lambda: 1)
        class K: pass
        class L:
            def __del__(self): print(len("x"))
        hot_reload.replace(sys.modules["__main__"], K, L)
        k = K(); k.me = k
        """,
    ),
    "stopped by hand, and a signal": (
        -15,
        """
        hot_reload.stop(); hot_reload.start(live="live")
        import signal
        os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)
        """,
    ),
    "a callback that never returns": (
        0,
        """
        hot_reload.on_revision(lambda r: time.sleep(60))
        with open("live/a.py", "w") as f: f.write("x = 1")
        time.sleep(0.2)
        """,
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_ends(program, tmp_path, name):
    status, text = ENDS[name]
    (tmp_path / "live").mkdir()
    head = """
        import os, sys, threading, time, types, hot_reload
        hot_reload.start(live="live")
    """
    text = textwrap.dedent(head) + textwrap.dedent(text)
    out = program(text, status=status, timeout=25)
    assert "Fatal" not in out and "Segmentation" not in out
    if name == "an exception in the host":
        assert "ZeroDivisionError" in out


def test_exec(program, tmp_path):
    (tmp_path / "live").mkdir()
    out = program(
        """
        import os, sys, hot_reload
        hot_reload.start(live="live")
        os.execv(sys.executable, [sys.executable, "-c", "print('anew')"])
        """
    )
    assert "anew" in out
    assert threading.active_count() >= 1
