"""Reads a database through for damage, also beside a daemon that runs; refuses to write, and to
leave files behind.

Even a read-only connection makes `-wal` and `-shm` where they are missing, and they would belong to
whoever looks (https://sqlite.org/wal.html#readonly). So a database without them, which nobody has
open, is read as one that does not change; and no checkpoint is ever made from here.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from time import monotonic
from urllib.parse import quote

from covend.core.errors import StoreError
from covend.store.sqlite.connection import READER_PRAGMAS
from covend.store.sqlite.transaction import translated

FAULTS_MAX = 5
_STEPS = 10_000
"""Of SQLite's machine between two looks at the clock."""


def faults_of(path: Path, limit_s: float) -> list[str] | None:
    """Give what is damaged, None where the time was over; blocks, raises StoreError where it cannot
    be read.
    """
    is_open = _wal(path).exists()
    found = _read_through(path, limit_s, is_open=is_open)
    if found and not is_open and _wal(path).exists():  # somebody has opened it meanwhile
        return _read_through(path, limit_s, is_open=True)
    return found


def _read_through(path: Path, limit_s: float, *, is_open: bool) -> list[str] | None:
    if is_open and not path.with_name(f"{path.name}-shm").exists():
        raise StoreError("has a log (-wal) without its index (-shm), which the next start mends")
    until = monotonic() + limit_s
    uri = f"file:{quote(str(path))}?mode=ro{'' if is_open else '&immutable=1'}"
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as database:
            for pragma in READER_PRAGMAS:
                database.execute(pragma)
            database.set_progress_handler(lambda: monotonic() > until, _STEPS)
            rows = database.execute(f"PRAGMA quick_check({FAULTS_MAX})").fetchall()
    except sqlite3.DatabaseError as error:
        if monotonic() > until:
            return None
        if _is_damage(error):
            return [str(error)]
        raise translated(error) from error
    return [str(row[0]) for row in rows if row[0] != "ok"]


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    name = getattr(error, "sqlite_errorname", "") or ""
    return name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def _wal(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")
