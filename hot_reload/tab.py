"""The tab "Hot Reload" of a gradio page: what is replaced, what failed, put it back.

`ui` gives gradio an empty frame. tab.js fills it by asking `answer` once a second while
somebody looks; an answer is a small number as long as nothing happened. The HTML comes
from tab_lists.py and tab_text.py.
"""

import contextlib
import json
import sys
import time
from pathlib import Path

import hot_reload
from hot_reload import _control, _core, tab_lists
from hot_reload.tab_text import names, sentence

TITLES = {
    "patches": "Replacements",
    "live": "Live files",
    "revisions": "Revisions",
    "old": "Still running old code",
    "plot": "From save to live",
}
DIALOG = """
<dialog class="hr-dialog" aria-labelledby="hr-question"><p id="hr-question"></p>
<div class="hr-row-end"><button type="button" data-close="no">Cancel</button>
<button type="button" data-close="yes" class="hr-strong">Yes</button></div></dialog>
"""

# -- The frame ---------------------------------------------------------------------


def frame():
    css = Path(__file__).with_name("tab.css").read_text(encoding="utf-8")
    sections = "".join(
        f'<section aria-label="{title}"><h3>{title}</h3>'
        f'<div data-list="{name}" tabindex="-1"></div></section>'
        for name, title in TITLES.items()
    )
    return (
        f'<style>{css}</style><div id="hot-reload">'
        f'<div data-list="head" tabindex="-1"></div>{sections}{DIALOG}</div>'
    )


def ui(remote, follow):
    """Put the tab into the gradio page being made.

    remote: a function that says why only reading is allowed, or "".
    follow: a function that switches following on or off.
    """
    gr = sys.modules["gradio"]
    script = Path(__file__).with_name("tab.js").read_text(encoding="utf-8")

    def answer_page(text):
        return answer(text, remote(), follow)

    gr.HTML(frame())
    text, result = gr.Textbox(visible=False), gr.Textbox(visible=False)
    button = gr.Button(visible=False)
    for hidden in {"api_visibility": "undocumented"}, {"show_api": False}:
        with contextlib.suppress(TypeError):  # gradio 6 renamed it
            button.click(
                answer_page, text, result, queue=False, api_name="hot_reload", **hidden
            )
            break
    gr.context.Context.root_block.load(None, None, None, js=script)


# -- Answers -----------------------------------------------------------------------


def answer(text, reason, follow):
    """The answer to a request of tab.js, both JSON; reason: why only to read."""
    request = json.loads(text)
    do, reply = request.get("do"), {}
    try:
        if do == "open":
            revision = find_revision(request["key"])
            reply["body"] = tab_lists.revision_body(revision, reason)
        elif do and reason:
            raise PermissionError(reason)
        elif do == "follow":
            follow(request["key"] == "on")
            reply["said"] = f"Following is {request['key']}."
        elif do:
            reply["said"] = ACTIONS[do](request["key"])
    except Exception as error:
        reply["failed"] = f"{error}" or type(error).__name__
    mark, now = make_mark(reason), f"{time.monotonic() // 5:.0f}"
    seen, _, when = (request.get("mark") or "").partition(" ")
    if seen == mark and when in ("", now):
        reply["mark"] = request["mark"]
    else:
        reply.update(make_state(reason))
        # What still runs may end without a revision: it is looked at every 5 s.
        reply["mark"] = f"{mark} {now}" if reply.pop("again") else mark
    return json.dumps(reply)


def make_mark(reason):
    """A short text that differs when there is something new to see."""
    record = hot_reload.revisions()
    seen = [record[-1].id if record else 0, sum(r.undone for r in record)]
    seen += [tuple((id(p), p.since, p.line) for p in hot_reload.patches()), reason]
    state = _core.engine_status()
    return f"{hash((*seen, state['running'], state.get('follow'))) & 0xFFFFFFFF:x}"


def make_state(reason):
    state, record = hot_reload.status(), hot_reload.revisions()
    frames = state.get("old_frames") or []
    failed = [r for r in record[-20:] if not r.ok]
    return {
        "lists": {
            "head": tab_lists.head(state, reason),
            "plot": tab_lists.plot(record),
            "patches": tab_lists.patches(reason),
            "live": tab_lists.live_files(state, record, reason),
            "revisions": tab_lists.revisions(record, reason),
            "old": tab_lists.old_frames(frames),
        },
        "last": record[-1].id if record else 0,
        "failures": [
            [r.id, f"{names(r.files, r.live)}: {sentence(r, reason)}"] for r in failed
        ],
        "again": bool(frames),
    }


def find_revision(number):
    for r in hot_reload.revisions():
        if r.id == int(number):
            return r
    raise LookupError(f"Revision {number} is not kept any more.")


def restore(key):
    for p in hot_reload.patches():
        if tab_lists.patch_key(p) == key:
            p.restore()
            return f"{_control.full_name(p)} is the original again."
    raise LookupError("That replacement is gone already.")


def restore_all(_):
    count = hot_reload.restore_all()
    return f"Everything is as original: {count} restored."


def undo_to(numbers):
    """From the first to the second number, which has to be the newest still."""
    first, _, newest = str(numbers).partition("-")
    newer = tab_lists.undoable(hot_reload.revisions(), find_revision(first))
    if not newer or f"{newer[-1].id}" != newest:
        raise LookupError("Something was saved or undone meanwhile; look again.")
    done = hot_reload.undo(len(newer))
    return f"Undone: {', '.join(f'#{r.id}' for r in done)}."


def run_again(path):
    if path not in tab_lists.live_paths(hot_reload.status()):
        raise LookupError(f"{path} is no live file any more.")
    revision = hot_reload.apply(path)
    return f"{names([path], True)} ran." if revision.ok else ""  # else it is a failure


ACTIONS = {
    "restore": restore,
    "restore_all": restore_all,
    "undo": undo_to,
    "run": run_again,
}
