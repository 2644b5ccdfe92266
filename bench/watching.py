"""Question 9: many files under the roots.

10,000 and 100,000 files, of which the host imports fifty: time and memory of
start(), watch descriptors, and a save.  And 3,000 modules that are imported:
a save among them.
"""

import os
import sys
import time

import common
from idle import memory


def count_watches():
    """The inotify descriptors' watches of this process."""
    count = 0
    for name in os.listdir("/proc/self/fdinfo"):
        try:
            with open("/proc/self/fdinfo/" + name) as file:
                count += sum(line.startswith("inotify") for line in file)
        except OSError:
            pass
    return count


def host(link, root, count):
    import hot_reload

    sys.path.insert(0, root)
    sys.dont_write_bytecode = True
    hot_reload.configure(level="ERROR")
    modules = [__import__(f"p{i // 100}.m{i % 100}") for i in range(int(count))]
    target = sys.modules["p0.m0"].target
    before = memory()
    begin = time.perf_counter_ns()
    hot_reload.start(root)
    took = (time.perf_counter_ns() - begin) / 1e6
    link.send("ready")
    link.send([took, (memory() - before) / 1024, count_watches(), len(modules)])
    while True:
        value = link.receive()
        link.send("waiting")
        link.send(common.wait_for(target, value))


def make_tree(folder, files, lines):
    text = common.make_module(lines, 0)
    for i in range(files):
        if i % 100 == 0:
            os.makedirs(os.path.join(folder, f"p{i // 100}"), exist_ok=True)
        with open(os.path.join(folder, f"p{i // 100}", f"m{i % 100}.py"), "w") as file:
            file.write(text)


def measure(bench):
    rounds = bench.count(60, 12)
    cases = [("10,000 files, 50 imported", 10_000, 50),
             ("100,000 files, 50 imported", 100_000, 50),
             ("3,000 files, all imported", 3_000, 3_000)]
    if bench.quick:
        cases = [("2,000 files, 50 imported", 2_000, 50),
                 ("500 files, all imported", 500, 500)]
    with common.start_writer() as writer:
        for name, files, imported in cases:
            bench.progress(name)
            root = bench.path(name.replace(" ", "_"))
            make_tree(root, files, 30)
            times = []
            with bench.host(root, imported) as host:
                took, kib, watches, _ = host.receive()
                for n in range(1, rounds + 1):
                    host.ask(n)
                    time.sleep(0.002)
                    closed = writer.ask([os.path.join(root, "p0", "m0.py"),
                                         common.make_module(30, n), "write"])
                    seen = host.receive()
                    if seen is not None:
                        times.append((seen - closed) / 1e6)
                    common.pause()
            bench.add_value(f"start(), {name}", took, "ms")
            bench.add_value(f"memory, {name}", kib, "KiB")
            # The folders that hold modules, and those above them on the way to
            # the root, which tell when one of them is exchanged.
            bench.add_value(f"watch descriptors, {name}", watches, "",
                            target=-(-imported // 100) + root.count("/"))
            bench.add(f"save to first call, {name}", times, target=1.0)


if __name__ == "__main__":
    common.run(measure, host)
