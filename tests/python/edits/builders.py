"""A changed base, and compound statements further down that build upon it."""

from . import Edit, swap

THEME = """
class Theme:
    def __init__(self, **kept):
        self.kept = kept
    def set(self, **more):
        self.kept.update(more)
        return self

class args:
    plain = False

theme = Theme(padding=6, radius=1).set(color="red")
if not args.plain:
    theme = theme.set(radius=2)
"""
# Two style sheets beside the module, as the webui reads its own.
SHEETS = """
import pathlib
HERE = pathlib.Path(__file__).parent
"""
SHEET = """
with open(HERE / "a.txt") as f:
    css = f.read()
with open(HERE / "b.txt") as f:
    css += f.read()
"""
TABLE = """
class Kept:
    def __init__(self):
        self.made = 0
    def make(self, k):
        self.made += 1
        return k + "!"

kept = Kept()
TABLE = {"own": "1"}
for k in ("a", "b"):
    TABLE[k] = kept.make(k)
"""
LOG = """
count = 0
def begin():
    global count
    count += 1
    return "began"

NAMES = ["a"]
if True:
    NAMES += ["b"]
    state = begin()
"""

EDITS = [
    Edit(
        "builder_condition_on_an_attribute",
        THEME,
        swap("padding=6", "padding=9"),
        check="assert m.theme.kept == dict(padding=9, radius=2, color='red')",
    ),
    Edit(
        "builder_condition_that_is_false",
        THEME.replace("not args.plain", "args.plain"),
        swap("padding=6", "padding=9"),
        check="assert m.theme.kept == dict(padding=9, radius=1, color='red')",
    ),
    Edit(
        "builder_with_reads_a_file",
        {"m.py": SHEETS + SHEET, "a.txt": "a", "b.txt": "b"},
        {"m.py": swap("css = f.read()", "css = f.read().upper()")},
        check="assert m.css == 'Ab'",
    ),
    Edit(
        "builder_with_changed_and_the_next_follows",
        {
            "m.py": SHEETS + SHEET + SHEET[SHEET.index("with", 5) :],
            "a.txt": "a",
            "b.txt": "b",
        },
        {"m.py": swap('a.txt") as f:\n    css = f.read()', 'a.txt"):\n    css = "A"')},
        check="assert m.css == 'Abb'",
    ),
    Edit(
        "builder_loop_fills_the_new_dict",
        TABLE,
        swap('"own": "1"', '"own": "2"'),
        setup="before = m.TABLE",
        check="""
            assert m.TABLE == {"own": "2", "a": "a!", "b": "b!"}
            assert before == {"own": "1", "a": "a!", "b": "b!"} or before is m.TABLE
        """,
    ),
    Edit(
        "builder_loop_appends_under_try",
        """
        class Box(list):
            def put(self, x): self.append(x)
        def parse(x): return int(x)
        box = Box(["0"])
        for text in ("1", "x", "2"):
            try:
                box.put(parse(text))
            except ValueError:
                box.put(text)
        """,
        swap('["0"]', '["9"]'),
        check="assert m.box == ['9', 1, 'x', 2]",
    ),
    Edit(
        "builder_with_an_effect_besides_is_not_run",
        LOG,
        swap('["a"]', '["A"]'),
        setup="assert m.count == 1",
        check="assert m.count == 1 and m.NAMES[0] == 'A'",
    ),
    Edit(
        "builder_state_of_another_name_is_kept",
        """
        def read(): return ["b"]
        NAMES = ["a"]
        mode = "idle"
        for n in read():
            NAMES.append(n)
        else:
            mode = "ready"
        """,
        swap('["a"]', '["A"]'),
        setup="m.mode = 'busy'",
        check="assert m.mode == 'busy' and m.NAMES[0] == 'A'",
        fresh=False,
    ),
]
