"""The lists of the tab: each gives [key, html] for every row, and changes nothing."""

import contextlib
import os
from collections import Counter

import hot_reload
from hot_reload import _control, _core
from hot_reload.tab_text import (
    clock,
    diff,
    esc,
    failure,
    milliseconds,
    names,
    sentence,
)

SAVES = 200  # in the plot
PARTS = ("waiting", "planning", "commit")


def button(do, key, text, reason, ask="", what=""):
    if reason:
        return ""
    ask = f' data-ask="{esc(ask)}"' if ask else ""
    what = f' aria-label="{esc(f"{text}: {what}")}"' if what else ""
    return (
        f'<button type="button" data-do="{do}" data-key="{esc(key)}"{ask}{what}>'
        f"{esc(text)}</button>"
    )


def row(left, middle, right):
    return (
        f'<div class="hr-row">{left}<div class="hr-what">{middle}</div>'
        f'<div class="hr-row-end">{right}</div></div>'
    )


def badge(kind, text):
    return f'<span class="hr-badge hr-{kind}">{esc(text)}</span>'


def empty(text):
    return [["", f'<div class="hr-empty">{text}</div>']]


def head(state, reason):
    on = state.get("follow", True) and state["running"]
    switch = (
        f'<label class="hr-switch"><input type="checkbox" role="switch" '
        f'data-do="follow" data-key="{"off" if on else "on"}"{" checked" * bool(on)}'
        f"{' disabled' * bool(reason or not state['running'])}><span></span>"
        f"Following saves is {'on' if on else 'off'}</label>"
    )
    numbers = [
        (len(_core.sources()) if state["running"] else 0, "files followed", ""),
        (len(state["patches"]), "replaced now", ""),
        (state["revisions"], "revisions", ""),
        (state["failures"], "failures", " hr-bad" * bool(state["failures"])),
    ]
    tiles = "".join(
        f'<div class="hr-tile{kind}"><b>{number}</b> {text}</div>'
        for number, text, kind in numbers
    )
    ask = f"Put all {len(state['patches'])} replaced functions back to the originals?"
    back = ""
    if state["patches"]:
        back = button("restore_all", "", "Everything as original", reason, ask)
    note = f'<div class="hr-note" role="note">{esc(reason)}</div>' if reason else ""
    if not state["running"]:
        note += '<div class="hr-note">The engine is not running.</div>'
    return [
        ["note", note],
        ["bar", f'<div class="hr-bar">{switch}{back}</div>'],
        ["tiles", f'<div class="hr-tiles">{tiles}</div>'],
    ]


def patches(reason):
    rows = []
    for p in reversed(hot_reload.patches()):
        name, by = _control.full_name(p), getattr(p.after, "__qualname__", None)
        file = names([p.file], p.live) if p.file else "code without a file"
        where = f"{file}:{p.line}" if p.line else file
        by = f"<code>{esc(by)}</code>, {esc(where)}" if by else esc(where)
        source = f" · live file {esc(names([p.live], True))}" if p.live else ""
        middle = f'<code>{esc(name)}</code><div class="hr-sub">replaced by {by}'
        middle += f" · since {clock(p.since)}{source}</div>"
        back = button("restore", patch_key(p), "Restore", reason, what=name)
        rows.append([patch_key(p), row("", middle, back)])
    return rows or empty("Nothing is replaced: every function is the original.")


def patch_key(p):
    return f"{id(p):x}-{p.since}"


def live_paths(state):
    found = []
    for folder in state.get("live", ()):
        with contextlib.suppress(OSError):
            entries = sorted(os.listdir(folder))
            found += [os.path.join(folder, n) for n in entries if n.endswith(".py")]
    own = ("__init__.py", "script.py", "utils.py")
    return [path for path in found if os.path.basename(path) not in own]


def live_files(state, record, reason):
    runs = {}
    for r in record:
        for path in r.files if r.live else ():
            runs.setdefault(path, []).append(r)
    rows = []
    for path in live_paths(state):
        last, kind, text, sub, more = None, "idle", "not run", "", ""
        if path in runs:
            last = runs[path][-1]
            sub = f"last run {clock(last.wall)} · {milliseconds(last)}"
            kind, text = ("ok", "works") if last.ok else ("bad", "failed")
            if last.ok and last.undone:
                kind, text = "idle", "undone"
        if last is not None and not last.ok:
            copy = os.path.join(os.path.dirname(path), ".last_working")
            kept = os.path.exists(os.path.join(copy, os.path.basename(path)))
            if kept or any(r.ok and not r.undone for r in runs[path]):
                sub += " · its last working version is in effect"
            more = failure(last, reason)
        name = names([path], True)
        middle = f'<code>{esc(name)}</code><div class="hr-sub">{sub}</div>'
        again = button("run", path, "Run again", reason, what=name)
        rows.append([path, row(badge(kind, text), middle, again) + more])
    return rows or empty("There are no live files.")


def revisions(record, reason):
    rows = []
    for r in reversed(record):
        kind, text = ("ok", "live") if r.ok else ("bad", "refused")
        text = "failed" if r.live and not r.ok else text
        kind, text = ("idle", "undone") if r.undone else (kind, text)
        count = Counter(e.kind for e in r.edits)
        edits = ", ".join(f"{n} {kind}" for kind, n in count.items())
        sub = edits if r.ok else sentence(r, reason)
        rows.append(
            [
                str(r.id),
                f'<details data-open="{r.id}"><summary>'
                f'<span class="hr-number">#{r.id}</span>{badge(kind, text)}'
                f'<span class="hr-what"><code>{esc(names(r.files, r.live))}</code> '
                f'<span class="hr-sub">{esc(sub)}</span></span>'
                f'<span class="hr-when">{milliseconds(r)} · {clock(r.wall)}</span>'
                f'</summary><div class="hr-body" data-id="{r.id}"></div></details>',
            ]
        )
    return rows or empty("No revision yet. Edit a line and save; it appears here.")


def old_frames(frames):
    rows = []
    for number, f in enumerate(frames):
        where = f.get("where") or f"{names([f['file']])}:{f['line']}"
        thread = f.get("thread")
        state = f"thread {thread}" if thread else "suspended"
        middle = f'<code>{esc(f["function"])}</code><div class="hr-sub">'
        middle += f"{esc(where)} · {esc(state)} · exchanged by #{f['revision']}, "
        middle += f"{clock(f['since'])}</div>"
        rows.append([str(number), row("", middle, "")])
    return rows or empty("Nothing: no call is left in code from before a save.")


# -- A revision opened -------------------------------------------------------------


def undoable(record, revision):
    return [r for r in record if r.ok and not r.undone and r.id >= revision.id]


def revision_body(r, reason):
    found = []
    if not r.ok:
        found.append(failure(r, reason))
    if r.edits:
        items = "".join(edit_item(e, reason) for e in r.edits)
        found.append(f'<div class="hr-edits">{items}</div>')
    if reason:
        found.append(f'<div class="hr-empty">No source text: {esc(reason)}</div>')
    elif r.texts is None:
        found.append(
            '<div class="hr-empty">Its text is not kept: it was refused, '
            "or is too old.</div>"
        )
    else:
        for path, (old, new) in r.texts.items():
            found.append(f'<div class="hr-path">{esc(names([path], r.live))}</div>')
            found.append(diff(old, new))
    newer = undoable(hot_reload.revisions(), r)
    if newer and newer[0].id == r.id:
        more = f" and the {len(newer) - 1} newer" if len(newer) > 1 else ""
        ask = f"Take back revision {r.id}{more}?"
        key = f"{r.id}-{newer[-1].id}"
        undo = button("undo", key, "Undo to here", reason, ask, f"#{r.id}{more}")
        text = f"Takes back #{r.id}{more}." if undo else ""
        found.append(f'<div class="hr-row-end"><span>{text}</span>{undo}</div>')
    return "".join(found)


def edit_item(e, reason):
    name = ".".join(filter(None, [e.module, e.qualname])) or "statement"
    line = f" line {e.line}" if e.line else ""
    text = f"{e.sentence or ''}" if e.kind == "refused" and not reason else ""
    return (
        f"<div>{badge('bad' if e.kind == 'refused' else 'kind', e.kind)} "
        f"<code>{esc(name)}</code>{line} {esc(e.code or '')} {esc(text)}</div>"
    )


# -- The plot ----------------------------------------------------------------------


def plot(record):
    saves = [split(r) for r in record[-SAVES:]]
    saves = [(r, parts) for r, parts in zip(record[-SAVES:], saves) if parts]
    if not saves:
        return empty("No save yet.")
    totals = sorted(sum(parts) for _, parts in saves)
    middle, most = totals[len(totals) // 2], totals[-1]
    top = nice(totals[(len(totals) * 95 - 1) // 100] * 1.25)
    bars, wide = [], 1000 / max(len(saves), 40)
    for number, (r, parts) in enumerate(saves):
        at = f'x="{number * wide:.1f}" width="{wide * 0.8:.1f}"'
        title = " · ".join(f"{p} {n:.3f} ms" for p, n in zip(PARTS, parts))
        height, rects = 0.0, []
        for part, size in zip(PARTS, parts):
            size = min(size / top * 100, 100 - height)
            height += size
            rects.append(
                f'<rect class="hr-{part}" {at} y="{100 - height:.2f}" '
                f'height="{size:.2f}"/>'
            )
        if sum(parts) > top:
            rects.append(f'<rect class="hr-over" {at} y="0" height="3"/>')
        rects = "".join(rects)
        bars.append(f"<g><title>#{r.id}: {title}</title>{rects}</g>")
    grid = "".join(
        f'<div style="bottom:{part * 50}%"><span>{top * part / 2:g} ms</span></div>'
        for part in (0, 1, 2)
    )
    medians = [sorted(part)[len(saves) // 2] for part in zip(*(p for _, p in saves))]
    legend = "".join(
        f'<span><i class="hr-{part}"></i>{part} {number:.2g} ms</span>'
        for part, number in zip(PARTS, medians)
    )
    text = f"{len(saves)} saves: median {middle:.2f} ms, longest {most:.2f} ms"
    return [
        [
            "plot",
            f'<div class="hr-plot"><div class="hr-grid">{grid}</div><svg role="img" '
            f'viewBox="0 0 1000 100" preserveAspectRatio="none" aria-label="{text}">'
            f'{"".join(bars)}</svg></div><div class="hr-legend">{legend}'
            f"<b>{text}</b></div>",
        ]
    ]


def split(r):
    """Milliseconds of waiting, planning (a live file: running) and commit, or None."""
    if not r.ok or not 0 < r.saved_ns <= r.gil_ns <= r.live_ns:
        return None
    planned = r.planned_ns or r.live_ns
    times = r.saved_ns, r.gil_ns, planned, r.live_ns
    return [(b - a) / 1e6 for a, b in zip(times, times[1:])]


def nice(number):
    step = 1e-3
    while step * 10 <= number:
        step *= 10
    return next(step * n for n in (1, 2, 5, 10) if step * n >= number - 1e-9)
