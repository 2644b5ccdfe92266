"""The demo in a real browser: after a save the same page streams other text."""

import importlib.util
import re
import shutil
import time
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DEMO = Path(__file__).resolve().parents[2] / "demo"

pytest.importorskip("gradio", reason="gradio is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright here")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="this machine has no Chromium")

WATCH = """
window.marker = "this very page";
window.seen = [];
new MutationObserver(() => {
    const bots = document.querySelectorAll("#chat .bot");
    if (bots.length) window.seen.push(bots[bots.length - 1].textContent);
}).observe(document.body, {subtree: true, childList: true, characterData: true});
"""


@pytest.fixture(scope="module")
def check():
    spec = importlib.util.spec_from_file_location("demo_check", DEMO / "check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def page():
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium
        browser = chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        # Fonts from elsewhere: the page works without, and the test needs no network.
        page.route(lambda url: "127.0.0.1" not in url, lambda route: route.abort())
        yield page
        browser.close()


def ask(page, text, ending):
    """Send a message and wait until the last reply ends so; what streamed meanwhile."""
    page.evaluate("window.seen = []")
    count = page.locator("#chat .bot").count()
    page.locator("#message textarea, #message input").fill(text)
    page.keyboard.press("Enter")
    last = page.locator("#chat .bot").nth(count)
    playwright.expect(last).to_contain_text(ending, timeout=10_000)
    return page.evaluate("window.seen")


def wait_for_edits(demo, count, seconds=5):
    """Until so many are live; several saves may have become one revision."""
    deadline = time.monotonic() + seconds
    while sum(map(int, re.findall(r"(\d+) edits? in", demo.log))) < count:
        assert time.monotonic() < deadline, demo.log
        time.sleep(0.02)


def test_streamed_text_follows_a_save(page, check):
    with check.Demo() as demo:
        page.goto(demo.url, wait_until="domcontentloaded")
        page.wait_for_selector("#message textarea, #message input")
        page.evaluate(WATCH)

        ask(page, "first", "says to it.")

        demo.save(check.LIVE_FILE % "once")
        # The save is live long before a person can type: one ask is enough.
        page.wait_for_timeout(100)
        streamed = ask(page, "second", "SAYS TO IT. [once")
        assert any("SECOND" in text and "SAYS" not in text for text in streamed)
        assert not any("You said: second" in text for text in streamed)

        demo.save(check.RESTORE % "restored")
        page.wait_for_timeout(100)
        ask(page, "third", "says to it.")

        assert page.locator("#chat .bot").count() == 3  # the conversation went on
        assert page.evaluate("window.marker") == "this very page"
        loads = page.locator("#loads textarea, #loads input")
        playwright.expect(loads).to_have_value("Model loaded 1 time since the start.")
        assert demo.log.count("Model loaded in") == 1


def test_a_reply_that_streams_ends_in_the_code_that_it_began_with(page, check):
    with check.Demo() as demo:
        page.goto(demo.url, wait_until="domcontentloaded")
        page.wait_for_selector("#message textarea, #message input")
        page.locator("#message textarea, #message input").fill("slowly " * 40)
        page.keyboard.press("Enter")
        reply = page.locator("#chat .bot").first
        playwright.expect(reply).to_contain_text("slowly")
        demo.save(check.LIVE_FILE % "once")
        playwright.expect(reply).to_contain_text("says to it.", timeout=10_000)
        ask(page, "now", "SAYS TO IT. [once")


def test_edits_of_sources_while_a_reply_streams_show_in_the_next(page, check):
    with check.Demo() as demo:
        page.goto(demo.url, wait_until="domcontentloaded")
        page.wait_for_selector("#message textarea, #message input")
        page.evaluate(WATCH)
        page.locator("#message textarea, #message input").fill("slowly " * 300)
        page.keyboard.press("Enter")
        reply = page.locator("#chat .bot").first
        playwright.expect(reply).to_contain_text("slowly")

        # A generator that runs, what it has called, and what it calls again and again.
        demo.edit("modules/text_generation.py", "{reply} {word}", "{reply}-{word}")
        demo.edit("modules/chat.py", "[1] = reply\n", "[1] = reply + '!'\n")
        demo.edit("modules/chat.py", "margin-right:25%", "margin-right:33%")
        wait_for_edits(demo, 3)
        assert "says to it." not in reply.text_content(), "the reply is to be streaming"

        playwright.expect(reply).to_contain_text("says to it.", timeout=30_000)
        assert "slowly slowly" in reply.text_content()
        assert "!" not in reply.text_content()
        assert "33%" in reply.get_attribute("style")

        streamed = ask(page, "next", "-says-to-it.!")
        assert any("-next" in text and "-says" not in text for text in streamed)
        assert not any("You said: next" in text for text in streamed)
        assert page.evaluate("window.marker") == "this very page"
        loads = page.locator("#loads textarea, #loads input")
        playwright.expect(loads).to_have_value("Model loaded 1 time since the start.")
        assert demo.log.count("Model loaded in") == 1
