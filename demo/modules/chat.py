"""The conversation and how the page shows it."""

from html import escape

from modules import shared
from modules.text_generation import generate_reply  # by name: the usual difficulty

MESSAGE = (
    '<div class="message {role}" style="margin:.5em 0; padding:.6em .9em; '
    'border-radius:.6em; border:1px solid #8884; {style}">{text}</div>'
)
STYLES = {"user": "margin-left:25%; background:#4a7dff22", "bot": "margin-right:25%"}


def send(text, history):
    """Event handler: the page's text box, its history, and the rendered chat."""
    history = [*history, [text, ""]]
    for reply in generate_reply(text, {"history": history}):
        history[-1][1] = reply
        yield "", history, render(history)


def render(history):
    messages = []
    for question, answer in history:
        for role, text in (("user", question), ("bot", answer)):
            style = STYLES[role]
            messages.append(MESSAGE.format(role=role, style=style, text=escape(text)))
    return f'<div id="chat">{"".join(messages)}</div>'


def status():
    plural = "" if shared.model_loads == 1 else "s"
    return f"Model loaded {shared.model_loads} time{plural} since the start."
