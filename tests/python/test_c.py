"""The tests in C: `make test` compiles them, here each is run as a test."""

import os
import subprocess
from pathlib import Path

import pytest

FOLDER = os.environ.get("HOT_RELOAD_C_TESTS", "")
BINARIES = sorted(
    path
    for path in (Path(FOLDER).iterdir() if FOLDER and Path(FOLDER).is_dir() else ())
    if path.name.startswith("test_") and os.access(path, os.X_OK) and path.is_file()
)


@pytest.mark.skipif(not BINARIES, reason="not compiled: `make test` does, in build/c")
@pytest.mark.parametrize("path", BINARIES, ids=lambda path: path.name)
def test_c(path, tmp_path):
    result = subprocess.run(
        [str(path)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=600,
    )
    print(result.stdout)
    assert result.returncode == 0, f"{path.name} ended with {result.returncode}"
