"""What is in the repository and in the installed package."""

import importlib.metadata
import importlib.util
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = (".git", ".venv", "build", ".matrix", "__pycache__", ".last_working")


def files(*patterns):
    """The repository's own files: those that git knows, else all."""
    git = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )
    if git.returncode == 0 and git.stdout:
        paths = [ROOT / line for line in git.stdout.splitlines()]
    else:
        paths = [
            path
            for path in ROOT.rglob("*")
            if not any(p.startswith(SKIPPED) for p in path.relative_to(ROOT).parts)
        ]
    for path in sorted(set(paths)):
        if path.is_file() and any(path.match(pattern) for pattern in patterns):
            yield path


def lines(path):
    return sum(bool(line.strip()) for line in path.read_text("utf-8").splitlines())


def test_three_quarters_of_the_product_is_c():
    c = {path: lines(path) for path in (ROOT / "src").rglob("*.[ch]")}
    python = {path: lines(path) for path in (ROOT / "hot_reload").glob("*.py")}
    python.update({ROOT / n: lines(ROOT / n) for n in ("script.py", "utils.py")})
    share = sum(c.values()) / (sum(c.values()) + sum(python.values()))
    print(f"C: {sum(c.values())} lines, Python: {sum(python.values())}, {share:.0%}")
    assert share >= 0.75


def test_no_paths_of_a_machine_and_no_registries():
    """Nothing in here may work on one machine only."""
    patterns = ("*.py", "*.c", "*.h", "*.sh", "*.md", "*.toml", "*.build", "Makefile",
                "*.txt", "*.json", "*.options", "run", ".clang-tidy", "*.yml")
    wrong = re.compile(
        r"/(?:home|Users)/\w+/|(?<![\w}])/root/|/work/(?:main|shared)"
        r"|file:///opt|\.pyenv/versions"
        r"|(?:index-url|trusted-host|find-links)\s*[= ]"
        r"|https?://(?:[\w.-]*(?:artifactory|nexus|devpi|mirror)[\w.-]*"
        r"|localhost:\d+/simple|\d+\.\d+\.\d+\.\d+[:/]\S*simple)",
        re.IGNORECASE,
    )
    found = []
    for path in files(*patterns):
        if path == Path(__file__):
            continue
        text = path.read_text("utf-8", "replace")
        for number, line in enumerate(text.split("\n"), 1):
            if wrong.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not found, "\n".join(found)


def test_files_of_the_extension_are_there():
    for name in ("script.py", "utils.py", "test_playground.py", "requirements.txt",
                 "README.md", "LICENSE", "Makefile", "pyproject.toml", "meson.build"):
        assert (ROOT / name).is_file(), name
    assert "MIT" in (ROOT / "LICENSE").read_text()
    playground = (ROOT / "test_playground.py").read_text()
    assert "# replace(" in playground and "# restore(" in playground


def test_every_source_is_built():
    text = (ROOT / "meson.build").read_text()
    built = set(re.findall(r"'(src/[\w/]+\.c)'", text))
    parts = ("core", "lex", "watch")
    there = {
        str(p.relative_to(ROOT))
        for part in parts
        for p in files("*.c")
        if p.parent == ROOT / "src" / part
    }
    there.discard("src/watch/testing.c")  # for the tests in C only
    tracked = {p for p in there if "'" + p + "'" in text or is_tracked(p)}
    assert tracked - built == set()
    assert {p for p in built if not (ROOT / p).is_file()} == set()
    python = set(re.findall(r"'(hot_reload/\w+\.py)'", text))
    there = {str(p.relative_to(ROOT)) for p in (ROOT / "hot_reload").glob("*.py")}
    assert python == there


def is_tracked(path):
    return (
        subprocess.run(
            ["git", "ls-files", "--error-unmatch", path],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ).returncode
        == 0
    )


def test_only_the_core_includes_python():
    for path in files("*.c", "*.h"):
        folder = path.relative_to(ROOT).parts[:2]
        if "Python.h" in re.findall(r'#include\s*[<"]([\w./]+)[>"]', path.read_text()):
            assert folder == ("src", "core"), path


def test_installed_package():
    try:
        distribution = importlib.metadata.distribution("hot_reload")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("hot_reload is not installed, only importable")
    names = {str(f) for f in distribution.files or ()}
    assert any(re.fullmatch(r"hot_reload/_core[\w.-]*\.(so|pyd)", n) for n in names)
    for name in ("__init__", "webui", "bootstrap"):
        assert f"hot_reload/{name}.py" in names
    top = {n.split("/")[0] for n in names if not n.startswith("..")}
    assert {t for t in top if "dist-info" not in t} == {"hot_reload"}, top
    assert distribution.version == importlib.import_module("hot_reload").__version__
    required = distribution.metadata["Requires-Python"]
    assert ">=3.9" in required


def test_versions_agree():
    import hot_reload

    text = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{hot_reload.__version__}"' in text
    assert f"version: '{hot_reload.__version__}'" in (ROOT / "meson.build").read_text()


def test_core_has_no_names_of_its_own_outside():
    """Nothing that could clash with the program's libraries."""
    import shutil

    import hot_reload

    nm = shutil.which("nm")
    if not nm:
        pytest.skip("no nm")
    out = subprocess.run(
        [nm, "-D", "--defined-only", hot_reload._core.__file__],
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ).stdout
    names = {line.split()[-1] for line in out.splitlines() if line.strip()}
    names -= {"_init", "_fini", "__bss_start", "_edata", "_end"}
    assert names == {"PyInit__core"}
    assert os.path.basename(hot_reload._core.__file__).startswith("_core")
