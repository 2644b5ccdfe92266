"""Processes that run the engine, and their control sockets, for the tests of both."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

ENGINE = """
import sys, hot_reload
from pathlib import Path
hot_reload.start(Path(__file__).parent)
"""
# Prints how late it woke up, at worst, whenever a line comes in.
TICKING = (
    ENGINE
    + """
import os, threading, time
worst = 0.0
def tick():
    global worst
    while True:
        began = time.perf_counter()
        time.sleep(0.001)
        worst = max(worst, time.perf_counter() - began - 0.001)
threading.Thread(target=tick, daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    print(worst, flush=True)
    worst = 0.0
"""
)


def wait_for(condition, seconds=10, what="it did not happen"):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        result = condition()
        if result:
            return result
        time.sleep(0.01)
    raise AssertionError(what)


class Client:
    """One connection to a control socket; answers line by line."""

    def __init__(self, path, timeout=10):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rb")

    def send(self, request):
        if not isinstance(request, bytes):
            request = json.dumps(request).encode() + b"\n"
        self.socket.sendall(request)

    def line(self):
        line = self.file.readline()
        return json.loads(line) if line else None

    def ask(self, do, **request):
        self.send({"do": do, **request})
        return self.line()

    def close(self):
        self.file.close()
        self.socket.close()


class World:
    """A runtime folder of its own, and the processes and connections of one test."""

    def __init__(self, folder):
        self.folder = folder
        # Not pytest's, whose paths may be too long for the address of a socket.
        self.runtime = Path(tempfile.mkdtemp(prefix="hrt-"))
        self.sockets = self.runtime / "hot_reload"
        self.env = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(self.runtime),
            "TMPDIR": str(self.runtime),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": "ignore",
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        }
        self.env.pop("HOT_RELOAD_CONTROL", None)
        self.processes, self.clients = [], []

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def start(self, *arguments, ready="ready", **env):
        process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", *map(str, arguments)],
            cwd=self.folder,
            env={**self.env, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.append(process)
        lines = []
        while ready is not None:
            lines.append(process.stdout.readline())
            assert lines[-1], f"it ended, having said {''.join(lines)}"
            if ready in lines[-1]:
                break
        return process

    def start_ticking(self):
        return self.start(self.write("app.py", TICKING))

    def client(self, process, **options):
        path = self.sockets / str(getattr(process, "pid", process))
        wait_for(path.exists, what=f"there is no socket {path}")
        client = Client(path, **options)
        self.clients.append(client)
        return client

    def cli(self, *arguments, status=0, **env):
        """What the command line printed, and its status checked."""
        done = subprocess.run(
            [sys.executable, "-m", "hot_reload", *map(str, arguments)],
            cwd=self.folder,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=60,
        )
        report = f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.returncode == status, report
        assert "Traceback" not in done.stderr, report
        return done.stdout if status == 0 else done.stdout + done.stderr

    def json(self, *arguments, status=0, **env):
        reply = json.loads(self.cli(*arguments, "--json", status=status, **env))
        assert reply["ok"] is (status == 0), reply
        return reply["result"] if status == 0 else reply

    def say(self, process, line="go", with_log=False):
        """Send a line to a program; the line that it answers."""
        process.stdin.write(line + "\n")
        process.stdin.flush()
        while True:
            answer = process.stdout.readline().rstrip("\n")
            if with_log or not answer.startswith("[HotReload]: "):
                return answer

    def close(self):
        for client in self.clients:
            client.close()
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdin.close()
            process.stdout.close()
        shutil.rmtree(self.runtime, ignore_errors=True)
