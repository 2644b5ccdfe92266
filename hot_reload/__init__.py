"""Edit a line, save, and the running process runs it.

    import hot_reload
    hot_reload.start("src")          # follow the program's own sources
    hot_reload.replace(m, m.f, g)    # everything that calls m.f runs g
    hot_reload.restore(m, m.f)

The engine is in C (`hot_reload._core`); see docs/architecture.md.
"""

import atexit as _atexit
import os as _os
import sys as _sys
from importlib.machinery import SourceFileLoader

try:
    from . import _core
except ImportError:
    # This is the source folder (a checkout, an extension's folder) and the
    # compiled core is in the installed package: be that one.
    for _folder in _sys.path:
        _package = _os.path.join(_folder or ".", "hot_reload")
        if _os.path.isdir(_package) and not _os.path.samefile(
            _package, _os.path.dirname(__file__)
        ):
            __path__.append(_package)
    from . import _core

from ._core import (
    Edit,
    Interrupted,
    Patch,
    Revision,
    RudeEdit,
    on_revision,
    original,
    patches,
    replace,
    restore,
    restore_all,
    revisions,
    sync,
    undo,
)

__version__ = "1.0.0"
__all__ = [
    "Edit",
    "Interrupted",
    "Patch",
    "Revision",
    "RudeEdit",
    "apply",
    "configure",
    "on_revision",
    "original",
    "patches",
    "replace",
    "restore",
    "restore_all",
    "revisions",
    "start",
    "status",
    "stop",
    "sync",
    "undo",
]

if hasattr(_os, "register_at_fork"):
    _os.register_at_fork(
        before=_core.before_fork,
        after_in_parent=lambda: _core.after_fork(False),
        after_in_child=lambda: _core.after_fork(True),
    )


def _paths(value):
    """One path, several or None, as a tuple of absolute paths."""
    if value is None:
        return ()
    if isinstance(value, (str, bytes, _os.PathLike)):
        value = (value,)
    return tuple(_os.path.abspath(_os.fsdecode(path)) for path in value)


def start(*roots, live=None, skip=(), watch=True):
    """Start the engine, or add to the running one.

    roots: folders whose Python sources are followed; with neither roots nor
    live, the folder of the program.  live: a folder of live files, or
    several; each `*.py` directly in it runs now and at every save.  skip: names
    in the live folders that are no live files.  watch: whether a save of a
    source makes it live; if not, only apply() does.

    Raises NotADirectoryError for a folder that is not there, OSError when one of
    live files cannot be watched.
    """
    if not roots and live is None:
        from ._control import program_folder

        roots = (program_folder(),)
    # Whoever imports it first is its main thread: not the engine's thread, for
    # the sake of its first message.
    import threading  # noqa: F401

    roots, live = _paths(roots), _paths(live)
    for folder in (*roots, *live):
        if not _os.path.isdir(folder):
            raise NotADirectoryError(
                f"start: {folder} is no folder; create it, or name another"
            )
    limit = _os.environ.get("HOT_RELOAD_TIME_LIMIT", "")
    if limit.isascii() and limit.isdigit():
        _core.set("time_limit", int(limit))
    if roots:
        _core.set("manual", not watch)
    _core.start(roots, live, ("__init__.py", *skip))
    SourceFileLoader.get_code = _get_code


def _get_code(self, fullname):
    # A file that no finder was asked for, as spec_from_file_location() loads it.
    _core.imported(self.get_filename(fullname))
    return super(SourceFileLoader, self).get_code(fullname)


def stop():
    """Stop watching and end the engine's thread.  What is replaced stays so.

    Raises RuntimeError in a live file, which the engine's thread runs.
    """
    if SourceFileLoader.__dict__.get("get_code") is _get_code:
        del SourceFileLoader.get_code
    _core.stop()


_atexit.register(stop)


def apply(*paths):
    """Read and commit these files now, in this thread.

    Returns the Revision (the last one, for several live files).  Raises
    RuntimeError when the engine is not running, ValueError when none of the
    files is followed.
    """
    return _core.apply(*_paths(paths))


def configure(*, logger=None, level=None, withdraw=None, follow=None, control=None):
    """Change settings; those that are None stay as they are.

    logger: a logging.Logger that takes the engine's messages.  level: the
    lowest level of messages, a name such as "INFO".  withdraw: whether a
    replacement ends when a live file's last run no longer made it (default:
    it stays, and a hint is logged).  follow: whether the folders given to
    start() are followed.  control: whether the next start() opens the socket of the
    command line `hot-reload`.

    Raises ValueError for a level that logging does not know.
    """
    if logger is not None:
        _core.set("logger", logger)
    if level is not None:
        import logging  # takes longer than all else here together

        number = logging.getLevelName(str(level).upper())
        if not isinstance(number, int):
            raise ValueError(
                f"configure: level is {level!r}; use DEBUG, INFO, WARNING or ERROR"
            )
        _core.set("level", number)
    if withdraw is not None:
        _core.set("withdraw", bool(withdraw))
    if follow is not None:
        _core.set("follow_off", not follow)
    if control is not None:
        _core.set("control_off", not control)


def _attached(roots, acknowledgement=None, added_path=None):
    # What hot-reload-attach calls in the process that it has entered.
    from ._control import attached

    attached(roots, added_path)


def _name(owner):
    # An object may answer to any name, and fill pages with its repr().
    if isinstance(owner, (type, type(_sys))):
        return str(getattr(owner, "__name__", owner))
    try:
        text = repr(owner)
    except Exception:
        text = ""
    return text if 0 < len(text) < 200 else object.__repr__(owner)


def status():
    """What the engine does now, as a dict of plain data that json can write.

    version, pid, running; patches (what is replaced), revisions (the number of the
    last one), failures, old_frames (what still runs old code); and while it runs:
    roots, live, follow, since (seconds since the epoch), watch (the watcher's counts).
    """
    result = {"version": __version__, "pid": _os.getpid(), **_core.engine_status()}
    result["patches"] = [
        {
            "owner": _name(p.owner),
            "name": p.name,
            "file": p.file,
            "line": p.line,
            "live": p.live,
            "since": p.since,
        }
        for p in patches()
    ]
    record = revisions()
    result["revisions"] = record[-1].id if record else 0
    result["failures"] = sum(not r.ok for r in record)
    result["old_frames"] = frames = _core.old_frames()
    threads = getattr(_sys.modules.get("threading"), "_active", {})
    for frame in frames:
        frame["thread"] = getattr(threads.get(frame["thread"]), "name", frame["thread"])
    return result
