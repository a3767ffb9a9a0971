"""A store that is only read, by one who does nothing else: beside a daemon that runs, or of one
that a kill left behind. Refuses to write.

Each read is a snapshot of its own, made where it is asked for: there is no thread and no wait.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from covend.core.errors import StoreError
from covend.store.connection import Answer, Batch, Script
from covend.store.queries import Query
from covend.store.sqlite.migrate import steps_count
from covend.store.sqlite.reading import has_log, opened_to_read
from covend.store.sqlite.transaction import statements, translated

Item = TypeVar("Item")
Result = TypeVar("Result")


class Snapshot:
    """`store.connection.Connection` on a database that is open for reading alone."""

    def __init__(self, database: sqlite3.Connection, queries: Mapping[str, Query]) -> None:
        """Read by `database`, whose owner closes it."""
        self._database = database
        self._queries = queries

    async def read(self, script: Script[Result]) -> Result:
        """See `Connection.read`."""
        try:
            self._database.execute("BEGIN")
            return self._drive(script)
        except sqlite3.Error as error:
            raise translated(error) from error
        finally:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")

    async def write(self, script: Script[Result]) -> Result:
        """Refuse."""
        script.close()
        raise StoreError("this store is open for reading alone")

    async def write_batched(self, batch: Batch[Item, Result], item: Item) -> Result:
        """Refuse."""
        return await self.write(_only(batch, item))

    def _drive(self, script: Script[Result]) -> Result:
        try:
            ask = next(script)
            while True:
                rows: list[Any] = []
                for text, values in statements(self._queries[ask.query], ask):
                    rows += self._database.execute(text, values)
                ask = script.send(Answer(rows, -1))
        except StopIteration as stop:
            result: Result = stop.value
            return result


def _only(batch: Batch[Item, Result], item: Item) -> Script[Result]:
    (result,) = yield from batch.script([item])
    assert not isinstance(result, Exception)
    return result


@contextmanager
def open_snapshot(path: Path, queries: Mapping[str, Query]) -> Iterator[Snapshot]:
    """Open a store to read it; StoreError where it cannot be, or is of another version."""
    try:
        with opened_to_read(path, is_open=has_log(path)) as database:
            database.row_factory = sqlite3.Row
            _require_this_version(database)
            yield Snapshot(database, queries)
    except sqlite3.Error as error:
        raise translated(error) from error


def _require_this_version(database: sqlite3.Connection) -> None:
    version, known = database.execute("PRAGMA user_version").fetchone()[0], steps_count()
    if version == known:
        return
    mend = "run a newer covend" if version > known else "the next `covend serve` brings it up"
    raise StoreError(f"the database has schema {version}, this covend knows {known}: {mend}")
