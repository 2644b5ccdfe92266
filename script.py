"""What text-generation-webui loads: it sets `params` and calls setup() and ui()."""

import importlib.util
from pathlib import Path

params = {
    "follow": True,  # follow the webui's own sources too
    "withdraw": False,  # a replacement that a save no longer makes is taken back
    "log_level": "INFO",
    "allow_remote": False,  # the tab acts and shows sources where others can reach it
    "is_tab": True,
    "display_name": "Hot Reload",
}
SOURCE = Path(__file__).resolve().parent  # where a symbolic link leads


def setup():
    bootstrap().setup(params, SOURCE, live=Path(__file__).absolute().parent)


def ui():
    bootstrap().ui(params)


def bootstrap():
    # By path, because the package cannot be imported before it has been built.
    path = SOURCE / "hot_reload" / "bootstrap.py"
    spec = importlib.util.spec_from_file_location("hot_reload_bootstrap", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
