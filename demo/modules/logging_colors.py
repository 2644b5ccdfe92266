"""The logger of the whole program, one colour per level."""

import logging
import sys

COLORS = {"WARNING": 33, "ERROR": 31, "CRITICAL": 31}

logger = logging.getLogger("demo")


class Formatter(logging.Formatter):
    def format(self, record):
        text = super().format(record)
        color = COLORS.get(record.levelname)
        return f"\033[{color}m{text}\033[0m" if color and sys.stderr.isatty() else text


handler = logging.StreamHandler()
handler.setFormatter(Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
logger.addHandler(handler)
logger.setLevel(logging.DEBUG)
logger.propagate = False
