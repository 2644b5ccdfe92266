"""What docs/ says about edits is what the engine does."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import edits  # noqa: E402
import edits_doc  # noqa: E402
from edits import coverage, runner  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
DOC = ROOT / "docs" / "edits.md"
CODE = re.compile(r"\bHR[1-9]\d\d\b")

TELL = """
import json, sys
from edits import worker
saves = []
save = worker.Engine.save

def watched(self, files):
    result = save(self, files)
    saves.append((result[0], sorted(result[1])))
    return result

worker.Engine.save = watched
told = {}
for name in sys.argv[1:]:
    del saves[:]
    worker.run(f"table:{name}", "apply")
    told[name] = saves[0]
print(json.dumps(told))
"""


def test_tables_are_up_to_date():
    assert DOC.read_text() == edits_doc.make(), "run tests/python/edits_doc.py"


def test_every_class_of_edits_has_its_row():
    text = DOC.read_text()
    for what, _, patterns in coverage.CLASSES:
        assert f"| {what} |" in text
        assert all(f"`{pattern}`" in text for pattern in patterns)
    words = set(re.findall(r"\w+", text))
    assert not [e.name for e in edits.load_all() if e.name not in words]


def test_every_code_is_explained():
    raised = set()
    for path in (ROOT / "src" / "core").glob("*.c"):
        raised |= set(CODE.findall(path.read_text()))
    listed = set(CODE.findall(edits.__doc__))
    rows = set(re.findall(r"^\| (HR\d\d\d) \|.*\|.*\|.*\|$", DOC.read_text(), re.M))
    assert raised == rows, "codes of the engine and rows of the table"
    assert listed == rows


def test_tests_that_are_named_exist():
    for name in re.findall(r"tests/python/[\w/]+\.py", DOC.read_text()):
        assert (ROOT / name).exists(), name
    for code, file in (
        ("HR103", "test_bad_input.py"),
        ("HR111", "test_bad_input.py"),
        ("HR401", "test_bad_input.py"),
        ("HR402", "test_revisions.py"),
        ("HR110", "test_hooks.py"),
    ):
        assert code in (ROOT / "tests" / "python" / file).read_text(), (code, file)


def test_what_may_be_refused_is_what_the_table_says():
    pytest.importorskip("hot_reload")
    here = sys.version_info[:2]
    cases = [e for e in edits.load_all() if e.may_refuse and e.python <= here]
    done = subprocess.run(
        [sys.executable, "-c", TELL, *(e.name for e in cases)],
        env=runner.environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout.splitlines()[-1])
    for edit in cases:
        good, codes = told[edit.name]
        if edit.name in edits_doc.APPLIED:
            assert good and not codes, edit.name
        else:
            assert codes == [edit.may_refuse] and good == edit.partial, edit.name


@pytest.mark.parametrize("name", ["architecture.md", "edits.md", "real-webui.md"])
def test_files_that_are_named_exist(name):
    text = (ROOT / "docs" / name).read_text()
    for path in re.findall(r"\b(?:src|tests|docs|bench|demo)/[\w/.-]*\w", text):
        assert (ROOT / path).exists(), path
    assert not re.search(r"/(?:tmp|work|root|home)/", text)
