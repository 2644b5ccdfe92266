"""Every edit of the table, in both ways: told by `apply()`, found by the watcher.

The cases run in worker processes, one per group and way (see `edits/runner.py`).
The examples of ../shared/edits run the same way where that folder is there.
"""

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import edits  # noqa: E402
from edits import runner  # noqa: E402

try:
    import hot_reload
except ImportError:
    hot_reload = None


EXAMPLES = Path(__file__).resolve().parents[3] / "shared" / "edits" / "edits.json"


def cases():
    """(group, case, way) of everything that there is, with its marks."""
    for edit in edits.load_all():
        marks = []
        if edit.python > sys.version_info[:2]:
            version = ".".join(map(str, edit.python))
            marks = [pytest.mark.skip(reason=f"the case is for Python {version}")]
        elif edit.needs and not importlib.util.find_spec(edit.needs):
            marks = [pytest.mark.skip(reason=f"{edit.needs} is not installed")]
        for way in edit.ways:
            yield pytest.param(
                edit.group,
                f"table:{edit.name}",
                way,
                marks=marks,
                id=f"{edit.group}-{edit.name}-{way}",
            )


def examples():
    if not EXAMPLES.exists():
        reason = "there is no ../shared/edits/edits.json"
        yield pytest.param("", "", "", marks=pytest.mark.skip(reason=reason))
        return
    for example in json.loads(EXAMPLES.read_text()):
        version = tuple(map(int, example["python"].split(".")))
        reason = f"the example is for Python {example['python']}"
        mark = pytest.mark.skipif(version > sys.version_info[:2], reason=reason)
        for way in ("apply", "save"):
            name = example["name"]
            yield pytest.param(
                "examples", f"example:{name}", way, marks=mark, id=f"{name}-{way}"
            )


@pytest.fixture(scope="session")
def problem_of(request):
    """Runs, when the first of them is asked for, the chosen cases of a group."""
    chosen = {}
    for item in request.session.items:
        if "problem_of" in getattr(item, "fixturenames", ()):
            if not any(
                mark.args[0] if mark.args else mark.name == "skip"
                for mark in item.iter_markers()
                if mark.name in ("skip", "skipif")
            ):
                p = item.callspec.params
                batch = chosen.setdefault((p["group"], p["way"]), [])
                batch.append((p["case"], p["way"]))
    problems = {}

    def ask(group, case, way):
        if (case, way) not in problems:
            problems.update(runner.run(chosen[group, way]))
        return problems[case, way]

    return ask


@pytest.mark.parametrize("group, case, way", list(cases()))
def test_edit(group, case, way, problem_of):
    problem = problem_of(group, case, way)
    if problem is not None:
        pytest.fail(problem, pytrace=False)


@pytest.mark.parametrize("group, case, way", list(examples()))
def test_example(group, case, way, problem_of):
    problem = problem_of(group, case, way)
    if problem is not None:
        pytest.fail(problem, pytrace=False)


SCRIPT = """
    import os, sys
    from pathlib import Path
    import hot_reload

    LIMIT = 1
    RUNS = []

    def f():
        return LIMIT, "old"

    class K:
        def a(self):
            return "old"

    def main():
        here = Path(__file__).resolve()
        hot_reload.start(str(here.parent))
        held, o, before = f, K(), here.read_text()
        RUNS.append("main")
        here.write_text(before.replace('"' + 'old"', '"new"').replace("= 1", "= 2", 1))
        revision = hot_reload.apply(str(here))
        assert revision.ok, revision.error
        assert held() == (2, "new") and f is held, held()
        assert o.a() == "new" and type(o) is K
        assert RUNS == ["main"], RUNS
        print("done", RUNS)

    if __name__ == "__main__":
        main()
"""


def run_script(arguments, folder):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-B", *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done ['main']\n", done.stdout


def test_main_run_as_script(tmp_path):
    (tmp_path / "app.py").write_text(textwrap.dedent(SCRIPT))
    run_script([str(tmp_path / "app.py")], tmp_path)


def test_main_run_as_module(tmp_path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    (tmp_path / "pack" / "app.py").write_text(textwrap.dedent(SCRIPT))
    run_script(["-m", "pack.app"], tmp_path)


def test_main_run_as_package(tmp_path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    (tmp_path / "pack" / "__main__.py").write_text(textwrap.dedent(SCRIPT))
    run_script(["-m", "pack"], tmp_path)
