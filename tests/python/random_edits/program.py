"""Two modules made of random blocks, and random edits of them.

Everything that is written here means the same after a fresh import as after the
edits that led to it: no state, no side effects, no variable that a live closure
cannot know. Names are never used for two kinds of things.
"""

from dataclasses import dataclass, field

MODULES = ("alpha", "beta")
KINDS = (
    ["const"] * 3
    + ["derived"] * 2
    + ["function"] * 6
    + ["maker"] * 2
    + ["lambda", "table", "decorator", "comment", "guarded"]
    + ["class"] * 4
    + ["data", "enum"]
)
LETTERS = {
    "const": "C",
    "derived": "D",
    "function": "f",
    "maker": "mk",
    "lambda": "l",
    "table": "t",
    "decorator": "w",
    "comment": "x",
    "guarded": "g",
    "class": "K",
    "data": "R",
    "enum": "E",
    "import": "i",
}


@dataclass
class Block:
    kind: str
    name: str
    text: str
    #: how often the decorators or the kind of callable were changed
    shape: int = 0


@dataclass
class Program:
    random: object
    blocks: dict = field(default_factory=dict)
    buried: list = field(default_factory=list)
    counter: int = 0

    def __post_init__(self):
        for module in MODULES:
            self.blocks[module] = []
        for module in MODULES:
            for _ in range(8):
                self.add(module)

    def copy(self):
        new = object.__new__(Program)
        new.random, new.counter = self.random, self.counter
        new.blocks = {m: list(blocks) for m, blocks in self.blocks.items()}
        new.buried = list(self.buried)
        return new

    def texts(self):
        return {m: "".join(b.text for b in bs) for m, bs in self.blocks.items()}

    # edits

    def edit(self):
        """One to four random edits; the modules that they touch."""
        touched = set()
        for _ in range(self.random.choice([1, 1, 1, 2, 3, 4])):
            module = self.random.choice(MODULES)
            act = self.random.choice(
                [self.change] * 8
                + [self.add] * 3
                + [self.delete, self.bring_back, self.move, self.import_names]
            )
            act(module)
            touched.add(module)
        return touched

    def change(self, module):
        blocks = self.blocks[module]
        if blocks:
            at = self.random.randrange(len(blocks))
            old = blocks[at]
            blocks[at] = self.make(module, old.kind, old.name, old.shape + 1)

    def add(self, module):
        if len(self.blocks[module]) > 16:
            return self.delete(module)
        kind = self.random.choice(KINDS)
        self.counter += 1
        name = f"{module[0]}{LETTERS[kind]}{self.counter}"
        block = self.make(module, kind, name, 0)
        blocks = self.blocks[module]
        blocks.insert(self.random.randint(0, len(blocks)), block)

    def delete(self, module):
        blocks = self.blocks[module]
        if len(blocks) > 4:
            block = blocks.pop(self.random.randrange(len(blocks)))
            self.buried.append((module, block))

    def bring_back(self, module):
        mine = [entry for entry in self.buried if entry[0] == module]
        if mine:
            entry = self.random.choice(mine)
            self.buried.remove(entry)
            blocks = self.blocks[module]
            blocks.insert(self.random.randint(0, len(blocks)), entry[1])

    def move(self, module):
        blocks = self.blocks[module]
        if blocks:
            block = blocks.pop(self.random.randrange(len(blocks)))
            blocks.insert(self.random.randint(0, len(blocks)), block)

    def import_names(self, module):
        """`beta` imports from `alpha`, both import from the library."""
        self.blocks[module] = [b for b in self.blocks[module] if b.kind != "import"]
        lines = self.random.sample(
            ["import math\n", "import json as j\n", "from os import path\n"],
            self.random.randint(0, 2),
        )
        if module == "beta":
            names = self.names("alpha", "const", "function", "class", "decorator")
            chosen = self.random.sample(names, min(len(names), 3))
            lines += [f"from alpha import {name}\n" for name in chosen]
            lines += self.random.sample(["import alpha\n"], self.random.randint(0, 1))
        self.blocks[module].insert(0, Block("import", f"{module}i", "".join(lines)))

    def spoil(self):
        """A statement that cannot be read or run, somewhere."""
        module = self.random.choice(MODULES)
        text = self.random.choice(
            [
                "def broken(:\n",
                "raise RuntimeError('injected')\n",
                "injected = 1 / 0\n",
                "import no_such_module_at_all\n",
                "class Broken:\n    x = 1\n    y = 1 / 0\n",
                "'unclosed\n",
                "  indented = 1\n",
            ]
        )
        blocks = self.blocks[module]
        block = Block("broken", "broken", text)
        blocks.insert(self.random.randint(0, len(blocks)), block)
        return module

    # parts

    def names(self, module, *kinds):
        """What a statement of the module may name."""
        found = [b.name for b in self.blocks[module] if b.kind in kinds]
        for block in self.blocks[module]:
            if block.kind == "import":
                words = block.text.split()
                letters = tuple(f"a{LETTERS[kind]}" for kind in kinds)
                found += [w for w in words if w.startswith(letters) and w != "alpha"]
        return [n for n in found if n.rstrip("0123456789") in self.stems(kinds)]

    def stems(self, kinds):
        return {m[0] + LETTERS[kind] for m in MODULES for kind in kinds}

    def value(self):
        return self.random.choice(
            ["1", "2", "0.5", "-0.0", "'s'", "b'b'", "True", "None", "(1, 'x')", "[]"]
            + ["{'k': 1}", "1e9", "''", "'''two\nlines'''", "f'{1 + 1}'", "frozenset()"]
        )

    def number(self):
        return str(self.random.randint(0, 99))

    def expression(self, module, parameters):
        atoms = [*parameters, self.number(), self.value()]
        atoms += self.names(module, "const", "derived", "function", "class")
        a, b = self.random.choice(atoms), self.random.choice(atoms)
        form = self.random.choice(
            ["({a}, {b})", "[{a}, {n}]", "str({a})", "({n}, {a})", "{{'k': {b}}}"]
            + ["[i for i in ({a}, {b})]", "({n} if {a} else {b})", "(lambda: {a})()"]
        )
        return form.format(a=a, b=b, n=self.number())

    def decorators(self, module):
        names = self.names(module, "decorator")
        count = self.random.choice([0, 0, 0, 1, 1, 2]) if names else 0
        return [self.random.choice(names) for _ in range(count)]

    def signature(self, module, plain=False):
        """(text, names of the parameters); all have defaults, `plain` ones or
        constants of the module."""
        names = self.random.sample(["a", "b", "c"], self.random.randint(0, 3))
        consts = [] if plain else self.names(module, "const")
        parts = []
        for name in names:
            default = self.random.choice([self.number(), *consts[:1]])
            hint = self.random.choice(["", ": int", ": 'text'"])
            parts.append(f"{name}{hint}={default}")
        if len(parts) > 1 and self.random.random() < 0.3:
            parts.insert(1, "*")
        return ", ".join(parts), names

    def make(self, module, kind, name, shape):
        text = getattr(self, f"make_{kind}")(module, name)
        gap = self.random.choice(["", "", "", "\n", "# note\n", "\n\n"])
        return Block(kind, name, gap + text, shape)

    def make_import(self, module, name):
        old = next(b for b in self.blocks[module] if b.kind == "import")
        return old.text

    def make_comment(self, module, name):
        return f"# {self.number()}\n" * self.random.randint(1, 4)

    def make_const(self, module, name):
        return f"{name} = {self.value()}\n"

    def make_derived(self, module, name):
        names = self.names(module, "const") or ["0"]
        a, b = self.random.choice(names), self.random.choice(names)
        form = self.random.choice(["({a}, {b})", "[{a}]", "f'{{{a}}}!'", "{{1: {a}}}"])
        return f"{name} = {form.format(a=a, b=b)}\n"

    def make_function(self, module, name):
        lines = [f"@{deco}\n" for deco in self.decorators(module)]
        signature, parameters = self.signature(module, plain=bool(lines))
        kind = self.random.choice(["def", "def", "def", "yield", "async"])
        opening = "async def" if kind == "async" else "def"
        lines.append(f"{opening} {name}({signature}):\n")
        if self.random.random() < 0.3:
            lines.append(f"    'doc {self.number()}'\n")
        for _ in range(self.random.randint(0, 2)):
            lines.append(f"    v = {self.expression(module, parameters)}\n")
        if kind == "yield":
            lines.append(f"    yield {self.expression(module, parameters)}\n")
        lines.append(f"    return {self.expression(module, parameters)}\n")
        return "".join(lines)

    def make_guarded(self, module, name):
        word = self.random.choice(["if True:", "try:", "for _ in (1,):", "with_"])
        body = f"    def {name}(a=1):\n        return (a, {self.number()})\n"
        if word == "try:":
            return f"try:\n{body}finally:\n    pass\n"
        if word == "with_":
            return f"import contextlib\nwith contextlib.suppress(KeyError):\n{body}"
        return f"{word}\n{body}"

    def make_maker(self, module, name):
        # The inner functions always use all variables, so that none is gained.
        n = [self.number() for _ in range(3)]
        if int(name[3:]) % 2:
            return (
                f"def {name}(p=1, q=2):\n"
                f"    def inner(x={n[0]}):\n"
                f"        return (p, q, x, {n[1]})\n"
                f"    return inner\n"
            )
        return (
            f"def {name}(p=1):\n"
            f"    def middle(q=2):\n"
            f"        def inner(x=3):\n"
            f"            return (p, q, x, {n[1]})\n"
            f"        return inner\n"
            f"    return middle()\n"
        )

    def make_lambda(self, module, name):
        return f"{name} = lambda a=1: {self.expression(module, ['a'])}\n"

    def make_table(self, module, name):
        return (
            f"{name} = {{\n"
            f"    'a': lambda a=1: (a, {self.number()}),\n"
            f"    'b': lambda a=2: [a, {self.number()}],\n"
            f"}}\n"
        )

    def make_decorator(self, module, name):
        wraps = "    @__import__('functools').wraps(fn)\n" * (int(name[2:]) % 2)
        return (
            f"def {name}(fn):\n{wraps}"
            f"    def wrapper(*a, **k):\n"
            f"        return ('{name}', {self.number()}, fn(*a, **k))\n"
            f"    return wrapper\n"
        )

    def make_class(self, module, name):
        bases = [b for b in self.names(module, "class") if b != name]
        chosen = self.random.sample(bases, min(len(bases), self.random.choice([0, 1])))
        lines = [f"class {name}{'(' + chosen[0] + ')' if chosen else ''}:\n"]
        if self.random.random() < 0.3:
            lines.append(f"    'doc {self.number()}'\n")
        lines.append(f"    __private = {self.number()}\n")
        if self.random.random() < 0.4:
            consts = self.names(module, "const") or ["7"]
            lines.append(f"    attr = {self.random.choice(consts)}\n")
        if self.random.random() < 0.3:
            lines.append(f"    hint: int = {self.number()}\n")
        for method in self.random.sample("mnopq", self.random.randint(1, 4)):
            lines.append(self.method(module, name, method))
        if self.random.random() < 0.2:
            n = self.number()
            lines.append(
                f"    class Nested:\n        def deep(self):\n            return {n}\n"
            )
        return "".join(lines)

    def method(self, module, name, method):
        kind = self.random.choice(
            ["plain"] * 3 + ["static", "class", "property", "super", "private"]
        )
        body = self.expression(module, [])
        if kind == "static":
            return f"    @staticmethod\n    def {method}(a=1): return {body}\n"
        if kind == "class":
            return f"    @classmethod\n    def {method}(cls): return cls, {body}\n"
        if kind == "property":
            return f"    @property\n    def {method}(self): return {body}\n"
        if kind == "super":
            body = (
                f"getattr(super(), '{method}', 'top') is not None, __class__.__name__"
            )
        if kind == "private":
            body = f"self._{name}__private, self.__private, {self.number()}"
        return f"    def {method}(self, a={self.number()}):\n        return {body}\n"

    def make_data(self, module, name):
        names = self.random.sample(["x", "y", "z"], self.random.randint(1, 3))
        fields = "".join(f"    {n}: int = {self.number()}\n" for n in names)
        return (
            f"@__import__('dataclasses').dataclass\nclass {name}:\n{fields}"
            f"    def total(self): return {self.number()}\n"
        )

    def make_enum(self, module, name):
        names = self.random.sample(["A", "B", "C"], self.random.randint(1, 3))
        members = "".join(f"    {n} = {k + 1}\n" for k, n in enumerate(names))
        return (
            f"class {name}(__import__('enum').Enum):\n{members}"
            f"    def show(self): return self.name, {self.number()}\n"
        )
