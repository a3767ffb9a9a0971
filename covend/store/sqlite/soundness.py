"""Reads a database through for damage, also beside a daemon that runs; refuses to write, and to
leave files behind.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from time import monotonic

from covend.store.sqlite.reading import has_log, is_damage, opened_to_read
from covend.store.sqlite.transaction import translated

FAULTS_MAX = 5
_STEPS = 10_000
"""Of SQLite's machine between two looks at the clock."""


def faults_of(path: Path, limit_s: float) -> list[str] | None:
    """Give what is damaged, None where the time was over; blocks, raises StoreError where it cannot
    be read.
    """
    is_open = has_log(path)
    found = _read_through(path, limit_s, is_open=is_open)
    if found and not is_open and has_log(path):  # somebody has opened it meanwhile
        return _read_through(path, limit_s, is_open=True)
    return found


def _read_through(path: Path, limit_s: float, *, is_open: bool) -> list[str] | None:
    until = monotonic() + limit_s
    try:
        with opened_to_read(path, is_open=is_open) as database:
            database.set_progress_handler(lambda: monotonic() > until, _STEPS)
            rows = database.execute(f"PRAGMA quick_check({FAULTS_MAX})").fetchall()
    except sqlite3.DatabaseError as error:
        if monotonic() > until:
            return None
        if is_damage(error):
            return [str(error)]
        raise translated(error) from error
    return [str(row[0]) for row in rows if row[0] != "ok"]
