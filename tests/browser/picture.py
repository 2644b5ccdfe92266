"""Make docs/img/demo.png: the demo before and after a save, side by side.

Run by hand with the Python of the tests: python tests/browser/picture.py
"""

import base64
import html
import importlib.util
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
QUESTION = "Are you the same process?"

LIVE_FILE = """\
import modules.text_generation
from modules.text_generation import generate_reply_HF
from extensions.hot_reload.utils import replace

def mine(question, original_question, state):
    for reply in generate_reply_HF(question, original_question, state):
        yield "I am. I used to say: " + reply

%sreplace(modules.text_generation, generate_reply_HF, mine)
"""

PAGE = """
<body style="margin:0; background:#fff; font:15px sans-serif">
<div id="all" style="display:flex; gap:20px; padding:16px; width:1180px">%s</div>
"""
COLUMN = """
<div style="width:580px"><b>%s</b>
<pre style="background:#1d2433; color:#d5dbe8; padding:12px; border-radius:8px;
font:12.5px/1.5 monospace">%s</pre><img width="580" src="data:image/png;base64,%s">
</div>
"""


def load_check():
    path = ROOT / "demo" / "check.py"
    spec = importlib.util.spec_from_file_location("demo_check", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    columns = []
    with load_check().Demo() as demo, sync_playwright() as driver:
        chromium = shutil.which("chromium")
        options = {"executable_path": chromium, "args": ["--no-sandbox"]}
        browser = driver.chromium.launch(**options)
        page = browser.new_page(viewport={"width": 580, "height": 450})
        page.goto(demo.url, wait_until="domcontentloaded")
        box = page.locator("#message textarea, #message input")
        for number, (title, comment) in enumerate(
            [("Before the save", "# "), ("After it: same process, same page", "")]
        ):
            text = LIVE_FILE % comment
            demo.save(text, "mine.py")
            page.wait_for_timeout(200)
            box.fill(QUESTION)
            box.press("Enter")
            reply = page.locator("#chat .bot").nth(number)
            reply.get_by_text("says to it.").wait_for()
            page.wait_for_timeout(800)
            picture = page.screenshot()
            code = html.escape(text.rstrip())
            last = code.splitlines()[-1]
            code = code.replace(last, f'<b style="color:#ffd479">{last}</b>')
            columns.append(COLUMN % (title, code, base64.b64encode(picture).decode()))
        page = browser.new_page(viewport={"width": 1220, "height": 800})
        page.set_content(PAGE % "".join(columns))
        target = ROOT / "docs" / "img" / "demo.png"
        page.locator("#all").screenshot(path=target)
        print(f"{target}: {target.stat().st_size // 1024} KiB")
        browser.close()


if __name__ == "__main__":
    main()
