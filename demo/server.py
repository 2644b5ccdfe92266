"""A small web UI of the same shape as text-generation-webui, to try hot_reload on."""

import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
os.chdir(ROOT)
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

from modules import chat, extensions, models, shared  # noqa: E402
from modules.logging_colors import logger  # noqa: E402

GUIDE = """
  The page:  {url}
  Ask it something. Then edit this live file, and save it:

      {live}

  Take the `#` away before `replace(...)`, save, and ask again: another answer, with
  neither a restart nor a reload of the page. Then take it away before `restore(...)`.

  Or edit the program itself, also while a reply streams: what a reply looks like in

      {source}

  The next reply is the new one. The model was loaded once, and the page says so.
"""


def create_interface():
    import gradio as gr

    extensions.load_extensions()
    with gr.Blocks(title="hot_reload demo", analytics_enabled=False) as page:
        history = gr.State([])
        with gr.Tab("Chat"):
            display = gr.HTML(chat.render([]))
            text = gr.Textbox(label="Your message", elem_id="message", autofocus=True)
            loads = gr.Textbox(chat.status, label="Model", elem_id="loads")
            restart = gr.Button("Restart the interface", size="sm")
        extensions.create_tabs()
        extensions.create_blocks()

        reply = [text, history, display]
        text.submit(chat.send, [text, history], reply, api_name="chat").then(
            chat.status, None, loads, api_name="status"
        )
        restart.click(request_restart, None, None, api_name="restart")

    shared.gradio["interface"] = page.queue()
    host = (shared.args.listen_host or "0.0.0.0") if shared.args.listen else None
    _, url, _ = page.launch(
        prevent_thread_lock=True,
        quiet=True,
        share=shared.args.share,
        server_name=host,
        server_port=shared.args.listen_port,
    )
    logger.info(f"The page is at {url}")
    return url


def request_restart():
    shared.need_restart = True


def live_file():
    yours, ours = (
        ROOT / parent / "extensions" / "hot_reload" / "test_playground.py"
        for parent in (shared.user_data_dir, "")
    )
    return yours if yours.exists() else ours


def main():
    models.load_model()
    url = create_interface()
    if "hot_reload" in shared.args.extensions:
        source = ROOT / "modules" / "chat.py"
        print(GUIDE.format(url=url, live=live_file(), source=source), flush=True)
    while True:
        time.sleep(0.2)
        if shared.need_restart:
            shared.need_restart = False
            logger.info("Restarting the interface")
            shared.gradio["interface"].close()
            create_interface()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(0)
