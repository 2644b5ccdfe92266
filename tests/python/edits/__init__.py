"""The table of edits: what a save does to a running program.

Every case is an `Edit`: the sources before, the sources after, what the program
holds on to (`setup`) and what its user expects once the save is live (`check`).
Each file of this package holds one class of edits; `coverage.py` says which
classes there are. `runner.py` has cases run by `worker.py` in another process.

An edit that cannot be applied is refused with a number, and nothing of its batch
happens:

HR1xx  the text, or running it
    HR101  syntax error
    HR102  the bytes cannot be decoded (encoding, declaration, null bytes)
    HR103  not a source file that can be read (a directory, a FIFO, a symlink loop,
           no permission, too large)
    HR110  an exception while a changed statement was evaluated
    HR111  a changed statement did not end in time
HR2xx  functions
    HR201  a live closure would need the value of a variable that nobody can know.
           Refused for that closure only: it goes on with its old code, everything
           else of the batch becomes live (`partial`)
HR3xx  classes
    HR301  other slots: existing instances have no room for them
    HR302  other bases whose instances are laid out differently
    HR303  another metaclass that the class cannot change to
HR4xx  modules
    HR401  the module in `sys.modules` is not the one of this file
    HR402  it is not known which text the module was imported from
    HR403  a `from __future__` import changed what all the rest means
"""

import importlib
import textwrap
from dataclasses import dataclass
from pathlib import Path

GROUPS = tuple(
    sorted(
        path.stem
        for path in Path(__file__).parent.glob("*.py")
        if path.stem not in ("__init__", "coverage", "runner", "worker")
    )
)


class swap:
    """The text of the last save, with `old` (which stands there once) exchanged."""

    def __init__(self, *pairs):
        self.pairs = list(zip(pairs[::2], pairs[1::2]))

    def __call__(self, text, where):
        for old, new in self.pairs:
            if text.count(old) != 1:
                raise ValueError(f"{where}: {old!r} stands {text.count(old)} times")
            text = text.replace(old, new)
        return text


@dataclass
class Edit:
    """One case. A text alone means `m.py`; `None` deletes the file."""

    name: str
    before: dict
    after: dict
    #: run after `import m`, before the save
    setup: str = ""
    #: run after the last save; raises when the edit did not arrive
    check: str = ""
    #: the lowest version of Python
    python: tuple = (3, 9)
    #: further saves, one after the other
    then: tuple = ()
    #: run between the first save and the others
    mid: str = ""
    #: save `before` again at the end
    revert: bool = False
    #: the code (or "one or other") that the first save must be refused with
    refused: str = None
    #: the code that the first save may be refused with, instead of working;
    #: then `unchanged` is run instead of `check`
    may_refuse: str = None
    unchanged: str = ""
    #: only a part was refused: the revision is good, and lists the refusal
    partial: bool = False
    #: a fresh import of the last texts, `setup` and `check` pass, too
    fresh: bool = True
    #: `check` passes without the edit, too
    quiet: bool = False
    #: a module that must be installed
    needs: str = ""
    #: how the save is made known; where all files must be one batch, only "apply"
    ways: tuple = ("apply", "save")
    group: str = ""

    def __post_init__(self):
        self.before = {file: clean(text) for file, text in by_file(self.before).items()}
        files = dict(self.before)
        self.after = self.next(files, self.after)
        self.then = tuple(self.next(files, step) for step in self.then)
        self.last = files
        self.setup, self.check, self.mid, self.unchanged = (
            clean(text) for text in (self.setup, self.check, self.mid, self.unchanged)
        )

    def next(self, files, step):
        """The files of one save as texts; `files` is brought up to date."""
        saved = {}
        for file, text in by_file(step).items():
            if isinstance(text, swap):
                text = text(files[file], self.name)
            saved[file] = clean(text)
        files.update(saved)
        return saved

    def saves(self):
        """All saves in order."""
        return [self.after, *self.then, *([self.before] if self.revert else [])]

    def final(self):
        """The files whose definitions the program must have at the end."""
        if self.revert or (self.refused and not self.partial and not self.then):
            return self.before
        return self.last


def by_file(step):
    return step if isinstance(step, dict) else {"m.py": step}


def clean(text):
    if isinstance(text, str):
        return textwrap.dedent(text[1:] if text.startswith("\n") else text)
    return text


def load(group):
    """The cases of one file of this package."""
    edits = importlib.import_module(f"{__name__}.{group}").EDITS
    for edit in edits:
        edit.group = group
    return edits


def load_all():
    return [edit for group in GROUPS for edit in load(group)]
