"""The webui's side, in processes of their own: a fake webui loads the extension.

The fake webui is the demo's `modules` without a page. Where a test needs a Python
without the engine it makes a bare virtual environment, whose pip is a stand-in.
"""

import os
import re
import subprocess
import sys
import venv
from pathlib import Path
from types import SimpleNamespace

import pytest

from hot_reload.webui import reachable

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("extensions", "user_data/extensions")

# A stand-in for pip: notes what it is asked to do, then does what OUTCOME says.
PIP = """
import os, pathlib, sys, sysconfig, time
note = pathlib.Path(os.environ["PIP_NOTE"])
with note.open("a") as file:
    print(*sys.argv[1:], file=file)
if os.environ["PIP_OUTCOME"] == "fail":
    print("  error: subprocess-exited-with-error")
    print("src/core/module.c:3:10: fatal error: Python.h: No such file or directory")
    sys.exit(1)
time.sleep(0.5)
site = pathlib.Path(sysconfig.get_path("purelib"))
package = site / "hot_reload"
package.mkdir(exist_ok=True)
source = pathlib.Path(sys.argv[-1])
assert not (source / ".git").exists() and (source / "src").is_dir()
(package / "webui.py").write_text(os.environ.get("WEBUI", "def setup(*_): print('up')"))
(package / "__init__.py").touch()
(package / "_core.py").touch()
note = source / "hot_reload" / "built_from.txt"
(package / note.name).write_bytes(note.read_bytes())
text = source.joinpath("pyproject.toml").read_text()
version = text.split('version = "')[1].split('"')[0]
info = site / "hot_reload-9.dist-info"
info.mkdir(exist_ok=True)
(info / "METADATA").write_text(f"Name: hot_reload\\nVersion: {version}\\n")
"""
LOAD = "extensions.load_extensions()\n"
HEAD = "from modules import extensions, shared\n"


class Webui:
    def __init__(self, root, place):
        self.root = root
        self.live = root / place / "hot_reload"
        self.live.mkdir(parents=True)
        (root / "modules").symlink_to(ROOT / "demo" / "modules")
        for name in ("script.py", "utils.py"):
            (self.live / name).symlink_to(ROOT / name)
        self.python = sys.executable
        self.env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        self.env.pop("PYTHONPATH", None)
        self.note = root / "pip.txt"

    def without_engine(self, outcome="fail", **env):
        folder = self.root / "venv"
        venv.create(folder, with_pip=False, symlinks=True)
        self.python = folder / "bin" / "python"
        pip = self.root / "stand-in" / "pip"
        pip.mkdir(parents=True)
        (pip / "__main__.py").write_text(PIP)
        self.env.update(
            env,
            PYTHONPATH=str(pip.parent),
            PIP_NOTE=str(self.note),
            PIP_OUTCOME=outcome,
        )
        return self

    def install(self, version):
        """An installed engine that is no more than a name and a version."""
        site = next(self.root.glob("venv/lib/python*/site-packages"))
        info = site / f"hot_reload-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: hot_reload\nVersion: {version}\n")
        (site / "hot_reload").mkdir()
        (site / "hot_reload" / "__init__.py").touch()
        (site / "hot_reload" / "_core.py").touch()
        (site / "hot_reload" / "webui.py").write_text("def setup(*_): print('up')")

    def start(self, code):
        server = self.root / "server.py"
        server.write_text(HEAD + code)
        return subprocess.Popen(
            [self.python, "server.py", "--extensions", "hot_reload"],
            cwd=self.root,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )

    def run(self, code=LOAD):
        process = self.start(code + "print('the webui goes on')\n")
        output = process.communicate(timeout=300)[0]
        assert process.returncode == 0, output
        assert output.endswith("the webui goes on\n"), output
        return output

    def pip_calls(self):
        return self.note.read_text().splitlines() if self.note.exists() else []


@pytest.fixture(params=PLACES)
def webui(request, tmp_path):
    return Webui(tmp_path / "webui", request.param)


# With the engine

LIVE_FILE = """
from modules import shared, text_generation
from modules.text_generation import generate_reply_empty
from extensions.hot_reload.utils import replace, restore
def mine(question, original_question, state):
    for reply in generate_reply_empty(question, original_question, state):
        yield reply + " Mine."
replace(text_generation, generate_reply_empty, mine)
shared.runs = getattr(shared, "runs", 0) + 1
"""
ASK = "print('answer:', *chat.generate_reply('hello', {}))\n"


def test_both_places(webui):
    (webui.live / "mine.py").write_text(LIVE_FILE)
    output = webui.run(
        "import sys\nfrom modules import chat\n"
        + ASK + LOAD + ASK
        + "print(sorted(extensions.loaded))\nprint('reloadable_mine' in sys.modules)\n"
    )
    assert "answer: No model is loaded.\n" in output
    assert "answer: No model is loaded. Mine.\n" in output
    assert "['hot_reload']\nTrue\n" in output


def test_a_second_setup_starts_no_second_engine(webui):
    (webui.live / "mine.py").write_text(LIVE_FILE)
    output = webui.run(
        "import os, hot_reload\nfrom modules import chat\n"
        "threads = lambda: len(os.listdir('/proc/self/task'))\n"
        + LOAD
        + "one = threads()\n"
        + LOAD * 3
        + "print(shared.runs, threads() - one)\n"
        "import pathlib\n"
        f"path = pathlib.Path({str(webui.live / 'mine.py')!r})\n"
        "path.write_text(path.read_text() + 'shared.more = 1')\n"
        "assert hot_reload.sync(5)\n"
        "print(shared.runs, threads() - one, shared.more)\n" + ASK
    )
    assert "\n1 0\n" in output
    assert "\n2 0 1\n" in output
    assert "answer: No model is loaded. Mine.\n" in output


def test_settings_reach_the_engine(webui):
    output = webui.run(
        "import hot_reload\n"
        "hot_reload.configure = lambda **settings: print(settings)\n"
        "hot_reload.start = lambda *roots, **more: print(roots, more)\n"
        "shared.settings['hot_reload-follow'] = False\n"
        "shared.settings['hot_reload-log_level'] = 'DEBUG'\n" + LOAD
    )
    assert "'withdraw': False, 'follow': False, 'level': 'DEBUG'" in output
    assert "<Logger demo (DEBUG)>" in output
    assert f"() {{'live': {webui.live!r}, 'skip': ('script.py', 'utils.py')}}" in output


def test_follows_the_webui_s_folder(webui):
    note = "import hot_reload\nhot_reload.start = lambda *roots, **_: print(roots)\n"
    output = webui.run(note + LOAD)
    # `modules` is a link into the demo here, and that is where its sources are.
    assert f"({ROOT / 'demo'!r},)" in output


@pytest.mark.parametrize(
    "args, expected",
    [
        ({}, False),
        ({"listen": True}, True),
        ({"listen": True, "listen_host": "127.0.0.1"}, False),
        ({"listen": True, "listen_host": "192.168.0.2"}, True),
        ({"share": True}, True),
        ({"public_api": True}, True),
    ],
)
def test_reachable(args, expected):
    assert reachable(SimpleNamespace(**args)) is expected
    assert reachable(None) is False


def test_warns_where_others_can_reach_it(webui):
    warning = "[HotReload]: others can reach this webui."
    assert warning not in webui.run()
    assert warning in webui.run("shared.args.listen = True\n" + LOAD)


# Without it


def test_first_start_builds_it(webui):
    webui.without_engine("work")
    output = webui.run()
    said = r"building the engine with pip.*\n.*: built and installed in \d+\.\d s\n"
    assert re.search(said, output)
    assert "up\n" in output
    assert "built" not in webui.run()
    (call,) = webui.pip_calls()
    assert call.startswith("install --no-deps ")  # the webui's packages stay
    assert str(ROOT) not in call  # a copy: the folder may be read-only


def test_two_processes_build_it_once(webui):
    webui.without_engine("work")
    both = [webui.start(LOAD) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in both]
    assert all("up\n" in output for output in outputs), outputs
    assert sum("built and installed" in output for output in outputs) == 1
    assert len(webui.pip_calls()) == 1


@pytest.mark.parametrize("version, calls", [("0.0.9", 1), ("999.0", 0)])
def test_an_older_engine_is_replaced(webui, version, calls):
    webui.without_engine("fail").install(version)
    output = webui.run()
    assert len(webui.pip_calls()) == calls
    assert ("up\n" in output) == (calls == 0)


def test_an_engine_of_other_sources_is_replaced(webui):
    webui.without_engine("work")
    webui.run()
    (note,) = webui.root.rglob("site-packages/hot_reload/built_from.txt")
    assert len(note.read_text()) == 64
    note.write_text("earlier")
    assert "built and installed" in webui.run() and len(webui.pip_calls()) == 2
    assert "built" not in webui.run() and note.read_text() != "earlier"


def test_an_engine_of_other_sources_goes_on_where_none_can_be_built(webui):
    webui.without_engine("work")
    webui.run()
    (note,) = webui.root.rglob("site-packages/hot_reload/built_from.txt")
    note.write_text("earlier")
    webui.env["PIP_OUTCOME"] = "fail"
    output = webui.run()
    assert "goes on with the engine of an earlier state" in output
    assert "fatal error: Python.h" in output and "up\n" in output


def test_a_failed_build_is_one_error(webui):
    output = webui.without_engine("fail").run()
    (error,) = re.findall("^.* ERROR .*$", output, re.MULTILINE)
    assert "fatal error: Python.h: No such file or directory" in error
    assert f"type: {webui.python} -m pip install --no-deps {ROOT}" in error
    assert "Traceback" not in output


def test_without_a_compiler_it_says_what_to_install(webui):
    output = webui.without_engine("fail", PATH="", CC="").run()
    assert "apt install build-essential" in output
    assert "Traceback" not in output


def test_without_pip_it_says_so(webui):
    webui.without_engine()
    del webui.env["PYTHONPATH"]
    assert "No module named pip" in webui.run()


def test_uncompiled_sources_are_never_imported(webui):
    webui.without_engine("fail")
    webui.env["PYTHONPATH"] += os.pathsep + str(ROOT)
    output = webui.run(LOAD + "import sys\nprint('hot_reload' in sys.modules)\n")
    assert "False\n" in output
    assert "off, because the engine could not be built" in output


def test_a_missing_module_never_surfaces(webui):
    webui.without_engine("work", WEBUI="import a_module_that_nobody_has")
    output = webui.run()
    assert "[HotReload]: off, because it could not start\nTraceback" in output
    assert "requirements of the extension" not in output


def test_utils_without_the_engine(tmp_path):
    webui = Webui(tmp_path / "webui", "extensions").without_engine()
    webui.run(
        "try:\n    import extensions.hot_reload.utils\n"
        "except ModuleNotFoundError:\n    print('the webui would end here')\n"
        "except ImportError as error:\n    print(error)\n"
    )


# For real


def test_builds_in_a_fresh_environment(tmp_path):
    webui = Webui(tmp_path / "webui", "extensions")
    venv.create(tmp_path / "fresh", with_pip=True, symlinks=True)
    webui.python = tmp_path / "fresh" / "bin" / "python"
    (webui.live / "mine.py").write_text(LIVE_FILE)
    output = webui.run("from modules import chat\n" + LOAD + ASK)
    if "No matching distribution" in output:
        pytest.skip("the package index cannot be reached")
    assert "built and installed in" in output
    assert "answer: No model is loaded. Mine.\n" in output


def test_requirements_are_those_of_the_build():
    """The wizard installs them from the webui's folder, so a path would be wrong."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = [line for line in lines if not line.startswith("#")]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = re.search(r"^requires = \[(.*)\]$", project, re.MULTILINE).group(1)
    assert names == re.findall('"(.*?)"', wanted)
