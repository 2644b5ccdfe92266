"""Take the picture of the command line for the README: docs/img/cli.svg.

Every line in it was printed by a real command about a real process.
"""

import os
import pty
import re
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
import time
import chat

print("ready", flush=True)
while True:
    chat.render("hello")
    time.sleep(0.05)
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
    edit = "sed -i 's/strip()/strip().upper()/' chat.py"
    pid = str(server.pid)
    yield "python server.py &", ""
    yield f"hot-reload attach {pid}", type_command(folder, env, ["attach", pid])
    subprocess.run(edit, shell=True, cwd=folder, check=True)
    time.sleep(0.3)
    yield edit, ""
    yield "hot-reload log", type_command(folder, env, ["log", pid])
    yield "hot-reload diff 1", type_command(folder, env, ["diff", pid, "1"])
    yield "hot-reload ps", type_command(folder, env, ["ps"])
    yield "hot-reload undo", type_command(folder, env, ["undo", pid])
    yield f"hot-reload detach {pid}", type_command(folder, env, ["detach", pid])


def main(path=ROOT / "docs" / "img" / "cli.svg"):
    folder = Path(tempfile.mkdtemp(prefix="hot_reload-picture-"))
    # No other process of this machine shall be in the picture.
    env = {**os.environ, "XDG_RUNTIME_DIR": str(folder), "TMPDIR": str(folder)}
    env.update(TERM="xterm-256color", COLUMNS=str(COLUMNS), LINES="40")
    env.pop("NO_COLOR", None)
    (folder / "chat.py").write_text(MODULE)
    (folder / "server.py").write_text(PROGRAM)
    server = subprocess.Popen(
        [sys.executable, "server.py"],
        cwd=folder,
        env=env,
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
        svg = console.export_svg(title="hot-reload")
        # Without what a browser would fetch.
        svg = re.sub(r"@font-face {.*?}\s*|<!--.*?-->\s*", "", svg, flags=re.DOTALL)
        Path(path).write_text(svg, encoding="utf-8")
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
