"""Question 8: what it costs when nothing happens.

Context switches and CPU time of the engine's threads while the host sleeps;
the time of import and of start(); memory for each followed line, and over
many edits.
"""

import os
import subprocess
import sys
import time

import common

PATTERN = 200_000  # lines that are followed


def engine_threads():
    """{name: (context switches, CPU seconds)} of the threads of the engine."""
    found = {}
    tick = os.sysconf("SC_CLK_TCK")
    for task in os.listdir("/proc/self/task"):
        base = f"/proc/self/task/{task}/"
        with open(base + "comm") as file:
            name = file.read().strip()
        if not name.startswith("hot_reload"):
            continue
        with open(base + "status") as file:
            switches = sum(int(line.split()[1]) for line in file if "ctxt" in line)
        with open(base + "stat") as file:
            fields = file.read().rpartition(")")[2].split()
        found[name] = (switches, (int(fields[11]) + int(fields[12])) / tick)
    return found


def total(threads):
    return [sum(part) for part in zip(*threads.values())] or [0, 0]


def memory():
    """Private memory in bytes, after the allocator gave back what is free."""
    import ctypes
    import gc

    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        pass
    with open("/proc/self/smaps_rollup") as file:
        return 1024 * sum(
            int(line.split()[1]) for line in file if line.startswith("Private_")
        )


# In a process that has imported nothing else.
START = """\
import time
a = time.perf_counter_ns()
import hot_reload
b = time.perf_counter_ns()
hot_reload.start({folder!r})
c = time.perf_counter_ns()
print((b - a) / 1e6, (c - b) / 1e6)
"""


def host(link, what, *arguments):
    import hot_reload

    sys.path.insert(0, os.getcwd())
    hot_reload.configure(level="ERROR")
    if what == "lines":
        for i in range(int(arguments[0])):
            __import__(f"m{i}")
        before = memory()
        if arguments[1] == "start":
            hot_reload.start(os.getcwd())
        link.send("ready")
        link.send(memory() - before)
        return
    hot_reload.start(os.getcwd())
    import m0

    link.send("ready")
    while True:
        wish = link.receive()
        if wish == "memory":
            hot_reload.sync()
            link.send([memory(), m0.target()])
        else:
            before = total(engine_threads())
            time.sleep(wish)
            after = total(engine_threads())
            link.send([b - a for a, b in zip(before, after)])


def measure(bench):
    files = 20
    for i in range(files):
        with open(bench.path(f"m{i}.py"), "w") as file:
            file.write(common.make_module(PATTERN // 20, 0))
        # As in most programs: older than the process that imports them.
        os.utime(file.name, (1e9, 1e9))
    imports, starts = [], []
    for n in range(bench.count(20, 5)):
        bench.progress("start", n + 1)
        done = subprocess.run(
            [sys.executable, "-c", START.format(folder=bench.folder)],
            capture_output=True, text=True, check=True,
        )
        times = [float(word) for word in done.stdout.split()]
        imports.append(times[0])
        starts.append(times[1])
    bench.add("import hot_reload", imports)
    bench.add("start()", starts)
    bench.add("import and start", [a + b for a, b in zip(imports, starts)], target=10)

    lines = files * (PATTERN // 20)
    size = sum(os.path.getsize(bench.path(f"m{i}.py")) for i in range(files))
    grown = {}
    for how in ("start", "not"):
        with bench.host("lines", files, how) as host:
            grown[how] = host.receive()
    each = (grown["start"] - grown["not"]) / lines * 1000 / 1024
    bench.add_value("memory for 1,000 followed lines", each, "KiB", target=32)
    bench.add_value("text of 1,000 of these lines", size / lines * 1000 / 1024, "KiB")

    with bench.host("edits") as host, common.start_writer() as writer:
        seconds = bench.count(60, 5)
        bench.progress(f"sleep for {seconds} s")
        switches, cpu = host.ask(seconds)
        bench.add_value(f"context switches in {seconds} s", switches, "", target=0)
        bench.add_value(f"CPU time in {seconds} s", cpu * 1000, "ms", target=0)
        edits, warm = bench.count(1000, 100), bench.count(250, 50)
        path = bench.path("m0.py")
        text = common.make_module(1000, 0)
        for n in range(1, warm + edits + 1):
            bench.progress("edit", n, warm + edits)
            if n == warm + 1:
                before, _ = host.ask("memory")
            text = common.make_module(1000, n % 7)
            writer.ask([path, text, "write"])
            time.sleep(0.004)
        after, value = host.ask("memory")
        if value != (warm + edits) % 7:
            bench.note("the last edit did not become live")
        bench.add_value(f"memory over {edits} edits of 1,000 lines",
                        (after - before) / 1024, "KiB", target=100)
        bench.note(f"counted behind {warm} edits, which fill the record of revisions")


if __name__ == "__main__":
    common.run(measure, host)
