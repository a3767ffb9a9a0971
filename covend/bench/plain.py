"""A store's connection as it is written when nobody counts: aiosqlite, and a transaction per
request.

The same scripts and the same durability as the real one; what is missing is that writers share a
commit, and that a transaction is not handed to and fro between two threads at every statement.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import aiosqlite

from covend.core.errors import CovendError
from covend.store.connection import Answer, Ask, Batch, Script
from covend.store.queries import Query, for_rows
from covend.store.sqlite.connection import WRITER_PRAGMAS, connect
from covend.store.sqlite.migrate import migrate

Item = TypeVar("Item")
Result = TypeVar("Result")


class PlainConnection:
    """`store.connection.Connection`, one transaction after the other."""

    def __init__(self, database: aiosqlite.Connection, queries: Mapping[str, Query]) -> None:
        """Use `open_plain`."""
        self._database = database
        self._queries = queries
        self._turn = asyncio.Lock()

    async def write(self, script: Script[Result]) -> Result:
        """Run a script as one transaction."""
        async with self._turn:
            await self._database.execute("BEGIN IMMEDIATE")
            result = await self.read(script)
            await self._database.execute("COMMIT")
            return result

    async def write_batched(self, batch: Batch[Item, Result], item: Item) -> Result:
        """Run the batch's script for this item alone."""
        (result,) = await self.write(batch.script([item]))
        if isinstance(result, CovendError):
            raise result
        return result

    async def read(self, script: Script[Result]) -> Result:
        """Run a script on the same connection."""
        try:
            ask = next(script)
            while True:
                ask = script.send(await self._answer(ask))
        except StopIteration as stop:
            result: Result = stop.value
            return result

    async def _answer(self, ask: Ask) -> Answer:
        query = self._queries[ask.query]
        if not query.columns:
            rows = await self._database.execute_fetchall(query.text, ask.parameters)
        elif ask.each:
            values = [value for row in ask.each for value in row]
            rows = await self._database.execute_fetchall(for_rows(query, len(ask.each)), values)
        else:
            rows = ()
        return Answer(list(rows), -1)


@asynccontextmanager
async def open_plain(path: Path, queries: Mapping[str, Query]) -> AsyncIterator[PlainConnection]:
    """Make the database and open it."""
    maker = connect(path, WRITER_PRAGMAS)
    migrate(maker)
    maker.close()
    async with aiosqlite.connect(path, isolation_level=None) as database:
        database.row_factory = sqlite3.Row
        for pragma in WRITER_PRAGMAS:
            await database.execute(pragma)
        yield PlainConnection(database, queries)
