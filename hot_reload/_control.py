"""What the requests of the control socket mean; src/core/control.c owns the socket.

A request is a line such as {"do": "undo", "count": 2}, its answer {"ok": true,
"result": ...} or {"ok": false, "status": 34, "error": "what to do"}. The functions
below that are listed in REQUESTS are the requests; their parameters are its other keys.
None executes what it is sent: `apply` and `follow` name files and folders on disk.
"""

import _thread
import inspect
import json
import os
import sys
import tokenize

import hot_reload

from . import _core

# Exit statuses of the command line, behind those of hot-reload-attach.
STATUSES = {
    30: "no process runs the engine, or not this one",
    31: "several processes run the engine, and none was named",
    32: "the process did not answer in time",
    33: "the edit was refused; nothing was changed",
    34: "there is nothing to undo, or nothing of that name is replaced",
    35: "the file is not there, or not followed",
    36: "the revision is unknown, or too old",
    37: "not all of it happened",
    38: "the request was not understood",
    39: "the engine failed",
    40: "the program hot-reload-attach is not installed",
    41: "too many clients are connected",
}
NO_ENGINE, SEVERAL, NO_ANSWER, REFUSED, NOTHING, NO_FILE = range(30, 36)
TOO_OLD, PARTLY, BAD_REQUEST, FAILED, NOT_INSTALLED, BUSY = range(36, 42)

EVERYTHING = sys.maxsize
added_paths = []  # to sys.path, by hot-reload-attach


class Failure(Exception):
    """Why it did not happen: a status and a sentence that says what to do."""

    def __init__(self, status, sentence):
        super().__init__(sentence)
        self.status = status


def answer(line):
    """The answer to a request, as bytes; None while it waits for a revision."""
    try:
        result = handle(line)
        if result is None:
            return None
        reply = {"ok": True, "result": result}
    except Failure as failure:
        reply = {"ok": False, "status": failure.status, "error": str(failure)}
    except Exception as error:
        sentence = f"The engine failed with {type(error).__name__}: {error}."
        reply = {"ok": False, "status": FAILED, "error": sentence}
    return json.dumps(reply, default=repr).encode() + b"\n"


def handle(line):
    try:
        request = json.loads(line)
        function = REQUESTS[request.pop("do")]
        bound = inspect.signature(function).bind(**request).arguments
        for name, value in bound.items():
            kind = function.__annotations__[name]
            if value is not None and type(value) is not kind:
                raise TypeError(f"{name} has to be of type {kind.__name__}")
    except Exception as error:
        known = ", ".join(REQUESTS)
        raise Failure(
            BAD_REQUEST,
            f"The request was not understood ({type(error).__name__}: {error}); send "
            f'one line such as {{"do": "status"}}, with one of {known}.',
        ) from None
    return function(**bound)


# -- Requests ------------------------------------------------------------------


def ping():
    return {"pid": os.getpid(), "version": hot_reload.__version__}


def status():
    failing = {}
    for r in hot_reload.revisions():
        for path in r.files:
            failing[path] = None if r.ok else r
    return {
        **hot_reload.status(),
        "program": sys.argv,
        "python": ".".join(map(str, sys.version_info[:3])),
        "sources": len(_core.sources()),
        "failing": [describe(r) for r in dict.fromkeys(failing.values()) if r],
    }


def log(since: int = 0, mark: list = None):
    """With the `mark` of an earlier answer: once there is something new."""
    record = hot_reload.revisions()
    undone = [r.id for r in record if r.undone]
    now = [record[-1].id if record else 0, len(undone)]
    if mark == now:
        return None
    newer = [describe(r) for r in record if r.id > since]
    return {"mark": now, "undone": undone, "revisions": newer}


def diff(revision: int = None):
    """Texts before and after: of a revision, or what runs and what is on disk."""
    if revision is None:
        pairs = [(path, text, read(path)) for path, text in _core.sources().items()]
        pairs = [pair for pair in pairs if pair[1] != pair[2]]
    else:
        found = [r for r in hot_reload.revisions() if r.id == revision]
        if not found or found[0].texts is None:
            raise Failure(
                TOO_OLD,
                f"The texts of revision {revision} are not kept: it does not exist, is "
                "too old, or was refused; `hot-reload log` lists them.",
            )
        pairs = [(path, *texts) for path, texts in found[0].texts.items()]
    files = [{"path": p, "before": old, "after": new} for p, old, new in sorted(pairs)]
    return {"revision": revision, "files": files}


def restore(name: str = None):
    """All that is replaced, or what has this name; `module.name` where needed."""
    found = {(full_name(p), p) for p in hot_reload.patches()}
    if name is not None:
        found = {(n, p) for n, p in found if n == name or n.endswith(f".{name}")}
    names = sorted({n for n, _ in found})
    if not found or (name is not None and len(names) > 1):
        raise Failure(
            NOTHING,
            f"{name} can be any of {', '.join(names)}; name one of them."
            if found
            else f"Nothing {f'named {name} ' if name else ''}is replaced; "
            "`hot-reload status` lists what is.",
        )
    if name is None:
        hot_reload.restore_all()
    for _, patch in found if name is not None else ():
        patch.restore()
    return {"restored": names}


def undo(count: int = 1):
    try:
        undone = hot_reload.undo(count)
    except ValueError as error:
        raise Failure(TOO_OLD, f"{error}.") from None
    if not undone:
        raise Failure(NOTHING, "There is no committed revision to undo; nothing to do.")
    return {"undone": [describe(r) for r in undone]}


def apply(paths: list):
    known = _core.sources()
    state = hot_reload.status()
    for path in paths:
        roots = tuple(os.path.join(root, "") for root in state["roots"])
        live = os.path.dirname(path) in state["live"]
        if not (path in known or live or path.startswith(roots)):
            raise Failure(
                NO_FILE,
                f"{path} is neither a live file nor under a followed folder; "
                "`hot-reload status` lists those, `hot-reload attach PID --root DIR` "
                "adds one.",
            )
    revision = describe(hot_reload.apply(*paths))
    if not revision["ok"]:
        refused = [
            f"{e['code']}: {e['sentence']}" for e in revision["edits"] if e["code"]
        ]
        last = (revision["error"] or "").strip().split("\n")[-1]
        last += "; nothing was changed, correct it and save"
        files = ", ".join(revision["files"])
        raise Failure(REFUSED, f"{files} was refused: {(refused or [last])[0]}.")
    return {"revision": revision}


def follow(roots: list):
    hot_reload.start(*roots or [program_folder()])
    return {"roots": hot_reload.status()["roots"]}


def detach():
    """Undo all, restore all, stop; the answer is on its way before the thread ends."""
    try:
        undone = hot_reload.undo(EVERYTHING)
    except ValueError:
        undone = []
    restored = hot_reload.restore_all()
    stays = [
        r.id for r in hot_reload.revisions() if r.ok and not r.undone and not r.live
    ]
    start_thread(leave, (_thread.get_ident(),))
    return {"undone": len(undone), "restored": restored, "stays": stays}


REQUESTS = {
    function.__name__: function
    for function in (ping, status, log, diff, restore, undo, apply, follow, detach)
}


# -- Their parts ---------------------------------------------------------------


def describe(revision):
    names = "kind", "module", "qualname", "file", "line", "code", "sentence"
    edits = [{name: getattr(e, name) for name in names} for e in revision.edits]
    names = "id", "files", "ok", "undone", "live", "error", "saved_ns", "live_ns"
    plain = {name: getattr(revision, name) for name in names}
    return {**plain, "time": revision.wall, "edits": edits}


def full_name(patch):
    owner = patch.owner
    if isinstance(owner, type(sys)):
        return f"{owner.__name__}.{patch.name}"
    # Not asked of an instance, which may answer to any name.
    owner = owner if isinstance(owner, type) else type(owner)
    return f"{owner.__module__}.{owner.__qualname__}.{patch.name}"


def read(path):
    """A source as the engine keeps it; None where it cannot be read."""
    try:
        with open(path, "rb") as file:
            encoding, _ = tokenize.detect_encoding(file.readline)
        with open(path, encoding=encoding, newline="") as file:
            return file.read()
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None


def program_folder():
    """The folder of the program's own sources, as far as can be told."""
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    if not file or not file.endswith(".py"):
        return os.getcwd()
    folder = os.path.dirname(os.path.abspath(file))
    for _ in filter(None, (main.__package__ or "").split(".")):
        folder = os.path.dirname(folder)
    return folder


def attached(roots, added_path=None):
    """Called in a process that hot-reload-attach has entered."""
    if added_path:
        added_paths.append(added_path)
    hot_reload.start(*roots or [program_folder()])


def start_thread(function, arguments):
    start = _thread.start_new_thread
    if "gevent.monkey" in sys.modules:
        monkey = sys.modules["gevent.monkey"]
        start = monkey.get_original("_thread", "start_new_thread")
    start(function, arguments)


def leave(engine):
    hot_reload.stop()
    # What logging has made of our threads, which are no more.
    active = getattr(sys.modules.get("threading"), "_active", {})
    for thread in engine, _thread.get_ident():
        active.pop(thread, None)
    while added_paths:
        path = added_paths.pop()
        if path in sys.path:
            sys.path.remove(path)
