"""Attach many times to every kind of target, on every interpreter given.

    python tests/stress/attach.py [--times 100] [--demo] [python …]

Prints, for each interpreter and kind: attaches that were acknowledged, with
the target unharmed at the end, and how long it stood still (µs). Kinds are
those of tests/python/test_attach.py; --demo adds demo/server.py, for
interpreters that have what it needs. Exit status 1 if anything was missed.
"""

import argparse
import importlib.util
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def load_tests():
    path = ROOT / "tests" / "python" / "test_attach.py"
    spec = importlib.util.spec_from_file_location("test_attach", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tests = load_tests()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def is_up(port):
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True


def attach_demo(python, times):
    """The demo, started without the extension; None where it cannot run."""
    needs = [python, "-c", "import gradio"]
    if subprocess.run(needs, capture_output=True).returncode:
        return None
    port = free_port()
    command = [python, ROOT / "demo" / "server.py"]
    options = ["--listen-port", str(port), "--load-seconds", "0.1"]
    with tests.Target([*command, *options]) as target:
        deadline = time.monotonic() + 60
        while not is_up(port):
            if target.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(target.process.stderr.read().decode()[-500:])
            time.sleep(0.1)
        pauses = tests.attach_many(target, times)
        assert is_up(port)
        return pauses


def report(python, kind, run, times):
    began = time.monotonic()
    try:
        pauses = run()
    except Exception as error:
        print(f"{python:28} {kind:12} FAILED: {str(error)[:2000]}", flush=True)
        return False
    if pauses is None:
        print(f"{python:28} {kind:12} left out: it lacks what the demo needs")
        return True
    pauses.sort()
    late = sum(pause > 5000 for pause in pauses)
    print(
        f"{python:28} {kind:12} {len(pauses):4}/{times}"
        f"  median {pauses[len(pauses) // 2]:7.0f}"
        f"  99 % {pauses[(len(pauses) - 1) * 99 // 100]:7.0f}"
        f"  most {pauses[-1]:7.0f}  over 5 ms {late:3}"
        f"  ({time.monotonic() - began:.1f} s)",
        flush=True,
    )
    return len(pauses) == times


def version(python):
    code = "import sys; print(sys.version.split()[0])"
    name = subprocess.check_output([python, "-c", code], text=True).strip()
    with tests.python_target("idle", python) as target:
        linked = tests.attach(target.pid, "--check")["linked"]
    return f"{name} {linked}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--kind", action="append", choices=list(tests.TARGETS))
    parser.add_argument("pythons", nargs="*", default=tests.PYTHONS)
    options = parser.parse_args()
    good = True
    for python in options.pythons:
        name = version(python)
        for kind in options.kind or tests.TARGETS:
            good &= report(
                name,
                kind,
                lambda p=python, k=kind: tests.attach_kind(k, p, options.times),
                options.times,
            )
        if options.demo:
            good &= report(
                name,
                "demo",
                lambda p=python: attach_demo(p, options.times),
                options.times,
            )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
