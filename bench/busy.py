"""Question 3: the same when the host is busy.

The busy threads call the function in their loops, so the first of them that
sees the new code says when that was.  In turn: nobody busy, the main thread,
another thread, four threads, and one thread that keeps the GIL in calls of
20 ms (nothing can take it in between: the least is what is left of the call).
"""

import os
import sys
import threading
import time

import common

CASES = ("main thread", "another thread", "four threads", "long C calls")


def work(n):
    """Some pure Python: a few hundred bytecodes."""
    total = 0
    for i in range(n):
        total += i * i % 7
    return total


def burn(call, state, long_call):
    """Work, and note when the wanted value is first seen."""
    while not state["stop"]:
        if long_call is None:
            work(30)
        else:
            sum(long_call)
        wanted = state["wanted"]
        if wanted is not None and call() == wanted:
            seen = common.now()
            state["wanted"] = None
            state["seen"] = min(seen, state["seen"] or seen)


def find_long_call(ms):
    """A range whose sum() takes so long, in C, with the GIL kept."""
    n = 100_000
    while True:
        begin = common.now()
        sum(range(n))
        took = (common.now() - begin) / 1e6
        if took >= ms / 2:
            return range(int(n * ms / took))
        n *= 2


def host(link, case):
    import hot_reload

    sys.path.insert(0, os.getcwd())
    hot_reload.configure(level="ERROR")
    hot_reload.start(os.getcwd())
    import m

    state = {"stop": False, "wanted": None, "seen": None}
    long_call = find_long_call(20) if case == "long C calls" else None
    arguments = (m.target, state, long_call)
    count = {"another thread": 1, "four threads": 4, "long C calls": 1}.get(case, 0)
    threads = [threading.Thread(target=burn, args=arguments) for _ in range(count)]

    def serve():
        try:
            while True:
                value = link.receive()
                state["seen"] = None
                state["wanted"] = value
                link.send("waiting")
                end = time.monotonic() + 10
                while state["seen"] is None and time.monotonic() < end:
                    time.sleep(0.002)
                link.send(state["seen"])
        except (EOFError, BrokenPipeError):
            state["stop"] = True

    server = threading.Thread(target=serve)
    for thread in (*threads, server):
        thread.start()
    link.send("ready")
    if case == "main thread":
        burn(*arguments)
    server.join()


def measure(bench):
    rounds = bench.count(300, 30)
    samples = {case: [] for case in CASES}
    with common.start_writer() as writer:
        for case in CASES:
            with open(bench.path("m.py"), "w") as file:
                file.write(common.make_module(1000, 0))
            n_rounds = rounds // 3 if case == "long C calls" else rounds
            with bench.host(case) as host:
                for n in range(1, n_rounds + 1):
                    bench.progress(case, n, n_rounds)
                    host.ask(n)
                    common.pause()
                    text = common.make_module(1000, n)
                    closed = writer.ask([bench.path("m.py"), text, "write"])
                    seen = host.receive()
                    if seen is None:
                        bench.note(f"{case}: round {n} never became live")
                    else:
                        samples[case].append((seen - closed) / 1e6)
    for case in CASES[:3]:
        bench.add(f"busy: {case}", samples[case], target=1.0, statistic="p99")
    bench.add("busy: a C call that keeps the GIL for 20 ms", samples[CASES[3]])


if __name__ == "__main__":
    common.run(measure, host)
