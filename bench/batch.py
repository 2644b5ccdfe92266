"""Question 7: 500 files of 200 lines changed by one `git checkout`.

From the end of git to the commit, how many revisions it took, and the longest
stop of a thread that ticks meanwhile.
"""

import os
import shutil
import subprocess
import sys
import time

import common
import stops

FILES, LINES = 500, 200


def host(link, count):
    import hot_reload

    sys.path.insert(0, os.getcwd())
    hot_reload.configure(level="ERROR")
    hot_reload.start(os.getcwd())
    modules = [__import__(f"m{i}") for i in range(int(count))]
    link.send("ready")
    while True:
        value = link.receive()
        before = len(hot_reload.revisions())
        finish = stops.start_ticking(1.5)
        link.send("ticking")
        gap = finish()
        done = hot_reload.sync(20)
        made = hot_reload.revisions()[before:]
        wrong = sum(m.target() != value for m in modules)
        link.send([done, wrong, len(made), [r.live_ns for r in made],
                   [r.gil_ns for r in made], gap])


def git(folder, *arguments):
    subprocess.run(
        ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost",
         "-c", "core.autocrlf=false", *arguments],
        cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )


def measure(bench):
    if shutil.which("git") is None:
        bench.note("skipped: git is not installed")
        return
    count, rounds = bench.count(FILES, 100), bench.count(6, 3)
    git(bench.folder, "init", "-q")
    for value in (1, 2):
        for i in range(count):
            with open(bench.path(f"m{i}.py"), "w") as file:
                file.write(common.make_module(LINES, value))
        git(bench.folder, "add", "-A")
        git(bench.folder, "commit", "-q", "-m", str(value))
        git(bench.folder, "branch", f"b{value}")
    git(bench.folder, "checkout", "-q", "b1")
    for name in os.listdir(bench.folder):
        if name == "__pycache__":
            shutil.rmtree(bench.path(name))
    times, each, gaps, base, revisions, held = [], [], [], [], [], []
    with bench.host(count) as host:
        for n in range(rounds):
            bench.progress("checkout", n + 1, rounds)
            value = 2 - n % 2
            host.ask(3 - value)
            base.append(host.receive()[5] / 1e6)
            host.ask(value)
            time.sleep(0.05)
            git(bench.folder, "checkout", "-q", f"b{value}")
            ended = common.now()
            done, wrong, made, live, gil, gap = host.receive()
            if not done or wrong or not made:
                bench.note(f"checkout {n + 1}: {wrong} of {count} files are not live")
                continue
            revisions.append(made)
            times.append((live[-1] - ended) / 1e6)
            held.append((live[-1] - gil[-1]) / 1e6)
            each.append((live[-1] - gil[-1]) / 1e3 / count)
            gaps.append(gap / 1e6)
    bench.add_value("files in one checkout", count)
    bench.add("revisions for one checkout", revisions, "", target=1)
    bench.add("end of git checkout to commit", times)
    bench.add("plan and commit of the batch", held)
    bench.add("plan and commit, for each file", each, "us")
    bench.add("longest gap of a thread without a checkout", base)
    bench.add("longest gap of a thread during a checkout", gaps)


if __name__ == "__main__":
    common.run(measure, host)
