"""Drive the demo without a browser or a person: before, after, restored, and the times.

Starts the server on a copy of this folder, saves live files, asks the page over HTTP.
The exit status is 0 where every answer was the expected one.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from html import unescape
from pathlib import Path
from urllib.request import Request, urlopen

HERE = Path(__file__).resolve().parent
TIMEOUT = 60

LIVE_FILE = """
import time
import modules.text_generation
from modules.text_generation import generate_reply_HF
from extensions.hot_reload.utils import replace, restore

def shout(question, original_question, state):
    for reply in generate_reply_HF(question, original_question, state):
        yield f"{reply.upper()} [{word} {since}]"

word = "%s"
replace(modules.text_generation, generate_reply_HF, shout)
since = time.monotonic_ns()
"""
RESTORE = LIVE_FILE.replace(
    "replace(modules.text_generation, generate_reply_HF, shout)",
    "restore(modules.text_generation, generate_reply_HF)",
)


class Demo:
    """A running demo server with a live folder of its own; a context manager."""

    def __init__(
        self,
        place="extensions",
        python=sys.executable,
        options=(),
        extensions=("hot_reload",),
    ):
        self.temporary = tempfile.TemporaryDirectory(prefix="hot_reload-demo-")
        root = self.root = Path(self.temporary.name, "demo")
        ignore = shutil.ignore_patterns("extensions", "__pycache__")
        shutil.copytree(HERE, root, ignore=ignore)
        self.live = root / place / "hot_reload"
        self.live.mkdir(parents=True)
        for name in ("script.py", "utils.py"):
            (self.live / name).symlink_to(HERE.parent / name)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log_path = root / "server.log"
        command = [python, root / "server.py", "--listen-port", str(port), *options]
        command += ["--extensions", *extensions] if extensions else []
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    def __enter__(self):
        try:
            self.wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait(self, starts=1):
        """Until the server has started its page so many times, and answers."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                if self.log.count("The page is at") >= starts:
                    with urlopen(f"{self.url}/config", timeout=TIMEOUT) as page:
                        config = json.load(page)
                    break
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The server does not answer:\n{self.log}")
            time.sleep(0.05)
        self.api = self.url + config.get("api_prefix", "")
        self.events = {
            event["api_name"]: event.get("id", index)
            for index, event in enumerate(config["dependencies"])
        }

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.final_log = self.log
        self.temporary.cleanup()

    @property
    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def call(self, name, *data):
        """The last that the page's handler `name` gives, asked as the page asks it."""
        session = uuid.uuid4().hex
        body = {"data": data, "fn_index": self.events[name], "session_hash": session}
        headers = {"Content-Type": "application/json"}
        join = Request(f"{self.api}/queue/join", json.dumps(body).encode(), headers)
        urlopen(join, timeout=TIMEOUT).close()
        stream = f"{self.api}/queue/data?session_hash={session}"
        with urlopen(stream, timeout=TIMEOUT) as lines:
            deadline = time.monotonic() + TIMEOUT
            for line in lines:
                if time.monotonic() > deadline:  # heartbeats go on for ever
                    raise RuntimeError(f"{name} takes too long:\n{self.log}")
                message = json.loads(line[5:]) if line.startswith(b"data:") else {}
                if message.get("msg") == "process_completed":
                    if not message["success"]:
                        raise RuntimeError(f"{name} failed:\n{self.log}")
                    return message["output"]["data"]

    def ask(self, text):
        """The last reply of a new conversation."""
        page = self.call("chat", text, None)[-1]
        return unescape(page.rpartition('">')[2].partition("</div>")[0])

    def ask_until(self, text, expected, seconds=5):
        deadline = time.monotonic() + seconds
        while not expected(answer := self.ask(text)) and time.monotonic() < deadline:
            pass
        return answer

    def save(self, text, name="check.py"):
        """Save a live file; the moment of the save in nanoseconds."""
        saved = time.monotonic_ns()
        (self.live / name).write_text(text, encoding="utf-8")
        return saved

    def edit(self, name, old, new):
        """Edit one of the demo's own sources, such as modules/chat.py."""
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise ValueError(f"{old!r} stands {text.count(old)} times in {name}")
        path.write_text(text.replace(old, new), encoding="utf-8")


def check(demo):
    """Yield (step, answer, milliseconds or None, right or wrong)."""
    before = demo.ask("hello")
    yield "before", before, None, before.startswith("You said: hello")

    for word in ("once", "twice"):
        saved = demo.save(LIVE_FILE % word)
        answer = demo.ask_until("hello", lambda reply, word=word: word in reply)
        text, _, stamp = answer.rpartition(f" [{word} ")
        right = text == before.upper()
        milliseconds = (int(stamp[:-1]) - saved) / 1e6 if right else None
        yield f"after ({word})", f"{text} [{word}]", milliseconds, right

    demo.save("raise RuntimeError('a broken live file')")
    answer = demo.ask_until("hello", lambda _: "RuntimeError: a broken" in demo.log)
    right = "[twice " in answer and "RuntimeError: a broken" in demo.log
    yield "broken save", answer, None, right

    demo.save(RESTORE % "restored")
    answer = demo.ask_until("hello", lambda reply: reply == before)
    yield "restored", answer, None, answer == before

    loads = demo.call("status")[0]
    yield "model", loads, None, "1 time " in loads


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--user-data", action="store_true", help="the other place")
    parser.add_argument("--log", action="store_true", help="show the server's log too")
    args = parser.parse_args()
    wrong = 0
    with Demo("user_data/extensions" if args.user_data else "extensions") as demo:
        print(f"The demo runs at {demo.url}, live files in {demo.live}", flush=True)
        for step, answer, milliseconds, right in check(demo):
            verdict = "ok" if right else "WRONG"
            took = "" if milliseconds is None else f"  (live in {milliseconds:.2f} ms)"
            print(f"{verdict:5} {step:13} {answer}{took}", flush=True)
            wrong += not right
        if args.log or wrong:
            print(demo.log)
    sys.exit(f"{wrong} answers were wrong" if wrong else 0)


if __name__ == "__main__":
    main()
