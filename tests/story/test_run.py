"""`./run` refuses what covend could not work with, and prints the line that mends it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("sh", "dirname", "readlink", "git", "flock", "cmp", "cat", "id", "rm")


@pytest.mark.parametrize("version", ["3.37.2", "3.26.0"])
def test_a_python_with_too_old_an_sqlite_is_passed_over(version: str, tmp_path: Path) -> None:
    """The Python that is found has an sqlite3 of that version, by a module of its surroundings."""
    tree, tools = tmp_path / "tree", tmp_path / "bin"
    for folder in (tree, tools):
        folder.mkdir()
    for name in ("run", "requirements.lock"):
        shutil.copy(ROOT / name, tree / name)
    for name in TOOLS:
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    (tools / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (tools / "python3").chmod(0o755)
    (tmp_path / "sitecustomize.py").write_text(
        f"import sqlite3\nsqlite3.sqlite_version_info = {tuple(map(int, version.split('.')))}\n"
    )
    environment = {"PATH": str(tools), "HOME": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [str(tree / "run"), "version"],
        env=environment | {"LANG": os.environ.get("LANG", "C.UTF-8")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 69, done.stderr
    assert "3.11 to 3.13 with SQLite 3.38 or newer is needed; this mends it:" in done.stderr
    assert done.stderr.splitlines()[-1].strip().endswith("pipx install uv")
    assert not (tree / ".venv").exists()
