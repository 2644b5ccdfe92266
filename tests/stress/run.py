"""Longer versions of the tests that look for crashes, races and growth: minutes.

    python tests/stress/run.py [--minutes 5] [--only NAME]

Each round runs one of the suites below with larger numbers than `make test` and prints
a line; what fails is shown and ends the run with status 1. Whole tables are gone
through at least once, whatever the time.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests" / "python"

# Name, test file, what makes it larger.
SUITES = [
    ("threads", "test_threads.py", {"HOT_RELOAD_SWAPS": "60000"}),
    ("shutdown", "test_shutdown.py", {"HOT_RELOAD_SHUTDOWNS": "400"}),
    ("growth", "test_growth.py", {"HOT_RELOAD_SAVES": "10000"}),
    ("fork", "test_fork.py", {}),
    ("functions", "test_function.py", {}),
    ("live files", "test_live.py", {}),
    ("engine", "test_engine.py", {}),
]


def run(name, file, larger):
    began = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TESTS / file],
        cwd=ROOT,
        env={**os.environ, **larger},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    line = r"^.*\d+ (?:passed|failed|error).*$"
    found = re.findall(line, result.stdout, re.MULTILINE)
    summary = found[-1].strip("= ") if found else "no summary"
    sizes = " ".join(f"{k[11:].lower()}={v}" for k, v in larger.items())
    took = time.monotonic() - began
    print(f"  {name:<11} {took:6.1f} s  {summary}  {sizes}", flush=True)
    if result.returncode:
        print(result.stdout)
    return result.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--only", choices=[name for name, *_ in SUITES])
    options = parser.parse_args()
    suites = [s for s in SUITES if options.only in (None, s[0])]
    until = time.monotonic() + options.minutes * 60
    number, good = 0, True
    while good and (number == 0 or time.monotonic() < until):
        number += 1
        left = max(0, until - time.monotonic()) / 60
        print(f"round {number}, {left:.1f} minutes left", flush=True)
        for suite in suites:
            good = run(*suite) and good
            if number > 1 and time.monotonic() > until:
                break
    print("all passed" if good else "FAILED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
