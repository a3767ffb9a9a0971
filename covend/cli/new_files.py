"""Writes files that were not there: whole or not at all, on disk, and never over one that is there.

Where root writes, whoever owns the folder owns the file: covend need not run as root to read it.
A file becomes visible by a link to what was written beside it, which fails where the name is taken:
https://man7.org/linux/man-pages/man2/link.2.html
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PRIVATE, SHARED = 0o600, 0o644
PRIVATE_DIRECTORY = 0o700


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """What is to be written, and for whom."""

    path: Path
    text: str
    mode: int = PRIVATE


def taken(files: Sequence[NewFile]) -> list[Path]:
    """Name the places where something is already, if only a link that leads nowhere."""
    return [each.path for each in files if os.path.lexists(each.path)]


def write_all(files: Sequence[NewFile]) -> None:
    """Write all of them, in order, or none; makes the directories that are missing (0700).

    Raises FileExistsError for a place that is taken, and OSError for what the disk refuses.
    """
    made: list[Path] = []
    try:
        for each in files:
            each.path.parent.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
            _write(each)
            made.append(each.path)
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)
        raise


def replace_text(path: Path, text: str) -> None:
    """Put another text in the place of a file's, at once, with its mode; a link stays one."""
    real = path.resolve()
    fresh = _beside(real)
    try:
        before = real.stat()
        _fill(fresh, text, before.st_mode & 0o777, before)
        fresh.replace(real)
    finally:
        fresh.unlink(missing_ok=True)
    _settle(real.parent)


def _write(file: NewFile) -> None:
    fresh = _beside(file.path)
    try:
        _fill(fresh, file.text, file.mode, fresh.parent.stat())
        os.link(fresh, file.path)
    finally:
        fresh.unlink(missing_ok=True)
    _settle(file.path.parent)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}")


def _fill(path: Path, text: str, mode: int, owner: os.stat_result) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, mode)
        if os.geteuid() == 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def _settle(folder: Path) -> None:
    """Have the name on disk as well."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
