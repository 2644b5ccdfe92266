"""What the tab shows and answers, without gradio and without a browser."""

import json
import random
import re
import subprocess
import sys
import time
import types
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import pytest

import hot_reload
from hot_reload import tab, tab_lists, tab_text, webui

ROOT = Path(__file__).resolve().parents[2]
EVIL = "<script>alert(\"1\")</script> & 'x'"


def edit(**more):
    empty = {"kind": "changed", "module": "m", "qualname": "f", "file": "/a/m.py"}
    return SimpleNamespace(
        **{**empty, "line": 3, "code": None, "sentence": None, **more}
    )


def revision(**more):
    ns = 1_000_000
    times = {"saved_ns": ns, "ready_ns": 2 * ns, "gil_ns": 3 * ns, "live_ns": 6 * ns}
    plain = {"id": 7, "files": ["/a/m.py"], "edits": [], "ok": True, "error": None}
    plain.update(times, undone=False, live=False, texts=None, wall=1e9, planned_ns=5e6)
    return SimpleNamespace(**{**plain, **more})


def text_of(html):
    return unescape(re.sub("<.*?>", " ", html))


def words(rows):
    return text_of("".join(html for _, html in rows))


# Texts


def test_esc():
    assert tab_text.esc(EVIL) == (
        "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#x27;x&#x27;"
    )
    assert tab_text.esc("a\0b\x1b[31m\u202e\ud800") == "a\ufffdb\ufffd[31m\ufffd?"
    assert tab_text.esc("tab\tand\nline") == "tab\tand\nline"


def rows_of(html):
    found = re.findall("<tr.*?</tr>", html, re.DOTALL)
    return [re.findall("<t[hd].*?>(.*?)</t[hd]>", row, re.DOTALL) for row in found]


def test_diff_is_side_by_side_and_folded():
    old = "".join(f"line {n}\n" for n in range(1, 101))
    new = old.replace("line 50\n", "line five\n").replace("line 60\n", "")
    rows = rows_of(tab_text.diff(old, new))
    assert ["46 lines"] in rows and ["37 lines"] in rows
    assert ["50", "line <mark>50</mark>", "50", "line <mark>five</mark>"] in rows
    assert ["60", "line 60", "", ""] in rows
    assert ["63", "line 63", "62", "line 63"] in rows
    assert len(rows) == 17  # three folds, two changes, three lines around each
    assert "The same text" in tab_text.diff(old, old)


def test_diff_is_escaped():
    html = tab_text.diff("a = 1\n", f"a = {EVIL}\n")
    assert "<script" not in html
    assert EVIL in unescape(re.sub("</?mark>|</?t[dr]>", "", html))


def test_diff_gives_both_texts():
    chance = random.Random(3)
    for _ in range(300):
        old = [chance.choice("abc") * 2 for _ in range(chance.randrange(40))]
        new = [line for line in old if chance.random() < 0.8]
        for _ in range(chance.randrange(5)):
            new.insert(chance.randrange(len(new) + 1), chance.choice("abcd") * 2)
        left, right = [], []
        for tag, i1, i2, j1, j2 in tab_text.opcodes(old, new):
            assert (i1, j1) == (len(left), len(right))
            left += old[i1:i2]
            right += new[j1:j2]
            assert tag in ("replace", "delete", "insert") or old[i1:i2] == new[j1:j2]
        assert (left, right) == (old, new)


@pytest.mark.parametrize("change", ["one line", "every line"])
def test_diff_of_a_long_file_is_quick_and_bounded(change):
    old = [f"    value_{n} = {n}" for n in range(11_000)]
    new = old[:5000] + ["x"] + old[5000:]
    if change == "every line":
        new = [line + " + 1" for line in old]
    began = time.perf_counter()
    html = tab_text.diff("\n".join(old), "\n".join(new))
    assert time.perf_counter() - began < 3
    assert html.count("<tr") <= tab_text.LONGEST + 1


TRACEBACK = """\
Traceback (most recent call last):
  File "/a/m.py", line 9, in <module>
    f(0)
  File "/a/m.py", line 3, in f
    return json.loads(x)
           ^^^^^^^^^^^^^
  File "/usr/lib/json.py", line 1, in loads
    raise ValueError("<b>")
ValueError: <b>
"""


def test_failure_marks_the_last_line_of_the_file():
    html = tab_text.failure(revision(ok=False, error=TRACEBACK), "")
    here = re.findall('<span class="hr-here">(.*?)</span>', html)
    assert [unescape(line) for line in here] == [
        '  File "m.py", line 3, in f',
        "    return json.loads(x)",
        "           ^^^^^^^^^^^^^",
    ]
    assert '<span class="hr-last">ValueError: &lt;b&gt;</span>' in html


def test_where_source_is_hidden_failures_name_only_their_kind():
    failed = revision(ok=False, error=TRACEBACK)
    assert tab_text.sentence(failed) == "ValueError: <b>"
    assert tab_text.sentence(failed, "no") == "ValueError"
    shown = tab_text.failure(failed, "no")
    assert text_of(shown).strip() == "ValueError"
    sentence = "HR301: the slots of secret would change"
    refused = edit(kind="refused", code="HR301", sentence=sentence)
    failed = revision(ok=False, error=sentence, edits=[refused])
    assert tab_text.sentence(failed) == (
        "HR301 in line 3: the slots of secret would change"
    )
    assert tab_text.sentence(failed, "no") == "HR301 in line 3"
    texts = {"/a/m.py": ("secret = 1", "secret = 2")}
    body = tab_lists.revision_body(revision(edits=[refused], texts=texts), "no")
    assert "secret" not in body and "<button" not in body


# Lists


def test_plot():
    rows = tab_lists.plot([revision(id=n) for n in range(300)])
    html = rows[0][1]
    assert html.count("<g>") == 200 and "#299:" in html and "#99:" not in html
    assert "waiting 2.000 ms · planning 2.000 ms · commit 1.000 ms" in html
    assert "median 5.00 ms" in html
    failed = revision(ok=False)
    at_start = revision(saved_ns=0)
    assert words(tab_lists.plot([failed, at_start])).strip() == "No save yet."


@pytest.mark.parametrize(
    "number, top", [(0.0004, 0.001), (0.03, 0.05), (1, 1), (3, 5), (5.1, 10), (70, 100)]
)
def test_nice(number, top):
    assert tab_lists.nice(number) == pytest.approx(top)


def test_revisions():
    edits = [edit(), edit(), edit(kind="added")]
    rows = tab_lists.revisions([revision(id=1, edits=edits), revision(id=2)], "")
    assert [key for key, _ in rows] == ["2", "1"]
    assert "2 changed, 1 added" in words(rows[1:])
    assert "undone" in words(tab_lists.revisions([revision(undone=True)], ""))


def test_old_frames():
    frame = {"function": EVIL, "file": "/a/m.py", "line": 2, "revision": 4}
    rows = tab_lists.old_frames([{**frame, "since": 1e9, "thread": None}])
    assert "<script" not in rows[0][1]
    assert EVIL in words(rows) and "m.py:2 · suspended · exchanged by #4" in words(rows)
    rows = tab_lists.old_frames([{**frame, "since": 1e9, "thread": "MainThread"}])
    assert "thread MainThread" in words(rows)


def test_live_files(tmp_path):
    for name in "a.py", "b.py", "script.py", "text.txt":
        (tmp_path / name).touch()
    path = str(tmp_path / "a.py")
    good = revision(files=[path], live=True)
    bad = revision(files=[path], live=True, ok=False, error=TRACEBACK)
    state = {"live": [str(tmp_path)]}
    rows = tab_lists.live_files(state, [good], "")
    assert [Path(key).name for key, _ in rows] == ["a.py", "b.py"]
    assert "works" in words(rows[:1]) and "not run" in words(rows[1:])
    assert "last working version" in words(tab_lists.live_files(state, [good, bad], ""))
    shown = words(tab_lists.live_files(state, [bad], ""))
    assert "failed" in shown and "last working version" not in shown


# Answers


def ask(reason="", follow=None, **request):
    return json.loads(tab.answer(json.dumps(request), reason, follow))


@pytest.fixture
def module():
    module = types.ModuleType(EVIL)
    exec("def f(): return 1\ndef g(): return 2", vars(module))
    hot_reload.replace(module, module.f, module.g)
    yield module
    hot_reload.restore_all()


def test_an_answer_is_small_as_long_as_nothing_happens(module):
    first = ask()
    assert set(first["lists"]) == {*tab.TITLES, "head"}
    assert ask(mark=first["mark"]) == {"mark": first["mark"]}
    hot_reload.restore_all()
    assert "lists" in ask(mark=first["mark"])


def test_restore(module):
    rows = ask()["lists"]["patches"]
    assert len(rows) == 1 and "<script" not in rows[0][1]
    assert EVIL in words(rows)
    done = ask(do="restore", key=rows[0][0])
    assert "is the original again" in done["said"] and module.f() == 1
    assert "gone already" in ask(do="restore", key=rows[0][0])["failed"]


def test_restore_all(module):
    assert "1 restored" in ask(do="restore_all", key="")["said"]
    assert module.f() == 1


def test_read_only(module):
    called = []
    key = ask()["lists"]["patches"][0][0]
    for do in "restore", "restore_all", "undo", "run", "follow":
        answer = ask("not here", called.append, do=do, key=key)
        assert answer["failed"] == "not here"
    assert module.f() == 2 and not called
    shown = json.dumps(ask("not here")["lists"])
    assert "<button" not in shown and "not here" in shown


def test_follow():
    called = []
    assert ask("", called.append, do="follow", key="off")["said"] == (
        "Following is off."
    )
    assert called == [False]


@pytest.mark.parametrize(
    "do, key", [("open", "999999"), ("undo", "999999-1"), ("undo", "x"), ("run", "/x")]
)
def test_what_is_gone_is_an_answer(do, key):
    assert ask(do=do, key=key)["failed"]


def test_engine_s_errors_are_answers(monkeypatch):
    def fail():
        raise ValueError(EVIL)

    monkeypatch.setattr(hot_reload, "restore_all", fail)
    assert ask(do="restore_all", key="")["failed"] == EVIL


# The host


@pytest.mark.parametrize(
    "args, allow, words",
    [
        ({}, False, ""),
        ({"listen": True}, False, "others can reach"),
        ({"share": True}, False, "others can reach"),
        ({"public_api": True}, False, "others can reach"),
        ({"multi_user": True}, False, "several users"),
        ({"listen": True, "multi_user": True}, True, ""),
    ],
)
def test_reason(monkeypatch, args, allow, words):
    shared = SimpleNamespace(args=SimpleNamespace(**args))
    monkeypatch.setitem(sys.modules, "modules.shared", shared)
    reason = webui.read_only({"allow_remote": allow})
    assert (words in reason) if words else reason == ""


def test_gradio_s_own_settings_count(monkeypatch):
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    assert webui.reachable(None)


def test_a_host_without_gradio_never_imports_it():
    code = "\n".join(
        [
            "import sys, importlib.util",
            f"spec = importlib.util.spec_from_file_location('s', {str(ROOT)!r} + "
            "'/script.py')",
            "script = importlib.util.module_from_spec(spec)",
            "spec.loader.exec_module(script)",
            "script.ui()",  # without an engine
            "import hot_reload.webui, hot_reload.tab",
            "script.ui()",
            "assert 'gradio' not in sys.modules",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
