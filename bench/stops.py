"""Question 4: how long other threads are stopped by a save.

A thread reads the clock without a pause; the longest time between two
readings is what it was stopped.  Windows with a save and windows without take
turns, as the machine's own stops are in both.  In the third case lines come in
at the top, so that every function of the module gets new line numbers too.
"""

import os
import sys
import threading

import common

CASES = {"100 lines": 100, "11,000 lines": 11000, "11,000 lines, all move": 11000}
WINDOW = 0.05


def longest_gap(seconds):
    """The longest gap in so many seconds of ticking, in nanoseconds."""
    now = common.now
    last = now()
    end = last + int(seconds * 1e9)
    longest = 0
    while last < end:
        t = now()
        if t - last > longest:
            longest = t - last
        last = t
    return longest


def start_ticking(seconds):
    """The same in a thread; call the result for the gap."""
    gaps = []
    thread = threading.Thread(target=lambda: gaps.append(longest_gap(seconds)))
    thread.start()

    def finish():
        thread.join()
        return gaps[0]

    return finish


def host(link, *names):
    import hot_reload

    sys.path.insert(0, os.getcwd())
    hot_reload.configure(level="ERROR")
    hot_reload.start(os.getcwd())
    for name in names:
        __import__(name)
    link.send("ready")
    while True:
        link.receive()
        link.send("ticking")
        link.send(longest_gap(WINDOW))


def measure(bench):
    rounds = bench.count(120, 20)
    with_save = {case: [] for case in CASES}
    without = {case: [] for case in CASES}
    modules = {case: f"m{i}" for i, case in enumerate(CASES)}
    for case, lines in CASES.items():
        with open(bench.path(modules[case] + ".py"), "w") as file:
            file.write(common.make_module(lines, 0))
    with bench.host(*modules.values()) as host, common.start_writer() as writer:
        for n in range(1, rounds + 1):
            bench.progress("round", n, rounds)
            for case, lines in CASES.items():
                head = "# one more\n" * (n % 5 if "move" in case else 0)
                text = common.make_module(lines, n, head=head)
                # The same writing in both: to a file that nobody follows.
                for samples, path in (
                    (without, "other.txt"), (with_save, modules[case] + ".py")
                ):
                    host.ask("tick")
                    common.pause()
                    writer.ask([bench.path(path), text, "write"])
                    samples[case].append(host.receive() / 1e6)
    for case in CASES:
        base = bench.add(f"longest gap without a save, {case}", without[case])
        gaps = bench.add(f"longest gap with a save, {case}", with_save[case])
        bench.add_value(f"longest gap, more by a save, {case}", gaps - base, "ms",
                        target=1.0)
        p99 = [common.percentile(s[case], 0.99) for s in (without, with_save)]
        bench.add_value(f"the same at the 99th percentile, {case}", p99[1] - p99[0],
                        "ms")


if __name__ == "__main__":
    common.run(measure, host)
