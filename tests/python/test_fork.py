"""Forks: the child has an engine of its own, the parent keeps its."""

import os
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

SETUP = """
import os, sys, time, types, hot_reload
os.mkdir("live")
tg = types.ModuleType("tg"); tg.__file__ = "/tg.py"; sys.modules["tg"] = tg
exec("def f(x): return ('f', x)", vars(tg))
def save(n, name="a", before=""):
    with open(f"live/{name}.py", "w") as file:
        file.write(f"import tg, hot_reload\\n{before}\\n"
                   f"hot_reload.replace(tg, tg.f, lambda x: ({n!r}, x))\\n")
def wait_for(value, seconds=10):
    until = time.time() + seconds
    while tg.f(0) != value:
        assert time.time() < until, (tg.f(0), value)
        time.sleep(0.005)
def end(pid):
    status = os.waitpid(pid, 0)[1]
    assert status == 0, f"the child ended with {status}"
def child(run):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            run(); code = 0
        except BaseException:
            import traceback; traceback.print_exc()
        finally:
            sys.stdout.flush(); sys.stderr.flush()
            os._exit(code)
    return pid
hot_reload.start(live="live")
save(1); wait_for((1, 0))
"""


def test_both_follow_saves(program):
    program(
        SETUP
        + """
def run():
    assert tg.f(0) == (1, 0)
    wait_for((2, 0))
    assert hot_reload.sync(5)
    hot_reload.restore_all()
    assert tg.f(0) == ("f", 0)
    hot_reload.stop()
pid = child(run)
time.sleep(0.2)
save(2); wait_for((2, 0))
end(pid)
assert tg.f(0) == (2, 0)
save(3); wait_for((3, 0))
"""
    )


def test_children_of_children(program):
    program(
        SETUP
        + """
def run():
    def inner():
        save("inner"); wait_for(("inner", 0))
    end(child(inner))
    wait_for(("inner", 0))
end(child(run))
wait_for(("inner", 0))
"""
    )


def test_fork_while_saves_arrive(program):
    program(
        SETUP
        + """
import threading
stop = threading.Event()
def saves():
    n = 0
    while not stop.is_set():
        save(n, before="x = [i * i for i in range(2000)]"); n += 1
        time.sleep(0.001)
thread = threading.Thread(target=saves); thread.start()
def run():
    stop.set()
    assert hot_reload.sync(10)
    save("own", name="b"); wait_for(("own", 0))
    hot_reload.stop()
for i in range(25):
    pid = os.fork()
    if pid == 0:
        try: hot_reload.sync(10); hot_reload.stop(); code = 0
        except BaseException as e: print(e); code = 1
        os._exit(code)
    end(pid)
stop.set(); thread.join()
save("after"); wait_for(("after", 0))
end(child(run))
""",
        timeout=120,
    )


def test_fork_from_several_threads(program):
    program(
        SETUP
        + """
import threading
failed = []
def forks():
    for _ in range(10):
        pid = os.fork()
        if pid == 0: os._exit(0)
        if os.waitpid(pid, 0)[1]: failed.append(1)
threads = [threading.Thread(target=forks) for _ in range(6)]
for t in threads: t.start()
for n in range(20):
    save(n); time.sleep(0.005)
for t in threads: t.join()
assert not failed
save("after"); wait_for(("after", 0))
""",
        timeout=120,
    )


def test_fork_in_a_live_file(program):
    program(
        SETUP
        + """
text = '''
import os, subprocess, sys, tg
pid = os.fork()
if pid == 0:
    os._exit(7)
tg.status = os.waitpid(pid, 0)[1] >> 8
tg.output = subprocess.run([sys.executable, "-c", "print(1)"], stdout=-1).stdout
'''
with open("live/b.py", "w") as file: file.write(text)
assert hot_reload.sync(20)
assert tg.status == 7 and tg.output == b"1\\n"
save("after"); wait_for(("after", 0))
"""
    )


def test_multiprocessing_with_fork(program):
    program(
        SETUP
        + """
import multiprocessing
def work(n):
    return tg.f(n)
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert pool.map(work, range(9)) == [(1, n) for n in range(9)]
        save(2); wait_for((2, 0))
        time.sleep(0.3)
        assert pool.map(work, range(9)) == [(2, n) for n in range(9)]
"""
    )


def test_fork_during_a_run_takes_it_back_in_the_child(program):
    program(
        SETUP
        + """
with open("live/b.py", "w") as file:
    file.write("import tg, hot_reload, time\\n"
               "hot_reload.replace(tg, tg.f, lambda x: 'half')\\n"
               "tg.began = 1\\ntime.sleep(1.5)\\n")
until = time.time() + 5
while not hasattr(tg, "began"):
    assert time.time() < until
    time.sleep(0.01)
def run():
    assert tg.f(0) == (1, 0), tg.f(0)
    save("child"); wait_for(("child", 0))
end(child(run))
assert hot_reload.sync(10)
"""
    )


def test_fork_without_an_engine(program):
    program(
        """
        import os, hot_reload
        pid = os.fork()
        if pid == 0:
            hot_reload.status(); os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        """
    )
    assert sys.platform
