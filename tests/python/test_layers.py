"""Layers: replacements on replacements, and saves and live runs beneath and between.

A model says what is in force: the sources at the bottom, the replacements on them in
the order in which they were made. Any of them may be restored at any time.
"""

import random
import types

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
        self.engine.start(live=self.folder)
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


# -- What is replaced everywhere, and for one owner besides ------------------------


@pytest.fixture
def m(module):
    return module("m", "class K:\n    def f(self): return 1\n")


def test_an_object_of_a_class_whose_method_is_replaced(clean, m):
    o, other = m.K(), m.K()
    held = o.f
    clean.replace(m.K, m.K.f, lambda self: ("class", clean.original(m.K.f)(self)))
    clean.replace(o, o.f, lambda self: ("object", clean.original(o.f)()))
    assert o.f() == held() == ("object", ("class", 1)), "its own, on the class's"
    assert other.f() == ("class", 1)
    assert len(clean.patches()) == 2
    clean.restore(o, o.f)
    assert o.f() == held() == ("class", 1)
    clean.replace(o, o.f, lambda: "object")
    clean.restore(m.K, m.K.f)
    assert (o.f(), other.f()) == ("object", 1)
    clean.restore_all()
    assert (o.f(), held(), other.f()) == (1, 1, 1)


def test_a_class_of_which_an_object_has_its_own(clean, m):
    o, other = m.K(), m.K()
    clean.replace(o, o.f, lambda: "object")
    clean.replace(m.K, m.K.f, lambda self: "class")
    assert (o.f(), other.f()) == ("object", "class")
    assert clean.restore(other, other.f) is False, "nothing is replaced for it alone"
    clean.restore(o, o.f)
    assert (o.f(), other.f()) == ("class", "class")
    clean.restore_all()
    assert (o.f(), other.f()) == (1, 1)


def test_a_subclass_that_inherits_what_is_replaced(clean, m):
    class S(m.K):
        pass

    clean.replace(m.K, m.K.f, lambda self: "base")
    clean.replace(S, S.f, lambda self: "sub")
    assert (m.K().f(), S().f()) == ("base", "sub")
    clean.restore(m.K, m.K.f)
    assert (m.K().f(), S().f()) == (1, "sub")
    clean.restore_all()
    assert (m.K().f(), S().f()) == (1, 1)


def test_an_object_that_holds_what_a_module_has_replaced(clean, m):
    ns = types.SimpleNamespace()
    m.g = lambda: "g"
    ns.g = m.g
    clean.replace(m, m.g, lambda: "module")
    before = clean.original(m.g)
    clean.replace(ns, before, lambda: "object")
    assert (m.g(), ns.g()) == ("module", "object")
    clean.restore_all()
    assert m.g() == ns.g() == "g"


def test_the_original_of_one_replaces_another(project):
    text = "def f(): return 'f'\ndef g(): return 'g'\n"
    m = project.load(m=text)
    engine = project.engine
    engine.replace(m, m.f, m.g)
    engine.replace(m, m.g, engine.original(m.f))
    assert (m.f(), m.g()) == ("g", "f")
    project.save(m=text.replace("'f'", "'F'"))
    assert (m.f(), m.g()) == ("g", "F")
    project.save(m=text.replace("'f'", "'F'").replace("'g'", "'G'"))
    assert (m.f(), m.g()) == ("G", "F")
    engine.restore_all()
    assert (m.f(), m.g()) == ("F", "G")
