"""What text-generation-webui loads: it sets `params` and calls setup()."""

import importlib.util
from pathlib import Path

params = {
    "follow": True,  # follow the webui's own sources too
    "withdraw": False,  # a replacement that a save no longer makes is taken back
    "log_level": "INFO",
}


def setup():
    source = Path(__file__).resolve().parent  # where a symbolic link leads
    path = source / "hot_reload" / "bootstrap.py"
    # By path, because the package cannot be imported before it has been built.
    spec = importlib.util.spec_from_file_location("hot_reload_bootstrap", path)
    bootstrap = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bootstrap)
    bootstrap.setup(params, source, live=Path(__file__).absolute().parent)
