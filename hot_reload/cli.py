"""The command line: start programs with the engine, enter running ones, look, put back.

Everything but `run` and `attach` is one request to a process's control socket. What is
shown is a table in colours on a terminal, plain text elsewhere, JSON with --json.
"""

import argparse
import builtins
import contextlib
import difflib
import importlib.util
import json
import logging
import os
import socket
import subprocess
import sys
import time
import types
from importlib.machinery import SourceFileLoader
from pathlib import Path

import hot_reload
from hot_reload import _control, _core
from hot_reload._control import Failure

NO_PROCESS = 3  # of hot-reload-attach
UNDOABLE = 32  # no more can be undone than that
OWN = "  {:2}  {}".format
EPILOG = "\n".join(
    [
        "PID may be left out where one process runs the engine. Exit status: of `run`,",
        "the program's; else 0 if it happened, 2 for wrong arguments, 1 and 3 to 24 as",
        "listed by `hot-reload attach --help`, and",
        *(OWN(*item) for item in _control.STATUSES.items()),
    ]
)

# -- Processes -----------------------------------------------------------------


def sockets():
    """{pid: folder} of the control sockets that are there; some may be dead."""
    found = {}
    for folder in reversed(_core.control_folders()):
        names = filter(str.isdigit, os.listdir(folder))
        found.update((int(name), folder) for name in names)
    return found


def connect(pid, folder, timeout):
    # By way of a descriptor: the path may be too long for the address of a socket.
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        connection.connect(f"/proc/self/fd/{descriptor}/{pid}")
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(descriptor)
    return connection


def ask(pid, do, timeout=30, **request):
    """The result of a request, or a Failure."""
    folder = sockets().get(pid)
    try:
        if folder is None:
            raise FileNotFoundError
        with connect(pid, folder, timeout) as connection:
            with contextlib.suppress(ConnectionError):  # turned away, it may say why
                connection.sendall(json.dumps({"do": do, **request}).encode() + b"\n")
            with connection.makefile("rb") as file:
                line = file.readline()
    except socket.timeout:
        raise Failure(
            _control.NO_ANSWER,
            f"Process {pid} did not answer within {timeout:g} s: a C call holds its "
            "interpreter, or it is stopped. Try again.",
        ) from None
    except (FileNotFoundError, ConnectionError):
        line = b""
    if not line:
        raise missing(pid)
    reply = json.loads(line)
    if not reply["ok"]:
        raise Failure(reply["status"], reply["error"])
    return reply["result"]


def missing(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return Failure(
            NO_PROCESS, f"There is no process {pid}. `hot-reload ps` lists them."
        )
    except OSError:
        pass
    return Failure(
        _control.NO_ENGINE,
        f"Process {pid} does not run the engine. `hot-reload attach {pid}` brings it "
        "in.",
    )


def running(timeout=2):
    """The states of all processes that answer."""
    states = []
    for pid in sorted(sockets()):
        try:
            state = ask(pid, "status", timeout)
            if state["version"] != hot_reload.__version__:
                state["error"] = f"runs version {state['version']} of hot_reload"
            states.append(state)
        except Failure as failure:
            if failure.status == _control.NO_ANSWER:
                states.append({"pid": pid, "error": str(failure)})
    return states


def the_only():
    states = running()
    if len(states) == 1:
        return states[0]["pid"]
    if not states:
        raise Failure(
            _control.NO_ENGINE,
            "No process runs the engine. Start one with `hot-reload run`, or enter one "
            "with `hot-reload attach PID`.",
        )
    pids = ", ".join(str(state["pid"]) for state in states)
    raise Failure(
        _control.SEVERAL, f"Several processes run the engine; name one: {pids}."
    )


def target(args, kind=None):
    """The process that is meant, and the other word as `kind`, or None."""
    words, own = list(args.words), 2 if kind else 1
    numbers = words[:-1] if kind is str and words else words
    if len(words) > own or not all(map(str.isdigit, numbers)):
        args.parser.error(f"not understood: {' '.join(words)}")
    pid = None
    if words and words[0].isdigit():
        number = int(words[0])
        # A count or a revision, unless it can only be a process.
        if kind is not int or len(words) == 2 or number in sockets():
            pid = int(words.pop(0))
        elif args.function is undo and number > UNDOABLE:
            raise missing(number)
    return pid or the_only(), kind(words[0]) if words else None


# -- What a person sees --------------------------------------------------------


class View:
    """Prints results: for a person on a terminal, plain, or as JSON."""

    def __init__(self, as_json):
        self.json = as_json
        if not as_json:
            from rich.console import Console

            self.console = Console(highlight=False)
            self.fancy = self.console.is_terminal

    def result(self, value):
        print(json.dumps({"ok": True, "result": value}), flush=True)

    def failure(self, failure):
        if self.json:
            reply = {"ok": False, "status": failure.status, "error": str(failure)}
            print(json.dumps(reply), flush=True)
        else:
            print(f"hot-reload: {failure}", file=sys.stderr)

    def line(self, text, style=None):
        # A name of a file, or an error, may have what is no character.
        text = text.encode("utf-8", "backslashreplace").decode()
        if self.fancy:
            self.console.print(text, style=style, markup=False, soft_wrap=True)
        else:
            print(text, flush=True)

    def table(self, columns, rows):
        rows = [[str(cell) for cell in row] for row in rows]
        if self.fancy:
            from rich import box
            from rich.table import Table
            from rich.text import Text

            table = Table(*columns, box=box.SIMPLE_HEAD, header_style="bold cyan")
            for row in rows:
                table.add_row(*map(Text, row))
            self.console.print(table)
            return
        widths = [max(map(len, column)) for column in zip(columns, *rows)]
        for row in [columns, *rows]:
            cells = [cell.ljust(width) for cell, width in zip(row, widths)]
            self.line("  ".join(cells).rstrip())

    def revision(self, r):
        state, style = ("ok", "green") if r["ok"] else ("refused", "red")
        state, style = ("undone", "yellow") if r["undone"] else (state, style)
        files = ", ".join(map(short, r["files"]))
        took = f"{(r['live_ns'] - r['saved_ns']) / 1e6:.2f} ms"
        self.line(f"#{r['id']}  {clock(r['time'])}  {files}  {took}  {state}", style)
        for e in r["edits"]:
            name = ".".join(filter(None, [e["module"], e["qualname"]]))
            line = f", line {e['line']}" if e["line"] else ""
            self.line(f"    {e['kind']} {name}{line}", "dim")
        for text in (r["error"] or "").rstrip().splitlines():
            self.line(f"    {text}", "red")


def short(path):
    near = os.path.relpath(path) if os.path.isabs(path) else path
    return path if near.startswith("..") else near


def clock(seconds):
    today = time.localtime()[:3] == time.localtime(seconds)[:3]
    form = "%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S"
    return time.strftime(form, time.localtime(seconds))


# -- Commands ------------------------------------------------------------------


def ps(args, view):
    """list the processes that run the engine"""
    states = running()
    if view.json:
        return view.result(states)
    columns = "PID PROGRAM SINCE ROOTS REVISIONS PATCHES ERRORS".split()
    rows = [
        [s["pid"], "?", "", "", "", "", s["error"]]
        if "error" in s
        else [
            s["pid"],
            " ".join(map(short, s["program"])) or "python",
            clock(s["since"]),
            ", ".join(map(short, s["roots"])),
            s["revisions"],
            len(s["patches"]),
            s["failures"],
        ]
        for s in states
    ]
    view.table(columns, rows)


def status(args, view):
    """what is replaced, followed, failed; what still runs old code"""
    s = ask(target(args)[0], "status")
    if view.json:
        return view.result(s)
    program = " ".join(map(short, s["program"]))
    view.line(f"{s['pid']}  {program}  (Python {s['python']})", "bold")
    view.line(f"since {clock(s['since'])}, {s['revisions']} revisions")
    for root in s["roots"]:
        view.line(f"follows {root}")
    for folder in s["live"]:
        view.line(f"runs the live files of {folder}")
    view.line(f"{s['sources']} source files are followed")
    if s["patches"]:
        view.line("\nReplaced", "bold")
        rows = [
            [
                f"{p['owner']}.{p['name']}",
                f"{short(p['file'])}:{p['line']}" if p["file"] else "",
                clock(p["since"]),
            ]
            for p in s["patches"]
        ]
        view.table(["NAME", "BY", "SINCE"], rows)
    if s["failing"]:
        view.line("\nFailed, so the code before runs", "bold")
        for r in s["failing"]:
            view.revision(r)
    if s.get("old_frames"):
        view.line("\nStill running old code", "bold")
        rows = [
            [
                f["function"],
                f"{short(f['file'])}:{f['line']}",
                f["thread"] or "suspended",
                f"before #{f['revision']}",
                clock(f["since"]),
            ]
            for f in s["old_frames"]
        ]
        view.table(["FUNCTION", "AT", "THREAD", "CODE", "SINCE"], rows)


def log(args, view):
    """list the revisions with their edits, times and errors"""
    pid, _ = target(args)
    last, undone, mark = 0, set(), None
    while True:
        try:
            found = ask(pid, "log", None if mark else 30, since=last, mark=mark)
        except Failure as failure:
            if mark and failure.status in (NO_PROCESS, _control.NO_ENGINE):
                view.json or view.line(f"Process {pid} has ended.")
                return
            raise
        if view.json and not args.follow:
            return view.result(found["revisions"])
        for r in found["revisions"]:
            print(json.dumps(r), flush=True) if view.json else view.revision(r)
            last = r["id"]
            undone |= {last} if r["undone"] else set()
        for number in sorted(set(found["undone"]) - undone, reverse=True):
            what = {"id": number, "undone": True}
            print(json.dumps(what), flush=True) if view.json else view.line(
                f"#{number}  undone", "yellow"
            )
        undone.update(found["undone"])
        mark = found["mark"]
        if not args.follow:
            if not found["revisions"]:
                view.line("There are no revisions yet: nothing was saved.")
            return


def diff(args, view):
    """what a revision changed; without one, what runs against what is on disk"""
    pid, revision = target(args, int)
    found = ask(pid, "diff", revision=revision)
    if view.json:
        return view.result(found)
    names = ["before", "after"] if found["revision"] else ["live", "disk"]
    styles = {"+": "green", "-": "red", "@": "cyan"}
    for file in found["files"]:
        texts = [(file[key] or "").splitlines() for key in ("before", "after")]
        titles = [f"{short(file['path'])} ({name})" for name in names]
        for text in difflib.unified_diff(*texts, *titles, lineterm=""):
            view.line(text, styles.get(text[:1]))
    if not found["files"]:
        view.line("What runs is what is on disk.")


def restore(args, view):
    """put originals back: NAME or --all"""
    if args.all is not all(map(str.isdigit, args.words)):
        args.parser.error("give a NAME, or --all")
    pid, name = target(args, None if args.all else str)
    done = ask(pid, "restore", name=name)
    show(view, done, f"Restored: {', '.join(done['restored'])}.")


def undo(args, view):
    """take the newest revisions back"""
    pid, count = target(args, int)
    count = 1 if count is None else count
    done = ask(pid, "undo", count=count)
    if view.json:
        view.result(done)
    else:
        for r in done["undone"]:
            view.revision(r)
    if len(done["undone"]) < count:
        raise Failure(
            _control.PARTLY,
            f"Only {len(done['undone'])} of {count} revisions could be undone; the "
            "older ones are gone. Save the old text instead.",
        )


def apply(args, view):
    """commit these files now"""
    first = args.words[0]
    named = first.isdigit() and len(args.words) > 1 and not os.path.exists(first)
    pid = int(args.words.pop(0)) if named else the_only()
    for name in args.words:
        if not os.path.isfile(name):
            raise Failure(_control.NO_FILE, f"There is no file {name}; check its name.")
    paths = [os.path.abspath(name) for name in args.words]
    done = ask(pid, "apply", paths=paths)
    if view.json:
        return view.result(done)
    view.revision(done["revision"])


def detach(args, view):
    """undo everything and leave the process"""
    pid, _ = target(args)
    done = ask(pid, "detach")
    show(
        view,
        done,
        f"Left process {pid}: {done['undone']} revisions undone, "
        f"{done['restored']} originals restored.",
    )
    if done["stays"]:
        raise Failure(
            _control.PARTLY,
            f"Revisions {', '.join(map(str, done['stays']))} were too old to be taken "
            "back; their changes stay until the process is restarted.",
        )


def show(view, result, sentence):
    view.result(result) if view.json else view.line(sentence)


def attach(args, view):
    """bring the engine into a process that was started without it"""
    roots = [os.path.abspath(root) for root in args.root]
    for root in filter(lambda root: not os.path.isdir(root), roots):
        raise Failure(_control.NO_FILE, f"There is no folder {root}; check --root.")
    try:
        done = ask(args.pid, "follow", roots=roots)
        words = f"Process {args.pid} runs the engine already; it follows "
        return show(view, done, words + ", ".join(done["roots"]) + ".")
    except Failure as failure:
        if failure.status != _control.NO_ENGINE:
            raise
    found = [Path(folder, "hot-reload-attach") for folder in hot_reload.__path__]
    found = [path for path in found if os.access(path, os.X_OK)]
    if not found:
        raise Failure(
            _control.NOT_INSTALLED,
            "The program hot-reload-attach is not installed here: it is for Linux on "
            "x86-64 and aarch64. Start the program with `hot-reload run` instead.",
        )
    command = [found[0], "--json", "--python-path", found[0].parents[1]]
    command += ["--python-version", "{}.{}".format(*sys.version_info)]
    command += ["--timeout", str(args.timeout)]
    command += [word for root in roots for word in ("--root", root)]
    command += [str(args.pid)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, encoding="utf-8", errors="replace"
    )
    report = json.loads(done.stdout or "{}")
    if done.returncode:
        raise Failure(done.returncode, report.get("message") or "See above.")
    words = "Attached to process {pid}, Python {python}: it stood still for "
    words += "{pause_us:.0f} us and answered after {acknowledged_ms:.1f} ms."
    show(view, report, words.format(**report))


# -- run -----------------------------------------------------------------------


def run(args, view):
    """start a program with following on"""
    words, main = args.words, types.ModuleType("__main__")
    # As Python makes it.
    vars(main).update(__builtins__=builtins, __annotations__={}, __cached__=None)
    if not words:
        args.parser.error("name a program, or -m and a module")
    path = os.path.abspath(words[0])
    if os.path.isdir(path) and not args.m:
        path = os.path.join(path, "__main__.py")
    if not args.m and not os.path.isfile(path):
        raise Failure(_control.NO_FILE, f"There is no file {path}; check its name.")
    folder = os.getcwd() if args.m else os.path.dirname(os.path.realpath(path))
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = folder
    sys.argv[:] = words
    log_to_terminal()
    try:
        hot_reload.start(*args.root or [folder])
    except NotADirectoryError as error:
        raise Failure(_control.NO_FILE, str(error)) from None
    if args.m:
        spec = find_main(words[0])
        main.__spec__, main.__package__ = spec, spec.parent
        main.__loader__, main.__file__ = spec.loader, spec.origin
        main.__cached__ = spec.cached
        sys.argv[0] = spec.origin
    else:
        main.__file__ = path
        main.__loader__ = SourceFileLoader("__main__", path)
    sys.modules["__main__"] = main
    _core.adopt()
    code = None
    try:
        code = main.__loader__.get_code(spec.name if args.m else "__main__")
        exec(code, vars(main))
    except SystemExit:
        raise
    except BaseException as error:
        # Without our own lines.
        error.__traceback__ = error.__traceback__.tb_next if code else None
        sys.excepthook(type(error), error, error.__traceback__)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


def find_main(name):
    """The spec of what `python -m name` runs."""
    sentence = f"There is no module {name} to run; check its name and the folder."
    try:
        spec = importlib.util.find_spec(name)
        if spec and spec.submodule_search_locations is not None:
            sentence = f"The package {name} has no __main__ to run; name a module."
            spec = importlib.util.find_spec(f"{name}.__main__")
    except ModuleNotFoundError:
        spec = None
    if not spec or not spec.origin or not hasattr(spec.loader, "get_code"):
        raise Failure(_control.NO_FILE, sentence)
    return spec


def log_to_terminal():
    """Show the engine's messages, unless the program sets up logging itself."""
    handler = logging.StreamHandler()
    handler.addFilter(lambda record: not logging.root.handlers)
    logger = logging.getLogger("hot_reload")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


# -- Arguments -----------------------------------------------------------------


def make_parser():
    parser = argparse.ArgumentParser(
        prog="hot-reload",
        description="Edit a line, save, and the running Python process runs it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=hot_reload.__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(function, usage, **options):
        name = function.__name__
        command = commands.add_parser(
            name,
            help=function.__doc__,
            description=function.__doc__,
            usage=f"hot-reload {name} {usage}".rstrip(),
            **options,
        )
        command.add_argument("--json", action="store_true", help="print JSON")
        command.set_defaults(function=function, parser=command)
        return command

    def add_root(command):
        text = "follow the sources under DIR (repeatable); else the program's folder"
        command.add_argument(
            "--root", action="append", default=[], metavar="DIR", help=text
        )

    command = add(run, "[--root DIR] (PROGRAM | -m MODULE) [ARGUMENT ...]")
    add_root(command)
    command.add_argument("-m", action="store_true", help="a module or package")
    command.add_argument("words", nargs=argparse.REMAINDER, metavar="PROGRAM")
    command = add(attach, "PID [--root DIR] [--timeout SECONDS]")
    add_root(command)
    command.add_argument("--timeout", type=float, default=3, help="for the answer")
    command.add_argument("pid", type=int, metavar="PID")
    add(ps, "").set_defaults(words=[])
    for function, usage in (
        (status, "[PID]"),
        (log, "[PID] [--follow]"),
        (diff, "[PID] [REVISION]"),
        (restore, "[PID] (NAME | --all)"),
        (undo, "[PID] [COUNT]"),
        (apply, "[PID] FILE ..."),
        (detach, "PID"),
    ):
        command = add(function, usage)
        count = "+" if function in (apply, detach) else "*"
        command.add_argument("words", nargs=count, metavar=usage)
        if function is log:
            command.add_argument("--follow", action="store_true", help="go on")
        if function is restore:
            command.add_argument("--all", action="store_true", help="all of them")
    return parser


def main(arguments=None):
    args = make_parser().parse_args(arguments)
    view = View(args.json)
    try:
        return args.function(args, view) or 0
    except Failure as failure:
        view.failure(failure)
        return failure.status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
