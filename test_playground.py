"""A live file: it runs now and at every save. Remove a `#` below, save, ask again.

Further files beside this one are live as well; give each a purpose and a name.
"""

# ruff: noqa: F401
import modules.text_generation
from extensions.hot_reload.utils import replace, restore
from modules.text_generation import generate_reply_HF


def test_generator(question, original_question, state, *args, **kwargs):
    yield f"{original_question}, you say? I could go on about that for hours."


# From the next message on, this answers. (For a model that llama.cpp or ExLlamaV3 runs,
# the webui calls generate_reply_custom instead: replace that one.)
# replace(modules.text_generation, generate_reply_HF, test_generator)

# And this gives the model its voice back:
# restore(modules.text_generation, generate_reply_HF)
