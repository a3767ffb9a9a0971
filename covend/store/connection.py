"""The seam between the store's verbs and a database: scripts of named queries, run as one
transaction.

A verb is written once, as a generator that yields an `Ask` and is sent the `Answer`. A dialect
drives it:
SQLite in the one thread that writes, PostgreSQL on a pooled connection. So a verb never knows which
database
it speaks to, and cannot wait for anything else in the middle of a transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from covend.core.errors import CovendError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Row(Protocol):
    """One row of an answer, read by column name."""

    def __getitem__(self, column: str, /) -> Any:
        """Give the value of one column, as the driver made it."""
        ...


@dataclass(frozen=True, slots=True)
class Ask:
    """One named query with its parameters; `each` instead where it is over many rows."""

    query: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    each: Sequence[tuple[object, ...]] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows a query gave, and how many rows it changed (-1 where it only read)."""

    rows: Sequence[Row]
    count: int


Script: TypeAlias = Generator[Ask, Answer, Result]


@dataclass(frozen=True, slots=True, eq=False)
class Batch(Generic[Item, Result]):
    """A verb whose callers share one transaction and its statements: items in, a result for each
    out.

    A result that is an error is raised to its own caller alone.
    """

    script: Callable[[Sequence[Item]], Script[Sequence[Result | CovendError]]]


class Connection(Protocol):
    """What the store's verbs ask of a database."""

    async def write(self, script: Script[Result]) -> Result:
        """Run a script as one transaction; it is on disk when this returns.

        Raises StoreError where the store cannot; nothing of the script is kept then, nor when it
        raises.
        """
        ...

    async def write_batched(self, batch: Batch[Item, Result], item: Item) -> Result:
        """Run the batch's script for this item and whatever others are waiting; else as `write`."""
        ...

    async def read(self, script: Script[Result]) -> Result:
        """Run a script that only reads, on one snapshot."""
        ...


class OpenToThreads(Connection, Protocol):
    """A connection that also takes what comes from another thread than the event loop's."""

    def write_from_thread(self, script: Script[Result]) -> Future[Result]:
        """As `write`, handed over from any thread: it is done however long the event loop stands
        still. Raises StoreError where the store is closed.
        """
        ...


class FromThread:
    """A `Connection` for a thread of its own, which may not touch the event loop of the others."""

    def __init__(self, connection: OpenToThreads) -> None:
        """Hand everything over to `connection`, reads as well."""
        self._connection = connection

    async def write(self, script: Script[Result]) -> Result:
        """See `Connection.write`."""
        return await asyncio.wrap_future(self.write_from_thread(script))

    async def write_batched(self, batch: Batch[Item, Result], item: Item) -> Result:
        """See `Connection.write_batched`; here each is a batch by itself."""
        (result,) = await self.write(batch.script([item]))
        if isinstance(result, CovendError):
            raise result
        return result

    async def read(self, script: Script[Result]) -> Result:
        """See `Connection.read`."""
        return await self.write(script)

    def write_from_thread(self, script: Script[Result]) -> Future[Result]:
        """See `Connection.write_from_thread`."""
        return self._connection.write_from_thread(script)


def one(query: str, **parameters: object) -> Script[Row | None]:
    """Ask one query and give its first row, or None."""
    answer = yield Ask(query, parameters)
    return answer.rows[0] if answer.rows else None


def rows(query: str, **parameters: object) -> Script[Sequence[Row]]:
    """Ask one query and give its rows."""
    return (yield Ask(query, parameters)).rows
