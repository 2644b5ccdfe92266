"""From a question to the words of a reply, as they come."""

from modules import shared
from modules.extensions import apply_extensions


def generate_reply(question, state):
    yield from _generate_reply(question, state)


def _generate_reply(question, state):
    prompt = apply_extensions("input_modifier", question)
    generate = generate_reply_HF if shared.model else generate_reply_empty
    yield from generate(prompt, question, state)


def generate_reply_HF(question, original_question, state):
    reply = ""
    for word in shared.model.generate(question):
        reply = f"{reply} {word}".lstrip()
        yield reply


def generate_reply_empty(question, original_question, state):
    yield "No model is loaded."
