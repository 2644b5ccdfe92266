"""Instructions of split, compare, plan and commit, whatever the noise.

A host under `valgrind --tool=callgrind` is given saves by apply(); the counts
are for each save, with all that the function calls.  They are the same on
every run but for a few, so a regression shows on a busy machine too.
"""

import os
import re
import shutil
import subprocess
import sys

import common

FUNCTIONS = {
    "hr_text_read": "decode, compare and split, without the GIL",
    "hr_lex_resplit": "split",
    "hr_diff_blocks": "compare blocks",
    "hr_code_compile": "compile",
    "hr_plan_run": "plan, commit and all behind it",
    "hr_journal_swap": "commit",
}
SIZES = {"100 lines": 100, "11,000 lines": 11000}
SAVES = 8


def host(link, lines):
    """Runs under valgrind, so without a link."""
    import hot_reload

    sys.path.insert(0, os.getcwd())
    path = os.path.join(os.getcwd(), "m.py")
    with open(path, "w") as file:
        file.write(common.make_module(int(lines), 0))
    hot_reload.configure(level="ERROR")
    # Or the watcher may have read and split the file before apply() does.
    hot_reload._core.set("force_poll", True)
    hot_reload.start(os.getcwd())
    import m

    for n in range(1, SAVES + 1):
        with open(path + ".new", "w") as file:
            file.write(common.make_module(int(lines), n))
        os.rename(path + ".new", path)
        hot_reload.apply(path)
        assert m.target() == n
    hot_reload.stop()


def parse(report):
    """{function: instructions} of callgrind_annotate --inclusive=yes."""
    counts = {}
    for line in report.splitlines():
        match = re.match(r"\s*([\d,]+)\s+(?:\([^)]*\)\s+)?.*?:(\w+)(?:'2)?\s", line)
        if match and match.group(2) in FUNCTIONS:
            number = int(match.group(1).replace(",", ""))
            counts[match.group(2)] = max(number, counts.get(match.group(2), 0))
    return counts


def measure(bench):
    if shutil.which("valgrind") is None or shutil.which("callgrind_annotate") is None:
        bench.note("skipped: valgrind is not installed")
        return
    for name, lines in SIZES.items():
        if bench.quick and lines > 100:
            continue
        bench.progress(name)
        out = bench.path("callgrind.out")
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--collect-atstart=no",
             "--toggle-collect=hr_apply_run", f"--callgrind-out-file={out}",
             sys.executable, os.path.abspath(__file__), "host", str(lines)],
            cwd=bench.folder, capture_output=True, text=True, timeout=300,
        )
        if done.returncode != 0:
            bench.note(f"{name}: failed under valgrind: {done.stderr[-300:]}")
            continue
        report = subprocess.run(
            ["callgrind_annotate", "--inclusive=yes", "--threshold=100", out],
            capture_output=True, text=True,
        ).stdout
        counts = parse(report)
        for function, what in FUNCTIONS.items():
            if function in counts:
                bench.add_value(f"{name}: {what} ({function})",
                                counts[function] // SAVES, "instructions")
            else:
                bench.note(f"{name}: no count for {function}")


if __name__ == "__main__":
    common.run(measure, host)
