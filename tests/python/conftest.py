"""What the tests of the engine share: programs of their own, modules, live folders."""

import importlib
import importlib.util
import os
import subprocess
import sys
import textwrap
import time
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).resolve().parent))

from processes import World  # noqa: E402


@pytest.fixture
def program(tmp_path):
    """Run a program in a process of its own, which may crash; what it printed."""

    def run(text, *options, status=0, timeout=120, env=None):
        path = tmp_path / "program.py"
        path.write_text(textwrap.dedent(text))
        result = subprocess.run(
            [sys.executable, "-X", "faulthandler", *options, str(path)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
        )
        report = f"--- out\n{result.stdout}--- err\n{result.stderr}"
        assert result.returncode == status, f"ended with {result.returncode}\n{report}"
        return result.stdout + result.stderr

    return run


@pytest.fixture
def world(tmp_path):
    """Processes that run the engine, and the command line; see processes.py."""
    folder = tmp_path / "program"
    folder.mkdir()
    world = World(folder)
    yield world
    world.close()


@pytest.fixture
def module(tmp_path):
    """Make modules out of text, files and all; they leave sys.modules afterwards."""
    made = []

    def make(name, text):
        path = tmp_path / f"{name}.py"
        path.write_text(textwrap.dedent(text))
        result = types.ModuleType(name)
        result.__file__ = str(path)
        sys.modules[name] = result
        made.append(name)
        exec(compile(path.read_text(), str(path), "exec"), vars(result))
        return result

    yield make
    for name in made:
        sys.modules.pop(name, None)


@pytest.fixture
def clean():
    """Nothing is replaced, watched or heard before and after."""
    import hot_reload

    hot_reload.restore_all()
    yield hot_reload
    hot_reload.stop()
    hot_reload.restore_all()
    hot_reload.configure(withdraw=False, level="INFO")
    for name in [n for n in sys.modules if n.startswith("reloadable_")]:
        del sys.modules[name]


class Live:
    """A folder of live files in a running engine."""

    def __init__(self, engine, folder):
        self.engine = engine
        self.folder = folder

    def path(self, name):
        return self.folder / f"{name}.py"

    def write(self, name, text):
        if isinstance(text, str):
            text = textwrap.dedent(text).encode()
        self.path(name).write_bytes(text)

    def save(self, name, text):
        """Save and wait until it is live; the newest revision."""
        self.write(name, text)
        assert self.engine.sync(20)
        return self.engine.revisions()[-1]

    def start(self, **options):
        self.engine.start(live=self.folder, **options)


@pytest.fixture
def live(clean, tmp_path):
    folder = tmp_path / "live"
    folder.mkdir()
    return Live(clean, folder)


class Project:
    """A folder of sources that the engine follows, and the modules made from them."""

    def __init__(self, engine, folder, caplog):
        self.engine = engine
        self.folder = folder
        self.caplog = caplog
        self.made = set()

    def path(self, name):
        return self.folder / f"{name}.py"

    def write(self, **texts):
        for name, text in texts.items():
            self.path(name).parent.mkdir(parents=True, exist_ok=True)
            self.path(name).write_text(textwrap.dedent(text))

    def load(self, start=True, **texts):
        """Write these, follow the folder unless told not to, and import `m`."""
        self.write(**texts)
        importlib.invalidate_caches()
        if start:
            self.engine.start(self.folder, watch=False)
        return importlib.import_module("m")

    def load_by_path(self, name, path):
        path = self.path(path) if isinstance(path, str) else path
        spec = importlib.util.spec_from_file_location(name, path)
        result = importlib.util.module_from_spec(spec)
        sys.modules[name] = result
        self.made.add(name)
        spec.loader.exec_module(result)
        return result

    def module(self, name):
        return sys.modules[name]

    def start(self):
        """Have the saves seen by the watcher from now on."""
        self.engine.start(self.folder)

    def save(self, **texts):
        """Save these in one batch; its revision."""
        self.write(**texts)
        return self.engine.apply(*(self.path(name) for name in texts))

    def wait(self, seen):
        deadline = time.monotonic() + 10
        while not seen():
            assert time.monotonic() < deadline, self.text()
            self.engine.sync(1)
            time.sleep(0.002)

    def text(self):
        """What was logged."""
        return self.caplog.text

    def forget(self):
        for name, module in list(sys.modules.items()):
            file = str(getattr(module, "__file__", None))
            if name in self.made or file.startswith(str(self.folder)):
                del sys.modules[name]


@pytest.fixture
def project(clean, tmp_path, monkeypatch, caplog):
    folder = (tmp_path / "program").resolve()
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    caplog.set_level("INFO", logger="hot_reload")
    made = Project(clean, folder, caplog)
    yield made
    made.forget()
