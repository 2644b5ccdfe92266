"""Question 2: the same with six million objects on the heap.

Two hosts take turns, one with a small heap and one with six million lists.
A function is changed, which names lead to, and a function nested in another,
of which only the heap knows the closures.  A bare walk of the heap, for
comparison, is gc.get_referrers() of an object that nothing refers to.
"""

import gc
import os
import statistics
import sys
import time

import common
import stops

CLOSURES = """\
def make(k):
    def inner(a):
        return a + k + {value}
    return inner
"""


def walk():
    """One walk over all containers, in nanoseconds."""
    unknown = object()
    begin = common.now()
    gc.get_referrers(unknown)
    return common.now() - begin


def host(link, count):
    import hot_reload

    sys.path.insert(0, os.getcwd())
    hot_reload.configure(level="ERROR")
    hot_reload.start(os.getcwd())
    import closures
    import m

    ballast = [[] for _ in range(int(count))]
    gc.collect()
    held = [closures.make(i) for i in range(10)]
    calls = {"function": m.target, "closures": lambda: held[-1](-9)}
    link.send("ready")
    while True:
        what, which, value = link.receive()
        if what == "call":
            link.send("waiting")
            link.send(common.wait_for(calls[which], value))
        elif what == "gap":
            finish = stops.start_ticking(0.15)
            link.send("ticking")
            link.send(finish())
        else:
            link.send(walk())
    del ballast


def write_all(folder, value):
    os.makedirs(folder, exist_ok=True)
    for name, text in (
        ("m.py", common.make_module(1000, value)),
        ("closures.py", CLOSURES.format(value=value)),
    ):
        with open(os.path.join(folder, name), "w") as file:
            file.write(text)


def measure(bench):
    rounds = bench.count(45, 12)
    count = bench.count(6_000_000, 1_000_000)
    hosts, times, gaps, walks = {}, {}, {}, []
    with common.start_writer() as writer:
        for name, size in (("small", 0), ("large", count)):
            write_all(bench.path(name), 0)
            folder, bench.folder = bench.folder, bench.path(name)
            hosts[name] = bench.host(size)
            bench.folder = folder
            for which in ("function", "closures"):
                times[name, which] = []
        for key in ("function", "closures", "nothing"):
            gaps[key] = []
        for n in range(1, rounds + 1):
            bench.progress("round", n, rounds)
            texts = {
                "function": ("m.py", common.make_module(1000, n)),
                "closures": ("closures.py", CLOSURES.format(value=n)),
            }
            for (name, which), samples in times.items():
                file, text = texts[which]
                host = hosts[name]
                host.ask(["call", which, n])
                time.sleep(0.002)
                closed = writer.ask([bench.path(name, file), text, "write"])
                seen = host.receive()
                if seen is None:
                    bench.note(f"{name} heap, {which}: save {n} never became live")
                else:
                    samples.append((seen - closed) / 1e6)
                common.pause()
            walks.append(hosts["large"].ask(["walk", None, None]) / 1e6)
            if n % 3 == 0:
                for key, samples in gaps.items():
                    hosts["large"].ask(["gap", None, None])
                    common.pause()
                    file, text = texts.get(key, ("other.txt", "x"))
                    text = text.replace(f"+ {n}\n", f"+ {n + 1000}\n")
                    writer.ask([bench.path("large", file), text, "write"])
                    samples.append(hosts["large"].receive() / 1e6)
        for host in hosts.values():
            host.close()
    name = f"{count // 1_000_000} million objects"
    medians = {}
    for which in ("function", "closures"):
        medians["small", which] = bench.add(
            f"save to first call, {which}, small heap", times["small", which])
        medians["large", which] = bench.add(
            f"save to first call, {which}, {name}", times["large", which])
    bench.add("a bare walk of the heap", walks)
    if medians["large", "function"] and medians["small", "function"]:
        bench.add_value("function, large heap against small",
                        medians["large", "function"] / medians["small", "function"],
                        "x", target=1.25)
    if medians["large", "closures"]:
        bench.add_value("closures, against a bare walk",
                        medians["large", "closures"] / statistics.median(walks), "x",
                        target=2.0)
    base = statistics.median(gaps["nothing"])
    for which in ("function", "closures"):
        bench.add_value(f"longest gap of a thread, more by a save, {which}",
                        statistics.median(gaps[which]) - base, "ms", target=1.0)


if __name__ == "__main__":
    common.run(measure, host)
