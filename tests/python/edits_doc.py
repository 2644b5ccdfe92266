"""Writes the tables of docs/edits.md from the table of edits.

    python tests/python/edits_doc.py

What it writes stands between two marks; test_docs.py says when it is out of date.
"""

import sys
from fnmatch import fnmatch
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import edits  # noqa: E402
from edits import coverage  # noqa: E402

DOC = Path(__file__).resolve().parents[2] / "docs" / "edits.md"
BEGIN = "<!-- made by tests/python/edits_doc.py from here -->\n"
END = "<!-- to here -->\n"

#: Cases that may be refused, but are not.
APPLIED = {
    "future_annotations_added",
    "refused_file_is_new_then_good",
    "type_parameter_used_in_body",
    "slots_same_names_in_other_order",
    "metaclass_added",
    "metaclass_changed",
}

#: What happens, for each class of edits in coverage.py, in its order.
NOTES = """
the body is exchanged in place; every holder of the function runs it
come with the body; calls that are being made end with the old ones
come with the body; `help()` and `inspect.signature()` show the new ones
cells are matched by the names of variables; closures alive get the new code
the wrapper in everyone's hands runs the new body; the decorator is not run again
the decorators run once, the function that is held becomes what they made
as above; what the decorator made stays the same object
the cache object stays, old results are dropped, held references run the new code
what old wrappers call is the new function, later edits too; copied texts follow
the text's; a name is found however it is written
the dispatcher stays; implementations are exchanged, added, removed
found in objects of any kind, else on the heap; their lines move, later edits find them
the entry that is there runs the new code; nothing is registered twice
what runs ends as it began; the next call is new, also of another kind
exchanged at any depth, where alive and where made later
those that are alive are found and exchanged, also in lists and dicts
part of the function that they are in
found through the class: bound methods and instances follow
set on the class, deleted from it; values that instances have stay theirs
the class stays the same object
follow, whichever file is saved
`__bases__` is exchanged, where instances are laid out alike
other members as in any class; other slots are refused
run whole into a second class, of which the first takes the content
members keep their identity and take the new values; new ones are added
run whole; the class that is there takes the content
run whole; the model's schema and validation are the new ones
run whole, and so is what inherits from them
other members as in any class; other fields are refused
the functions in them are exchanged; the property is made anew where it must be
exchanged like functions
the attribute is exchanged
the attribute is exchanged, or the function in it
the functions in them are exchanged
the cell of `__class__` holds the class that is there
mangled as in the class statement
content of a metaclass is exchanged like a class's
called once for what is new or has changed
as classes
which members are abstract is counted again
the same object by its name, wherever it stands; what is gone stays with its holders
as written
the parameters come with the function or class
assigned anew; copies in other modules and what is computed from them follow
all are run again on a new object, unless the program has added to it; the log tells what does not follow
what the program has rebound stays, unless its own statement changed
run again, for the new object; functions and classes stay the same objects
only what changed runs
never runs
each definition is exchanged, the statement around it is not run for that
run once, in order; names that are gone go
as any name of the module
run once; what is gone goes
what is read through them is what the other module will hold
another type counts as a change: 1 is not True, 0.0 not -0.0
follow the module that they copy from
ordered as they came, in one batch
as modules
one batch is one revision, ordered by imports
each module made from the file is changed; deleted files leave their modules
follow
as any text; annotations become texts, or objects again; another rule is refused
added, deleted; who holds a deleted one keeps it
each name keeps what it stands for
paired by content, then by header, then by name, the last one first
the last one counts; what builds upon a new value, or adds to it, runs again
the one that is last now counts; fields and members are put in order
a name goes when nothing of the text binds it any more
compiled and compared; what means the same is not run, its values stay
made again for who needs them, and deleted again
the name gets the new object, copies follow
as any statement
see it as it will be, and nobody else does yet
the name gets it, as it is; who holds what was there calls it
belongs to the module, not to the copy that statements run on
go on with the module's own names
what runs ends as it began
refused; nothing happens
refused; nothing happens
refused; nothing of the batch happens, statements that ran are forgotten
the first good save has it all
exact after every edit
`inspect.getsource()`, `co_qualname` and the like show the running text
all that Python reads
back to the old text
each is live
as new ones
lines only
the same object, with the content of the new one, for all who hold it
follow where nobody can notice that it is computed again; else they stay as they are
run again where they do nothing else; else the log says so
as their parts
stays replaced; `restore()` shows the edit
run whole; what the program set, added and deleted stays so, nested classes keep their identity
found as if the class had been made so
forgotten where a class gets other bases or members
"""  # noqa: E501


def find_refusal(edit):
    code = edit.refused or edit.may_refuse
    return code if code and edit.name not in APPLIED else ""


def describe(names):
    return " ".join(f"`{name}`" for name in names)


def make_tables():
    table = edits.load_all()
    notes = NOTES.strip().splitlines()
    lines = [
        "| kind of edit | what happens | refused | cases | their names |",
        "|---|---|---|---|---|",
    ]
    for (what, _, patterns), note in zip(coverage.CLASSES, notes):
        cases = [e for e in table if any(fnmatch(e.name, p) for p in patterns)]
        codes = sorted({c for e in cases for c in find_refusal(e).split(" or ") if c})
        refused = sum(bool(find_refusal(e)) for e in cases)
        told = f"{refused}: {', '.join(codes)}" if codes else ""
        what = what.replace("|", "\\|")
        lines.append(
            f"| {what} | {note} | {told} | {len(cases)} | {describe(patterns)} |"
        )
    lines += [
        "",
        "## What is refused, case by case",
        "",
        "| code | cases |",
        "|---|---|",
    ]
    by_code = {}
    for edit in table:
        code = find_refusal(edit)
        if code:
            only = " (only for that closure)" if edit.partial else ""
            by_code.setdefault(code + only, []).append(edit.name)
    for code, names in sorted(by_code.items()):
        lines.append(f"| {code} | {describe(names)} |")
    lines += ["", "## All cases", ""]
    for group in edits.GROUPS:
        names = [e.name for e in table if e.group == group]
        lines += [f"`tests/python/edits/{group}.py` ({len(names)}):", ""]
        lines += [*wrap(names), ""]
    return "\n".join(lines)


def wrap(names):
    """Lines of at most 88 characters."""
    line = ""
    for name in names:
        if len(line) + len(name) + 2 > 86:
            yield line
            line = ""
        line += f" {name}" if line else name
    yield line


def make():
    text = DOC.read_text()
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    return f"{head}{BEGIN}\n{make_tables()}\n{END}{tail}"


if __name__ == "__main__":
    DOC.write_text(make())
