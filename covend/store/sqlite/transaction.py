"""What the writing thread does: a handful of writes in one transaction, and each caller's answer.

An error of one script is undone and answered alone; one of the database as a whole is everybody's.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from covend.core.errors import StoreBusyError, StoreError, StoreFullError
from covend.store.connection import Answer, Ask, Batch, Script
from covend.store.queries import Query, for_rows

Result = TypeVar("Result")

PARAMETERS_MAX = 32_766
"""Of one statement, as SQLite is built by default (https://sqlite.org/limits.html)."""


@dataclass(slots=True, eq=False)
class Write:
    """One caller's wish: a script, or an item for a batch's script; and where its answer goes."""

    script: Script[Any] | None
    batch: Batch[Any, Any] | None
    item: Any
    future: asyncio.Future[Any] | Future[Any]
    """The first of a caller in the event loop, the second of one in a thread of its own."""


Answers = list[tuple[Write, Any]]


def translated(error: Exception) -> Exception:
    """Say which of covend's errors a driver's error is; the message stays, it holds no values."""
    if not isinstance(error, sqlite3.Error):
        return error
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreBusyError(f"another program holds the database: {error}")
    if name.startswith("SQLITE_FULL"):
        return StoreFullError(f"{error}")
    return StoreError(f"{name or type(error).__name__}: {error}")


def _concerns_all(error: Exception) -> bool:
    """Say whether it is the database that failed (locked, full, broken), and not one script: by a
    constraint, by a value that no column takes, or by a fault of covend's.
    """
    its_own = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError)
    return isinstance(error, sqlite3.Error) and not isinstance(error, its_own)


def _grouped(writes: Sequence[Write]) -> list[list[Write]]:
    """Put the items of one batch together; every other write is by itself."""
    groups: dict[object, list[Write]] = {}
    for write in writes:
        groups.setdefault(write.batch or write, []).append(write)
    return list(groups.values())


class Transaction:
    """What the writing thread does with a handful of writes: one transaction for all of them."""

    def __init__(self, database: sqlite3.Connection, queries: Mapping[str, Query]) -> None:
        self._database = database
        self._queries = queries

    def run(self, writes: Sequence[Write]) -> Answers:
        """Do all writes and commit; an error of the database as a whole is everybody's answer."""
        groups = _grouped(writes)
        try:
            self._database.execute("BEGIN IMMEDIATE")
            if len(groups) == 1:
                answers = self._answers_of(groups[0])
            else:
                answers = [answer for group in groups for answer in self._run_apart(group)]
            self._database.execute("COMMIT")
        except Exception as error:  # noqa: BLE001  whatever it is, it is somebody's answer
            self._roll_back()
            if _concerns_all(error) or len(writes) == 1:
                return [(write, translated(error)) for write in writes]
            return [answer for write in writes for answer in self.run([write])]
        return answers

    def _run_apart(self, group: list[Write]) -> Answers:
        """Run one script where others share the transaction: what it does wrong is undone alone.

        Where the script itself is shared, it is run for each caller, to find whose fault it is.
        """
        self._database.execute("SAVEPOINT one")
        try:
            answers = self._answers_of(group)
        except Exception as error:
            if _concerns_all(error):
                raise
            self._database.execute("ROLLBACK TO one")
            self._database.execute("RELEASE one")
            if len(group) > 1:
                return [answer for write in group for answer in self._run_apart([write])]
            return [(group[0], translated(error))]
        self._database.execute("RELEASE one")
        return answers

    def _answers_of(self, group: list[Write]) -> Answers:
        first = group[0]
        if first.batch is None:
            assert first.script is not None
            return [(first, self.drive(first.script))]
        results = self.drive(first.batch.script([write.item for write in group]))
        return list(zip(group, results, strict=True))

    def drive(self, script: Script[Result]) -> Result:
        """Give a script the answer to each of its asks until it returns."""
        try:
            ask = next(script)
            while True:
                ask = script.send(self._answer(ask))
        except StopIteration as stop:
            result: Result = stop.value
            return result

    def _answer(self, ask: Ask) -> Answer:
        query = self._queries[ask.query]
        if not query.columns:
            return _answer_of(self._database.execute(query.text, ask.parameters))
        answers = [self._answer_part(query, part) for part in _parts(query, ask.each)]
        rows = [row for answer in answers for row in answer.rows]
        return Answer(rows, sum(answer.count for answer in answers))

    def _answer_part(self, query: Query, rows: Sequence[tuple[object, ...]]) -> Answer:
        values = [value for row in rows for value in row]
        return _answer_of(self._database.execute(for_rows(query, len(rows)), values))

    def _roll_back(self) -> None:
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")


def _parts(
    query: Query, rows: Sequence[tuple[object, ...]]
) -> Iterator[Sequence[tuple[object, ...]]]:
    """Cut rows into as many statements as SQLite's limit of parameters asks for; mostly one."""
    size = PARAMETERS_MAX // query.columns
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def statements(query: Query, ask: Ask) -> Iterator[tuple[str, Any]]:
    """Give what is to be executed for an ask, with the values of each."""
    if not query.columns:
        yield query.text, ask.parameters
        return
    for part in _parts(query, ask.each):
        yield for_rows(query, len(part)), [value for row in part for value in row]


def tell(answers: Answers) -> None:
    """Answer each writer that still waits."""
    for write, answer in answers:
        if write.future.done():
            continue
        if isinstance(answer, BaseException):
            write.future.set_exception(answer)
        else:
            write.future.set_result(answer)


def _answer_of(cursor: sqlite3.Cursor) -> Answer:
    return Answer(cursor.fetchall() if cursor.description else (), cursor.rowcount)
