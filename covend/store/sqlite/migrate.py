"""Bring the schema to this version: numbered steps by `PRAGMA user_version`, each one transaction,
only forward.

The triggers that refuse a move outside the tables of `core.states` are made from those tables here,
at every
start at which they would differ, so that the code and the database cannot disagree.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from importlib.resources import files

from covend.core.errors import StoreError
from covend.core.states import (
    DELIVERY_MOVES,
    DELIVERY_STARTS,
    EFFECT_MOVES,
    EFFECT_STARTS,
    TASK_MOVES,
    TASK_STARTS,
)

Starts = frozenset[str]
Moves = frozenset[tuple[str, str]]

NOUNS: Mapping[str, tuple[Starts, Moves]] = {
    "deliveries": (frozenset(DELIVERY_STARTS), frozenset(DELIVERY_MOVES)),
    "tasks": (frozenset(TASK_STARTS), frozenset(TASK_MOVES)),
    "effects": (frozenset(EFFECT_STARTS), frozenset(EFFECT_MOVES)),
}


def migrate(database: sqlite3.Connection) -> None:
    """Run the steps that are missing; raise StoreError for a database of a newer covend."""
    steps = list(_steps())
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > len(steps):
        message = (
            f"the database has schema {version}, this covend knows {len(steps)}: run a newer covend"
        )
        raise StoreError(message)
    for number, text in enumerate(steps[version:], start=version + 1):
        _in_one_transaction(database, text, f"PRAGMA user_version = {number}")
    for trigger, text in _triggers():
        _keep_trigger(database, trigger, text)


def steps_count() -> int:
    """Give the schema that this covend knows."""
    return len(list(_steps()))


def stale_triggers(database: sqlite3.Connection) -> list[str]:
    """Name the triggers that are missing, or do not say what the tables of states do."""
    return [name for name, text in _triggers() if _text_of(database, name) != text]


def _steps() -> Iterable[str]:
    folder = files("covend.store.sqlite") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    for name in names:
        yield (folder / name).read_text(encoding="utf-8")


def _in_one_transaction(database: sqlite3.Connection, *texts: str) -> None:
    """Run texts of many statements; `executescript` would commit, so the transaction is part of the
    text.
    """
    try:
        database.executescript(";\n".join(("BEGIN IMMEDIATE", *texts, "COMMIT")))
    except sqlite3.Error:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _triggers() -> Iterable[tuple[str, str]]:
    """Make the text of two triggers for each noun: where a row may begin, and where it may go."""
    template = (files("covend.store.sqlite") / "state_trigger.sql").read_text(encoding="utf-8")
    for table, (starts, moves) in NOUNS.items():
        pairs = ", ".join(f"'{source} -> {target}'" for source, target in sorted(moves))
        begins = ", ".join(f"'{start}'" for start in sorted(starts))
        text = template.format(table=table, pairs=pairs, starts=begins)
        for part in text.split(";;"):
            yield part.split()[2], part.strip()


def _keep_trigger(database: sqlite3.Connection, name: str, text: str) -> None:
    if _text_of(database, name) != text:
        _in_one_transaction(database, f"DROP TRIGGER IF EXISTS {name}", text)


def _text_of(database: sqlite3.Connection, name: str) -> str | None:
    query = (files("covend.store.sqlite") / "find_trigger.sql").read_text(encoding="utf-8")
    row = database.execute(query, (name,)).fetchone()
    return row[0] if row else None
