"""What live files import: from extensions.hot_reload.utils import replace, restore."""

try:
    from hot_reload import original, patches, replace, restore, restore_all
except ModuleNotFoundError as error:  # the webui would take this one as fatal
    raise ImportError("hot_reload is not built: load the extension") from error

__all__ = ["original", "patches", "replace", "restore", "restore_all"]
