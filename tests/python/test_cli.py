"""Every command of the command line, against real processes.

What is printed plainly, as JSON, and in a terminal; and that the exit status is 0 only
where it happened.
"""

import contextlib
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from processes import ENGINE, wait_for

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the control socket is for Linux"
)
ROOT = Path(__file__).resolve().parents[2]

NO_PROCESS, NO_ENGINE, SEVERAL, NO_ANSWER, REFUSED, NOTHING = 3, 30, 31, 32, 33, 34
NO_FILE, TOO_OLD, PARTLY = 35, 36, 37

# Answers each line with what its functions say now.
PROGRAM = ENGINE + textwrap.dedent("""
    import m

    def g():
        return "main"

    if __name__ == "__main__":
        print("ready", flush=True)
        for line in sys.stdin:
            print(m.f(), g(), flush=True)
""")
PLAIN = PROGRAM.replace(ENGINE, "import sys\n")


@pytest.fixture
def app(world):
    world.source = world.write("m.py", "def f():\n    return 'old'\n")
    world.app = world.start(world.write("app.py", PROGRAM))
    return world


def save(world, old, new, name="m.py"):
    path = world.folder / name
    path.write_text(path.read_text().replace(old, new))


def save_live(world, old, new):
    save(world, old, new)
    wait_for(lambda: world.say(world.app).startswith(new))


# -- Which process -------------------------------------------------------------


def test_without_an_engine_each_command_says_what_to_do(world):
    assert world.json("ps") == []
    assert world.cli("ps").split() == [
        *("PID", "PROGRAM", "SINCE", "ROOTS", "REVISIONS", "PATCHES", "ERRORS")
    ]
    for command in ["status"], ["log"], ["diff"], ["undo"], ["restore", "--all"]:
        reply = world.json(*command, status=NO_ENGINE)
        assert "hot-reload run" in reply["error"] and reply["status"] == NO_ENGINE


def test_ps_and_the_number_of_a_process(world):
    world.write("m.py", "def f():\n    return 'old'\n")
    one = world.start(world.write("app.py", PROGRAM))
    assert world.json("status")["pid"] == one.pid
    two = world.start(world.write("other.py", PROGRAM), "--option")
    assert [state["pid"] for state in world.json("ps")] == sorted([one.pid, two.pid])
    lines = world.cli("ps").splitlines()
    row = next(line for line in lines if line.startswith(str(two.pid)))
    assert "other.py --option" in row and row.split()[-3:] == ["0", "0", "0"]
    reply = world.json("status", status=SEVERAL)
    assert str(one.pid) in reply["error"] and str(two.pid) in reply["error"]
    assert world.json("status", two.pid)["pid"] == two.pid
    assert "status" in world.json("status", "999999999", status=NO_PROCESS)
    reply = world.json("status", os.getpid(), status=NO_ENGINE)
    assert f"hot-reload attach {os.getpid()}" in reply["error"]


def test_a_stopped_process_is_said_to_be_so(app):
    app.app.send_signal(signal.SIGSTOP)
    try:
        row = app.cli("ps").splitlines()[1]
        assert str(app.app.pid) in row and "did not answer" in row
    finally:
        app.app.send_signal(signal.SIGCONT)
    assert app.json("status")["pid"] == app.app.pid


def test_wrong_arguments(world):
    for arguments in [
        [],
        ["nonsense"],
        ["undo", "x"],
        ["undo", "1", "2", "3"],
        ["status", "x"],
        ["log", "1", "2"],
        ["diff", "1", "x"],
        ["restore"],
        ["restore", "f", "--all"],
        ["apply"],
        ["detach"],
        ["attach"],
        ["attach", "x"],
        ["run"],
        ["ps", "1"],
    ]:
        text = world.cli(*arguments, status=2)
        assert "usage: hot-reload" in text, arguments
    assert "run" in world.cli("--help") and "  33  " in world.cli("--help")
    assert world.cli("--version").strip() == __import__("hot_reload").__version__


# -- Looking -------------------------------------------------------------------


def test_log_and_diff(app):
    assert "no revisions yet" in app.cli("log")
    assert app.json("log") == []
    assert "What runs is what is on disk" in app.cli("diff")
    save_live(app, "old", "new")
    (revision,) = app.json("log")
    assert revision["ok"] and revision["files"] == [str(app.source)]
    text = app.cli("log", app.app.pid)
    assert re.match(r"#1  \d\d:\d\d:\d\d  m\.py  \d+\.\d\d ms  ok\n", text)
    assert "    changed m.f, line 1\n" in text
    assert app.cli("diff", "1").splitlines() == [
        "--- m.py (before)",
        "+++ m.py (after)",
        "@@ -1,2 +1,2 @@",
        " def f():",
        "-    return 'old'",
        "+    return 'new'",
    ]
    assert app.cli("diff", app.app.pid, 1) == app.cli("diff", "1")
    assert "What runs is what is on disk" in app.cli("diff", app.app.pid)
    app.cli("undo")
    assert "-    return 'old'\n+    return 'new'\n" in app.cli("diff")
    (file,) = app.json("diff")["files"]
    assert "'old'" in file["before"] and "'new'" in file["after"]
    assert "revision 9" in app.json("diff", "9", status=TOO_OLD)["error"]


def test_a_refused_edit_shows_in_log_and_status(app):
    save(app, "return 'old'", "return (")
    wait_for(lambda: app.json("log"))
    text = app.cli("log")
    assert "refused" in text and "HR101" in text
    text = app.cli("status")
    assert "Failed, so the code before runs" in text and "HR101" in text
    reply = app.json("apply", app.source, status=REFUSED)
    assert "nothing was changed" in reply["error"] and "HR101" in reply["error"]
    save(app, "return (", "return 'new'")
    wait_for(lambda: app.say(app.app).startswith("new"))
    assert "Failed" not in app.cli("status")
    assert app.json("ps")[0]["failures"] >= 1
    save(app, "return 'new'", "return 'new'\nraise ValueError('caf\\udce9')")
    wait_for(lambda: not app.json("log")[-1]["ok"])
    assert "caf\\udce9" in app.cli("log"), "what is no character is shown"


def test_log_follow_shows_saves_and_undos_as_they_come(app):
    command = [sys.executable, "-m", "hot_reload", "log", "--follow"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    plain = subprocess.Popen(command, env=app.env, cwd=app.folder, **pipes)
    as_json = subprocess.Popen(
        [*command, "--json"], env=app.env, cwd=app.folder, **pipes
    )
    time.sleep(0.5)
    save_live(app, "old", "new")
    assert "m.py" in plain.stdout.readline()
    assert plain.stdout.readline() == "    changed m.f, line 1\n"
    assert json.loads(as_json.stdout.readline())["id"] == 1
    app.cli("undo")
    assert plain.stdout.readline() == "#1  undone\n"
    assert json.loads(as_json.stdout.readline()) == {"id": 1, "undone": True}
    app.app.kill()
    app.app.wait()
    assert "has ended" in plain.stdout.read()
    assert plain.wait(10) == 0 and as_json.wait(10) == 0
    for process in plain, as_json:
        process.stdout.close()


def test_status_names_what_still_runs_old_code(world):
    world.write(
        "m.py",
        """
        import time

        def loop(stop):
            while not stop:
                time.sleep(0.01)

        def numbers():
            while True:
                yield "old"
        """,
    )
    script = ENGINE + textwrap.dedent("""
        import m, threading
        stop, numbers = [], m.numbers()
        threading.Thread(target=m.loop, args=(stop,), name="looper").start()
        next(numbers)
        print("ready", flush=True)
        input()
        stop.append(1)
        del numbers
        print("ended", flush=True)
        input()
    """)
    process = world.start(world.write("app.py", script))
    assert world.json("status")["old_frames"] == []
    save(world, "sleep(0.01)", "sleep(0.02)")
    save(world, '"old"', '"new"')

    def old():
        return {f["function"]: f for f in world.json("status")["old_frames"]}

    frames = wait_for(lambda: len(old()) == 2 and old())
    assert frames["m.loop"]["thread"] == "looper"
    assert frames["m.numbers"]["thread"] is None
    assert frames["m.numbers"]["line"] == 10 and frames["m.numbers"]["revision"] >= 1
    text = world.cli("status")
    assert "Still running old code" in text
    assert re.search(r"m\.numbers +m\.py:10 +suspended +before #\d", text)
    assert world.say(process) == "ended"
    wait_for(lambda: world.json("status")["old_frames"] == [])


# -- Putting back --------------------------------------------------------------


def test_undo(app):
    reply = app.json("undo", status=NOTHING)
    assert "nothing to do" in reply["error"]
    save_live(app, "old", "new")
    save_live(app, "new", "newer")
    save_live(app, "newer", "newest")
    assert "#3" in app.cli("undo")
    assert app.say(app.app) == "newer main"
    assert [r["id"] for r in app.json("undo", app.app.pid)["undone"]] == [2]
    assert app.say(app.app) == "new main"
    text = app.cli("undo", "5", status=PARTLY)
    assert "#1" in text and "Only 1 of 5" in text
    assert app.say(app.app) == "old main"
    # A number that can be no count is a process, though it has no engine.
    save_live(app, "newest", "again")
    app.cli("undo", "999999999", status=NO_PROCESS)
    assert app.say(app.app) == "again main"


def test_restore(world):
    world.write(
        "m.py", "def f(): return 'f'\nclass K:\n    def f(self): return 'K.f'\n"
    )
    script = ENGINE + textwrap.dedent("""
        import m
        def new(*_): return "new"
        hot_reload.replace(m, m.f, new)
        hot_reload.replace(m.K, m.K.f, lambda self: "new")
        print("ready", flush=True)
        for line in sys.stdin:
            print(m.f(), m.K().f(), flush=True)
    """)
    process = world.start(world.write("app.py", script))
    text = world.cli("status")
    assert "Replaced" in text and "app.py:" in text
    assert (
        "can be any of m.K.f, m.f"
        in world.json("restore", "f", status=NOTHING)["error"]
    )
    assert world.say(process) == "new new"
    assert world.json("restore", "K.f") == {"restored": ["m.K.f"]}
    assert world.say(process) == "new K.f"
    assert "nothing" in world.json("restore", "g", status=NOTHING)["error"].lower()
    assert world.cli("restore", "--all") == "Restored: m.f.\n"
    assert world.say(process) == "f K.f"
    world.cli("restore", process.pid, "--all", status=NOTHING)


def test_apply(app):
    app.app.send_signal(signal.SIGSTOP)  # so that the watcher is not the first
    save(app, "old", "new")
    app.app.send_signal(signal.SIGCONT)
    assert app.cli("apply", "m.py").startswith("#")
    assert app.say(app.app) == "new main"
    assert app.json("apply", app.app.pid, "m.py")["revision"]["edits"] == []
    assert "check its name" in app.json("apply", "no.py", status=NO_FILE)["error"]
    reply = app.json("apply", __file__, status=NO_FILE)
    assert "neither a live file" in reply["error"]


def test_detach(app):
    save_live(app, "old", "new")
    text = app.cli("detach", app.app.pid)
    assert "1 revisions undone" in text
    assert app.say(app.app) == "old main"
    app.json("status", app.app.pid, status=NO_ENGINE)


def test_detach_says_what_was_too_old_to_be_undone(app):
    for i in range(40):
        app.source.write_text(f"def f():\n    return 'new{i}'\n")
        app.json("apply", app.source)
    text = app.cli("detach", app.app.pid, status=PARTLY)
    assert "32 revisions undone" in text and "too old" in text


# -- run -----------------------------------------------------------------------


def run(world, *arguments, **options):
    return world.start("-m", "hot_reload", "run", *arguments, **options)


def ways(world, text):
    """The same program as a script, a module and a package."""
    world.write("app.py", text)
    world.write("pack/__init__.py", "")
    world.write("pack/app.py", text)
    world.write("pack/__main__.py", text)
    return [["app.py"], ["-m", "pack.app"], ["-m", "pack"]]


def test_run_follows_the_main_program_too(world):
    world.write("m.py", "def f():\n    return 'old'\n")
    for words in ways(world, PLAIN):
        process = run(world, *words)
        assert world.say(process) == "old main"
        save(world, "old", "new")
        file = {"app.py": "app.py", "pack.app": "pack/app.py"}.get(words[-1])
        save(world, '"main"', '"edited"', file or "pack/__main__.py")
        wait_for(lambda p=process: world.say(p) == "new edited")
        save(world, "new", "old")
        process.stdin.close()
        assert process.wait(20) == 0


def test_run_is_as_python_itself(world):
    program = textwrap.dedent("""
        import json, pickle, sys, __main__
        class K: pass
        kind = pickle.loads(pickle.dumps(K())).__class__ is K
        print("ready", json.dumps([
            __name__, __file__, __package__, bool(__spec__), __spec__ and __spec__.name,
            __doc__, sys.argv, sys.path[0], kind, vars(__main__) is globals(),
            type(__loader__).__name__, sorted(n for n in globals() if n[:2] != "__")]))
    """)
    for words in ways(world, program):
        said = []
        for how in [], ["-m", "hot_reload", "run"]:
            process = world.start(*how, *words, "--json", "-m", "x", ready=None)
            out, _ = process.communicate(timeout=20)
            assert process.returncode == 0, out
            said.append(json.loads(out.split("ready ")[1]))
        assert said[0] == said[1]


def test_run_ends_as_the_program_does(world):
    for body, status, text in [
        ("sys.exit(7)", 7, ""),
        ("sys.exit('a reason')", 1, "a reason\n"),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("import nothing_of_that_name", 1, "ModuleNotFoundError"),
        ("def f(:", 1, "SyntaxError"),
        ("", 0, ""),
    ]:
        path = world.write("app.py", f"import sys\n{body}\n")
        process = run(world, path, ready=None)
        out, _ = process.communicate(timeout=20)
        assert process.returncode == status and text in out, out
        assert "hot_reload" not in out, out
    assert "check its name" in world.cli("run", "no.py", status=NO_FILE)
    assert "no module" in world.cli("run", "-m", "no.such", status=NO_FILE)
    assert "no __main__" in world.cli("run", "-m", "json", status=NO_FILE)


def test_run_shows_the_saves_unless_the_program_has_logging(world):
    world.write("m.py", "def f():\n    return 'old'\n")
    for head in "", "import logging; logging.basicConfig(level=20)\n":
        process, lines = run(world, world.write("app.py", head + PLAIN)), []
        save(world, "old", "new")
        while "new main" not in lines and len(lines) < 1000:
            lines.append(world.say(process, with_log=True))
            time.sleep(0.01)
        save(world, "new", "old")
        process.stdin.close()
        lines += process.stdout.read().splitlines()
        assert process.wait(20) == 0
        # Both write to one pipe, so it may stand behind what was printed.
        shown = [line for line in lines if "revision 1:" in line]
        assert len(shown) == 1
        assert ("INFO:" in shown[0]) == bool(head) and "[HotReload]: " in shown[0]


def test_run_follows_the_roots_that_are_named(world):
    world.write("lib/m.py", "def f():\n    return 'old'\n")
    head = "import sys; sys.path.append('lib')\n"
    world.app = run(world, "--root", "lib", world.write("app.py", head + PLAIN))
    assert world.json("status")["roots"] == [str(world.folder / "lib")]
    save(world, "old", "new", "lib/m.py")
    wait_for(lambda: world.say(world.app) == "new main")
    save(world, '"main"', '"edited"', "app.py")
    time.sleep(0.3)
    assert world.say(world.app) == "new main"


# -- In a terminal -------------------------------------------------------------


def in_terminal(world, *arguments, columns=100):
    """What a person sees: the bytes that the terminal gets."""
    pid, terminal = pty.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            os.chdir(world.folder)
            env = {**world.env, "TERM": "xterm-256color", "COLUMNS": str(columns)}
            for name in "NO_COLOR", "CI":
                env.pop(name, None)
            command = [sys.executable, "-m", "hot_reload", *map(str, arguments)]
            os.execve(sys.executable, command, env)
        os._exit(99)
    import fcntl
    import termios

    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    seen = b""
    with contextlib.suppress(OSError):
        while select.select([terminal], [], [], 20)[0]:
            chunk = os.read(terminal, 65536)
            if not chunk:
                break
            seen += chunk
    os.close(terminal)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status, seen.decode().replace("\r\n", "\n")


def without_colours(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_what_a_person_sees(app):
    save_live(app, "old", "new")
    status, text = in_terminal(app, "ps")
    assert status == 0 and "\x1b[1;36m" in text and "─" in text
    assert re.search(rf"{app.app.pid} +app\.py +\d\d:\d\d:\d\d", without_colours(text))
    status, text = in_terminal(app, "log")
    assert "\x1b[32m#1" in text
    status, text = in_terminal(app, "diff", "1")
    assert "\x1b[31m-    return 'old'" in text and "\x1b[32m+    return 'new'" in text
    status, text = in_terminal(app, "undo", "3")
    assert status == PARTLY and "hot-reload: Only 1 of 3" in without_colours(text)
    status, text = in_terminal(app, "status", "--json")
    assert status == 0 and json.loads(text)["result"]["pid"] == app.app.pid
    for command in "ps", "status", "log":
        assert "\x1b" not in app.cli(command)


def test_the_screenshot_can_be_made(tmp_path):
    script = ROOT / "tests" / "terminal" / "picture.py"
    out = tmp_path / "cli.svg"
    done = subprocess.run(
        [sys.executable, script, out], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert out.read_text().startswith("<svg") and "hot-reload" in out.read_text()
