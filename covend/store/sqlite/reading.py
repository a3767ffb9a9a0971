"""Opens a database to be read only, also beside a daemon that runs; refuses to write, to
checkpoint, and to leave files behind.

Even a read-only connection makes `-wal` and `-shm` where they are missing, and they would belong to
whoever looks (https://sqlite.org/wal.html#readonly). So a database without them, which nobody has
open, is read as one that does not change.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from covend.core.errors import StoreError
from covend.store.sqlite.connection import READER_PRAGMAS


class _Standing(NamedTuple):
    """A file as it stands: whether it has a log, which file it is, and when it was written to."""

    is_open: bool
    inode: int
    written_at_ns: int


def has_log(path: Path) -> bool:
    """Say whether a database has a write-ahead log: somebody has it open, or was killed."""
    return wal_of(path).exists()


@contextmanager
def opened_to_read(path: Path, *, is_open: bool) -> Iterator[sqlite3.Connection]:
    """Open it as it is: with its log where it `is_open`, else as a file that does not change.

    Raises StoreError where the log cannot be read, and sqlite3's errors.
    """
    if is_open and not _beside(path, "-shm").exists():
        raise StoreError("has a log (-wal) without its index (-shm), which the next start mends")
    uri = f"file:{quote(str(path))}?mode=ro{'' if is_open else '&immutable=1'}"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as database:
        for pragma in READER_PRAGMAS:
            database.execute(pragma)
        yield database


@contextmanager
def opened_as_it_stands(path: Path) -> Iterator[sqlite3.Connection]:
    """Open it as `opened_to_read` does, for a look that takes its time.

    Raises StoreError at the end where a file that was not to change did: a covend was started
    meanwhile, and what was read may be of two moments.
    """
    before = _standing(path)
    is_open = before is not None and before.is_open
    try:
        with opened_to_read(path, is_open=is_open) as database:
            yield database
    except sqlite3.Error:
        _require_still(path, before)
        raise
    _require_still(path, before)


def _standing(path: Path) -> _Standing | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return _Standing(has_log(path), found.st_ino, found.st_mtime_ns)


def _require_still(path: Path, before: _Standing | None) -> None:
    if before is not None and not before.is_open and _standing(path) != before:
        raise StoreError(f"{path} was opened by a covend while it was read: try again")


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Say whether an error tells of the file, and not of how it is used."""
    name = getattr(error, "sqlite_errorname", "") or ""
    return name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def wal_of(path: Path) -> Path:
    """Name a database's write-ahead log."""
    return _beside(path, "-wal")


def _beside(path: Path, suffix: str) -> Path:
    """Name what SQLite keeps beside a database: where a link leads to, not beside the link."""
    file = path.resolve()
    return file.with_name(f"{file.name}{suffix}")
