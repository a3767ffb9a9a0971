"""What a check found out, and what the checks look at."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from covend.core.settings import Settings

Answer = Mapping[str, Any]
Ask = Callable[[str], Answer | str]
"""Ask the daemon for a path; gives its JSON, also that of a refusal of /readyz, or why there is
none.
"""


class Level(StrEnum):
    """How grave a finding is."""

    OK = "ok"
    WARNING = "warning"
    """Worth knowing."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at; `fix` says what to do, and is empty where nothing is to do."""

    name: str
    """Stable, for programs."""
    level: Level
    what: str
    fix: str = ""

    @property
    def ok(self) -> bool:
        """Say whether it is no failure."""
        return self.level is not Level.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the checks look at."""

    settings: Settings
    environ: Mapping[str, str]
    ask: Ask
    is_root: bool
    is_offline: bool = False
    """Ask nobody beside the daemon."""
    serve: str = "covend serve"
    """The command that starts the daemon."""


def good(name: str, what: str) -> Finding:
    return Finding(name=name, level=Level.OK, what=what)


def warning(name: str, what: str, fix: str) -> Finding:
    return Finding(name=name, level=Level.WARNING, what=what, fix=fix)


def failed(name: str, what: str, fix: str) -> Finding:
    return Finding(name=name, level=Level.FAILED, what=what, fix=fix)


def failed_as_told(name: str, message: str, otherwise: str) -> Finding:
    """Make a failure of an error's message, whose mend stands behind its first colon outside of
    parentheses; `otherwise` is the fix of one that has none.
    """
    depth = 0
    for at, character in enumerate(message):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if not depth and message.startswith(": ", at):
            return failed(name, message[:at], message[at + 2 :])
    return failed(name, message, otherwise)


def nearest_existing(path: Path) -> Path:
    """Give the path, or what of it is there."""
    return next(each for each in (path, *path.parents) if os.path.lexists(each))
