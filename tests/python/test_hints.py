"""What a save leaves as it was, and a fresh start would not, is said in the log."""

import pytest

READS = "which has changed; it is not run again"
NOTED = "has noted of it stays as it was"

REGISTRY = """
class Registry(dict):
    def add(self, f):
        self[f.__name__] = f
        return f
    def at(self, name):
        return self.add
reg = Registry()
@reg.add
def f(a): return 1
@reg.at("/")
def g(a): return 2
"""


def hints(project):
    return [
        record.getMessage()
        for record in project.caplog.records
        if READS in record.getMessage() or NOTED in record.getMessage()
    ]


CALLS = """
import json
N = 1
TEXT = "a"
calls = []
def call(*a): calls.append(a)
handlers = {}
def on(name):
    def register(f):
        handlers[name] = f
        return f
    return register
call(N)
X = [call(N)]
Y = N + 1
def f(a=N): return N
@on("f")
def g(): return N
@on("g")
def h(): return TEXT
for i in range(2):
    call(i, N)
if __name__ == "__main__":
    call(N)
"""


@pytest.mark.parametrize(
    "old, new, lines",
    [
        ("N = 1", "N = 2", {13, 14, 21}),
        ("TEXT = 'a'", "TEXT = 'b'", set()),
        ("handlers = {}", "handlers = {'z': 1}", {17, 19}),
        ("handlers = {}", "handlers: dict = {}", set()),
        ("N = 1", "N = 2 - 1", set()),
        ("call(N)\nX", "call(N, 1)\nX", set()),
        ("import json", "import json, sys", set()),
    ],
)
def test_statements_that_read_what_changed(project, old, new, lines):
    m = project.load(m=CALLS)
    text = CALLS.replace(old.replace("'", '"'), new)
    assert project.save(m=text).ok
    said = hints(project)
    assert {int(s.split("line ")[1].split(":")[0]) for s in said} == lines, said
    assert m.Y == m.N + 1 and len(m.calls) == (5 if "call(N, 1)" in text else 4)


def test_another_module(project):
    project.load(m="from conf import N\nimport conf\nprint(N)\n", conf="N = 1\n")
    assert project.save(conf="N = 2\n").ok
    assert [s.split(", ")[1] for s in hints(project)] == [
        "line 3: this statement reads N"
    ]


@pytest.mark.parametrize(
    "old, new, why",
    [
        ("def f(a): return 1", "def f(a, b=1): return 1", "f is declared otherwise"),
        ("def g(a): return 2", "async def g(a): return 2", "g is declared otherwise"),
        ('@reg.at("/")', '@reg.at("/x")', "g has other decorators"),
        ("@reg.add\n", "", "f has other decorators"),
        ('@reg.at("/")\ndef g(a): return 2\n', "", "g is gone"),
        ("def g(a)", "def gg(a)", "g is gone"),
    ],
)
def test_what_decorators_have_registered(project, old, new, why):
    project.load(m=REGISTRY)
    assert project.save(m=REGISTRY.replace(old, new)).ok
    (said,) = hints(project)
    assert why in said and "what reg has noted" in said


@pytest.mark.parametrize(
    "old, new",
    [
        ("return 1", "return 11"),
        ("reg = Registry()", "reg = Registry(x=1)"),
        ("    return 2", "    # nothing\n    return 2"),
    ],
)
def test_nothing_to_say(project, old, new):
    project.load(m=REGISTRY)
    assert project.save(m=REGISTRY.replace(old, new)).ok
    assert hints(project) == []
