"""The running program, with the engine; next to it a process that imports afresh.

worker.py run SEED STEPS WAY   random edits; a JSON line when something differs
worker.py pair                 {"before", "after"} from standard input: one save
worker.py fresh                texts in, pictures out, line by line; no engine
"""

import faulthandler
import importlib
import inspect
import json
import random
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path

from random_edits import picture
from random_edits.program import MODULES, Program

#: seconds without an end of a step
LIMIT = 30
PATIENCE = 5


#: kinds of which the object itself stays
IDENTICAL = ("class", "data", "named", "enum", "maker", "decorator", "guarded")


class Difference(Exception):
    pass


# without the engine


def import_texts(texts):
    """The pictures of both modules, or what went wrong."""
    for name in MODULES:
        sys.modules.pop(name, None)
    try:
        for name in MODULES:
            module = types.ModuleType(name)
            module.__file__ = f"/{name}.py"
            sys.modules[name] = module
            code = compile(texts[name], module.__file__, "exec", dont_inherit=True)
            exec(code, vars(module))
    except Exception as error:
        return {"error": repr(error)}
    return {name: picture.of_module(sys.modules[name], "") for name in MODULES}


def serve():
    for line in sys.stdin:
        print(json.dumps(import_texts(json.loads(line))), flush=True)


class Fresh:
    """The process that imports afresh."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "random_edits.worker", "fresh"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def look(self, texts):
        print(json.dumps(texts), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# with the engine


class Running:
    """The modules that are edited, and what is held of them."""

    def __init__(self, texts, way):
        self.engine = importlib.import_module("hot_reload")
        self.way = way
        self.folder = Path(tempfile.mkdtemp(prefix="random-edits-")).resolve()
        self.write(texts)
        sys.path.insert(0, str(self.folder))
        sys.dont_write_bytecode = True
        self.engine.start(str(self.folder), watch=way == "save")
        self.modules = {name: importlib.import_module(name) for name in MODULES}
        self.held = {}

    def is_saved(self, name, text):
        path = self.folder / f"{name}.py"
        return path.exists() and path.read_text() == text

    def write(self, texts):
        paths = []
        for name, text in texts.items():
            if not self.is_saved(name, text):
                path = self.folder / f"{name}.py"
                path.write_text(text)
                paths.append(str(path))
        return paths

    def save(self, texts):
        """Was it applied?"""
        last = max((r.id for r in self.engine.revisions()), default=-1)
        # Files saved one after the other may be seen one after the other.
        several = sum(not self.is_saved(*item) for item in texts.items()) > 1
        self.engine.start(watch=self.way == "save" and not several)
        paths = self.write(texts)
        if not paths:
            return True, None
        if self.way == "apply" or several:
            revision = self.engine.apply(*paths)
            self.engine.sync()  # before saves are looked at again
            return revision.ok, revision.error
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            live = self.engine.sync(0.05)
            new = [r for r in self.engine.revisions() if r.id > last]
            if not all(r.ok for r in new):
                return False, new[-1].error
            if live:
                return True, None
        raise Difference("the save was not live in time")

    def look(self):
        found = {n: picture.of_module(m, "") for n, m in self.modules.items()}
        return json.loads(json.dumps(found))

    def compare(self, expected):
        """With a fresh import."""
        found = picture.difference(self.look(), expected)
        if found:
            raise Difference(f"running != fresh: {found}")
        beta, alpha = vars(self.modules["beta"]), vars(self.modules["alpha"])
        for name, value in beta.items():
            if name in alpha and not name.startswith("__"):
                if inspect.isroutine(value) or inspect.isclass(value):
                    if value is not alpha[name]:
                        raise Difference(f"beta.{name} is not alpha.{name}")

    # what is held from the start, for as long as its name is there

    def hold(self, program):
        blocks = {
            (module, b.name): b for module in MODULES for b in program.blocks[module]
        }
        for key in list(self.held):
            if key not in blocks:
                del self.held[key]
        for key, block in blocks.items():
            if key not in self.held and block.kind not in ("comment", "import"):
                if hasattr(self.modules[key[0]], block.name):
                    self.held[key] = self.take(key, block)

    def take(self, key, block):
        value = getattr(self.modules[key[0]], key[1])
        parts = {}
        if block.kind == "maker":
            parts["closure"] = value()
        elif block.kind in ("class", "data", "named"):
            parts["instance"] = value()
        elif block.kind == "table":
            parts.update(value)
        elif block.kind == "enum":
            parts.update(value.__members__)
        return block.kind, value, parts

    def compare_held(self):
        for (module, name), (kind, value, parts) in self.held.items():
            try:
                self.compare_one(module, name, kind, value, parts)
            except Difference as error:
                raise Difference(f"held {module}.{name}: {error}") from None

    def compare_one(self, module, name, kind, value, parts):
        now = getattr(self.modules[module], name)
        if kind == "enum":  # a member that comes back is another one
            for part in [p for p in parts if p not in now.__members__]:
                del parts[part]
        if kind in IDENTICAL:
            same("identity", value is now, True)
        if kind in ("function", "lambda", "cached", "manager"):
            same("results", picture.results(value), picture.results(now))
        for part, old in parts.items():
            if kind == "maker":
                same("closure", of_closure(old), of_closure(now()))
            elif kind == "class":
                same("instance", picture.of_instance(old), picture.of_instance(now()))
            elif kind in ("data", "named"):
                same("method", old.total(), now().total())
            elif kind == "table":
                same("lambda", picture.results(old), picture.results(now[part]))
            elif kind == "enum" and part in now.__members__:
                same("member", now[part] is old, True)


def of_closure(function):
    """A live closure keeps the defaults that it was made with, as a running frame
    keeps its variables: only calls that give all arguments can be compared."""
    found = picture.of(function)
    return {**found, "signature": None, "results": found["results"][1:]}


def same(what, a, b):
    if a != b:
        raise Difference(f"{what}: {a!r} != {b!r}")


def run(seed, steps, way):
    """Random edits; None, or what to report."""
    rng = random.Random(seed)
    fresh = Fresh()
    program = good_program(rng, fresh)
    texts = program.texts()
    running = Running(texts, way)
    expected = fresh.look(texts)
    applied = refused = 0
    step, before = 0, texts
    faulthandler.enable()
    try:
        running.compare(expected)
        running.hold(program)
        for step in range(steps):
            faulthandler.dump_traceback_later(LIMIT, exit=True)
            before = texts
            candidate = program.copy()
            candidate.edit()
            picture_after = fresh.look(candidate.texts())
            if "error" in picture_after:
                continue
            if rng.random() < 0.15:
                broken = candidate.copy()
                broken.spoil()
                texts = broken.texts()
                if "error" in fresh.look(texts):
                    note(seed, step, before, texts)
                    ok, error = running.save(texts)
                    if ok:
                        raise Difference("a broken text was applied")
                    if not error:
                        raise Difference("a refusal without a word")
                    running.compare(expected)
                    running.compare_held()
                    refused += 1
            texts = candidate.texts()
            note(seed, step, before, texts)
            ok, error = running.save(texts)
            if not ok:
                raise Difference(f"a good text was refused: {error}")
            program, expected = candidate, picture_after
            running.compare(expected)
            running.hold(program)
            running.compare_held()
            applied += 1
        return {"applied": applied, "refused": refused}
    except Difference as error:
        found = {"seed": seed, "step": step, "problem": str(error)}
        return {**found, "before": before, "after": texts}
    finally:
        faulthandler.cancel_dump_traceback_later()
        running.engine.stop()
        fresh.close()


def note(seed, step, before, after):
    """For whoever finds the process crashed: what it was doing."""
    report = {"seed": seed, "step": step, "before": before, "after": after}
    sys.stderr.write("\nSTEP " + json.dumps(report) + "\n")


def good_program(rng, fresh):
    while True:
        program = Program(rng)
        if "error" not in fresh.look(program.texts()):
            return program


def run_pair(before, after):
    """One save from one text to the other; the problem, or None."""
    fresh = Fresh()
    try:
        if "error" in fresh.look(before):
            return None
        expected = fresh.look(after)
        running = Running(before, "apply")
        ok, error = running.save(after)
        if "error" in expected:
            return None  # it may lie in a statement that did not change
        if not ok:
            return f"a good text was refused: {error}"
        running.compare(expected)
    except Difference as error:
        return str(error)
    finally:
        fresh.close()
    return None


def main(what, *arguments):
    if what == "fresh":
        return serve()
    if what == "pair":
        pair = json.load(sys.stdin)
        print(json.dumps({"problem": run_pair(pair["before"], pair["after"])}))
    else:
        seed, steps, way = arguments
        print(json.dumps(run(int(seed), int(steps), way)))
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
