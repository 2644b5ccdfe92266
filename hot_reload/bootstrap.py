"""Start the engine inside the webui, building it first where that is necessary.

script.py loads this file by its path, out of the extension's folder. It has to work
where the package was never built, so it imports nothing of it until that is settled.
The webui ends on a ModuleNotFoundError from an extension: none may leave `setup`.
"""

import contextlib
import hashlib
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

TIMEOUT = 900  # seconds; a build takes ten, but a network that hangs has to end too
NOTE = "built_from.txt"  # in the installed package: the digest of its sources
COMPILERS = ("cc", "gcc", "clang", "cl")
NO_COMPILER = (
    "no C compiler was found (install one: `apt install build-essential python3-dev` "
    "on Debian and Ubuntu, `conda install -c conda-forge c-compiler` in conda)"
)


class BuildError(Exception):
    """The engine is not there and could not be built; says why."""


def setup(params, source, live):
    """Start the engine on the live folder; `source` is the extension's checkout."""
    colors = sys.modules.get("modules.logging_colors")
    logger = getattr(colors, "logger", None) or logging.getLogger("hot_reload")
    try:
        seconds = prepare(source, logger)
        if seconds:
            logger.info(f"[HotReload]: built and installed in {seconds:.1f} s")
        importlib.import_module("hot_reload.webui").setup(params, live, logger)
    except BuildError as error:
        logger.error(
            f"[HotReload]: off, because the engine could not be built: {error}. "
            f"To try by hand, type: {shlex.join(install(source))}"
        )
    except Exception:
        logger.exception("[HotReload]: off, because it could not start")


def ui(params):
    """Fill the extension's tab, if the host has gradio."""
    gradio, webui = map(sys.modules.get, ("gradio", "hot_reload.webui"))
    try:
        if webui and gradio:
            webui.ui(params)
        elif gradio:
            gradio.Markdown("hot_reload is off. The log of the start says why.")
    except Exception:
        logging.getLogger("hot_reload").exception("[HotReload]: no tab")


def prepare(source, logger):
    """Make the engine importable. How many seconds a build took, 0.0 without one."""
    if not outdated(source) and not missing(source):
        return 0.0
    with one_process_at_a_time():
        old = outdated(source)
        if not old and not missing(source):  # another process has built it meanwhile
            return 0.0
        logger.info("[HotReload]: building the engine with pip, which takes a minute")
        began = time.monotonic()
        try:
            build(source)
        except BuildError as error:
            if not old or missing(source):
                raise
            logger.warning(
                "[HotReload]: goes on with the engine of an earlier state of this "
                f"folder, because this one could not be built: {error}"
            )
            return 0.0
        if problem := missing(source):
            raise BuildError(f"it was installed, but {problem}")
        return time.monotonic() - began


def outdated(source):
    """Was the installed engine built from another state of the checkout?"""
    if "hot_reload._core" in sys.modules:
        return False
    importlib.invalidate_caches()
    spec = importlib.machinery.PathFinder.find_spec("hot_reload", elsewhere(source))
    folders = spec and spec.submodule_search_locations
    note = Path(folders[0] if folders else source, NOTE)
    return note.is_file() and note.read_text(encoding="utf-8") != digest(source)


def digest(source):
    paths = [source / name for name in ("meson.build", "pyproject.toml")]
    for pattern in "src/*/*.[ch]", "hot_reload/*.py", "hot_reload/tab.*":
        paths += source.glob(pattern)
    result = hashlib.sha256()
    for path in sorted(paths):
        result.update(f"{path.name} ".encode() + path.read_bytes())
    return result.hexdigest()


def elsewhere(source):
    """sys.path without the checkout: its own package is not compiled."""
    return [entry for entry in sys.path if Path(entry).resolve() != source]


def missing(source):
    """Import the engine, if one no older than the checkout is installed; else say why.

    Never the uncompiled package of the checkout itself, if that is on sys.path.
    """
    if "hot_reload._core" in sys.modules:
        return None
    importlib.invalidate_caches()
    path = sys.path[:]
    sys.path[:] = elsewhere(source)
    try:
        version = importlib.metadata.version("hot_reload")
        if number(version) < wanted(source):
            return f"version {version} is older than the extension"
        importlib.import_module("hot_reload._core")
        return None
    except ImportError as error:  # PackageNotFoundError is one
        for name in [n for n in sys.modules if n.partition(".")[0] == "hot_reload"]:
            del sys.modules[name]
        return str(error)
    finally:
        sys.path[:] = path


def wanted(source):
    text = (source / "pyproject.toml").read_text(encoding="utf-8")
    return number(re.search(r'^version = "(.*)"', text, re.MULTILINE).group(1))


def number(version):
    return [int(part) for part in re.findall(r"\d+", version)]


def install(folder, *options):
    """The command; it leaves every other package of the webui as it is."""
    return [sys.executable, "-m", "pip", "install", "--no-deps", *options, str(folder)]


def build(source):
    """pip install the checkout into the environment of the running interpreter."""
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    tools = importlib.util.find_spec("mesonpy") and shutil.which("ninja", path=path)
    options = ["--no-input", "--disable-pip-version-check"]
    options += ["--no-build-isolation"] if tools else []
    with tempfile.TemporaryDirectory(prefix="hot_reload-") as folder:
        copy = Path(folder, "source")  # meson writes beside what it builds
        unwanted = shutil.ignore_patterns(".*", "build", "build-*")
        shutil.copytree(source, copy, ignore=unwanted)
        (copy / "hot_reload" / NOTE).write_text(digest(source), encoding="utf-8")
        try:
            result = subprocess.run(
                install(copy, *options),
                cwd=folder,
                env={**os.environ, "PATH": path},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                timeout=TIMEOUT,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BuildError(error) from error
    if result.returncode:
        raise BuildError(reason(result.stdout))


def reason(output):
    if not os.environ.get("CC") and not any(map(shutil.which, COMPILERS)):
        return NO_COMPILER
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    sign = re.compile(r"\berror:|No module named", re.IGNORECASE)
    errors = [line for line in lines if sign.search(line)]
    # pip's own "error: subprocess-exited-with-error" stands before the real one.
    real = [line for line in errors if "subprocess-exited-with-error" not in line]
    return (real or errors or lines[-1:] or ["pip said nothing"])[0].rstrip(".")


@contextlib.contextmanager
def one_process_at_a_time():
    """Hold a lock on the environment's own folder: no file is left, none is needed."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, AttributeError):  # NFS, Windows: no lock
            folder = os.open(sys.prefix, os.O_RDONLY)
            stack.callback(os.close, folder)
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
