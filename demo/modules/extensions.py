"""Find, load and ask the extensions, under the names that the real webui gives them."""

import importlib
import importlib.util
import sys

from modules import shared
from modules.logging_colors import logger

loaded = {}  # name -> module
set_up = set()  # modules; one loaded from a path is a new one at every restart


def load_extensions():
    loaded.clear()
    for name in shared.args.extensions:
        logger.info(f"Loading the extension {name}")
        try:
            module = import_extension(name)
            if module not in set_up:
                apply_settings(module, name)
                if hasattr(module, "setup"):
                    module.setup()
                set_up.add(module)
            loaded[name] = module
        except ModuleNotFoundError:
            logger.error(f"The requirements of the extension {name} are not installed.")
            raise
        except Exception:
            logger.exception(f"The extension {name} failed to load.")


def import_extension(name):
    path = shared.user_data_dir / "extensions" / name / "script.py"
    if not path.exists():
        return importlib.import_module(f"extensions.{name}.script")
    spec = importlib.util.spec_from_file_location(f"user_ext_{name}", str(path))
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def apply_settings(module, name):
    params = getattr(module, "params", {})
    for key in params:
        params[key] = shared.settings.get(f"{name}-{key}", params[key])


def apply_extensions(kind, text):
    for module in loaded.values():
        if hasattr(module, kind):
            text = getattr(module, kind)(text)
    return text


def create_tabs():
    import gradio as gr

    for name, module in loaded.items():
        params = getattr(module, "params", {})
        if hasattr(module, "ui") and params.get("is_tab"):
            title = params.get("display_name", name)
            with gr.Tab(title, elem_classes="extension-tab"):
                module.ui()


def create_blocks():
    for module in loaded.values():
        if hasattr(module, "ui") and not getattr(module, "params", {}).get("is_tab"):
            module.ui()
