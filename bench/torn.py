"""Question 6: pairs of calls that see half of a save.

Each save changes two functions, two defaults, two methods and two constants to
the same number.  A reader calls the first, then the second: a save may come in
between, so the second may be newer, but if it is *older*, the reader saw the
first changed and the second not yet, which is a torn pair.  Where one call
returns both numbers (a default and a constant in the body), they must agree.
The switch interval is 10 us.
"""

import os
import sys
import threading

import common

TEXT = """\
FIRST = {v}


def first():
    return {v}


def first_default(x={v}):
    return x


def whole(x={v}):
    return x, {v}


class Pair:
    def first(self):
        return {v}

    def second(self):
        return {v}


{filler}
def second_default(x={v}):
    return x


def second():
    return {v}


SECOND = {v}
"""
READERS = 2
FILLER = "".join(f"def filler_{i}(a):\n    return a + {i}\n\n\n" for i in range(60))


KINDS = ("functions", "defaults", "methods", "constants", "one call")


def read_pairs(m, pair, state, counts):
    """Call pairs until told to stop; count those that are torn."""
    reads = {
        "functions": (m.first, m.second),
        "defaults": (m.first_default, m.second_default),
        "methods": (pair.first, pair.second),
        "constants": (lambda: m.FIRST, lambda: m.SECOND),
    }
    call = m.whole
    while not state["stop"]:
        for kind, (first, second) in reads.items():
            torn = 0
            for _ in range(50):
                a = first()
                b = second()
                c = second()
                d = first()
                if b < a or d < c:
                    torn += 1
            counts[kind][0] += 100
            counts[kind][1] += torn
        torn = 0
        for _ in range(100):
            a, b = call()
            if a != b:
                torn += 1
        counts["one call"][0] += 100
        counts["one call"][1] += torn


def host(link):
    import hot_reload

    sys.path.insert(0, os.getcwd())
    hot_reload.configure(level="ERROR")
    hot_reload.start(os.getcwd())
    import m

    sys.setswitchinterval(10e-6)
    state = {"stop": False}
    counts = [{kind: [0, 0] for kind in KINDS} for _ in range(READERS)]
    pair = m.Pair()
    threads = [
        threading.Thread(target=read_pairs, args=(m, pair, state, own))
        for own in counts
    ]
    link.send("ready")
    for thread in threads:
        thread.start()
    while (number := link.receive()) is not None:
        done = hot_reload.sync(10) and m.first() == number
        total = sum(own[kind][0] for own in counts for kind in KINDS)
        link.send([done, total])
    state["stop"] = True
    for thread in threads:
        thread.join()
    link.send({k: [sum(own[k][i] for own in counts) for i in (0, 1)] for k in KINDS})


def measure(bench):
    saves, pairs = bench.count(1000, 100), bench.count(10_000_000, 500_000)
    with open(bench.path("m.py"), "w") as file:
        file.write(TEXT.format(v=0, filler=FILLER))
    with bench.host() as host, common.start_writer() as writer:
        total = n = 0
        while n < saves or total < pairs:
            n += 1
            bench.progress("save", n, saves)
            text = TEXT.format(v=n, filler=FILLER)
            writer.ask([bench.path("m.py"), text, "write"])
            done, total = host.ask(n)
            if not done:
                bench.note(f"save {n} did not become live")
        host.send(None)
        result = host.receive()
    bench.add_value("pairs of calls", sum(count for count, _ in result.values()))
    bench.add_value("saves", n)
    for kind in KINDS:
        bench.add_value(f"torn pairs, {kind}", result[kind][1], target=0,
                        pairs=result[kind][0])


if __name__ == "__main__":
    common.run(measure, host)
