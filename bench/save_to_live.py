"""Question 1: from the end of a save to the first call of the new code.

One function of a module of 100, 1,000 and 11,000 lines, one method of a class
of 3,000; all in one host, in turn with saves that only the floor's program
waits for, so that noise meets all of them alike.  The host calls the function
every 20 us and sleeps in between; every other round it sleeps through, and
the time of the commit is taken from the revision.
"""

import importlib
import os
import statistics
import sys
import time

import common

SIZES = {"100 lines": 100, "1,000 lines": 1000, "11,000 lines": 11000}


def text_of(name, value):
    if name == "class":
        return common.make_class_module(3000, value)
    if name == "adds a line":
        return common.make_module(11000, value, extra="# one more\n" * (value % 7))
    return common.make_module(SIZES[name], value)


def host(link, *modules):
    import hot_reload

    sys.path.insert(0, os.getcwd())
    hot_reload.configure(level="ERROR")
    hot_reload.start(os.getcwd())
    calls = []
    for name in modules:
        module = importlib.import_module(name)
        big = getattr(module, "big", None)
        calls.append(big.target if big is not None else module.target)
    link.send("ready")
    while True:
        what, which, value = link.receive()
        if what == "call":
            link.send("waiting")
            link.send(common.wait_for(calls[which], value))
        elif what == "revision":
            hot_reload.sync()
            r = hot_reload.revisions()[-1]
            stamps = [
                getattr(r, stage)
                for stage in ("saved_ns", "ready_ns", "gil_ns", "split_ns",
                              "planned_ns", "live_ns", "compile_ns")
            ]
            link.send([r.ok and calls[which]() == value, *stamps])


def measure_compile(text, count):
    """compile() of the whole text, in milliseconds."""
    samples = []
    for _ in range(count):
        begin = common.now()
        compile(text, "whole", "exec")
        samples.append((common.now() - begin) / 1e6)
    return samples


def measure_exchange(text):
    """compile() of a function alone, run it, exchange one code object: ms."""
    begin = common.now()
    code = compile(text, "one", "exec")
    middle = common.now()
    names = {}
    exec(code, names)
    held = measure_compile
    old, new = held.__code__, names["target"].__code__
    start = common.now()
    held.__code__ = new
    end = common.now()
    held.__code__ = old
    return (middle - begin) / 1e6, (end - start) / 1e6


STAGES = ("kernel to thread", "read and compare", "split", "GIL", "compile",
          "plan", "commit")


def stages(closed, stamps):
    """Milliseconds spent in each stage."""
    saved, ready, gil, split, plan, live, compiled = stamps
    times = [saved - closed, ready - saved - split, split, gil - ready, compiled,
             plan - gil - compiled, live - plan]
    return [t / 1e6 for t in times]


def measure(bench):
    rounds = bench.count(200, 25)
    names = [*SIZES, "class", "adds a line"]
    modules = [f"m{i}" for i in range(len(names))]
    for module, name in zip(modules, names):
        with open(bench.path(module + ".py"), "w") as file:
            file.write(text_of(name, 0))
    os.mkdir(bench.path("floor"))
    first = {name: [] for name in names}
    commit = {name: [] for name in names}
    split = {name: [] for name in names}
    floor, compiling, exchange, whole = [], [], [], []
    one = common.TARGET.format(value=1)
    texts = [[text_of(name, v) for v in range(8)] for name in names]
    with bench.host(*modules) as host, common.start_writer() as writer:
        event = None
        if bench.options.floor:
            event = common.start_process([bench.options.floor, bench.path("floor")])
            event.receive()
        for n in range(1, rounds + 1):
            bench.progress("round", n, rounds)
            for i, name in enumerate(names):
                value = n % 8
                save = [bench.path(modules[i] + ".py"), texts[i][value], "write"]
                calls = n % 2
                if calls:
                    host.ask(["call", i, value])
                    time.sleep(0.002)
                closed = writer.ask(save)
                if calls:
                    seen = host.receive()
                    if seen is None:
                        bench.note(f"{name}: round {n} never became live")
                        continue
                    first[name].append((seen - closed) / 1e6)
                common.pause()
                ok, *stamps = host.ask(["revision", i, value])
                if not ok:
                    bench.note(f"{name}: round {n} was refused")
                elif not calls:
                    commit[name].append((stamps[5] - closed) / 1e6)
                if ok:
                    split[name].append(stages(closed, stamps))
            if event is not None:
                closed = writer.ask([bench.path("floor", "m.py"), texts[0][0], "write"])
                floor.append((event.receive() - closed) / 1e6)
                common.pause()
            times = measure_exchange(one)
            compiling.append(times[0])
            exchange.append(times[1])
            if n % (rounds // 10 or 1) == 0:
                whole += measure_compile(texts[2][n % 8], 1)
        if event is not None:
            event.close()

    bench.add("floor: event in a C program", floor)
    bench.add("floor: compile() of the function", compiling)
    bench.add("floor: one exchange", exchange)
    bench.add("compile() of the 11,000 lines", whole)
    least = sum(statistics.median(s) for s in (floor, compiling, exchange) if s)
    bench.add_value("floor", least, "ms")
    medians = {}
    for name in names:
        figure = f"save to first call, {name}"
        medians[name] = bench.add(figure, first[name], target=1.0)
    for name in names:
        bench.add(f"save to commit, host asleep, {name}", commit[name])
    for name in names:
        if medians[name] is None:
            continue
        bench.add_value(f"{name}, times the floor", medians[name] / least, "x",
                        target=3.0)
        parts = zip(STAGES, zip(*split[name]))
        text = ", ".join(f"{s} {statistics.median(v) * 1e3:.0f}" for s, v in parts)
        bench.note(f"{name}, stages in us (medians): {text}")
    if medians["11,000 lines"] and medians["100 lines"]:
        bench.add_value("11,000 lines against 100",
                        medians["11,000 lines"] / medians["100 lines"], "x", target=2.0)
        bench.add_value("11,000 lines against compile() of them",
                        100 * medians["11,000 lines"] / statistics.median(whole),
                        "%", target=2.0)


if __name__ == "__main__":
    common.run(measure, host)
