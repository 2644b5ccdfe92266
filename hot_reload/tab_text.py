"""Texts of the tab as HTML: words, tracebacks, and two texts side by side.

Whatever comes from the program or its files is escaped by `esc`, and by nothing else.
"""

import difflib
import os
import re
import time
from html import escape

UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
CONTEXT = 3  # unchanged lines around a change
LARGEST = 4_000_000  # pairs of lines; a larger difference is shown as one change
LONGEST = 2_000  # rows of a diff


def esc(value):
    # What no display shows alike, such as a change of direction, is made visible.
    text = UNSEEN.sub("\ufffd", str(value))
    return escape(text.encode("utf-8", "replace").decode())


def names(paths, live=False):
    return ", ".join(os.path.basename(path) if live else short(path) for path in paths)


def short(path):
    near = os.path.relpath(path) if os.path.isabs(path) else path
    return os.path.basename(path) if near.startswith("..") else near


def milliseconds(r):
    begin = r.saved_ns or r.gil_ns
    return f"{max(0, r.live_ns - begin) / 1e6:.2f} ms"


def clock(seconds):
    today = time.localtime()[:3] == time.localtime(seconds)[:3]
    form = "%H:%M:%S" if today else "%Y-%m-%d %H:%M"
    return time.strftime(form, time.localtime(seconds))


# -- Why it failed -----------------------------------------------------------------


def sentence(r, reason=""):
    """One line of why it failed; without source text where there is a reason."""
    lines = [line for line in (r.error or "").splitlines() if line.strip()]
    refused = [e for e in r.edits if e.kind == "refused"]
    if refused:
        e = refused[0]
        text = "" if reason else re.sub(r"^HR\d+: ", "", e.sentence or "")
        place = f" in line {e.line}" if e.line else ""
        return f"{e.code or 'refused'}{place}" + f": {text}" * bool(text)
    last = lines[-1] if lines else "failed"
    return last.partition(":")[0] if reason else last


def failure(r, reason):
    """Why a revision failed: the failing line, and the traceback with it marked."""
    if reason:
        return f'<div class="hr-error">{esc(sentence(r, reason))}</div>'
    lines, shown = (r.error or "").rstrip().splitlines(), []
    own = [
        number
        for number, line in enumerate(lines)
        if any(f'File "{path}", line ' in line for path in r.files)
    ]
    for number, line in enumerate(lines):
        line = line.replace(os.path.join(os.path.dirname(r.files[0]), ""), "")
        kind = "last" if number == len(lines) - 1 else ""
        if own and number in (own[-1], own[-1] + 1):
            kind = "here"
        if own and number == own[-1] + 2 and not line.strip(" ~^"):
            kind = "here"
        line = esc(line)
        shown.append(f'<span class="hr-{kind}">{line}</span>' if kind else line)
    text = "\n".join(shown)
    return f'<pre class="hr-error" tabindex="0" aria-label="Traceback">{text}</pre>'


# -- Side by side ------------------------------------------------------------------


def diff(old, new):
    """Old and new side by side."""
    a, b = old.splitlines(), new.splitlines()
    if a == b:
        return '<div class="hr-empty">The same text.</div>'
    rows = []
    for tag, i1, i2, j1, j2 in opcodes(a, b):
        if tag == "equal":
            for i in range(i1, i2):
                rows.append(pair(i + 1, a[i], i + j1 - i1 + 1, a[i], ""))
        elif tag == "skip":
            rows.append(skip(f"{i2 - i1} lines"))
        else:
            for k in range(max(i2 - i1, j2 - j1)):
                left, right = i1 + k < i2, j1 + k < j2
                rows.append(
                    pair(
                        i1 + k + 1 if left else "",
                        a[i1 + k] if left else None,
                        j1 + k + 1 if right else "",
                        b[j1 + k] if right else None,
                        "changed",
                    )
                )
    if len(rows) > LONGEST:
        rows[LONGEST:] = [skip("and more")]
    return (
        '<div class="hr-diff" tabindex="0"><table><colgroup><col class="hr-line"><col>'
        '<col class="hr-line"><col></colgroup><tbody>'
        f"{''.join(rows)}</tbody></table></div>"
    )


def opcodes(a, b):
    """As difflib's, with long equal stretches folded into a `skip`."""
    first, last = 0, 0
    while first < min(len(a), len(b)) and a[first] == b[first]:
        first += 1
    rest = min(len(a), len(b)) - first
    while last < rest and a[-1 - last] == b[-1 - last]:
        last += 1
    middle_a, middle_b = a[first : len(a) - last], b[first : len(b) - last]
    if len(middle_a) * len(middle_b) > LARGEST:
        middle = [("replace", 0, len(middle_a), 0, len(middle_b))]
    else:
        matcher = difflib.SequenceMatcher(None, middle_a, middle_b, autojunk=False)
        middle = matcher.get_opcodes()
    found = [("equal", 0, first, 0, first)]
    found += [(t, *(n + first for n in numbers)) for t, *numbers in middle]
    found.append(("equal", len(a) - last, len(a), len(b) - last, len(b)))
    for tag, i1, i2, j1, j2 in found:
        before = 0 if i1 == 0 else CONTEXT  # at either end of an equal stretch
        after = 0 if i2 == len(a) else CONTEXT
        if tag != "equal" or i2 - i1 <= before + after + 1:
            yield tag, i1, i2, j1, j2
            continue
        yield tag, i1, i1 + before, j1, j1 + before
        yield "skip", i1 + before, i2 - after, j1 + before, j2 - after
        yield tag, i2 - after, i2, j2 - after, j2


def skip(text):
    return f'<tr class="hr-skip"><td colspan="4">{text}</td></tr>'


def pair(i, old, j, new, kind):
    left, right = esc(old or ""), esc(new or "")
    if kind and old is not None and new is not None and len(old) + len(new) < 600:
        left, right = marked(old, new)
    kinds = [kind and ("gone" if t is not None else "none") for t in (old, new)]
    kinds[1] = kinds[1].replace("gone", "came")
    cells = zip((i, j), kinds, (left, right))
    same = "" if kind else ' class="hr-same"'
    return f"<tr{same}>{''.join(map(cell, cells))}</tr>"


def cell(what):
    number, kind, text = what
    kind = f' class="hr-{kind}"' if kind else ""
    return f"<th{kind}>{number}</th><td{kind}>{text}</td>"


def marked(old, new):
    """Two lines with what differs between them marked."""
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    left, right = [], []
    similar = matcher.ratio() > 0.4
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        for side, text in (left, old[i1:i2]), (right, new[j1:j2]):
            text = esc(text)
            mark = tag != "equal" and similar and text
            side.append(f"<mark>{text}</mark>" if mark else text)
    return "".join(left), "".join(right)
