"""The same saves with what people use today, side by side.

Each tool runs in an environment of its own (build/bench-envs, from PyPI), in a
host that calls `m.target()` through the module every 20 us, so that tools that
exchange the whole module are not at a disadvantage.  All hosts run at the same
time and are saved to in turn; those that wait for something to do a reload
(IPython waits for the next cell) are given it at once.
"""

import importlib
import os
import shutil
import subprocess
import sys
import threading
import time

import common

SIZES = {"100": 100, "11,000": 11000}
TOOLS = {
    "hot_reload": (),
    "jurigged": ("jurigged>=0.6,<0.7",),
    "IPython autoreload": ("ipython>=8,<10",),
    "hmr": ("hmr>=0.7,<1",),
    "watchfiles + importlib.reload": ("watchfiles>=1,<2",),
    "watchdog + importlib.reload": ("watchdog>=4,<8",),
    "gradio reload mode": ("gradio>=6.31,<7", "rich>=12,<16"),
    "poll every 2 s + setattr": (),
}


# -- The hosts -----------------------------------------------------------------


def follow_hot_reload(folder):
    import hot_reload

    hot_reload.configure(level="ERROR")
    hot_reload.start(folder)
    return None


def follow_jurigged(folder):
    import jurigged

    jurigged.watch(folder + "/*.py", logger=None)
    return None


def follow_ipython(folder):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "autoreload")
    shell.run_line_magic("autoreload", "2")
    return lambda: shell.events.trigger("pre_run_cell", None)


def follow_watchfiles(folder):
    import watchfiles

    def watch():
        for changes in watchfiles.watch(folder):
            for _, path in changes:
                reload_file(path)

    threading.Thread(target=watch, daemon=True).start()
    return None


def follow_watchdog(folder):
    from watchdog.events import FileSystemEventHandler
    from watchdog.observers import Observer

    class Handler(FileSystemEventHandler):
        def on_closed(self, event):
            reload_file(event.src_path)

    observer = Observer()
    observer.daemon = True
    observer.schedule(Handler(), folder)
    observer.start()
    return None


def follow_gradio(folder):
    """Its watcher in a thread, as `gradio page.py` starts it, without a page."""
    import types

    from gradio import utils

    path = os.path.join(folder, "page.py")
    with open(path, "w") as file:
        file.write("import m\n\n\nclass Page:\n    pass\n\n\ndemo = Page()\n")
    page = types.ModuleType("page")
    page.__file__ = path
    sys.modules["page"] = page
    reloader = types.SimpleNamespace(
        watch_dirs=[folder], watch_module_name="page", watch_module=page,
        demo_file=path, watch_file=path, demo_name="demo", encoding="utf-8",
        app=types.SimpleNamespace(), should_watch=lambda: True,
        swap_blocks=lambda demo: None, alert_change=lambda change: None,
    )
    threading.Thread(target=utils.watchfn, args=(reloader,), daemon=True).start()


def follow_by_polling(folder):
    """What a first attempt looks like: every 2 s, run it, copy the names."""
    path = os.path.join(folder, "m.py")
    module = sys.modules["m"]

    def poll():
        last = os.stat(path).st_mtime_ns
        while True:
            time.sleep(2)
            seen = os.stat(path).st_mtime_ns
            if seen != last:
                last = seen
                with open(path) as file:
                    code = compile(file.read(), path, "exec")
                names = {"__name__": "m", "__file__": path}
                exec(code, names)
                for name, value in names.items():
                    if not name.startswith("__"):
                        setattr(module, name, value)

    threading.Thread(target=poll, daemon=True).start()
    return None


def reload_file(path):
    if os.path.basename(path) == "m.py":
        try:
            importlib.reload(sys.modules["m"])
        except SyntaxError:
            pass  # half-written: there will be another event


FOLLOW = {
    "hot_reload": follow_hot_reload,
    "jurigged": follow_jurigged,
    "IPython autoreload": follow_ipython,
    "watchfiles + importlib.reload": follow_watchfiles,
    "watchdog + importlib.reload": follow_watchdog,
    "gradio reload mode": follow_gradio,
    "poll every 2 s + setattr": follow_by_polling,
}


def serve(link, get_call, step=None):
    link.send("ready")
    while True:
        value, timeout = link.receive()
        link.send("waiting")
        end = time.monotonic() + timeout
        seen = None
        common.set_timer_slack()
        while time.monotonic() < end:
            if step is not None:
                step()
            try:
                now_runs = get_call()()
            except (AttributeError, KeyError):
                now_runs = None  # the module is being made anew
            if now_runs == value:
                seen = common.now()
                break
            time.sleep(common.SHORT)
        link.send(seen)


def host(link, tool, folder):
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    output, sys.stdout = sys.stdout, sys.stderr
    link.write = output
    if tool == "hot_reload":
        import hot_reload  # noqa: F401
    import m  # noqa: F401

    step = FOLLOW[tool](folder)
    time.sleep(0.5)  # observers start in threads of their own
    serve(link, lambda: sys.modules["m"].target, step)


# hmr runs the program itself, and runs it again when a file changes: the host
# is then a program, which keeps its link in a module that is not followed.
HMR_PROGRAM = """\
import keep
import m
keep.target = m.target
keep.start()
"""
HMR_KEEP = """\
import os, sys, threading
sys.path.insert(0, {bench!r})
import peers, common
target = None
started = False


def start():
    global started
    if not started:
        started = True
        link = common.Link(sys.stdin, open(int(os.environ["BENCH_LINK"]), "w"))
        threading.Thread(
            target=peers.serve_until_end, args=(link, lambda: target)
        ).start()
"""


def serve_until_end(link, get_call):
    try:
        serve(link, get_call)
    except (EOFError, BrokenPipeError):
        os._exit(0)


def start_hmr(python, folder):
    with open(os.path.join(folder, "main.py"), "w") as file:
        file.write(HMR_PROGRAM)
    keep = os.path.join(os.path.dirname(folder), "keep")
    os.makedirs(keep, exist_ok=True)
    with open(os.path.join(keep, "keep.py"), "w") as file:
        file.write(HMR_KEEP.format(bench=common.HERE))
    read, write = os.pipe()
    process = subprocess.Popen(
        [os.path.join(os.path.dirname(python), "hmr"), "main.py"], cwd=folder,
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        text=True, pass_fds=(write,),
        env={**os.environ, "PYTHONPATH": keep, "BENCH_LINK": str(write)},
    )
    os.close(write)
    return common.Link(os.fdopen(read), process.stdin, process)


# -- Measuring -----------------------------------------------------------------


def get_env(bench, tool, packages):
    """The Python of a tool's environment; None with a note."""
    if not packages:
        return sys.executable
    import run

    if bench.options.envs is None:
        bench.note(f"{tool}: skipped, no folder for its environment")
        return None
    version = ".".join(common.python_version().split(".")[:2])
    name = tool.split()[0].lower() + "-" + version
    python = run.make_env(bench.options.envs, name, sys.executable, *packages)
    if python is None:
        bench.note(f"{tool}: skipped, {packages[0]} cannot be installed for {version}")
    return python


def start_host(bench, tool, python, folder):
    if tool == "hmr":
        link = start_hmr(python, folder)
    else:
        link = common.start_process(
            [python, os.path.abspath(__file__), "host", tool, folder],
            cwd=folder, stderr=subprocess.DEVNULL,
        )
    if link.receive() != "ready":
        raise RuntimeError("not ready")
    return link


def save_in_turn(bench, lines, hosts, writer, rounds, slow_rounds):
    """{tool: milliseconds}; the slow ones are saved to less often."""
    times = {tool: [] for tool in hosts}
    for n in range(1, rounds + 1):
        bench.progress(f"{lines} lines", n, rounds)
        for tool, (host, folder) in list(hosts.items()):
            slow = times[tool] and min(times[tool]) > 300
            if slow and n > slow_rounds:
                continue
            text = common.make_module(SIZES[lines], n)
            try:
                host.ask([n, 5.0])
                time.sleep(0.05 if tool == "gradio reload mode" else 0.01)
                closed = writer.ask([os.path.join(folder, "m.py"), text, "write"])
                seen = host.receive()
            except (EOFError, BrokenPipeError):
                bench.note(f"{tool}: its host ended at save {n}")
                del hosts[tool]
                continue
            if seen is None:
                bench.note(f"{tool}, {lines} lines: save {n} was not live in 5 s")
                if len(times[tool]) < n - 2:
                    host.close()
                    del hosts[tool]
            else:
                times[tool].append((seen - closed) / 1e6)
            common.pause()
    return times


def measure_restart(bench):
    """The demo, with the loading of its model, from start to its page."""
    demo = os.path.join(os.path.dirname(common.HERE), "demo", "server.py")
    python = get_env(bench, "gradio reload mode", TOOLS["gradio reload mode"])
    if python is None or not os.path.exists(demo):
        bench.note("restart of the demo: skipped, gradio is not installed")
        return []
    times = []
    for n in range(bench.count(3, 1)):
        bench.progress("restart of the demo", n + 1)
        begin = common.now()
        process = subprocess.Popen(
            [python, demo], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, env={**os.environ, "COLUMNS": "200"},
        )
        for line in process.stdout:
            if "http" in line:
                times.append((common.now() - begin) / 1e6)
                break
        process.terminate()
        process.wait()
        process.stdout.close()
    return times


def measure(bench):
    pythons = {}
    for tool, packages in TOOLS.items():
        if bench.quick and packages and tool not in ("jurigged",
                                                     "watchfiles + importlib.reload"):
            continue
        python = get_env(bench, tool, packages)
        if python is not None:
            pythons[tool] = python
    rounds, slow_rounds = bench.count(24, 6), bench.count(6, 2)
    results = {}
    with common.start_writer() as writer:
        for lines in list(SIZES)[: bench.count(2, 1)]:
            hosts = {}
            for tool, python in pythons.items():
                folder = bench.path(lines, tool.split()[0])
                os.makedirs(folder)
                with open(os.path.join(folder, "m.py"), "w") as file:
                    file.write(common.make_module(SIZES[lines], 0))
                try:
                    hosts[tool] = start_host(bench, tool, python, folder), folder
                except (EOFError, RuntimeError) as error:
                    bench.note(f"{tool}: cannot be started here ({error})")
            n = rounds if lines == "100" else rounds // 2
            results[lines] = save_in_turn(bench, lines, hosts, writer, n, slow_rounds)
            for host, _ in hosts.values():
                host.close()
            shutil.rmtree(bench.path(lines), ignore_errors=True)
    restart = [] if bench.quick else measure_restart(bench)
    for lines, times in results.items():
        medians = {}
        for tool, samples in times.items():
            if samples:
                medians[tool] = bench.add(f"{lines} lines: {tool}", samples)
        if restart:
            medians["restart"] = bench.add(
                f"{lines} lines: restart of the demo (loads its model)", restart)
        ours = medians.pop("hot_reload", None)
        if ours and medians:
            best = min(medians, key=medians.get)
            bench.add_value(f"{lines} lines: the fastest other ({best}) against "
                            "hot_reload", medians[best] / ours, "x")


if __name__ == "__main__":
    common.run(measure, host)
