"""The table of edits itself: is it whole, and does it ask for the right things?

Needs no engine. `fresh`: whoever imports the last texts afresh passes the check.
`stale`: whoever never sees the edit does not.
"""

import ast
import importlib.util
import re
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import edits  # noqa: E402
from edits import coverage, runner  # noqa: E402

TABLE = edits.load_all()
HERE = [
    edit
    for edit in TABLE
    if edit.python <= sys.version_info[:2]
    and (not edit.needs or importlib.util.find_spec(edit.needs))
]


def wants_fresh(edit):
    return edit.fresh


def wants_stale(edit):
    only_refused = edit.refused and not edit.then and not edit.partial
    return not edit.quiet and not only_refused


@pytest.fixture(scope="module")
def problems():
    jobs = [(f"table:{e.name}", "fresh") for e in HERE if wants_fresh(e)]
    jobs += [(f"table:{e.name}", "stale") for e in HERE if wants_stale(e)]
    jobs += [(f"table:{e.name}", "setup") for e in HERE]
    return runner.run(jobs)


def test_it_is_large_enough():
    assert len(TABLE) >= 200


def test_names_are_unique():
    names = [edit.name for edit in TABLE]
    assert sorted(set(names)) == sorted(names)
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in names)


@pytest.mark.parametrize(
    "what, least, patterns", coverage.CLASSES, ids=[c[0] for c in coverage.CLASSES]
)
def test_every_class_of_edits_is_covered(what, least, patterns):
    names = [e.name for e in TABLE if any(fnmatch(e.name, p) for p in patterns)]
    assert len(names) >= least, names
    for pattern in patterns:
        assert any(fnmatch(name, pattern) for name in names), pattern


def test_every_case_belongs_to_a_class():
    patterns = [p for _, _, patterns in coverage.CLASSES for p in patterns]
    lost = [e.name for e in TABLE if not any(fnmatch(e.name, p) for p in patterns)]
    assert not lost


def test_codes_are_those_of_the_list():
    listed = set(re.findall(r"HR\d{3}", edits.__doc__))
    texts = [text for e in TABLE for text in (e.refused, e.may_refuse) if text]
    used = {code for text in texts for code in text.split(" or ")}
    assert used <= listed


def test_texts_can_be_compiled():
    for edit in HERE:
        steps = [edit.before, *edit.saves()]
        for number, files in enumerate(steps):
            for file, text in files.items():
                if text is None:
                    continue
                broken = number == 1 and edit.refused in ("HR101", "HR102")
                try:
                    compile(text, f"{edit.name}/{file}", "exec", dont_inherit=True)
                except (SyntaxError, ValueError, LookupError):
                    assert broken or "late" in file, (edit.name, number, file)
        for text in (edit.setup, edit.mid, edit.check, edit.unchanged):
            ast.parse(text, edit.name)
        assert edit.check, edit.name
        assert "m.py" in edit.before, edit.name
        if edit.partial or edit.unchanged:
            assert edit.refused or edit.may_refuse, edit.name


def test_setup_runs_before_the_edit(problems):
    bad = {e.name: problems[f"table:{e.name}", "setup"] for e in HERE}
    assert not {name: problem for name, problem in bad.items() if problem}


@pytest.mark.parametrize(
    "edit", [pytest.param(e, id=e.name) for e in HERE if wants_fresh(e)]
)
def test_fresh_import_passes(edit, problems):
    problem = problems[f"table:{edit.name}", "fresh"]
    if problem is not None:
        pytest.fail(problem, pytrace=False)


@pytest.mark.parametrize(
    "edit", [pytest.param(e, id=e.name) for e in HERE if wants_stale(e)]
)
def test_old_program_does_not_pass(edit, problems):
    assert problems[f"table:{edit.name}", "stale"] is not None, "checks nothing"
