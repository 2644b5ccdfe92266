"""The webui tab in a real browser, on the demo: every part of it driven and seen.

HOT_RELOAD_GRADIO4=<python with gradio 4.37.2> drives it there too (gradio4.sh makes
one); HOT_RELOAD_PICTURES=1 also makes docs/img/tab-light.png and tab-dark.png.
"""

import importlib.util
import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ROOT = Path(__file__).resolve().parents[2]

pytest.importorskip("gradio", reason="gradio is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright here")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="this machine has no Chromium")
expect = playwright.expect

GRADIO4 = os.environ.get("HOT_RELOAD_GRADIO4")
NO_GRADIO4 = pytest.mark.skipif(not GRADIO4, reason="HOT_RELOAD_GRADIO4 is not set")
PYTHONS = [
    pytest.param(sys.executable, id="newest"),
    pytest.param(GRADIO4, id="4.37.2", marks=NO_GRADIO4),
]
# Elsewhere than in the demo's chat, so that tests do not meet each other.
MODULE = "def plain(x):\n    return x\n\n\ndef other(x):\n    return -x\n"
LIVE = """
import modules.{name} as m
from extensions.hot_reload.utils import replace
def {mine}(x):
    return "mine"
replace(m, m.plain, {mine})
"""
BROKEN = "def divide(x):\n    secret = 1\n    return secret / x\n\n\ndivide(0)\n"
EVIL = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"


@pytest.fixture(scope="module")
def check():
    path = ROOT / "demo" / "check.py"
    spec = importlib.util.spec_from_file_location("demo_check", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Tab:
    """The demo, and what a test does with its files and sees on its page."""

    def __init__(self, demo, page):
        self.demo, self.page = demo, page
        self.modules = demo.root / "modules"

    def open(self, query=""):
        self.page.goto(self.demo.url + query, wait_until="domcontentloaded")
        self.page.get_by_role("tab", name="Hot Reload").click()
        expect(self("#hot-reload[data-ready]")).to_be_visible()
        return self

    def __call__(self, selector, text=None):
        return self.page.locator(selector, has_text=text)

    def row(self, section, text):
        return self(f'[data-list="{section}"] > div', text)

    def save(self, name, text):
        (self.modules / name).write_text(text, encoding="utf-8")

    def module(self, name):
        """A new module that the demo has imported, with a live file's help."""
        self.save(f"{name}.py", MODULE)
        self.demo.save(f"import modules.{name}", f"import_{name}.py")
        expect(self.row("live", f"import_{name}.py")).to_contain_text("works")

    def replaced(self, name):
        self.module(name)
        self.demo.save(LIVE.format(name=name, mine=f"mine_{name}"), f"{name}_live.py")
        row = self.row("patches", f"modules.{name}.plain")
        expect(row).to_be_visible(timeout=2000)
        return row

    def confirm(self, name="Yes"):
        expect(self("dialog[open]")).to_be_visible()
        self("dialog").get_by_role("button", name=name).click()

    def revision(self, text):
        row = self.row("revisions", text).first
        row.locator("summary").click()
        expect(row.locator(".hr-body[data-ready]")).to_be_visible()
        return row

    def fetch(self, **request):
        """What the page's own script would be answered."""
        code = """async (request) => {
            const prefix = window.gradio_config.api_prefix || "";
            const response = await fetch(prefix + "/run/hot_reload", {
                method: "POST", headers: {"Content-Type": "application/json"},
                body: JSON.stringify({data: [request], session_hash: "test"})});
            return (await response.json()).data[0];
        }"""
        return json.loads(self.page.evaluate(code, json.dumps(request)))


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        options = {"executable_path": CHROMIUM, "args": ["--no-sandbox"]}
        yield driver.chromium.launch(**options)


@pytest.fixture(scope="module", params=PYTHONS)
def python(request):
    return request.param


@pytest.fixture(scope="module")
def shared_demo(check, python):
    with check.Demo(python=python, options=["--load-seconds", "0"]) as demo:
        yield demo


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    # Fonts from elsewhere: the page works without, and the test needs no network.
    page.route(lambda url: "127.0.0.1" not in url, lambda route: route.abort())
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(error))
    yield page
    assert not page.errors
    page.close()


@pytest.fixture
def tab(shared_demo, page):
    return Tab(shared_demo, page).open()


def test_a_save_appears(tab):
    row = tab.replaced("appears")
    expect(row).to_contain_text("mine_appears, appears_live.py:4")
    expect(row).to_contain_text("since")
    expect(row).to_contain_text("live file appears_live.py")
    live = tab.row("live", "appears_live.py")
    expect(live).to_contain_text("works")
    expect(live).to_contain_text(" ms")
    began = time.monotonic()
    tab.save("appears.py", MODULE.replace("-x", "+x"))
    newest = tab('[data-list="revisions"] > div >> nth=0', "modules/appears.py")
    expect(newest).to_contain_text("1 changed", timeout=2000)
    assert time.monotonic() - began < 2
    expect(newest).to_contain_text(" ms")
    bars = tab('[data-list="plot"] svg g')
    assert bars.count() >= 3
    title = bars.last.locator("title").text_content()
    assert all(word in title for word in ("waiting", "planning", "commit"))
    expect(tab(".hr-legend")).to_contain_text("median")
    for words in "files followed", "replaced now", "revisions", "failures":
        expect(tab(".hr-tile", words)).to_be_visible()


def test_restore_one(tab, check):
    before = tab.demo.ask("hello")
    tab.demo.save(check.LIVE_FILE % "once", "shout.py")
    row = tab.row("patches", "generate_reply_HF")
    expect(row).to_be_visible(timeout=2000)
    assert "[once" in tab.demo.ask("hello")
    row.get_by_role("button", name="Restore").click()
    expect(row).to_have_count(0)
    expect(tab("#hr-toasts")).to_contain_text("is the original again")
    assert tab.demo.ask("hello") == before
    (tab.demo.live / "shout.py").unlink()


def test_restore_all_asks(tab):
    tab.replaced("all_one")
    tab.replaced("all_two")
    everything = tab.page.get_by_role("button", name="Everything as original")
    everything.click()
    expect(tab("dialog")).to_contain_text("replaced functions")
    tab.confirm("Cancel")
    expect(tab("dialog[open]")).to_have_count(0)
    expect(tab.row("patches", "all_two")).to_be_visible()
    everything.click()
    tab.confirm()
    expect(tab('[data-list="patches"]')).to_contain_text("Nothing is replaced")
    expect(everything).to_have_count(0)


def test_failed_live_file(tab):
    tab.demo.save("# fine\n", "fails.py")
    row = tab.row("live", "fails.py")
    expect(row).to_contain_text("works")
    tab.demo.save(BROKEN, "fails.py")
    expect(tab("#hr-toasts [role=alert]")).to_contain_text(
        "fails.py: ZeroDivisionError", timeout=2000
    )
    expect(row).to_contain_text("failed")
    expect(row).to_contain_text("its last working version is in effect")
    here = row.locator(".hr-here").all_text_contents()
    assert here[:2] == ['  File "fails.py", line 3, in divide', "    return secret / x"]
    expect(row.locator(".hr-last")).to_contain_text("ZeroDivisionError: ")
    expect(tab.row("revisions", "fails.py").first).to_contain_text("ZeroDivisionError")

    # A file that fails for a reason outside of it is run again by the button.
    outside = tab.demo.live / "outside.txt"
    tab.demo.save(f"open({str(outside)!r})", "again.py")
    row = tab.row("live", "again.py")
    expect(row).to_contain_text("FileNotFoundError")
    outside.touch()
    row.get_by_role("button", name="Run again").click()
    expect(row).to_contain_text("works")
    expect(tab("#hr-toasts")).to_contain_text("again.py ran")


def test_a_long_run_does_not_hold_the_tab(tab):
    row = tab.replaced("meanwhile")
    tab.demo.save("import time\ntime.sleep(4)\n", "slow.py")
    slow = tab.row("live", "slow.py")
    expect(slow).to_contain_text("works", timeout=8000)
    slow.get_by_role("button", name="Run again").click()
    began = time.monotonic()
    row.get_by_role("button", name="Restore").click()
    expect(row).to_have_count(0, timeout=3000)
    assert time.monotonic() - began < 3
    expect(tab("#hr-toasts")).to_contain_text("slow.py ran", timeout=8000)
    (tab.demo.live / "slow.py").unlink()


def test_refused_source(tab):
    tab.module("refused")
    tab.save("refused.py", MODULE.replace("return x", "return x +"))
    row = tab.row("revisions", "modules/refused.py").first
    expect(row).to_contain_text("HR101 in line 2: SyntaxError")
    expect(row).to_contain_text("refused")
    expect(tab("#hr-toasts [role=alert]").last).to_contain_text("HR101")


def test_diff_and_undo(tab):
    tab.module("undone")
    tab.save("undone.py", MODULE.replace("-x", "+x"))
    expect(tab.row("revisions", "modules/undone.py")).to_have_count(1)
    tab.save("undone.py", MODULE.replace("-x", "+x").replace("return x", "return 5"))
    expect(tab.row("revisions", "modules/undone.py")).to_have_count(2)
    row = tab.row("revisions", "modules/undone.py").last
    number = row.locator(".hr-number").text_content()
    row.locator("summary").click()
    expect(row.locator(".hr-row-end")).to_contain_text("and the 1 newer.")
    tab.demo.save("# newer still", "newer.py")
    expect(row.locator(".hr-row-end")).to_contain_text("and the 2 newer.")
    expect(row.locator(".hr-edits")).to_contain_text("modules.undone.other line 5")
    gone, came = row.locator("td.hr-gone"), row.locator("td.hr-came")
    expect(gone).to_have_text("    return -x")
    expect(came).to_have_text("    return +x")
    expect(came.locator("mark")).to_have_text("+")
    row.get_by_role("button", name="Undo to here").click()
    expect(tab("dialog")).to_contain_text("and the 2 newer?")
    tab.confirm()
    for each in tab.row("revisions", "modules/undone.py").all():
        expect(each).to_contain_text("undone")
    expect(tab("#hr-toasts")).to_contain_text(number)
    assert row.locator("details").get_attribute("open") is not None  # it stays so
    tab.demo.save("import modules.undone as m\nassert m.other(1) == -1\n", "calls.py")
    expect(tab.row("live", "calls.py")).to_contain_text("works")


def test_live_file_s_texts(tab):
    tab.demo.save("a = 1\nb = 2\n", "texts.py")
    expect(tab.row("revisions", "texts.py")).to_have_count(1)
    tab.demo.save("a = 1\nb = 3\n", "texts.py")
    expect(tab.row("revisions", "texts.py")).to_have_count(2)
    row = tab.revision("texts.py")
    expect(row.locator("td.hr-gone")).to_have_text("b = 2")
    expect(row.locator("td.hr-came")).to_have_text("b = 3")


def test_following_can_be_switched(tab):
    tab.module("switched")
    switch = tab.page.get_by_role("switch")
    expect(switch).to_be_checked()
    tab("label.hr-switch").click()
    expect(tab("label.hr-switch")).to_contain_text("is off")
    tab.save("switched.py", MODULE.replace("-x", "+x"))
    tab.page.wait_for_timeout(1500)
    expect(tab.row("revisions", "modules/switched.py")).to_have_count(0)
    switch.focus()
    tab.page.keyboard.press("Space")
    expect(tab("label.hr-switch")).to_contain_text("is on")
    expect(switch).to_be_checked()
    tab.save("switched.py", MODULE.replace("-x", "x + x"))
    expect(tab.row("revisions", "modules/switched.py")).to_have_count(1)


def test_old_code_and_a_save_while_a_reply_streams(tab):
    chat = tab.modules / "chat.py"
    text = chat.read_text(encoding="utf-8")
    words = "slowly " * 200
    stream = threading.Thread(target=tab.demo.call, args=("chat", words, None))
    stream.start()
    time.sleep(0.5)
    chat.write_text(
        text.replace("history = [*history,", "history = [*(history or ()),")
    )
    expect(tab.row("revisions", "modules/chat.py").first).to_be_visible(timeout=2000)
    row = tab.row("old", "modules.chat.send")
    expect(row).to_be_visible(timeout=2000)
    expect(row).to_contain_text("exchanged by #")
    assert stream.is_alive()
    tab.demo.save("# while it streams\n", "streams.py")
    expect(tab.row("live", "streams.py")).to_be_visible(timeout=2000)
    stream.join()
    expect(row).to_have_count(0, timeout=8000)


def test_asks_little_and_only_while_it_is_seen(tab):
    asked = []
    tab.page.on("request", lambda r: "/run/hot_reload" in r.url and asked.append(r))
    tab.page.on("response", lambda r: asked.append(r) if "/run/h" in r.url else None)
    tab.page.wait_for_timeout(4000)
    answers = [r for r in asked if hasattr(r, "status")]
    assert 2 <= len(answers) <= 5
    assert all(len(answer.body()) < 500 for answer in answers)
    tab.page.get_by_role("tab", name="Chat").click()
    tab.page.wait_for_timeout(300)
    asked.clear()
    tab.page.wait_for_timeout(2500)
    assert not asked
    tab.demo.save("# while nobody looks\n", "unseen.py")
    tab.page.get_by_role("tab", name="Hot Reload").click()
    expect(tab.row("live", "unseen.py")).to_be_visible(timeout=2000)
    tab.page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true})")
    tab.page.wait_for_timeout(300)
    asked.clear()
    tab.page.wait_for_timeout(2500)
    assert not asked


def test_keyboard(tab):
    tab.replaced("keys")
    row = tab.row("patches", "modules.keys.plain")
    tab.page.get_by_role("switch").focus()
    for _ in range(20):
        tab.page.keyboard.press("Tab")
        if row.locator("button:focus").count():
            break
    tab.page.keyboard.press("Enter")
    expect(row).to_have_count(0)
    focused = "document.activeElement.closest('#hot-reload') !== null"
    assert tab.page.evaluate(focused)
    summary = tab.row("revisions", "keys_live.py").locator("summary")
    summary.focus()
    tab.page.keyboard.press("Enter")
    undo = tab.row("revisions", "keys_live.py").get_by_role("button")
    expect(undo).to_be_visible()
    undo.focus()
    tab.page.keyboard.press("Enter")
    expect(tab("dialog[open]")).to_be_visible()
    tab.page.keyboard.press("Escape")
    expect(tab("dialog[open]")).to_have_count(0)
    expect(undo).to_be_focused()


def test_hostile_names(tab):
    name = EVIL.replace("/", "")[:60] + ".py"
    code = f"""
import sys, types
from extensions.hot_reload.utils import replace
evil = {EVIL!r}
m = types.ModuleType(evil)
def f(): pass
def g(): pass
g.__qualname__ = evil
setattr(m, evil, f)
replace(m, f, g)
"""
    tab.demo.save(code, name)
    row = tab.row("patches", "<script>window.pwned")
    expect(row).to_contain_text(EVIL)
    expect(tab.row("live", name)).to_contain_text("works")
    tab.demo.save(f"raise RuntimeError({EVIL!r})", "evil.py")
    expect(tab.row("live", "evil.py")).to_contain_text(f"RuntimeError: {EVIL}")
    expect(tab("#hr-toasts [role=alert]").last).to_contain_text(EVIL)
    opened = tab.revision("evil.py")
    expect(opened.locator("td.hr-came")).to_contain_text("<script>")
    tab.page.wait_for_timeout(300)
    assert tab.page.evaluate("window.pwned") is None
    assert tab("#hot-reload script, #hot-reload img").count() == 0
    row.get_by_role("button").click()
    expect(row).to_have_count(0)
    for each in name, "evil.py":
        (tab.demo.live / each).unlink()


def luminance(page, selector, what):
    code = """([selector, what]) => {
        const canvas = document.createElement("canvas").getContext("2d");
        let element = document.querySelector(selector), color;
        do color = getComputedStyle(element)[what];
        while (/, 0\\)$/.test(color) && (element = element.parentElement));
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    }"""
    red, green, blue, _ = page.evaluate(code, [selector, what])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_themes(shared_demo, page, theme):
    tab = Tab(shared_demo, page).open(f"/?__theme={theme}")
    text = luminance(page, "#hot-reload .hr-tile b", "color")
    back = luminance(page, "#hot-reload .hr-tile", "backgroundColor")
    assert (text - back > 0.5) if theme == "dark" else (back - text > 0.5)
    assert tab(".dark #hot-reload").count() == (theme == "dark")


def test_narrow(tab):
    tab.module("narrow")
    tab.page.set_viewport_size({"width": 400, "height": 800})
    tab.save("narrow.py", MODULE.replace("-x", "-x + " + "x + " * 40 + "1"))
    row = tab.row("revisions", "modules/narrow.py")
    expect(row).to_have_count(1)
    row = tab.revision("modules/narrow.py")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 400
    for kind in ".hr-diff", ".hr-came", "button":
        box = row.locator(kind).last.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 400
    assert row.locator("td.hr-came").bounding_box()["width"] > 200
    for button in tab("#hot-reload button:visible").all():
        assert button.bounding_box()["x"] + button.bounding_box()["width"] <= 400


def test_read_only_where_others_can_reach_it(check, python, page):
    options = ["--load-seconds", "0", "--listen"]
    with check.Demo(python=python, options=options) as demo:
        tab = Tab(demo, page).open()
        expect(tab(".hr-note")).to_contain_text("Read-only, because others can reach")
        expect(tab.page.get_by_role("switch")).to_be_disabled()
        tab.demo.save(BROKEN, "fails.py")
        tab.demo.save(check.LIVE_FILE % "once")
        expect(tab.row("patches", "generate_reply_HF")).to_be_visible()
        row = tab.row("live", "fails.py")
        expect(row).to_contain_text("ZeroDivisionError")
        for each in tab.row("revisions", ".py").all():
            each.locator("summary").click()
            expect(each).to_contain_text("No source text")
        assert tab("#hot-reload [data-do]:not([disabled])").count() == 0
        shown = tab("#hot-reload").inner_html()
        assert "secret" not in shown and "division by zero" not in shown
        for do, key in [
            ("restore_all", ""),
            ("undo", "1-2"),
            ("run", str(demo.live / "check.py")),
            ("follow", "off"),
        ]:
            assert "Read-only" in tab.fetch(do=do, key=key)["failed"]
        answer = json.dumps(tab.fetch(do="open", key=1))
        assert "secret" not in answer and "import time" not in answer
        assert "[once" in demo.ask("hello")


@pytest.mark.skipif(
    not os.environ.get("HOT_RELOAD_PICTURES"), reason="HOT_RELOAD_PICTURES is not set"
)
def test_pictures(check, browser):
    chat = "modules/chat.py"
    with check.Demo(options=["--load-seconds", "0"]) as demo:
        page = browser.new_page(viewport={"width": 900, "height": 700})
        page.route(lambda url: "127.0.0.1" not in url, lambda route: route.abort())
        tab = Tab(demo, page).open("/?__theme=light")
        demo.save(check.LIVE_FILE % "once", "shout.py")
        text = (tab.modules / "chat.py").read_text(encoding="utf-8")
        for number in (*range(40), 5):
            tab.save("chat.py", text.replace("margin:.5em", f"margin:.{number}em"))
            page.wait_for_timeout(120)
        old, new = '"" if shared.model_loads == 1 else "s"', "plural_of(shared)"
        more = 'def plural_of(state):\n    return "s" * (state.model_loads != 1)\n\n\n'
        text = text.replace(old, new).replace("def status", more + "def status")
        tab.save("chat.py", text)
        page.wait_for_timeout(1500)
        demo.save("def divide(x):\n    return 1 / x\n\n\ndivide(0)\n", "broken.py")
        expect(tab.row("live", "broken.py")).to_contain_text("failed")
        tab.row("revisions", chat).first.locator("summary").click()
        expect(tab(".hr-diff")).to_be_visible()
        style = '[data-list="revisions"] { max-height: 520px !important }'
        page.add_style_tag(
            content=style + "footer, #hr-toasts { display: none !important }"
        )
        for theme in "light", "dark":
            dark = "true" if theme == "dark" else "false"
            page.evaluate(f"document.body.classList.toggle('dark', {dark})")
            page.wait_for_timeout(500)
            target = ROOT / "docs" / "img" / f"tab-{theme}.png"
            tab("#hot-reload").screenshot(path=target)
            assert target.stat().st_size < 300_000
        page.close()
