"""Thousands of random edits, each compared with a fresh import of the same text.

HOT_RELOAD_STEPS   how many steps altogether (default 2000)
HOT_RELOAD_SEED    the first seed (default 1); a failure prints its own
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

try:
    import hot_reload
except ImportError:
    hot_reload = None


STEPS = int(os.environ.get("HOT_RELOAD_STEPS", "2000"))
SEED = int(os.environ.get("HOT_RELOAD_SEED", "1"))
WORKERS = 10
#: tries to make a failing pair of texts smaller
TRIES = 80


def worker(*arguments, text=""):
    path = [str(Path(__file__).resolve().parent), *(p for p in sys.path if p)]
    return subprocess.run(
        [sys.executable, "-m", "random_edits.worker", *map(str, arguments)],
        input=text,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        timeout=60 + STEPS,
    )


def outcome(done):
    """The worker's report; a crash is reported with the step that it was in."""
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    report = {}
    for line in done.stderr.splitlines():
        if line.startswith("STEP "):
            report = json.loads(line[5:])
    rest = [ln for ln in done.stderr.splitlines() if not ln.startswith("STEP ")]
    tail = "\n".join(rest[-60:])
    return {**report, "problem": f"the worker ended with {done.returncode}:\n{tail}"}


def fails(before, after):
    done = worker("pair", text=json.dumps({"before": before, "after": after}))
    return outcome(done).get("problem")


def shrink(before, after):
    """A smaller pair that goes wrong when saved alone, or None."""
    if not fails(before, after):
        return None
    tries = TRIES
    size = 32
    while size and tries > 0:
        smaller = False
        for module in before:
            blocks = sorted(set(split(before[module])) | set(split(after[module])))
            for start in range(0, len(blocks), size):
                gone = set(blocks[start : start + size])
                pair = [
                    {**t, module: "".join(b for b in split(t[module]) if b not in gone)}
                    for t in (before, after)
                ]
                if pair == [before, after]:
                    continue
                tries -= 1
                if tries > 0 and fails(*pair):
                    before, after = pair
                    smaller = True
        if not smaller:
            size //= 2
    return before, after


def split(text):
    """The text in pieces that begin with a line at column zero."""
    pieces = []
    for line in text.splitlines(keepends=True):
        inner = line[:1] in (" ", "\n", "}", ")") or line.startswith("finally")
        decorated = pieces and pieces[-1].splitlines()[-1].startswith("@")
        if pieces and (inner or decorated):
            pieces[-1] += line
        else:
            pieces.append(line)
    return pieces


def way_of(number):
    return ("apply", "save")[number % 2]


@pytest.fixture(scope="module")
def outcomes():
    """All workers at once, as many at a time as there are processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def go(number):
            steps = STEPS // WORKERS
            return outcome(worker("run", SEED + number, steps, way_of(number)))

        return list(pool.map(go, range(WORKERS)))


@pytest.mark.parametrize("number", range(WORKERS))
def test_random_edits(number, outcomes):
    seed, way = SEED + number, way_of(number)
    found = outcomes[number]
    if "problem" not in found:
        assert found["applied"] > STEPS // WORKERS // 4, found
        return
    texts = None
    if found.get("before"):
        texts = shrink(found["before"], found["after"])
    kind = "shrunk" if texts else "not by this save alone:"
    before, after = texts or (found.get("before", {}), found.get("after", {}))
    shown = "".join(
        f"\n--- {what} {name}.py\n{text}"
        for what, part in (("before", before), ("after", after))
        for name, text in part.items()
    )
    pytest.fail(
        f"HOT_RELOAD_SEED={seed} ({way}), step {found.get('step')}: "
        f"{found['problem']}\n{kind}{shown}",
        pytrace=False,
    )


def test_pictures_tell_texts_apart():
    """The comparison itself: equal texts have equal pictures, others do not."""
    text = {"alpha": "X = 1\ndef f(a=X):\n    return a\n", "beta": ""}
    moved = {**text, "alpha": "\n" + text["alpha"]}
    changed = {**text, "alpha": text["alpha"].replace("return a", "return a, 2")}
    lines = "".join(json.dumps(t) + "\n" for t in (text, text, moved, changed))
    done = worker("fresh", text=lines)
    one, same, two, three = map(json.loads, done.stdout.splitlines())
    assert one == same and len({json.dumps(p) for p in (one, two, three)}) == 3
