"""One git command in a clean environment; raises `GitRefused` with git's own words."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

TIMEOUT_S = 60.0


class GitRefused(Exception):  # noqa: N818 - it says what happened, as everywhere in covend
    """A git command ended with a code other than 0."""


def clean_environment() -> dict[str, str]:
    """Give git a PATH and nothing of the caller's configuration, identity or terminal."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
    }


def git(directory: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """Run `git ARGUMENTS` for the repository in `directory` and return its output."""
    argv: Sequence[str] = ("git", f"--git-dir={directory}", "-c", "core.quotePath=false")
    done = subprocess.run(
        [*argv, *arguments],
        input=stdin,
        capture_output=True,
        env=clean_environment(),
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise GitRefused(done.stderr.decode(errors="replace").strip())
    return done.stdout
