"""SQLite: one thread that does every write and checkpoint, with group commit, and readers apart.

Whoever writes while a batch is on its way to the disk waits for the next one, and shares its one
commit; there is no delay beyond that. The answer to a write is given after `synchronous=FULL` has
put it on disk. One writing connection is also what keeps SQLite before 3.51.3 safe from its
WAL-reset bug (https://sqlite.org/wal.html).
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import aiosqlite
import anyio

from covend.core.errors import StoreBusyError, StoreError
from covend.store.connection import Answer, Batch, Script
from covend.store.queries import Query
from covend.store.sqlite.transaction import (
    Answers,
    Transaction,
    Write,
    statements,
    tell,
    translated,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Item = TypeVar("Item")
Result = TypeVar("Result")
Observe = Callable[[float, int], None]
"""Told of each commit: its seconds, and how many writes shared it."""

READERS = 3
BATCH_MAX = 128
LOCK_WAIT_S = 4.0
"""How long another program's lock is waited for; with the wait in line, an answer comes within 5 s
or so.
"""

OLDEST = (3, 38, 0)
"""Queries use `->>`, which came with it, and tables STRICT, which is of 3.37."""
STATEMENTS_CACHED = 512
WRITER_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    f"PRAGMA busy_timeout = {int(LOCK_WAIT_S * 1000)}",
    "PRAGMA foreign_keys = ON",
    "PRAGMA wal_autocheckpoint = 1000",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA temp_store = MEMORY",
)
READER_PRAGMAS = (
    "PRAGMA query_only = ON",
    "PRAGMA busy_timeout = 4000",
    "PRAGMA wal_autocheckpoint = 0",
    "PRAGMA temp_store = MEMORY",
)


def connect(path: Path, pragmas: Sequence[str]) -> sqlite3.Connection:
    """Open the file with its pragmas, which hold for this connection alone."""
    database = sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS_CACHED,
    )
    database.row_factory = sqlite3.Row
    for pragma in pragmas:
        database.execute(pragma)
    return database


class SqliteConnection:
    """`store.connection.Connection` on one SQLite file."""

    def __init__(
        self,
        path: Path,
        writer: sqlite3.Connection,
        queries: Mapping[str, Query],
        observe: Observe,
        batch_max: int,
    ) -> None:
        """Use `open_sqlite`, which also migrates and closes."""
        self._batch_max = batch_max
        self._path = path
        self._writer = writer
        self._queries = queries
        self._observe = observe
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Write] = deque()
        self._in_flight = False
        self._is_closed = False
        self._closing = threading.Lock()
        """Nothing is handed over behind the last word, where nobody would answer it."""
        self._to_thread: queue.SimpleQueue[list[Write] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_until_closed, name="store-writer")
        self._readers: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()

    async def start(self) -> None:
        """Start the writing thread and open the readers."""
        self._thread.start()
        for _ in range(READERS):
            reader = await aiosqlite.connect(self._path, isolation_level=None)
            reader.row_factory = sqlite3.Row
            for pragma in READER_PRAGMAS:
                await reader.execute(pragma)
            self._readers.put_nowait(reader)

    async def close(self) -> None:
        """Let what is in flight land, then close readers first, so that the writer makes the last
        checkpoint.
        """
        with self._closing:
            self._is_closed = True
            self._to_thread.put(None)
        await asyncio.to_thread(self._thread.join)
        for _ in range(READERS):
            await (await self._readers.get()).close()
        self._writer.close()
        self._fail_waiting(StoreError("the store is closed"))

    async def write(self, script: Script[Result]) -> Result:
        """See `Connection.write`."""
        result: Result = await self._enqueue(script, None, None)
        return result

    async def write_batched(self, batch: Batch[Item, Result], item: Item) -> Result:
        """See `Connection.write_batched`."""
        result: Result = await self._enqueue(None, batch, item)
        return result

    async def read(self, script: Script[Result]) -> Result:
        """See `Connection.read`."""
        reader = await self._readers.get()
        try:
            await reader.execute("BEGIN")
            return await self._drive(reader, script)
        except sqlite3.Error as error:
            raise translated(error) from error
        finally:
            # A cancelled caller must not leave its snapshot to the next one.
            with anyio.CancelScope(shield=True):
                await reader.rollback()
            self._readers.put_nowait(reader)

    def write_from_thread(self, script: Script[Result]) -> Future[Result]:
        """See `Connection.write_from_thread`."""
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()  # from here on nobody can take it back
        with self._closing:
            if self._is_closed:
                raise StoreError("the store is closed")
            self._to_thread.put([Write(script, None, None, future)])
        return future

    async def _drive(self, reader: aiosqlite.Connection, script: Script[Result]) -> Result:
        try:
            ask = next(script)
            while True:
                rows = [
                    row
                    for text, values in statements(self._queries[ask.query], ask)
                    for row in await reader.execute_fetchall(text, values)
                ]
                ask = script.send(Answer(rows, -1))
        except StopIteration as stop:
            result: Result = stop.value
            return result

    def _enqueue(
        self, script: Script[Any] | None, batch: Batch[Any, Any] | None, item: object
    ) -> asyncio.Future[Any]:
        if self._is_closed:
            raise StoreError("the store is closed")
        future = self._loop.create_future()
        self._waiting.append(Write(script, batch, item, future))
        if not self._in_flight:
            self._in_flight = True
            self._loop.call_soon(self._hand_over)
        return future

    def _hand_over(self) -> None:
        """Give the thread what is waiting; a caller that has gone away writes nothing."""
        if self._is_closed:
            self._fail_waiting(StoreError("the store is closed"))
            return
        writes: list[Write] = []
        while self._waiting and len(writes) < self._batch_max:
            write = self._waiting.popleft()
            if not write.future.done():
                writes.append(write)
        self._in_flight = bool(writes)
        if writes:
            self._to_thread.put(writes)

    def _write_until_closed(self) -> None:
        """Be the one thread that writes."""
        transaction = Transaction(self._writer, self._queries)
        while (writes := self._to_thread.get()) is not None:
            begun = self._loop.time()
            try:
                answers = transaction.run(writes)
            except BaseException as error:  # noqa: BLE001  every writer must hear of it
                answers = [(write, error) for write in writes]
            seconds = self._loop.time() - begun
            if isinstance(writes[0].future, Future):
                tell(answers)
                self._loop.call_soon_threadsafe(self._observe, seconds, len(answers))
            else:
                self._loop.call_soon_threadsafe(self._land, answers, seconds)

    def _land(self, answers: Answers, seconds: float) -> None:
        """Tell every writer of the batch; then the next batch leaves."""
        self._observe(seconds, len(answers))
        tell(answers)
        if any(isinstance(answer, StoreBusyError) for _, answer in answers):
            self._fail_waiting(StoreBusyError("another program holds the database"))
        self._hand_over()

    def _fail_waiting(self, error: StoreError) -> None:
        """Answer those in line too: they have waited as long as the batch that failed."""
        while self._waiting:
            write = self._waiting.popleft()
            if not write.future.done():
                write.future.set_exception(error)


def too_old() -> str:
    """Say what is wrong with an SQLite that is older than `OLDEST`."""
    wanted = ".".join(map(str, OLDEST[:2]))
    return f"this Python has SQLite {sqlite3.sqlite_version}, and covend needs {wanted} or newer"


@asynccontextmanager
async def open_sqlite(
    path: Path,
    queries: Mapping[str, Query],
    migrate: Callable[[sqlite3.Connection], None],
    observe: Observe = lambda _seconds, _writes: None,
    batch_max: int = BATCH_MAX,
) -> AsyncIterator[SqliteConnection]:
    """Open the database, make or migrate it where needed, close it in the order that WAL likes.

    Raises StoreError where the file is no database of covend's, or of a newer one, and where
    Python's SQLite is older than `OLDEST`.
    """
    if sqlite3.sqlite_version_info < OLDEST:
        raise StoreError(too_old())
    try:
        writer = await asyncio.to_thread(connect, path, WRITER_PRAGMAS)
        await asyncio.to_thread(migrate, writer)
    except sqlite3.Error as error:
        raise translated(error) from error
    connection = SqliteConnection(path, writer, queries, observe, batch_max)
    await connection.start()
    try:
        yield connection
    finally:
        await connection.close()
