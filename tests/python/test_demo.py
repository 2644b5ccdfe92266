"""The demo, driven over HTTP by its own check."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="gradio is not installed")

ROOT = Path(__file__).resolve().parents[2]
CHECK = ROOT / "demo" / "check.py"


def load_check():
    spec = importlib.util.spec_from_file_location("demo_check", CHECK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("options", [[], ["--user-data"]], ids=["system", "user"])
def test_check(options):
    command = [sys.executable, str(CHECK), *options]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    "playground, expected",
    [
        ("demo/extensions/hot_reload/test_playground.py", "This is the live file"),
        ("test_playground.py", "hello, you say?"),
    ],
)
def test_shipped_playground(playground, expected):
    """What a user does with it: take one `#` away, save; then the other."""
    text = (ROOT / playground).read_text(encoding="utf-8")
    with load_check().Demo(options=["--load-seconds", "0.1"]) as demo:
        before = demo.ask("hello")
        demo.save(text, "test_playground.py")
        assert demo.ask("hello") == before

        demo.save(text.replace("# replace(", "replace("), "test_playground.py")
        answer = demo.ask_until("hello", lambda reply: reply.startswith(expected))
        assert answer.startswith(expected), demo.log

        demo.save(text.replace("# restore(", "restore("), "test_playground.py")
        answer = demo.ask_until("hello", lambda reply: reply == before)
        assert answer == before, demo.log


def test_a_restarted_interface_keeps_the_engine_and_the_model():
    check = load_check()
    options = ["--load-seconds", "0.1"]
    with check.Demo("user_data/extensions", options=options) as demo:
        demo.save(check.LIVE_FILE % "once")
        assert "[once " in demo.ask_until("hello", lambda reply: "[once " in reply)
        demo.call("restart")
        demo.wait(starts=2)
        assert "[once " in demo.ask("hello")
        demo.save(check.LIVE_FILE % "twice")
        assert "[twice " in demo.ask_until("hello", lambda reply: "[twice " in reply)
        assert "1 time " in demo.call("status")[0]
