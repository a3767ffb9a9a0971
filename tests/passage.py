"""Opens the way to a test's directory for agents of another user."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

ANOTHER = "nobody" if os.geteuid() == 0 else None
"""Root gives its agents to somebody else; nobody else can."""


def as_another() -> dict[str, Any]:
    """The settings of an agent of another user, where there can be one."""
    return {"user": ANOTHER} if ANOTHER else {}


def let_pass(folder: Path) -> None:
    """Let everybody pass to a directory, also through those that pytest shuts."""
    top = Path(tempfile.gettempdir()).resolve()
    for each in (folder, *folder.resolve().parents):
        if each.is_relative_to(top) and each != top:
            each.chmod(each.stat().st_mode | 0o011)
