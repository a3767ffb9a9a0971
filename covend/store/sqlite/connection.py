"""SQLite: one thread that does every write and checkpoint, with group commit, and readers apart.

Whoever writes while a batch is on its way to the disk waits for the next one, and shares its one
commit; there
is no delay beyond that. The answer to a write is given after `synchronous=FULL` has put it on disk.
One writing
connection is also what keeps SQLite before 3.51.3 safe from its WAL-reset bug
(https://sqlite.org/wal.html).
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import aiosqlite
import anyio

from covend.core.errors import StoreBusyError, StoreError, StoreFullError
from covend.store.connection import Answer, Ask, Batch, Script
from covend.store.queries import Query, for_rows

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

PARAMETERS_MAX = 32_766
"""Of one statement, as SQLite is built by default (https://sqlite.org/limits.html)."""

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


@dataclass(slots=True, eq=False)
class _Write:
    """One caller's wish: a script, or an item for a batch's script; and where its answer goes."""

    script: Script[Any] | None
    batch: Batch[Any, Any] | None
    item: Any
    future: asyncio.Future[Any]


_Answers = list[tuple[_Write, Any]]


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


def _grouped(writes: Sequence[_Write]) -> list[list[_Write]]:
    """Put the items of one batch together; every other write is by itself."""
    groups: dict[object, list[_Write]] = {}
    for write in writes:
        groups.setdefault(write.batch or write, []).append(write)
    return list(groups.values())


class _Transaction:
    """What the writing thread does with a handful of writes: one transaction for all of them."""

    def __init__(self, database: sqlite3.Connection, queries: Mapping[str, Query]) -> None:
        self._database = database
        self._queries = queries

    def run(self, writes: Sequence[_Write]) -> _Answers:
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

    def _run_apart(self, group: list[_Write]) -> _Answers:
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

    def _answers_of(self, group: list[_Write]) -> _Answers:
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


def _answer_of(cursor: sqlite3.Cursor) -> Answer:
    return Answer(cursor.fetchall() if cursor.description else (), cursor.rowcount)


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
        self._waiting: deque[_Write] = deque()
        self._in_flight = False
        self._is_closed = False
        self._to_thread: queue.SimpleQueue[list[_Write] | None] = queue.SimpleQueue()
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

    async def _drive(self, reader: aiosqlite.Connection, script: Script[Result]) -> Result:
        try:
            ask = next(script)
            while True:
                text = self._queries[ask.query].text
                rows = await reader.execute_fetchall(text, ask.parameters)
                ask = script.send(Answer(list(rows), -1))
        except StopIteration as stop:
            result: Result = stop.value
            return result

    def _enqueue(
        self, script: Script[Any] | None, batch: Batch[Any, Any] | None, item: object
    ) -> asyncio.Future[Any]:
        if self._is_closed:
            raise StoreError("the store is closed")
        future = self._loop.create_future()
        self._waiting.append(_Write(script, batch, item, future))
        if not self._in_flight:
            self._in_flight = True
            self._loop.call_soon(self._hand_over)
        return future

    def _hand_over(self) -> None:
        """Give the thread what is waiting; a caller that has gone away writes nothing."""
        if self._is_closed:
            self._fail_waiting(StoreError("the store is closed"))
            return
        writes: list[_Write] = []
        while self._waiting and len(writes) < self._batch_max:
            write = self._waiting.popleft()
            if not write.future.done():
                writes.append(write)
        self._in_flight = bool(writes)
        if writes:
            self._to_thread.put(writes)

    def _write_until_closed(self) -> None:
        """Be the one thread that writes."""
        transaction = _Transaction(self._writer, self._queries)
        while (writes := self._to_thread.get()) is not None:
            begun = self._loop.time()
            try:
                answers = transaction.run(writes)
            except BaseException as error:  # noqa: BLE001  every writer must hear of it
                answers = [(write, error) for write in writes]
            seconds = self._loop.time() - begun
            self._loop.call_soon_threadsafe(self._land, answers, seconds)

    def _land(self, answers: _Answers, seconds: float) -> None:
        """Tell every writer of the batch; then the next batch leaves."""
        self._observe(seconds, len(answers))
        is_busy = False
        for write, answer in answers:
            if write.future.done():
                continue
            if isinstance(answer, BaseException):
                write.future.set_exception(answer)
                is_busy = is_busy or isinstance(answer, StoreBusyError)
            else:
                write.future.set_result(answer)
        if is_busy:
            self._fail_waiting(StoreBusyError("another program holds the database"))
        self._hand_over()

    def _fail_waiting(self, error: StoreError) -> None:
        """Answer those in line too: they have waited as long as the batch that failed."""
        while self._waiting:
            write = self._waiting.popleft()
            if not write.future.done():
                write.future.set_exception(error)


@asynccontextmanager
async def open_sqlite(
    path: Path,
    queries: Mapping[str, Query],
    migrate: Callable[[sqlite3.Connection], None],
    observe: Observe = lambda _seconds, _writes: None,
    batch_max: int = BATCH_MAX,
) -> AsyncIterator[SqliteConnection]:
    """Open the database, make or migrate it where needed, close it in the order that WAL likes.

    Raises StoreError where the file is no database of covend's, or of a newer one.
    """
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
