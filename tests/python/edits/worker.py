"""Runs cases of the table in this process, which may crash: see `runner.py`.

Reads one JSON line `[case, way]` per job from standard input and writes
`{"start": n}` and `{"end": n, "problem": text or null}` to standard output.

The ways:
    apply   the edit, made known by `hot_reload.apply()`
    save    the edit, found by the watcher after `hot_reload.start()`
    fresh   no engine: the last texts are imported afresh, then `setup`, `check`
    stale   no engine: the texts before, then `setup`, `check`
    setup   no engine: the texts before, then `setup`
"""

import ast
import faulthandler
import importlib
import json
import linecache
import os
import re
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

import edits

#: seconds for one case before the process is ended, with the stacks of its threads
LIMIT = 20
#: seconds for a save to become live
PATIENCE = 5
EXAMPLES = Path(__file__).resolve().parents[4] / "shared" / "edits" / "edits.json"


class Problem(Exception):
    pass


def write(folder, files):
    """Write in place, in the order given; the paths of what is there then."""
    paths = []
    for file, text in files.items():
        path = folder / file
        if text is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as out:
            out.write(text if isinstance(text, bytes) else text.encode())
        paths.append(str(path))
    return paths


def codes_of(revision):
    found = {edit.code for edit in revision.edits if edit.kind == "refused"}
    return found | set(re.findall(r"HR\d{3}", revision.error or ""))


class Engine:
    """Saves files in one of the two ways, and says what became of them."""

    def __init__(self, way, folder):
        self.hot_reload = importlib.import_module("hot_reload")
        self.way, self.folder = way, folder
        self.hot_reload.start(str(folder), watch=way == "save")

    def save(self, files):
        """(good, codes of what was refused, texts of errors)"""
        last = max((r.id for r in self.hot_reload.revisions()), default=-1)
        paths = write(self.folder, files)
        good = True
        if self.way == "apply":
            if paths:
                good = self.hot_reload.apply(*paths).ok
            new = self.newer(last)
        else:
            deadline = time.monotonic() + PATIENCE
            while True:
                live = self.hot_reload.sync(0.05)
                new = self.newer(last)
                if live or not all(r.ok for r in new):
                    break
                if time.monotonic() > deadline:
                    raise Problem(f"the save was not live after {PATIENCE} s")
            good = all(r.ok for r in new)
        codes = set().union(*map(codes_of, new)) if new else set()
        return good, codes, [r.error for r in new if r.error]

    def newer(self, last):
        return [r for r in self.hot_reload.revisions() if r.id > last]


def run_edit(edit, engine, scope, folder):
    """Save by save, then the check."""
    check = edit.check
    for number, files in enumerate(edit.saves()):
        good, codes, errors = engine.save(files)
        told = f"good={good}, codes={sorted(codes)}, errors={errors}"
        if number == 0 and edit.refused:
            if good != edit.partial or not codes & set(edit.refused.split(" or ")):
                raise Problem(f"save 1 must be refused with {edit.refused}: {told}")
        elif number == 0 and edit.may_refuse and (codes or not good):
            if good != edit.partial or edit.may_refuse not in codes:
                raise Problem(f"save 1 may only refuse {edit.may_refuse}: {told}")
            check = edit.unchanged
        elif codes or not good:
            raise Problem(f"save {number + 1} was refused: {told}")
        if number == 0:
            execute(edit.mid, "mid", scope, folder)
    execute(check, "check", scope, folder)


def run_example(example, engine, scope, folder):
    """One of ../shared/edits: its `setup` may ask for more saves."""
    saves = [example["after"]]
    saves += [scope[name] for name in ("THEN", "THEN2") if name in scope]
    saves += scope.get("MANY", [])
    saves += [example["before"]] if scope.get("REVERT") else []
    for number, files in enumerate(saves):
        good, codes, errors = engine.save(files)
        if example["name"] == "slots_add" and not good and "HR301" in codes:
            return
        if number == 0 and "MID" in scope:
            execute(scope["MID"], "mid", scope, folder)
    execute(example["check"], "check", scope, folder)


def execute(text, what, scope, folder):
    """Run a text of a case; the line of a failed assertion goes into the report."""
    tree = ast.parse(text, str(folder / what))
    linecache.cache[str(folder / what)] = (
        len(text),
        None,
        text.splitlines(True),
        str(folder / what),
    )
    exec(compile(tree, str(folder / what), "exec", dont_inherit=True), scope)


def run(case, way):
    source, name = case.split(":")
    if source == "example":
        case = next(c for c in json.loads(EXAMPLES.read_text()) if c["name"] == name)
        before, setup = case["before"], case["setup"]
    else:
        case = TABLE[name]
        before, setup = case.before, case.setup
    folder = Path(tempfile.mkdtemp(prefix="edits-")).resolve()
    linecache.clearcache()
    known = set(sys.modules)
    path = list(sys.path)
    engine = None
    try:
        files = case.final() if way == "fresh" else before
        write(folder, {k: v for k, v in files.items() if v is not None})
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()
        if way in ("apply", "save"):
            engine = Engine(way, folder)
        scope = {"__name__": "case", "m": importlib.import_module("m")}
        if source == "example":
            # One example takes the decorator of its first text as given.
            scope["DEC"] = before["m.py"].partition("@deco")[0]
        execute(setup, "setup", scope, folder)
        if way == "setup":
            pass
        elif engine is None:
            execute(case.check, "check", scope, folder)
        elif source == "example":
            run_example(case, engine, scope, folder)
        else:
            run_edit(case, engine, scope, folder)
    finally:
        if engine is not None:
            engine.hot_reload.stop()
        sys.path[:] = path
        for name, module in list(sys.modules.items()):
            if name not in known and is_of(module, folder):
                del sys.modules[name]
        for entry in list(sys.path_importer_cache):
            if entry.startswith(str(folder)):
                del sys.path_importer_cache[entry]
        shutil.rmtree(folder, ignore_errors=True)


def is_of(module, folder):
    """Was the module loaded from the folder, as a file or as a namespace?"""
    spec = getattr(module, "__spec__", None)
    places = [getattr(spec, "origin", None)]
    places += list(getattr(spec, "submodule_search_locations", None) or [])
    return any(str(place).startswith(str(folder)) for place in places)


def main():
    reply = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.dont_write_bytecode = True
    faulthandler.enable()

    def say(**line):
        print(json.dumps(line), file=reply, flush=True)

    for number, line in enumerate(sys.stdin):
        case, way = json.loads(line)
        say(start=number)
        faulthandler.dump_traceback_later(LIMIT, exit=True)
        problem = None
        try:
            run(case, way)
        except BaseException:
            problem = traceback.format_exc()
        faulthandler.cancel_dump_traceback_later()
        say(end=number, problem=problem)
    reply.flush()
    # Threads and handlers that a failed case left behind shall not hold us up.
    os._exit(0)


TABLE = {edit.name: edit for edit in edits.load_all()}

if __name__ == "__main__":
    main()
