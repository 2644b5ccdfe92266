"""hot-reload-attach: into every kind of process, out of it without a trace.

Every target is a program of its own that says "ready", runs until it is told
to stop, checks that nothing was done to it, and exits with status 7. It is
attached to HOT_RELOAD_ATTACH_TIMES times (10) on each interpreter of
HOT_RELOAD_ATTACH_PYTHONS (separated by colons; the running one). The helpers
up here also serve tests/stress/attach.py.
"""

import atexit
import contextlib
import ctypes
import functools
import importlib.util
import json
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "src" / "attach"
TIMES = int(os.environ.get("HOT_RELOAD_ATTACH_TIMES", "10"))
PYTHONS = [
    name
    for name in os.environ.get("HOT_RELOAD_ATTACH_PYTHONS", "").split(os.pathsep)
    if name
] or [sys.executable]
NOBODY = 65534
STATUS = 7  # of every target that was not harmed

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="attaching is for Linux"
)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

# The statuses of attach.h, by their names there.
OK, USAGE, NO_PROCESS, OTHER_USER, USER_NAMESPACE = 0, 2, 3, 4, 5
TRACED, PTRACE_SCOPE, NO_PERMISSION, SECCOMP, MOUNT_NAMESPACE = 6, 7, 8, 9, 10
NOT_CPYTHON, VERSION, ARCHITECTURE, STOPPED, ZOMBIE = 11, 12, 13, 14, 15
FINALIZING, BLOCKED, ENGINE, DIED, REMOTE_CALL = 16, 17, 18, 19, 20
QUEUE_FULL, FILE_REPLACED, UNSAFE, INTERRUPTED = 21, 22, 23, 24


# ---- the executable ----


@functools.lru_cache(None)
def open_folder():
    """A folder that other users can enter, as pytest's own are not."""
    folder = tempfile.mkdtemp(prefix="hot-reload-test-")
    os.chmod(folder, 0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def compile_c(name, *arguments):
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    out = open_folder() / name
    command = [*compiler.split(), "-std=c11", "-D_GNU_SOURCE", "-O1", "-o", str(out)]
    done = subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return out


@functools.lru_cache(None)
def executable():
    given = os.environ.get("HOT_RELOAD_ATTACH")
    if given:
        return Path(given)
    with contextlib.suppress(ImportError, ValueError):
        spec = importlib.util.find_spec("hot_reload")
        for folder in spec.submodule_search_locations or () if spec else ():
            installed = Path(folder) / "hot-reload-attach"
            if os.access(installed, os.X_OK):
                # Into a folder that nobody can enter, too.
                copy = open_folder() / "hot-reload-attach"
                shutil.copy(installed, copy)
                return copy
    return compile_c("hot-reload-attach", *sorted(SOURCES.glob("*.c")))


# ---- targets ----

PREAMBLE = """
import sys, os, signal, threading, time, select
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
def ready():
    os.write(1, b"ready\\n")
NAMES = None
def finish():
    new = set(globals()) - NAMES if NAMES else set()
    if new:
        sys.exit("names in __main__: %s" % new)
    sys.exit(7)
"""

TARGETS = {
    # idle, like a program that waits in its main thread
    "idle": """
        NAMES = set(globals())
        ready()
        while not stop:
            time.sleep(0.005)
        finish()
    """,
    # spinning; vector and floating point registers are in use all the time
    "spinning": """
        n, expected = 0, sum(i * 0.5 for i in range(100))
        NAMES = set(globals()) | {"i", "value"}
        ready()
        while not stop:
            value = 0.0
            for i in range(100):
                value += i * 0.5
            if value != expected or len(str(expected) * 20) != 6 * 20:
                sys.exit("a wrong result")
            n += 1
        finish()
    """,
    # the main thread waits for a lock; a signal is what ends it
    "lock": """
        lock = threading.Lock()
        lock.acquire()
        def let_go(*_):
            stop.append(1)
            lock.release()
        signal.signal(signal.SIGTERM, let_go)
        NAMES = set(globals())
        ready()
        lock.acquire()
        if not stop:
            sys.exit("the lock was given without having been released")
        finish()
    """,
    "join": """
        def wait_for_stop():
            while not stop:
                time.sleep(0.01)
        thread = threading.Thread(target=wait_for_stop)
        thread.start()
        NAMES = set(globals())
        ready()
        thread.join()
        finish()
    """,
    "allocating": """
        wrong = []
        def allocate():
            kept = []
            while not stop:
                kept.append([dict(a=i) for i in range(50)])
                if len(kept) > 100:
                    if any(x["a"] >= 50 for y in kept for x in y):
                        wrong.append(1)
                    del kept[:]
        threads = [threading.Thread(target=allocate) for _ in range(4)]
        for thread in threads:
            thread.start()
        NAMES = set(globals())
        ready()
        while not stop:
            time.sleep(0.002)
        for thread in threads:
            thread.join()
        sys.exit(1) if wrong else finish()
    """,
    # the main thread waits for the GIL nearly always, and in its lock
    "waiting": """
        def spin():
            while not stop:
                sum(range(100))
        threads = [threading.Thread(target=spin) for _ in range(4)]
        for thread in threads:
            thread.start()
        NAMES = set(globals())
        ready()
        while not stop:
            time.sleep(0)
        for thread in threads:
            thread.join()
        finish()
    """,
    # system calls that come back every now and then
    "poll": """
        poll = select.poll()
        poll.register(0, select.POLLIN)
        NAMES = set(globals())
        ready()
        while not stop:
            if poll.poll(5):
                sys.exit("input, where there is none")
        finish()
    """,
    "select": """
        NAMES = set(globals())
        ready()
        while not stop:
            if select.select([0], [], [], 0.005)[0]:
                sys.exit("input, where there is none")
        finish()
    """,
    # input at some times, which comes from the test
    "read": """
        NAMES = set(globals()) | {"byte"}
        ready()
        byte = b"-"
        while byte == b"-":
            byte = os.read(0, 1)
        finish() if byte == b"q" else sys.exit("read %r" % byte)
    """,
}


class Target:
    """A program under test; leaves none behind."""

    def __init__(self, program, *arguments, python=None, **options):
        if python is not None:
            program = [python, "-c", PREAMBLE + textwrap.dedent(program)]
        self.process = subprocess.Popen(
            [*map(str, program), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            **options,
        )
        self.pid = self.process.pid

    def wait_ready(self):
        assert select.select([self.process.stdout], [], [], 20)[0], "not ready"
        line = self.process.stdout.readline()
        assert line == b"ready\n", self.process.stderr.read().decode()
        return self

    def settle(self):
        """Until it sleeps in what it does after "ready"."""
        deadline = time.monotonic() + 5
        while self.field("State")[0] not in "SD" and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(0.02)
        return self

    def field(self, name):
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return line.split(":", 1)[1].strip()
        raise LookupError(name)

    def signals(self):
        # Without 32 and 33: glibc catches them from the first thread on.
        names = ("SigBlk", "SigIgn", "SigCgt")
        return [int(self.field(name), 16) & ~(3 << 31) for name in names]

    def stop(self, status=STATUS, data=None):
        """Ends it properly; its own checks speak through its status."""
        if data is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)  # before the end of its input
        _, errors = self.process.communicate(data, timeout=20)
        assert self.process.returncode == status, errors.decode()
        return errors.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(OSError):
                stream.close()


def python_target(kind, python=None, **options):
    return Target(TARGETS[kind], python=python or PYTHONS[0], **options).wait_ready()


def nobodys_python(*wanted):
    """An interpreter that an unprivileged user can start."""
    for python in (*wanted, *PYTHONS, shutil.which("python3", path=os.defpath)):
        with contextlib.suppress(OSError):
            run = [python, "-c", ""]
            if subprocess.run(run, user=NOBODY, cwd="/").returncode == 0:
                return python
    pytest.skip("no interpreter that user nobody can start")


# ---- attaching ----


@functools.lru_cache(None)
def bootstrap(text="pass\n"):
    number = len(list(open_folder().glob("bootstrap-*")))
    path = open_folder() / f"bootstrap-{number}.py"
    path.write_text(text)
    path.chmod(0o644)
    return path


def attach_command(pid, *options, text="pass\n", program=None):
    command = [str(program or executable()), "--json"]
    if text is not None:
        command += ["--bootstrap", str(bootstrap(text))]
    return [*command, *map(str, options), str(pid)]


def attach(pid, *options, prefix=(), run=(), **named):
    done = subprocess.run(
        [*prefix, *attach_command(pid, *options, **named)],
        capture_output=True,
        text=True,
        timeout=30,
        cwd="/",
        **dict(run),
    )
    answer = json.loads(done.stdout) if done.stdout else {"exit": done.returncode}
    assert done.returncode == answer["exit"], done.stderr
    assert answer["exit"] == OK or answer.get("message") or done.stderr
    return answer


def assert_status(answer, status, *words):
    assert answer["exit"] == status, answer
    for word in words:
        assert word in answer["message"], answer["message"]
    return answer


def attach_many(target, times, accepted=(OK,), feed=None):
    """The longest pause of each attach, in microseconds."""
    counter = open_folder() / f"count-{target.pid}"
    text = f"with open({str(counter)!r}, 'a') as f: f.write('x')\n"
    counter.touch()
    counter.chmod(0o666)
    before = target.signals()
    pauses, done = [], 0
    for _ in range(times):
        if feed is None:
            answer = attach(target.pid, "--timeout", 10, text=text)
        else:
            answer = attach_fed(target, feed, text)
        assert answer["exit"] in accepted, answer
        assert target.process.poll() is None
        pauses.append(answer["pause_us"])
        done += answer["exit"] == OK
    assert target.signals() == before
    assert counter.stat().st_size == done
    return pauses


def attach_fed(target, data, text):
    """While the target waits for input, which comes a little later."""
    target.settle()
    with subprocess.Popen(
        attach_command(target.pid, "--timeout", 10, text=text),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None:
            time.sleep(0.03)
            target.process.stdin.write(data)
            target.process.stdin.flush()
        return json.loads(process.stdout.read())


def attach_kind(kind, python, times):
    """One whole round; the pauses."""
    with python_target(kind, python) as target:
        if kind == "read":
            pauses = attach_many(target, times, feed=b"-")
            target.stop(data=b"q")
            return pauses
        target.settle() if kind in ("lock", "join") else None
        pauses = attach_many(target, times)
        target.stop()
        return pauses


@pytest.fixture(params=PYTHONS, ids=lambda path: Path(path).parts[-3])
def python(request):
    return request.param


# ---- success ----


@pytest.mark.parametrize("kind", list(TARGETS))
def test_attach_leaves_the_target_unharmed(kind, python):
    pauses = sorted(attach_kind(kind, python, TIMES))
    # 5 ms is the promise, but on a loaded machine both sides wait for a
    # processor; tests/stress/attach.py reports the median.
    assert pauses[0] < 5000, pauses


def test_interpreter_linked_statically_or_shared_is_found():
    others = {shutil.which("python3", path=os.defpath), *PYTHONS} - {None}
    seen = {}
    for other in sorted(others):
        with python_target("idle", other) as target:
            answer = attach(target.pid)
            if answer["exit"] == VERSION:
                continue
            assert_status(answer, OK)
            libraries = Path(f"/proc/{target.pid}/maps").read_text()
            shared = "libpython3" in libraries
            assert answer["linked"] == ("shared" if shared else "static")
            seen[answer["linked"]] = answer["python"]
            target.stop()
    assert seen


def test_version_is_told(python):
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    version = subprocess.check_output([python, "-c", code], text=True).strip()
    with python_target("idle", python) as target:
        answer = attach(target.pid, "--check")
        assert_status(answer, OK)
        assert (answer["python"], answer["stops"]) == (version, 0)
        target.stop()


def test_two_attachers_at_once(python):
    with python_target("spinning", python) as target:
        for _ in range(TIMES):
            processes = [
                subprocess.Popen(
                    attach_command(target.pid, "--timeout", 10),
                    stdout=subprocess.PIPE,
                    text=True,
                )
                for _ in range(4)
            ]
            for process in processes:
                answer = json.loads(process.communicate(timeout=30)[0])
                assert_status(answer, OK)
        target.stop()


def test_attach_while_the_target_starts(python):
    """At any instruction of the start-up: entered, or refused and unharmed."""
    seen = set()
    for i in range(TIMES):
        with Target(TARGETS["idle"], python=python) as target:
            time.sleep(0.003 * i)
            seen.add(attach(target.pid, "--timeout", 5)["exit"])
            target.wait_ready()
            target.stop()
    # Before exec and before libpython is mapped it is no Python yet.
    assert seen <= {OK, FINALIZING, NOT_CPYTHON}, seen


def test_text_runs_once_in_a_namespace_of_its_own(python):
    with python_target("idle", python) as target:
        text = "import sys\nleft_behind = [ack, roots, python_path]\n"
        text += "sys.stderr.write(repr(roots))"
        odd = open_folder() / "it's \"a\\folder\n"
        odd.mkdir(exist_ok=True)
        assert_status(attach(target.pid, "--root", odd, "--root", "/", text=text), OK)
        assert target.stop() == repr([str(odd), "/"])


def test_no_folder_is_left_over(tmp_path, python):
    run = {"env": {**os.environ, "TMPDIR": str(tmp_path)}}
    tmp_path.chmod(0o755)
    with python_target("idle", python) as target:
        assert_status(attach(target.pid, run=run), OK)
        assert_status(attach(target.pid, text="1/0", run=run), ENGINE)
        target.stop()
    with python_target("read", python) as target:
        target.settle()
        assert_status(attach(target.pid, "--timeout", 0.1, run=run), BLOCKED)
        assert os.listdir(tmp_path) == []
        target.stop(data=b"q")


@as_root
def test_root_attaches_to_another_users_process(python):
    python = nobodys_python(python)
    with python_target("idle", python, user=NOBODY, group=NOBODY) as target:
        text = "import os\nassert os.geteuid() == 65534\n"
        assert_status(attach(target.pid, text=text), OK)
        target.stop()


# ---- the engine ----


def fake_engine(folder, body):
    package = folder / "hot_reload"
    package.mkdir()
    (package / "__init__.py").write_text(textwrap.dedent(body))
    folder.chmod(0o755)
    return folder


def plain_target(python):
    code = PREAMBLE + textwrap.dedent(TARGETS["idle"])
    return Target([python, "-S", "-c", code]).wait_ready()


def test_engine_comes_from_the_attachers_folder(tmp_path, python):
    folder = fake_engine(
        tmp_path,
        """
        import sys
        def _attached(roots, ack, added_path=None):
            sys.stderr.write(repr(roots))
        """,
    )
    with plain_target(python) as target:
        options = ("--python-path", folder, "--root", "/tmp")
        assert_status(attach(target.pid, *options, text=None), OK)
        assert_status(attach(target.pid, *options, text=None), OK)
        assert target.stop() == "['/tmp']" * 2


def test_engine_answers_by_itself(tmp_path, python):
    folder = fake_engine(
        tmp_path,
        """
        def _attached(roots, ack, added_path=None):
            with open(ack, "w") as file:
                file.write("no room left\\n")
        """,
    )
    with plain_target(python) as target:
        answer = attach(target.pid, "--python-path", folder, text=None)
        assert_status(answer, ENGINE, "no room left")
        target.stop()


def test_engine_missing_or_for_another_version(tmp_path, python):
    folder = fake_engine(tmp_path, "def _attached(roots, ack, added_path=None): pass")
    with plain_target(python) as target:
        assert_status(attach(target.pid, text=None), ENGINE, "Install hot_reload")
        options = ("--python-path", folder, "--python-version", "3.2")
        answer = attach(target.pid, *options, text=None)
        assert_status(answer, ENGINE, "Install hot_reload")
        target.stop()


def test_text_that_raises_does_not_reach_the_program(python):
    texts = {
        "1/0": "ZeroDivisionError",
        "raise SystemExit(3)": "SystemExit",
        "x =": "SyntaxError",
        "raise GeneratorExit": "GeneratorExit",
        "raise ValueError('a\\nb\\udcff')": "ValueError",
    }
    with python_target("idle", python) as target:
        for text, words in texts.items():
            assert_status(attach(target.pid, text=text), ENGINE, words)
        assert target.stop() == ""


# ---- the target's own life goes on ----

RESTARTED = r"""
#include <poll.h>
#include <pthread.h>
#include <sys/select.h>
#include <time.h>
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}
static int ends[2];
static void *feed(void *unused)
{
    usleep(500000);
    write(ends[1], "x", 1);
    return unused;
}
#define RUN(expected, call) do { \
    double began = now(); \
    errno = 0; \
    long got = (call); \
    double took = now() - began; \
    if (got != (expected) || took < 0.49 || took > 0.8) { \
        dprintf(2, #call ": %ld, errno %d, after %f", got, errno, took); \
        return 1; \
    } } while (0)
int main(void)
{
    struct timespec half = {0, 500000000};
    struct timeval same = {0, 500000};
    char byte;
    pthread_t thread;
    sigset_t none;
    sigemptyset(&none);
    pipe(ends);
    write(1, "ready\n", 6);
    RUN(0, nanosleep(&half, NULL));
    RUN(0, clock_nanosleep(CLOCK_MONOTONIC, 0, &half, NULL));
    RUN(0, poll(NULL, 0, 500));
    RUN(0, ppoll(NULL, 0, &half, &none));
    RUN(0, select(0, NULL, NULL, NULL, &same));
    RUN(0, pselect(0, NULL, NULL, NULL, &half, &none));
    pthread_create(&thread, NULL, feed, NULL);
    RUN(1, read(ends[0], &byte, 1));
    return 7;
}
"""


def test_system_calls_are_restarted_and_no_longer():
    """In C, since Python itself would hide an EINTR."""
    source = open_folder() / "restarted.c"
    source.write_text(FAKE + RESTARTED)
    program = compile_c("restarted", "-rdynamic", "-w", "-pthread", source)
    with Target([program]) as target:
        target.wait_ready()
        answers = []
        while target.process.poll() is None:
            answers.append(attach(target.pid, "--timeout", 0)["exit"])
            time.sleep(0.02)
        errors = target.process.stderr.read().decode()
        assert target.process.returncode == STATUS, errors
        assert len(answers) > 20
        # The last one may meet the end of the program.
        assert set(answers[:-1]) == {BLOCKED}


@pytest.mark.parametrize("body", ["time.sleep(0.001)", "sum(range(300))"])
def test_signals_arrive_once_each(body, python):
    """Queued in the kernel, counted by the C handler's write."""
    program = f"""
    out, back = os.pipe2(os.O_NONBLOCK)
    signal.signal(signal.SIGRTMIN + 2, lambda *_: None)
    signal.set_wakeup_fd(back, warn_on_full_buffer=False)
    count = 0
    def drain():
        global count
        try:
            count += os.read(out, 65536).count(signal.SIGRTMIN + 2)
        except BlockingIOError:
            pass
    ready()
    while not stop:
        {body}
        drain()
    drain()
    sys.stderr.write("%d" % count)
    finish()
    """
    with Target(program, python=python) as target:
        target.wait_ready()
        sent = 0
        for _ in range(TIMES):
            process = subprocess.Popen(
                attach_command(target.pid, "--timeout", 10), stdout=subprocess.PIPE
            )
            while process.poll() is None:
                os.kill(target.pid, signal.SIGRTMIN + 2)
                sent += 1
                time.sleep(0.0001)
            assert_status(json.loads(process.communicate()[0]), OK)
        assert target.stop() == str(sent)


def test_stop_and_continue_in_between(python):
    with python_target("spinning", python) as target:
        seen = set()
        for i in range(TIMES):
            process = subprocess.Popen(
                attach_command(target.pid, "--timeout", 10), stdout=subprocess.PIPE
            )
            time.sleep(0.0005 * (i % 7))
            os.kill(target.pid, signal.SIGSTOP)
            time.sleep(0.01)
            os.kill(target.pid, signal.SIGCONT)
            answer = json.loads(process.communicate(timeout=30)[0])
            assert answer["exit"] in (OK, STOPPED), (answer, target.field("State"))
            seen.add(answer["exit"])
        assert seen <= {OK, STOPPED}
        target.stop()


def test_end_by_a_signal_is_the_targets_own(python):
    with python_target("spinning", python) as target:
        assert_status(attach(target.pid), OK)
        target.process.send_signal(signal.SIGKILL)
        assert target.process.wait(10) == -signal.SIGKILL
    with python_target("idle", python) as target:
        answer = attach(target.pid, text="import os\nos._exit(3)")
        assert_status(answer, DIED)
        assert target.process.wait(10) == 3


def test_masked_faults_stay_masked(python):
    program = """
    every = set(signal.Signals) - {signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, every)
    signal.signal(signal.SIGSEGV, print)
    os.kill(os.getpid(), signal.SIGSEGV)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    ready()
    while not stop:
        time.sleep(0.005)
    if signal.pthread_sigmask(signal.SIG_BLOCK, []) != before:
        sys.exit("mask")
    if signal.getsignal(signal.SIGSEGV) is not print:
        sys.exit("handler")
    sys.stderr.write("%d" % (signal.SIGSEGV in signal.sigpending()))
    finish()
    """
    with Target(program, python=python) as target:
        attach_many(target.wait_ready(), TIMES)
        assert target.stop() == "1"


# ---- blocked ----


def test_blocked_main_thread_is_described_and_runs_it_later(python):
    marker = open_folder() / "late"
    text = f"with open({str(marker)!r}, 'w') as f: f.write('x')\n"
    with python_target("read", python) as target:
        target.settle()
        answer = attach(target.pid, "--timeout", 0.2, text=text)
        assert_status(answer, BLOCKED, "waits for input", "read", "pipe:")
        assert "read" in answer["blocked_in"] and not marker.exists()
        target.process.stdin.write(b"-")
        target.process.stdin.flush()
        deadline = time.monotonic() + 10
        while not marker.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert marker.exists()
        marker.unlink()
        target.stop(data=b"q")


@pytest.mark.parametrize(
    "wait, words",
    [
        ("time.sleep(60)", "sleeps"),
        ("select.select([0], [], [], 60)", "waits for events"),
        ("signal.sigwait([signal.SIGUSR1])", "waits for a signal"),
        ("max(range(10**9))", "busy"),
    ],
)
def test_what_it_waits_in_is_told(wait, words, python):
    with Target(f"ready()\n{wait}\n", python=python) as target:
        target.wait_ready()
        time.sleep(0.2)
        answer = attach(target.pid, "--timeout", 0.1)
        assert_status(answer, BLOCKED, words, "queued")


def test_another_thread_runs_it_where_that_is_possible(python):
    program = """
    def tick():
        while not stop:
            time.sleep(0.005)
    threading.Thread(target=tick, daemon=True).start()
    ready()
    os.read(0, 1)
    sys.exit(7)
    """
    with Target(program, python=python) as target:
        target.wait_ready().settle()
        answer = attach(target.pid, "--timeout", 0.5)
        any_thread = answer["way"] == "pending call on any thread"
        assert_status(answer, OK if any_thread else BLOCKED)
        minor = int(answer["python"].split(".")[1])
        assert any_thread == (minor >= 12)
        target.stop(data=b"q")


def test_giving_up_by_a_signal_leaves_no_folder(tmp_path, python):
    with python_target("read", python) as target:
        process = subprocess.Popen(
            attach_command(target.settle().pid, "--timeout", 60),
            stdout=subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(tmp_path)},
            # A shell's background jobs ignore it, and so would this.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        deadline = time.monotonic() + 10
        while not os.listdir(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        answer = json.loads(process.communicate(timeout=10)[0])
        assert_status(answer, INTERRUPTED, "queued")
        assert os.listdir(tmp_path) == []
        target.stop(data=b"q")


# ---- what can be wrong with the process ----


def test_no_such_process():
    process = subprocess.Popen(["true"])
    process.wait()
    assert_status(attach(process.pid), NO_PROCESS, "no process", str(process.pid))


def test_a_thread_is_not_a_process():
    with python_target("allocating") as target:
        threads = {int(name) for name in os.listdir(f"/proc/{target.pid}/task")}
        thread = max(threads - {target.pid})
        assert_status(attach(thread), NO_PROCESS, f"process {target.pid}")
        target.stop()


@pytest.mark.parametrize("arguments", [(), ("x",), ("0",), ("-1",), ("1", "2")])
def test_usage(arguments):
    done = subprocess.run(
        [executable(), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == USAGE and done.stderr


def test_help_lists_every_status():
    text = subprocess.check_output([executable(), "--help"], text=True)
    for status in range(INTERRUPTED + 1):
        assert f"\n  {status:2}  " in text


def test_not_python():
    with Target(["sleep", "60"]) as target:
        time.sleep(0.05)
        assert_status(attach(target.pid), NOT_CPYTHON, "sleep")
        assert target.process.poll() is None


@as_root
def test_another_users_process():
    with python_target("idle") as target:
        run = {"user": NOBODY, "group": NOBODY}
        assert_status(attach(target.pid, run=run), OTHER_USER, "user 0", "root")
        target.stop()


def test_user_namespace_out_of_reach():
    prefix = ["unshare", "--user", "--map-root-user"]
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"]).returncode:
        pytest.skip("no user namespaces")
    with python_target("idle") as target:
        answer = attach(target.pid, prefix=prefix)
        assert_status(answer, USER_NAMESPACE, "user namespace")
        target.stop()


HOLD = """
import ctypes, sys, time
ptrace = ctypes.CDLL(None).ptrace
if ptrace(0x4206, int(sys.argv[1]), 0, 0) != 0:
    sys.exit(1)
print("ready", flush=True)
time.sleep(float(sys.argv[2]))
"""


def test_traced_by_another():
    with python_target("idle") as target:
        held = Target([sys.executable, "-c", HOLD], str(target.pid), "60")
        with held as tracer:
            tracer.wait_ready()
            answer = attach(target.pid)
            assert_status(answer, TRACED, f"process {tracer.pid} (python")
        held = Target([sys.executable, "-c", HOLD], str(target.pid), "0.3")
        with held as tracer:
            tracer.wait_ready()
            assert_status(attach(target.pid), OK)
        target.stop()


@contextlib.contextmanager
def yama(scope):
    path = Path("/proc/sys/kernel/yama/ptrace_scope")
    try:
        before = path.read_text()
        path.write_text(scope)
        if path.read_text().strip() != scope:
            raise OSError
    except OSError:
        pytest.skip("Yama's ptrace_scope cannot be set here")
    try:
        yield
    finally:
        path.write_text(before)


@as_root
@pytest.mark.parametrize("scope", ["1", "2"])
def test_ptrace_scope(scope):
    with yama(scope):
        options = {"user": NOBODY, "group": NOBODY}
        with python_target("idle", nobodys_python(), **options) as target:
            answer = attach(target.pid, run=options)
            assert_status(answer, PTRACE_SCOPE, "ptrace_scope = " + scope)
            assert_status(attach(target.pid), OK)
            target.stop()


@as_root
@pytest.mark.parametrize("scope, words", [(1, "sysctl"), (2, "root"), (3, "booted")])
def test_ptrace_scope_is_explained(scope, words, tmp_path):
    """Where Yama is not there: another reason to be refused, and a file."""
    path = open_folder() / f"ptrace_scope{scope}"
    path.write_text(f"{scope}\n")
    define = f'-DHR_YAMA_PATH="{path}"'
    program = compile_c(f"yama{scope}", define, *sorted(SOURCES.glob("*.c")))
    options = {"user": NOBODY, "extra_groups": []}
    with python_target("idle", nobodys_python(), group=1234, **options) as target:
        run = {"group": NOBODY, **options}
        assert_status(attach(target.pid, run=run, program=program), PTRACE_SCOPE, words)
        assert_status(attach(target.pid, run=run), NO_PERMISSION, "CAP_SYS_PTRACE")
        target.stop()


@as_root
def test_process_that_is_not_dumpable():
    program = textwrap.dedent(TARGETS["idle"])
    program = "import ctypes\nctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\n" + program
    options = {"user": NOBODY, "group": NOBODY}
    with Target(program, python=nobodys_python(), **options) as target:
        target.wait_ready()
        answer = attach(target.pid, run=options)
        assert_status(answer, NO_PERMISSION, "PR_SET_DUMPABLE")
        target.stop()


def test_target_in_strict_seccomp():
    program = """
    import ctypes
    prctl = ctypes.CDLL(None).prctl
    ready()
    if prctl(22, 1, 0, 0, 0) != 0:
        os._exit(1)
    os.read(0, 1)
    """
    with Target(program, python=PYTHONS[0]) as target:
        target.wait_ready().settle()
        if target.field("Seccomp") != "1":
            pytest.skip("no strict seccomp")
        assert_status(attach(target.pid), SECCOMP, "locked itself in")
        assert target.field("State")[0] == "S"


def deny_ptrace():
    """In the child, before exec: a filter that refuses ptrace with EPERM."""
    code = bytearray()
    number = {"x86_64": 101, "aarch64": 117}[os.uname().machine]
    for operation, jump, value in (
        (0x20, (0, 0), 0),  # load the number of the system call
        (0x15, (0, 1), number),
        (0x06, (0, 0), 0x00050001),  # EPERM
        (0x06, (0, 0), 0x7FFF0000),  # allow
    ):
        code += operation.to_bytes(2, "little") + bytes(jump)
        code += value.to_bytes(4, "little")
    buffer = ctypes.create_string_buffer(bytes(code))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]

    program = Program(4, ctypes.addressof(buffer))
    prctl = ctypes.CDLL(None).prctl
    if prctl(38, 1, 0, 0, 0) or prctl(22, 2, ctypes.byref(program), 0, 0):
        os._exit(99)


def test_attacher_behind_a_seccomp_filter():
    with python_target("idle") as target:
        answer = attach(target.pid, run={"preexec_fn": deny_ptrace})
        assert_status(answer, SECCOMP, "SYS_PTRACE")
        target.stop()


def test_stopped():
    with python_target("idle") as target:
        target.process.send_signal(signal.SIGSTOP)
        while target.field("State")[0] != "T":
            time.sleep(0.01)
        assert_status(attach(target.pid), STOPPED, f"kill -CONT {target.pid}")
        assert target.field("State")[0] == "T"
        target.process.send_signal(signal.SIGCONT)
        assert_status(attach(target.pid), OK)
        target.stop()


def test_zombie():
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert_status(attach(process.pid), ZOMBIE, "has ended")
    process.wait()


def test_ignored_faults_are_refused():
    program = "signal.signal(signal.SIGSEGV, signal.SIG_IGN)\n"
    program += textwrap.dedent(TARGETS["idle"])
    with Target(program, python=PYTHONS[0]) as target:
        assert_status(attach(target.wait_ready().pid), UNSAFE, "SIGSEGV")
        target.stop()


def test_finalizing(python):
    program = """
    class Last:
        def __init__(self):
            self.modules = (os, time)
        def __del__(self, ready=ready, sleep=time.sleep):
            self.modules[0].write(1, b"ready\\n")
            sleep(30)
    sys.modules["__last__"] = last = type(sys)("__last__")
    last.last = Last()
    del last
    """
    with Target(program, python=python) as target:
        target.wait_ready().settle()
        assert_status(attach(target.pid), FINALIZING, "shutting down")


# ---- other mount namespaces ----


def unshared(script, python):
    code = PREAMBLE + textwrap.dedent(TARGETS["idle"])
    shell = script + ' && exec "$0" -c "$1"'
    return Target(
        ["unshare", "--mount", "sh", "-c", shell, os.path.realpath(python), code]
    )


@as_root
def test_another_mount_namespace(python):
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        told = Path(folder, "told")
        text = (
            "import os\nos.stat(ack[:-4])\nassert ack.startswith('/tmp/')\n"
            f"with open({str(told)!r}, 'w') as f: f.write(ack)\n"
        )
        with unshared("mount -t tmpfs none /tmp", python) as target:
            target.wait_ready()
            assert_status(attach(target.pid, text=text), OK)
            assert os.listdir(f"/proc/{target.pid}/root/tmp") == []
            # On this side of the mount, others may be attaching, too.
            assert not os.path.exists(os.path.dirname(told.read_text()))
            target.stop()


@as_root
def test_folder_of_the_engine_that_the_target_does_not_see(python):
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    fake_engine(folder, "def _attached(roots, ack, added_path=None): pass")
    try:
        with unshared("mount -t tmpfs none /tmp", python) as target:
            target.wait_ready()
            if (
                b"hot_reload"
                in subprocess.run(
                    [python, "-m", "pip", "list"], capture_output=True
                ).stdout
            ):
                pytest.skip("the target has the engine itself")
            answer = attach(target.pid, "--python-path", folder, text=None)
            assert_status(answer, ENGINE, "mount namespace")
            target.stop()
    finally:
        shutil.rmtree(folder)


@as_root
def test_no_folder_for_both_sides(python):
    folders = "/tmp /var/tmp /dev/shm"
    script = f"for f in {folders}; do mount -t tmpfs -o ro none $f || exit 1; done"
    with unshared(script, python) as target:
        target.wait_ready()
        assert_status(attach(target.pid), MOUNT_NAMESPACE, "another mount namespace")
        target.stop()


# ---- programs that only look like CPython ----

FAKE = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <signal.h>
#include <errno.h>
#ifndef HEX
#define HEX 0x030b07f0
#endif
#ifndef ADD
#define ADD return 0;
#endif
#ifndef LIVES
#define LIVES 1
#endif
const unsigned Py_Version = HEX;
volatile sig_atomic_t ended;
static void end(int n) { ended = n; }
int PyRun_SimpleString(const char *s) { return (int)*s; }
int Py_IsInitialized(void) { return LIVES; }
int Py_AddPendingCall(int (*f)(void *), void *p) { (void)f; (void)p; ADD }
#ifdef FREE
int _Py_MergeZeroLocalRefcount;
#endif
#ifdef MAIN
int main(void)
{
    struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    write(1, "ready\\n", 6);
    double x = 1.5;
    while (!ended) {
        x = x * 1.0000001 - x * 0.0000001;
        usleep(1000);
    }
    return x > 1.4 && x < 1.6 ? 7 : 1;
}
#endif
"""


@functools.lru_cache(None)
def fake_python(name, *defines):
    source = open_folder() / "fake.c"
    source.write_text(FAKE)
    options = ["-rdynamic", "-DMAIN", *defines, "-w"]
    return compile_c(name, *options, source)


@pytest.mark.parametrize(
    "name, define, status, words",
    [
        ("old", "-DHEX=0x03080cf0", VERSION, "Python 3.8"),
        ("new", "-DHEX=0x030f00f0", VERSION, "Python 3.15"),
        ("two", "-DHEX=0x02071200", VERSION, "Python 2.7"),
        ("free", "-DFREE", VERSION, "free-threaded"),
        ("early", "-DLIVES=0", FINALIZING, "not running yet"),
        ("full", "-DADD=return -1;", QUEUE_FULL, "full"),
        ("stuck", "-DADD=for (;;) {}", REMOTE_CALL, "in time"),
        ("sleeping", "-DADD=sleep(100); return 0;", REMOTE_CALL, "in time"),
        ("crash", "-DADD=*(volatile int *)8 = 1; return 0;", REMOTE_CALL, "failed"),
        ("trap", "-DADD=__builtin_trap(); return 0;", REMOTE_CALL, "in time"),
        ("silent", "-DADD=return 0;", BLOCKED, "queued"),
        ("exits", "-DADD=_exit(9);", DIED, "ended"),
    ],
)
def test_calls_that_go_wrong_leave_no_trace(name, define, status, words):
    with Target([fake_python(name, define)]) as target:
        target.wait_ready()
        before = target.signals()
        for _ in range(2 if status != DIED else 1):
            answer = attach(target.pid, "--timeout", 0.1)
            assert_status(answer, status, words)
        if status == DIED:
            assert target.process.wait(10) == 9
            return
        assert target.signals() == before
        target.stop()


def test_signals_that_come_during_a_call(python):
    """SIGTERM is blocked meanwhile, SIGSTOP is remembered."""
    define = "-DADD=kill(getpid(), SIGTERM); usleep(20000); return 0;"
    with Target([fake_python("terminated", define)]) as target:
        target.wait_ready()
        attach(target.pid, "--timeout", 0)
        assert target.process.wait(10) == STATUS
    define = "-DADD=kill(getpid(), SIGSTOP); usleep(20000); return 0;"
    with Target([fake_python("stopped", define)]) as target:
        target.wait_ready()
        assert_status(attach(target.pid, "--timeout", 0), BLOCKED)
        deadline = time.monotonic() + 5
        while target.field("State")[0] != "T" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert target.field("State")[0] == "T"
        target.process.send_signal(signal.SIGCONT)
        target.stop()


@as_root
def test_library_replaced_on_disk():
    folder = open_folder()
    source = folder / "fake.c"
    source.write_text(FAKE)
    library = compile_c("libpython3.11.so.1.0", "-w", "-shared", "-fPIC", source)
    main = folder / "main.c"
    main.write_text(
        "#include <unistd.h>\nextern int Py_IsInitialized(void);\n"
        'int main(void) { write(1, "ready\\n", 6); pause(); '
        "return Py_IsInitialized(); }\n"
    )
    program = compile_c("embedder", "-w", main, library, f"-Wl,-rpath,{folder}")
    options = {"user": NOBODY, "group": NOBODY}
    with Target([program], **options) as target:
        target.wait_ready()
        answer = attach(target.pid, "--check", run=options)
        assert_status(answer, OK)
        assert (answer["linked"], answer["python"]) == ("shared", "3.11")
        library.unlink()
        words = "was replaced or deleted"
        assert_status(attach(target.pid, run=options), FILE_REPLACED, words)
        shutil.copy(executable(), library)
        assert_status(attach(target.pid, run=options), FILE_REPLACED, words)
        assert stat.S_ISREG(library.stat().st_mode)


def test_executable_deleted_on_disk():
    program = fake_python("vanishing", "-DADD=return -1;")
    copy = open_folder() / "vanishing-copy"
    shutil.copy(program, copy)
    with Target([copy]) as target:
        target.wait_ready()
        copy.unlink()
        assert_status(attach(target.pid, "--check"), OK)
        target.stop()


def test_another_architecture():
    if os.uname().machine != "x86_64":
        pytest.skip("needs 32-bit x86")
    source = open_folder() / "small.s"
    source.write_text(".globl _start\n_start: mov $29, %eax\n int $0x80\n jmp _start\n")
    program = open_folder() / "small"
    command = ["cc", "-m32", "-nostdlib", "-static", "-o", program, source]
    if shutil.which("cc") is None or subprocess.run(command).returncode:
        pytest.skip("no 32-bit programs can be built")
    try:
        target = Target([program])
    except OSError:
        pytest.skip("no 32-bit programs can be run")
    with target:
        time.sleep(0.1)
        if target.process.poll() is not None:
            pytest.skip("no 32-bit programs can be run")
        assert_status(attach(target.pid), ARCHITECTURE, "x86-64")


# ---- 3.14's interface, against a model of it ----

MODEL = """
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <unistd.h>
struct support { int32_t pending; char path[512]; };
struct thread { uint64_t breaker; struct support support; } thread;
struct interpreter { struct interpreter *next; struct thread *main;
                     int32_t enabled; }
    interpreter = {NULL, &thread, ENABLED},
    sub = {&interpreter, NULL, ENABLED};
struct runtime { uint64_t words[95]; void *finalizing;
                 struct interpreter *head; } _PyRuntime;
const unsigned Py_Version = 0x030e00f0;
int PyRun_SimpleString(const char *s) { return *s; }
int Py_AddPendingCall(int (*f)(void *), void *p) { return p != 0 && f != 0; }
int main(void)
{
    uint64_t *w = _PyRuntime.words;
    memcpy(w, "xdebugpy", 8);
    w[1] = 0x030e00f0;
    w[3] = sizeof(_PyRuntime);
    w[4] = (char *)&_PyRuntime.finalizing - (char *)&_PyRuntime;
    w[5] = (char *)&_PyRuntime.head - (char *)&_PyRuntime;
    w[6] = sizeof(interpreter);
    w[8] = 0;
    w[10] = (char *)&interpreter.main - (char *)&interpreter;
    w[22] = sizeof(thread);
    w[89] = (char *)&thread.breaker - (char *)&thread;
    w[90] = (char *)&thread.support - (char *)&thread;
    w[91] = (char *)&interpreter.enabled - (char *)&interpreter;
    w[92] = 0;
    w[93] = 4;
    w[94] = 512;
    _PyRuntime.head = &sub;
    write(1, "ready\\n", 6);
    while (!(*(volatile uint64_t *)&thread.breaker & 32))
        usleep(1000);
    if (thread.support.pending != 1 || thread.breaker != 32)
        return 1;
    char command[700];
    snprintf(command, sizeof(command), "exec python3 -c \\"import time;"
             "exec(open('%s').read()); time.sleep(0.5)\\"", thread.support.path);
    return system(command) ? 2 : 7;
}
"""


@pytest.mark.parametrize("enabled", [1, 0])
def test_remote_debugging_interface(enabled):
    """As it is published; not a 3.14, which this was never run against."""
    source = open_folder() / "model.c"
    source.write_text(MODEL)
    program = compile_c(
        f"model{enabled}", "-rdynamic", "-w", f"-DENABLED={enabled}", source
    )
    with Target([program]) as target:
        target.wait_ready()
        answer = attach(target.pid)
        if not enabled:
            assert_status(answer, VERSION, "switched off")
            return
        assert_status(answer, OK)
        assert answer["stops"] == 0 and "PEP 768" in answer["way"]
        assert target.process.wait(10) == STATUS
