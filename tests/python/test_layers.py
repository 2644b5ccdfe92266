"""Layers: replacements on replacements, and saves and live runs beneath and between.

A model says what is in force: the sources at the bottom, the replacements on them in
the order in which they were made. Any of them may be restored at any time.
"""

import random

import pytest

NAMES = "m", "n", "x"


def text(base):
    """The sources: `base` maps names to what they return; x is an attribute."""
    members = "".join(f"    def {k}(self): return {base[k]!r}\n" for k in "mn")
    if base["x"] is not None:
        members += f"    x = {base['x']!r}\n"
    return f"class K:\n{members}\ndef f(): return {base['f']!r}\n"


def new_class(values):
    space = {k: returns(values[k]) for k in "mn"}
    if values["x"] is not None:
        space["x"] = values["x"]
    return type("K", (), space)


def returns(value):
    return lambda *self: value


class Model:
    """What is in force, by name; `layers` are (what, patch, values)."""

    def __init__(self, base):
        self.base = base
        self.layers = []

    def value(self, name):
        result = self.base[name]
        for what, _, values in self.layers:
            if what == "class" and name in NAMES or what == name:
                result = values[name]
        return result

    def copy(self):
        made = Model(dict(self.base))
        made.layers = list(self.layers)
        return made

    def put(self, what, patch, values):
        for i, (_, other, _) in enumerate(self.layers):
            if other is patch:
                self.layers[i] = (what, patch, values)
                return
        self.layers.append((what, patch, values))

    def drop(self, patch):
        self.layers = [layer for layer in self.layers if layer[1] is not patch]


class Player:
    def __init__(self, project, seed, tmp_path):
        self.random = random.Random(seed)
        self.project, self.engine = project, project.engine
        self.count = self.runs = 0
        self.model = Model({"m": "m0", "n": "n0", "x": "x0", "f": "f0"})
        self.folder = tmp_path / "live"
        self.folder.mkdir()
        self.engine.start(live=self.folder, watch=False)
        self.m = project.load(m=text(self.model.base))
        self.k, self.held = self.m.K(), self.m.f
        self.bound = self.k.m
        #: the model before each revision that undo() can take back
        self.saves = []

    def fresh(self, name):
        self.count += 1
        return f"{name}{self.count}"

    def values(self, names):
        return {name: self.fresh(name) for name in names}

    # what a step does, in the program and in the live file alike

    def replace(self, model, what):
        engine, m = self.engine, self.m
        values = self.values(NAMES if what == "class" else [what])
        if what == "class":
            if self.random.random() < 0.3:
                values["x"] = None
            patch = engine.replace(m, m.K, new_class(values))
        elif what == "f":
            patch = engine.replace(m, m.f, returns(values["f"]))
        else:
            patch = engine.replace(m.K, vars(m.K)[what], returns(values[what]))
        model.put(what, patch, values)

    def restore(self, model):
        if model.layers:
            _, patch, _ = self.random.choice(model.layers)
            patch.restore()
            model.drop(patch)

    def some(self, model):
        for _ in range(self.random.randint(1, 3)):
            if self.random.random() < 0.7:
                self.replace(model, self.random.choice(["class", "m", "n", "f"]))
            else:
                self.restore(model)

    # the steps

    def save(self):
        before = dict(self.model.base)
        for name in self.random.sample(["m", "n", "x", "f"], 2):
            self.model.base[name] = self.fresh(name)
        if self.random.random() < 0.3:
            self.model.base["x"] = None
        revision = self.project.save(m=text(self.model.base))
        assert revision.ok, revision.error
        self.saves.append(before)

    def undo(self):
        if self.saves:
            assert len(self.engine.undo()) == 1
            self.model.base = self.saves.pop()

    def run(self, fails=False):
        model = self.model.copy()
        self.m.player = lambda: self.some(model)
        self.runs += 1  # what did not change is not run again
        end = "raise ZeroDivisionError\n" if fails else ""
        text = f"# {self.runs}\nimport m\nm.player()\n{end}"
        (self.folder / "a.py").write_text(text)
        assert self.engine.sync(20)
        revision = self.engine.revisions()[-1]
        assert revision.ok is not fails, revision.error
        if not fails:
            if self.random.random() < 0.5:
                assert self.engine.undo() == [revision]
            else:
                self.model = model
                self.saves = []  # undo() would take the run back first

    def step(self):
        step = self.random.choice(
            [
                lambda: self.some(self.model),
                lambda: self.restore(self.model),
                self.save,
                self.undo,
                self.run,
                lambda: self.run(fails=True),
            ]
        )
        step()

    def check(self):
        model, k = self.model, self.k
        assert k.m() == self.bound() == model.value("m")
        assert k.n() == model.value("n")
        assert getattr(k, "x", None) == model.value("x")
        assert self.m.f is self.held and self.m.f() == model.value("f")
        assert [p for _, p, _ in model.layers] == self.engine.patches()


@pytest.mark.parametrize("seed", range(40))
def test_random_sequences(project, tmp_path, seed):
    player = Player(project, seed, tmp_path)
    for _ in range(40):
        player.step()
        player.check()
    player.engine.restore_all()
    player.model.layers = []
    player.check()
