"""Take the picture of the command line for the README: docs/img/cli.svg.

Every line in it was printed by a real command about a real process.
"""

import os
import pty
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = 92
PROGRAM = """
import sys
import chat

print("ready", flush=True)
for line in sys.stdin:
    print(chat.render(line), flush=True)
"""
MODULE = 'PREFIX = "> "\n\n\ndef render(text):\n    return PREFIX + text.strip()\n'


def type_command(folder, env, words):
    """What a terminal shows of a command."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(sys.executable, [sys.executable, "-m", "hot_reload", *words], env)
    seen = b""
    try:
        while chunk := os.read(terminal, 65536):
            seen += chunk
    except OSError:  # the other end is closed
        pass
    os.close(terminal)
    os.waitpid(pid, 0)
    return seen.decode().replace("\r\n", "\n").rstrip("\n")


def take(folder, env, server):
    def save(old, new):
        text = (folder / "chat.py").read_text()
        (folder / "chat.py").write_text(text.replace(old, new))
        time.sleep(0.3)

    pid = str(server.pid)
    yield "python server.py &", ""
    yield f"hot-reload attach {pid}", type_command(folder, env, ["attach", pid])
    save("text.strip()", "text.strip().upper()")
    yield "sed -i s/strip/upper/ chat.py", ""
    yield "hot-reload log", type_command(folder, env, ["log"])
    yield "hot-reload diff 1", type_command(folder, env, ["diff", "1"])
    yield "hot-reload ps", type_command(folder, env, ["ps"])
    yield "hot-reload undo", type_command(folder, env, ["undo"])
    yield f"hot-reload detach {pid}", type_command(folder, env, ["detach", pid])


def main(path=ROOT / "docs" / "img" / "cli.svg"):
    folder = Path(tempfile.mkdtemp(prefix="hot_reload-picture-"))
    env = {**os.environ, "XDG_RUNTIME_DIR": str(folder), "TERM": "xterm-256color"}
    env |= {"COLUMNS": str(COLUMNS), "LINES": "40"}
    env.pop("NO_COLOR", None)
    (folder / "chat.py").write_text(MODULE)
    (folder / "server.py").write_text(PROGRAM)
    server = subprocess.Popen(
        [sys.executable, "server.py"],
        cwd=folder,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout.readline() == "ready\n"
        console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))
        for command, shown in take(folder, env, server):
            console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
            if shown:
                console.print(Text.from_ansi(shown))
        console.save_svg(str(path), title="hot-reload")
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
