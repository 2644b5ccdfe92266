"""A live file of the demo: it runs now and at every save.

Ask the page something; remove the `#` before replace(...), save, ask again; change
the words, save, ask again; then put the `#` back and remove the one of restore(...).
"""

# ruff: noqa: F401
import time

import modules.text_generation
from extensions.hot_reload.utils import replace, restore
from modules.text_generation import generate_reply_HF


def test_generator(question, original_question, state):
    reply = "This is the live file speaking."
    yield reply
    # In a live file, the replaced function's name still means the original.
    for original in generate_reply_HF(question, original_question, state):
        yield f"{reply} The original would say: {original}"
    time.sleep(0.1)


# replace(modules.text_generation, generate_reply_HF, test_generator)
# restore(modules.text_generation, generate_reply_HF)
