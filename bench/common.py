"""What the benchmarks share: hosts, writers, modules, figures.

A benchmark is a file with a function `measure(bench)` and, as a rule, a
function `host(link, ...)`.  The file runs twice: as the measuring process,
and in a process of its own as the host that is measured.  A third process
writes the files.  All clocks are CLOCK_MONOTONIC, which they share.

The time of a save begins when close() returns in the writer and ends with the
first call in the host that runs the new code.
"""

import argparse
import ctypes
import gc
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

now = time.monotonic_ns
HERE = os.path.dirname(os.path.abspath(__file__))
SHORT = 20e-6  # seconds that a waiting host sleeps between two calls


def python_version():
    return platform.python_version()


# -- Processes -----------------------------------------------------------------


class Link:
    """Objects as lines of JSON over two pipes."""

    def __init__(self, read, write, process=None):
        self.read, self.write, self.process = read, write, process

    def send(self, thing):
        self.write.write(json.dumps(thing) + "\n")
        self.write.flush()

    def receive(self):
        line = self.read.readline()
        if not line:
            raise EOFError("the other process has ended")
        return json.loads(line)

    def ask(self, thing):
        self.send(thing)
        return self.receive()

    def close(self):
        """End the other process: its standard input ends."""
        for pipe in (self.write, self.read):
            try:
                pipe.close()
            except BrokenPipeError:
                pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def start_process(command, **options):
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    )
    return Link(process.stdout, process.stdin, process)


def start_writer():
    return start_process([sys.executable, os.path.join(HERE, "common.py"), "writer"])


def set_timer_slack():
    """Sleeps of this thread are short: without this each is 50 us longer.

    Only of the thread that waits for a change, after all others were started:
    threads inherit it, and what is measured must not have it from us.
    """
    try:
        ctypes.CDLL(None).prctl(29, 1, 0, 0, 0)  # PR_SET_TIMERSLACK
    except (OSError, AttributeError):
        pass


def write_in_place(path, data):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(fd, data)
    os.close(fd)
    return now()


def write_and_rename(path, data):
    fd = os.open(path + ".tmp~", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(fd, data)
    os.close(fd)
    os.rename(path + ".tmp~", path)
    return now()


def serve_writer():
    """Write what is asked for; answer when close() (or rename()) returned."""
    gc.disable()
    link = Link(sys.stdin, sys.stdout)
    ways = {"write": write_in_place, "rename": write_and_rename}
    while True:
        try:
            path, text, way = link.receive()
        except (EOFError, KeyboardInterrupt):
            return
        link.send(ways[way](path, text.encode()))


# -- What a host does ----------------------------------------------------------


def wait_for(call, value, timeout=5.0):
    """Call until the value comes; when that was, or None."""
    set_timer_slack()
    end = now() + int(timeout * 1e9)
    while call() != value:
        if now() > end:
            return None
        time.sleep(SHORT)
    return now()


# -- Modules -------------------------------------------------------------------

FUNCTION = '''\
def {name}(items, limit={limit}, *, key=None):
    """Sum what is below the limit."""
    total = {value}
    for index, item in enumerate(items):
        if key is not None:
            item = key(item)
        if item < limit and index % 3:
            total += item * index
        else:
            total -= len(str(item))
    return total if total > 0 else {{"total": total, "limit": limit}}
'''

CLASS = '''\
class {name}:
    """Keeps the last results."""

    size = {value}

    def __init__(self, owner, size=None):
        self.owner = owner
        self.size = size or self.size
        self.results = []

    def add(self, result):
        self.results.append((self.owner, result))
        if len(self.results) > self.size:
            del self.results[0]
        return self

    @property
    def last(self):
        return self.results[-1] if self.results else None
'''

METHOD = '''\
    def {name}(self, items, limit={limit}):
        """One of many."""
        found = [item for item in items if item < limit]
        while len(found) > {value} and self.size:
            found.pop()
        for item in found:
            self.results.append((self.owner, item))
        return found

'''

TARGET = """\
def target(x=0, *rest):
    y = x + len(rest)
    if y > 1000:
        for item in rest:
            y -= item
    return y - x - len(rest) + {value}
"""


def indent(text):
    lines = text.splitlines(True)
    return "".join("    " + line if line.strip() else line for line in lines)


def make_module(lines, value, extra="", head=""):
    """A module of so many lines; target() in its middle returns `value`."""
    parts = ['"""Made for a benchmark."""\n\nimport os\nimport sys\n\n', head]
    count = parts[0].count("\n") + head.count("\n")
    tail = TARGET.count("\n") + extra.count("\n")
    number, placed = 0, False
    while count + tail < lines or not placed:
        if not placed and count >= lines // 2:
            part, placed, tail = TARGET.format(value=value) + extra, True, 0
        elif number % 8 == 7:
            part = CLASS.format(name=f"Class{number}", value=number)
        elif number % 8 == 3:
            part = f"CONSTANT_{number} = {number}\nTABLE_{number} = {{1: {number}}}\n"
        else:
            name = f"function_{number}"
            part = FUNCTION.format(name=name, limit=number, value=number)
        number += 1
        part = "\n\n" + part
        parts.append(part)
        count += part.count("\n")
    return "".join(parts)


def make_class_module(lines, value):
    """A module with one class of so many lines; method target() returns `value`."""
    body = CLASS.format(name="Big", value=3) + "\n"
    parts, count, number = [body], body.count("\n"), 0
    method = TARGET.replace("target(", "target(self, ").format(value=value)
    target = indent(method) + "\n"
    while count < lines:
        if target and count >= lines // 2:
            part, target = target, ""
        else:
            part = METHOD.format(name=f"method_{number}", limit=number, value=number)
        number += 1
        parts.append(part)
        count += part.count("\n")
    return "".join(parts).rstrip() + "\n\n\nbig = Big(1)\n"


# -- Figures -------------------------------------------------------------------


def percentile(samples, part):
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


class Bench:
    """One run of one benchmark: its folder, its progress, its figures."""

    def __init__(self, name, options):
        self.name, self.quick = name, options.quick
        self.options = options
        self.folder = tempfile.mkdtemp(prefix=f"bench-{name}-")
        self.figures, self.notes = [], []
        self.started = time.monotonic()
        self.shown = 0.0

    def count(self, full, quick):
        return quick if self.quick else full

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def host(self, *arguments, file=None, python=None, env=None):
        """Start this benchmark's host() in a process of its own."""
        file = file or sys.modules["__main__"].__file__
        command = [python or sys.executable, file, "host", *map(str, arguments)]
        link = start_process(command, cwd=self.folder, env=env)
        ready = link.receive()
        if ready != "ready":
            raise RuntimeError(ready)
        return link

    def progress(self, text, done=None, total=None):
        if not sys.stderr.isatty():
            if done not in (None, total) or time.monotonic() - self.shown < 1:
                return
        self.shown = time.monotonic()
        part = f" {done}/{total}" if total else ""
        end = "\r" if sys.stderr.isatty() else "\n"
        print(f"  {self.name} {python_version()}: {text}{part}      ", end=end,
              file=sys.stderr, flush=True)

    def add(self, name, samples, unit="ms", target=None, statistic="median", **more):
        """A figure of samples; `target` is the most that is allowed."""
        samples = [s for s in samples if s is not None]
        figure = {"name": name, "unit": unit, "n": len(samples), **more}
        if samples:
            figure["median"] = statistics.median(samples)
            figure["p99"] = percentile(samples, 0.99)
            figure["min"], figure["max"] = min(samples), max(samples)
            figure["samples"] = [float(f"{s:.4g}") for s in samples[:2000]]
        self._judge(figure, target, statistic, figure.get(statistic))
        return figure.get("median")

    def add_value(self, name, value, unit="", target=None, **more):
        figure = {"name": name, "unit": unit, "value": value, **more}
        self._judge(figure, target, "value", value)
        return value

    def _judge(self, figure, target, statistic, value):
        if target is not None:
            figure["target"], figure["judged"] = target, statistic
            figure["reached"] = value is not None and value <= target
        self.figures.append(figure)
        print("  " + describe(figure), flush=True)

    def note(self, text):
        self.notes.append(text)
        print("  " + text, flush=True)

    def save(self):
        result = {
            "question": self.name,
            "python": python_version(),
            "quick": self.quick,
            "seconds": round(time.monotonic() - self.started, 1),
            "cores": len(os.sched_getaffinity(0)),
            "figures": self.figures,
            "notes": self.notes,
        }
        os.makedirs(self.options.results, exist_ok=True)
        version = ".".join(python_version().split(".")[:2])
        path = os.path.join(self.options.results, f"{self.name}-{version}.json")
        with open(path, "w") as file:
            json.dump(result, file, indent=1)
            file.write("\n")


def show(value):
    if value is None:
        return "-"
    if isinstance(value, (int, str)) or abs(value) >= 1000:
        return f"{value:,.0f}" if not isinstance(value, str) else value
    return f"{value:.3g}"


def describe(figure):
    """One line: what was measured, and what it should be."""
    unit = figure["unit"]
    if "value" in figure:
        text = f"{show(figure['value'])} {unit}"
    elif "median" in figure:
        text = (
            f"median {show(figure['median'])}, p99 {show(figure['p99'])}, "
            f"worst {show(figure['max'])} {unit} (n={figure['n']})"
        )
    else:
        text = "no sample"
    text = f"{figure['name']}: {text.strip()}"
    if "target" in figure:
        word = "reached" if figure["reached"] else "MISSED"
        text += f"  [{figure['judged']} <= {show(figure['target'])} {unit}: {word}]"
    return text


def pause(rng=random):
    """Between two saves: not in step with anything."""
    time.sleep(rng.uniform(0.008, 0.02))


def run(measure, host=None):
    """The main function of every benchmark."""
    if len(sys.argv) > 1 and sys.argv[1] == "host":
        link = Link(sys.stdin, sys.stdout)
        try:
            host(link, *sys.argv[2:])
        except (EOFError, KeyboardInterrupt, BrokenPipeError):
            pass
        return
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    parser.add_argument(
        "--results",
        default=os.path.join(HERE, os.pardir, "build", "bench-results"),
        help="folder for the JSON results",
    )
    parser.add_argument("--envs", default=None, help="folder of environments")
    parser.add_argument("--floor", default=None, help="the compiled floor.c")
    options = parser.parse_args()
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    bench = Bench(name, options)
    print(f"{name} (Python {python_version()})", flush=True)
    try:
        measure(bench)
    except Exception as error:  # a benchmark never stops the others
        import traceback

        traceback.print_exc()
        bench.note(f"{name} failed: {error!r}")
    finally:
        bench.save()
        shutil.rmtree(bench.folder, ignore_errors=True)


if __name__ == "__main__" and sys.argv[1:] == ["writer"]:
    serve_writer()
