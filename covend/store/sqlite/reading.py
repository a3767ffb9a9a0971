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
from urllib.parse import quote

from covend.core.errors import StoreError
from covend.store.sqlite.connection import READER_PRAGMAS


def has_log(path: Path) -> bool:
    """Say whether a database has a write-ahead log: somebody has it open, or was killed."""
    return wal_of(path).exists()


@contextmanager
def opened_to_read(path: Path, *, is_open: bool) -> Iterator[sqlite3.Connection]:
    """Open it as it is: with its log where it `is_open`, else as a file that does not change.

    Raises StoreError where the log cannot be read, and sqlite3's errors.
    """
    if is_open and not path.with_name(f"{path.name}-shm").exists():
        raise StoreError("has a log (-wal) without its index (-shm), which the next start mends")
    uri = f"file:{quote(str(path))}?mode=ro{'' if is_open else '&immutable=1'}"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as database:
        for pragma in READER_PRAGMAS:
            database.execute(pragma)
        yield database


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Say whether an error tells of the file, and not of how it is used."""
    name = getattr(error, "sqlite_errorname", "") or ""
    return name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def wal_of(path: Path) -> Path:
    """Name a database's write-ahead log."""
    return path.with_name(f"{path.name}-wal")
