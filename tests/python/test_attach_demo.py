"""The whole way of a person: a program that knows nothing of us, entered, edited, left.

It is started plainly, without the engine and without the package on its path.
"""

import importlib.util
import json
import os
import shutil
from pathlib import Path
from urllib.request import urlopen

import pytest
from processes import wait_for

import hot_reload

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(
    not any(Path(f, "hot-reload-attach").exists() for f in hot_reload.__path__),
    reason="hot-reload-attach is not installed",
)

SERVER = """
    import json, os, sys, threading
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from modules import chat
    from modules.chat import render

    def state():
        return {
            "path": sys.path,
            "meta_path": [str(finder) for finder in sys.meta_path],
            "threads": sorted(t.name for t in threading.enumerate()),
            "tasks": len(os.listdir("/proc/self/task")),
            "files": sorted(os.readlink(f"/proc/self/fd/{f}").split(":")[0]
                for f in os.listdir("/proc/self/fd")
                if os.path.exists(f"/proc/self/fd/{f}")),
            "main": sorted(n for n in vars(sys.modules["__main__"])),
            "loads": chat.loads,
            "kept": chat.render is render is chat.TABLE["render"],
        }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            text = json.dumps(state()) if self.path == "/state" else render("Hello")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    if __name__ == "__main__":
        server = HTTPServer(("127.0.0.1", 0), Handler)
        print("ready", server.server_port, flush=True)
        server.serve_forever(poll_interval=0.02)
"""
CHAT = """
    loads = 0

    def load():
        global loads
        loads += 1

    load()

    def render(text):
        return "old: " + text

    TABLE = {"render": render}
"""


@pytest.fixture
def server(world):
    # Nothing of ours on its path: the attacher brings its own installation.
    world.env.pop("PYTHONPATH")
    world.write("modules/__init__.py", "")
    world.chat = world.write("modules/chat.py", CHAT)
    path = world.write("server.py", SERVER)
    world.server = world.start("-S", path, ready=None)
    port = int(world.server.stdout.readline().split()[1])
    world.get = lambda what="": urlopen(f"http://127.0.0.1:{port}/{what}", timeout=20)
    world.ask = lambda: world.get().read().decode()
    world.state = lambda: json.loads(world.get("state").read())
    return world


def attach(world, *options, status=0):
    pid = world.server.pid
    if status == 0:
        return world.json("attach", pid, *options)
    return world.json("attach", pid, *options, status=status)


def test_attach_edit_log_undo_detach(server):
    pid = server.server.pid
    before = server.state()
    report = attach(server)
    assert report["pid"] == pid and report["pause_us"] < 1e6
    print(f"stood still for {report['pause_us']:.0f} us")
    assert server.json("status", pid)["roots"] == [str(server.folder)]

    text = server.chat.read_text()
    server.chat.write_text(text.replace('"old: "', '"new: "'))
    wait_for(lambda: server.ask() == "new: Hello")
    state = server.state()
    assert state["loads"] == 1 and state["kept"]

    lines = server.cli("log").splitlines()
    assert "modules/chat.py" in lines[0] and lines[0].endswith("  ok")
    assert lines[1].startswith("    changed modules.chat.render, line ")
    assert "undone" in server.cli("undo")
    assert server.ask() == "old: Hello"

    server.chat.write_text(text.replace('"old: "', '"newer: "'))
    wait_for(lambda: server.ask() == "newer: Hello")
    assert server.json("detach", pid)["undone"] == 1
    assert server.ask() == "old: Hello"
    wait_for(lambda: server.state()["tasks"] == before["tasks"])
    assert server.state() == before
    assert not list(server.sockets.iterdir())
    server.json("status", pid, status=30)
    # And it stays so.
    server.chat.write_text(text.replace('"old: "', '"newest: "'))
    assert server.ask() == "old: Hello"


def test_attach_again_after_detach(server):
    before = server.state()
    text = server.chat.read_text()
    for i in range(5):
        attach(server)
        server.chat.write_text(text.replace('"old: "', f'"new {i}: "'))
        wait_for(lambda i=i: server.ask() == f"new {i}: Hello")
        server.json("undo")
        server.chat.write_text(text)
        server.json("detach", server.server.pid)
        wait_for(lambda: server.state()["tasks"] == before["tasks"])
        assert server.ask() == "old: Hello"
        assert server.state() == before


def test_attach_to_what_runs_the_engine_adds_roots(server):
    attach(server)
    more = server.folder / "more"
    more.mkdir()
    text = server.cli("attach", server.server.pid, "--root", more)
    assert "runs the engine already" in text and str(more) in text
    roots = server.json("status")["roots"]
    assert roots == [str(server.folder), str(more)]


def test_roots_that_are_named(server):
    attach(server, "--root", "modules")
    assert server.json("status")["roots"] == [str(server.folder / "modules")]
    assert (
        "check --root"
        in server.json(*("attach", server.server.pid, "--root", "nowhere"), status=35)[
            "error"
        ]
    )


def test_failures_have_the_statuses_of_the_attacher(world):
    assert world.json("attach", 999999999, status=3)["error"].startswith("There is no")
    shell = shutil.which("sleep")
    other = world.start(
        "-c", f"import os; os.execv({shell!r}, ['sleep', '60'])", ready=None
    )
    wait_for(lambda: os.readlink(f"/proc/{other.pid}/exe").endswith(("sleep", "box")))
    reply = world.json("attach", other.pid, status=11)
    assert "CPython" in reply["error"] and reply["status"] == 11
    other.kill()
    wait_for(lambda: "\nState:\tZ" in Path(f"/proc/{other.pid}/status").read_text())
    world.json("attach", other.pid, status=15)


def test_the_demo(world, monkeypatch):
    """The demo server of this repository, started plainly; needs gradio."""
    pytest.importorskip("gradio", reason="gradio is not installed")
    spec = importlib.util.spec_from_file_location(
        "demo_check", ROOT / "demo" / "check.py"
    )
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    for name in "XDG_RUNTIME_DIR", "TMPDIR":
        monkeypatch.setenv(name, world.env[name])
    with check.Demo(options=["--load-seconds", "0.1"], extensions=()) as demo:
        before, pid = demo.ask("hello"), demo.process.pid
        assert not world.sockets.exists()
        world.json("attach", pid)
        chat = Path(world.json("status", pid)["roots"][0], "modules", "chat.py")
        text = chat.read_text()
        edited = text.replace("[1] = reply", "[1] = reply.upper()")
        assert edited != text
        chat.write_text(edited)
        answer = demo.ask_until("hello", lambda reply: reply == before.upper())
        assert answer == before.upper(), demo.log
        assert "changed modules.chat.send" in world.cli("log")
        world.cli("undo")
        assert demo.ask("hello") == before
        chat.write_text(edited.replace("upper()", "title()"))
        assert demo.ask_until("hello", lambda reply: reply == before.title())
        world.json("detach", pid)
        assert demo.ask("hello") == before
        assert "1 time " in demo.call("status")[0]
        world.json("status", pid, status=30)
        tasks = Path(f"/proc/{pid}/task")
        names = {(task / "comm").read_text().strip() for task in tasks.iterdir()}
        assert not any(name.startswith("hot_reload") for name in names)
