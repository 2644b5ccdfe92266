"""The engine: start, stop, sync, apply, undo, revisions, status, its log."""

import json
import logging
import sys
import threading
import time

import pytest

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def tg(module):
    return module("tg", "def f(x): return ('f', x)\ndef g(x): return ('g', x)\n")


def replacing(n):
    return f"import tg, hot_reload\nhot_reload.replace(tg, tg.f, lambda x: ({n}, x))\n"


def test_start_is_idempotent(live, tg):
    live.write("a", "import tg\ntg.runs = getattr(tg, 'runs', 0) + 1\n")
    for _ in range(5):
        live.start()
    assert tg.runs == 1
    threads = [t for t in status_threads() if "hot_reload" in t]
    assert len(threads) == 2  # each has its name
    live.save("a", "import tg\ntg.runs += 1\n")
    assert tg.runs == 2


def status_threads():
    import os

    folder = "/proc/self/task"
    if not os.path.isdir(folder):
        pytest.skip("no /proc")
    names = []
    for task in os.listdir(folder):
        with open(f"{folder}/{task}/comm") as file:
            names.append(file.read().strip())
    return names


def test_stop_and_start_again(live, tg):
    live.start()
    live.save("a", replacing(1))
    live.engine.stop()
    live.engine.stop()
    assert not [t for t in status_threads() if "hot_reload" in t]
    assert tg.f(0) == (1, 0), "what is replaced stays so"
    live.write("a", replacing(2))
    time.sleep(0.05)
    assert tg.f(0) == (1, 0)
    assert live.engine.sync() is True and not live.engine.status()["running"]
    live.start()
    assert tg.f(0) == (2, 0)
    live.save("a", replacing(3))
    assert tg.f(0) == (3, 0)


def test_start_and_stop_many_times(live, tg):
    live.write("a", replacing(1))
    for _ in range(100):
        live.start()
        live.engine.stop()
    live.engine.restore_all()
    assert tg.f(0) == ("f", 0)


def test_stop_while_others_wait(live, tg):
    """Calls in progress in other threads survive a stop()."""
    errors = []

    def work():
        until = time.monotonic() + 2
        while time.monotonic() < until:
            try:
                live.engine.sync(0.5)
                live.engine.status()
                live.engine.apply(live.path("a"))
            except RuntimeError as error:
                if "not running" not in str(error):
                    errors.append(error)
            except ValueError as error:
                if "none of these" not in str(error):
                    errors.append(error)

    live.write("a", replacing(1))
    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    n = 0
    while any(t.is_alive() for t in threads):
        live.start()
        live.write("a", replacing(n))
        live.engine.stop()
        n += 1
    assert not errors and n > 3


def test_sources_are_followed_again_after_a_stop_while_others_wait(project):
    """They stayed with the call in progress, and the next engine knew them already."""
    m = project.load(start=False, m="def f(): return 0\n")
    for n in range(1, 20):
        project.start()
        stop = threading.Event()

        def wait(stop=stop):
            while not stop.is_set():
                project.engine.sync(0.5)

        threads = [threading.Thread(target=wait) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.005)
        project.engine.stop()
        stop.set()
        project.start()
        for thread in threads:
            thread.join()
        project.write(m=f"def f(): return {n}\n")
        project.wait(lambda n=n: m.f() == n)
        project.engine.stop()


def test_sync(live, tg):
    assert live.engine.sync() is True
    live.start()
    for n in range(100):
        live.write("a", replacing(n))
        assert live.engine.sync(10) is True
        assert tg.f(0) == (n, 0)
    live.write("a", "import time; time.sleep(0.4)\n")
    time.sleep(0.1)
    assert live.engine.sync(0.05) is False
    assert live.engine.sync(timeout=10) is True
    for odd in (0, -1, float("nan")):
        assert live.engine.sync(odd) in (True, False)
    assert live.engine.sync(float("inf")) is True
    with pytest.raises(TypeError):
        live.engine.sync("soon")


def test_sync_from_many_threads(live, tg):
    live.start()
    failed = []

    def work(name):
        for n in range(25):
            live.write(name, f"import tg\ntg.{name} = {n}\n")
            if not live.engine.sync(20) or getattr(tg, name) != n:
                failed.append((name, n))

    threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_apply(live, tg, tmp_path):
    with pytest.raises(RuntimeError, match="not running.*start"):
        live.engine.apply(live.path("a"))
    live.start()
    live.write("a", replacing(1))
    r = live.engine.apply(live.path("a"))
    assert r.ok and tg.f(0) == (1, 0)
    assert live.engine.sync(10) and r is live.engine.revisions()[-1]
    with pytest.raises(ValueError, match="none of these files"):
        live.engine.apply(tmp_path / "elsewhere.py")
    live.write("b", "1 / 0\n")
    r = live.engine.apply(live.path("b"))
    assert not r.ok and "ZeroDivisionError" in r.error


def test_revisions(live, tg):
    live.start()
    before = time.monotonic_ns()
    r = live.save("a", replacing(1))
    after = time.monotonic_ns()
    assert before <= r.saved_ns <= r.ready_ns <= r.gil_ns <= r.live_ns <= after
    assert r.ok and r.live and r.error is None and not r.undone
    assert abs(r.wall - time.time()) < 60
    assert r.files == [str(live.path("a"))]
    edits = [(e.kind, e.module, e.qualname, e.code) for e in r.edits]
    assert edits == [
        ("ran", "reloadable_a", None, None),
        ("changed", "tg", "f", None),
    ]
    assert r.edits[1].line == 2 and r.edits[1].file == str(live.path("a"))
    assert "tg" in repr(r.edits[1]) and "ok" in repr(r)
    bad = live.save("a", "1 / 0\n")
    assert not bad.ok and bad.id == r.id + 1 and "failed" in repr(bad)
    assert live.engine.revisions()[-2:] == [r, bad]
    with pytest.raises(AttributeError):
        r.ok = False
    for cls in (type(r), type(r.edits[0])):
        with pytest.raises(TypeError):
            cls()


def test_undo(live, tg):
    live.start()
    assert live.engine.undo(0) == []
    with pytest.raises(ValueError):
        live.engine.undo(-1)
    live.save("a", replacing(1))
    live.save("a", replacing(2))
    live.save("a", "1 / 0\n")
    live.save("a", replacing(3) + "hot_reload.replace(tg, tg.g, lambda x: 'g')\n")
    assert tg.f(0) == (3, 0) and tg.g(0) == "g"
    undone = live.engine.undo()
    assert [r.undone for r in undone] == [True]
    assert tg.f(0) == (2, 0) and tg.g(0) == ("g", 0)
    assert len(live.engine.undo(2)) == 2
    assert tg.f(0) == ("f", 0) and live.engine.patches() == []
    live.save("a", replacing(4))
    assert tg.f(0) == (4, 0)
    live.engine.undo()
    assert tg.f(0) == ("f", 0)


def test_undo_reaches_back_as_far_as_it_says(live, tg):
    live.start()
    for n in range(50):
        live.save("a", replacing(n))
    undone = live.engine.undo(1000)
    assert len(undone) == 32 and tg.f(0) == (17, 0)
    with pytest.raises(ValueError, match="too old.*restore_all"):
        live.engine.undo()
    live.engine.restore_all()
    assert tg.f(0) == ("f", 0)


def test_restore_all_is_undone_by_nothing(live, tg):
    live.start()
    live.save("a", replacing(1))
    assert live.engine.restore_all() == 1 and tg.f(0) == ("f", 0)
    live.engine.undo()
    assert tg.f(0) == ("f", 0)


def test_on_revision(live, tg, caplog):
    heard = []

    @live.engine.on_revision
    def hear(revision):
        heard.append((revision.id, revision.ok, threading.current_thread().name))

    def broken(revision):
        if not done:
            raise SystemExit("callback")

    done = []

    assert live.engine.on_revision(broken) is broken
    with pytest.raises(TypeError, match="must be callable"):
        live.engine.on_revision(3)
    live.start()
    a = live.save("a", replacing(1))
    b = live.save("a", "1 / 0\n")
    assert [h[:2] for h in heard] == [(a.id, True), (b.id, False)]
    done.append(True)
    assert "a callback of on_revision failed" in caplog.text
    assert tg.f(0) == (1, 0)


def test_status_is_plain_data(live, tg):
    text = json.dumps(live.engine.status())
    assert json.loads(text)["running"] is False
    live.start()
    live.save("a", replacing(1))
    live.engine.replace(tg, tg.g, lambda x: x)
    live.save("b", "1 / 0\n")
    status = json.loads(json.dumps(live.engine.status()))
    assert status["running"] and status["live"] == [str(live.folder)]
    assert status["watch"]["folders"] == 1
    assert [p["name"] for p in status["patches"]] == ["f", "g"]
    assert status["revisions"] == live.engine.revisions()[-1].id
    assert status["failures"] >= 1 and status["version"]


def test_clear_errors(live, tmp_path):
    with pytest.raises(NotADirectoryError, match="is no folder; create it"):
        live.engine.start(live=tmp_path / "nowhere")
    with pytest.raises(NotADirectoryError):
        live.engine.start(live=__file__)
    with pytest.raises(ValueError, match="level is 'LOUD'; use DEBUG"):
        live.engine.configure(level="LOUD")
    with pytest.raises(TypeError):
        live.engine.start(live=3)


def test_several_folders(live, tg, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.py").write_text("import tg\ntg.b = 1\n")
    live.engine.start(live=[live.folder, other])
    live.save("a", "import tg\ntg.a = 1\n")
    (other / "b.py").write_text("import tg\ntg.b = 2\n")
    assert live.engine.sync(10) and (tg.a, tg.b) == (1, 2)


def test_logger(live, tg, caplog):
    lines = []

    class Logger:
        def log(self, level, form, *args, **kw):
            lines.append((level, form % args, kw.get("exc_info")))

    live.engine.configure(logger=Logger())
    try:
        live.start()
        live.save("a", replacing(1))
        live.save("a", "'100% of it %s %d'; 1 / 0\n")
        assert all(line.startswith("[HotReload]: ") for _, line, _ in lines)
        assert lines[0][0] == logging.INFO and "a.py ran in" in lines[0][1]
        assert lines[-1][0] == logging.ERROR
        assert isinstance(lines[-1][2], ZeroDivisionError)
        lines.clear()
        live.engine.configure(level="ERROR")
        live.save("a", replacing(2))
        assert lines == []
        live.save("a", "1 / 0")
        assert len(lines) == 1

        class Broken:
            def log(self, *args, **kw):
                raise RuntimeError("the logger is broken")

        live.engine.configure(logger=Broken(), level="INFO")
        before = sys.unraisablehook
        sys.unraisablehook = lambda u: lines.append(u.exc_value)
        try:
            live.save("a", replacing(3))
        finally:
            sys.unraisablehook = before
        assert tg.f(0) == (3, 0) and isinstance(lines[-1], RuntimeError)
    finally:
        live.engine.configure(logger=logging.getLogger("hot_reload"))


def test_host_keeps_its_exceptions_and_tracing(live, tg):
    live.start()
    seen = []
    sys.settrace(lambda *a: None)
    try:
        try:
            1 / 0
        except ZeroDivisionError:
            live.save("a", "try:\n    [][1]\nexcept IndexError: pass\n" + replacing(1))
            seen.append(sys.exc_info()[0])
        assert seen == [ZeroDivisionError] and sys.gettrace() is not None
    finally:
        sys.settrace(None)


def test_signals_reach_the_host(program, tmp_path):
    (tmp_path / "live").mkdir()
    program(
        """
        import os, signal, time, hot_reload
        hot_reload.start(live="live")
        seen = []
        signal.signal(signal.SIGUSR1, lambda *a: seen.append(a))
        for _ in range(50):
            os.kill(os.getpid(), signal.SIGUSR1)
        until = time.time() + 5
        while not seen and time.time() < until: time.sleep(0.01)
        assert seen
        signal.signal(signal.SIGALRM, lambda *a: 1 / 0)
        with open("live/a.py", "w") as f: f.write("import time; time.sleep(2)")
        time.sleep(0.1)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try: hot_reload.sync(10)
        except ZeroDivisionError: pass
        else: raise SystemExit("sync() was not interrupted")
        """
    )


def test_idle_is_idle(live, tg):
    """No wake-ups: the threads do not run while nothing happens."""
    live.start()
    live.save("a", replacing(1))
    time.sleep(0.3)

    def switches():
        import os

        total = 0
        for task in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{task}/comm") as file:
                if "hot_reload" not in file.read():
                    continue
            with open(f"/proc/self/task/{task}/status") as file:
                total += sum(
                    int(line.split()[1]) for line in file if "ctxt_switches" in line
                )
        return total

    if not sys.platform.startswith("linux"):
        pytest.skip("no /proc")
    before = switches()
    time.sleep(1.5)
    assert switches() - before <= 2


def test_import_and_start_are_quick(program, tmp_path):
    (tmp_path / "live").mkdir()
    out = program(
        """
        import logging, time
        times = []
        began = time.perf_counter(); import hot_reload
        times.append(time.perf_counter() - began)
        began = time.perf_counter(); hot_reload.start(live="live")
        times.append(time.perf_counter() - began)
        print(*(round(1000 * t, 1) for t in times))
        assert sum(times) < 0.1
        """
    )
    print("import, start in ms:", out)


def test_one_core_under_one_name(program):
    program(
        """
        import importlib, os, sys, hot_reload
        core = hot_reload._core
        importlib.reload(hot_reload)
        assert hot_reload._core is core
        # The hooks of fork are registered twice now.
        import tempfile
        folder = tempfile.mkdtemp()
        hot_reload.start(live=folder)
        for _ in range(3):
            pid = os.fork()
            if pid == 0: os._exit(0)
            os.waitpid(pid, 0)
        with open(folder + "/a.py", "w") as f: f.write("print('live')")
        assert hot_reload.sync(5)
        assert "reloadable_a" in sys.modules
        """
    )


def test_start_and_stop_from_many_threads(program, tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "m.py").write_text("def f(): return 1\n")
    (tmp_path / "live").mkdir()
    program("""
        import sys, threading, hot_reload
        sys.path.insert(0, "src")
        hot_reload.configure(control=False)
        hot_reload.start("src")
        import m

        def run(number):
            for n in range(20):
                try:
                    if (n + number) % 2:
                        hot_reload.stop()
                    else:
                        hot_reload.start("src", live="live")
                    hot_reload.sync(0.2)
                except RuntimeError:
                    pass

        threads = [threading.Thread(target=run, args=(n,)) for n in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        hot_reload.start("src")
        open("src/m.py", "w").write("def f(): return 2\\n")
        assert hot_reload.sync(10) and m.f() == 2
        """)
