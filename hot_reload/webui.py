"""The engine inside text-generation-webui: its folders, its logger, its live files."""

import importlib
import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import hot_reload

OWN_FILES = ("script.py", "utils.py")
LOCAL = ("localhost", "127.0.0.1", "::1")


def setup(params, live, logger):
    """Called at every start of the interface; the engine starts with the first."""
    shared = sys.modules.get("modules.shared")
    provide_utils(live)
    hot_reload.configure(
        logger=logger,
        withdraw=params["withdraw"],
        follow=params["follow"],
        level=params["log_level"],
    )
    if reachable(getattr(shared, "args", None)):
        logger.warning(
            "[HotReload]: others can reach this webui. Live files are code: whoever "
            f"can write to {live} runs it in this process."
        )
    hot_reload.start(*roots() if params["follow"] else (), live=live, skip=OWN_FILES)


def roots():
    shared = sys.modules.get("modules.shared")
    return [Path(shared.__file__).resolve().parents[1]] if shared else []


def follow(on):
    hot_reload.configure(follow=on)
    if on:
        hot_reload.start(*roots())


def ui(params):
    """Called at every start of the interface, inside the extension's tab."""
    importlib.import_module("hot_reload.tab").ui(lambda: read_only(params), follow)


def read_only(params):
    """Why the tab only shows, and shows no source text; "" where it may do all."""
    args = getattr(sys.modules.get("modules.shared"), "args", None)
    several = getattr(args, "multi_user", False)
    if params["allow_remote"] or not (several or reachable(args)):
        return ""
    return (
        f"Read-only, because {'several users share' if several else 'others can reach'}"
        " this webui. The setting hot_reload-allow_remote: true changes that."
    )


def reachable(args):
    """Whether the webui listens on an address of more than this machine."""
    local = getattr(args, "listen_host", None) in LOCAL
    return (
        bool(getattr(args, "listen", False) and not local)
        or bool(getattr(args, "share", False))
        or bool(getattr(args, "public_api", False))
        or os.environ.get("GRADIO_SERVER_NAME", "localhost") not in LOCAL
        or os.environ.get("GRADIO_SHARE", "").lower() == "true"
    )


def provide_utils(live):
    """Make `extensions.hot_reload.utils` importable, wherever the extension lies."""
    name = "extensions.hot_reload"
    package = sys.modules.get(name)
    if package and live in map(Path, package.__path__):
        return
    try:
        extensions = importlib.import_module("extensions")
    except ModuleNotFoundError:
        extensions = sys.modules["extensions"] = ModuleType("extensions")
        extensions.__path__ = []
    spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(live)]
    package = importlib.util.module_from_spec(spec)
    extensions.hot_reload = sys.modules[name] = package
    sys.modules.pop(f"{name}.utils", None)
    importlib.import_module(f"{name}.utils")
