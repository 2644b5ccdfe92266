"""A stand-in for a language model: slow to load, quick to talk."""

import time

from modules import shared
from modules.logging_colors import logger
from rich.progress import track

DELAY = 0.02  # seconds per word


class DemoModel:
    def generate(self, prompt):
        answer = f"You said: {prompt} - and this is what the original code says to it."
        for word in answer.split(" "):
            time.sleep(DELAY)
            yield word


def load_model():
    began = time.monotonic()
    for _ in track(range(100), description="Loading the model", transient=True):
        time.sleep(shared.args.load_seconds / 100)
    shared.model = DemoModel()
    shared.model_loads += 1
    seconds = time.monotonic() - began
    logger.info(f"Model loaded in {seconds:.1f} s (load {shared.model_loads})")
