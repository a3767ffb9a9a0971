"""A connection to the store that can die at any write, as covend does when it is killed.

It refuses all that comes after its death.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar, cast

from covend.store.connection import Batch, Script
from covend.store.queries import Query
from covend.store.sqlite.connection import WRITER_PRAGMAS, connect
from covend.store.sqlite.transaction import Transaction, Write, tell

Result = TypeVar("Result")


class Mortal:
    """A store's connection that dies with its covend: at a write that was chosen, before it is on
    disk or after; from then on nothing that is asked of it is ever answered.

    What is asked in one turn of the event loop shares a transaction, as in the daemon. It is done
    at once and in the event loop itself, because tests have better things to do than to wait for
    threads; and since nobody pulls a plug here, it does not wait for the disk either.
    """

    def __init__(self, path: Path, queries: Mapping[str, Query]) -> None:
        self._database = connect(path, (*WRITER_PRAGMAS, "PRAGMA synchronous = OFF"))
        self._transaction = Transaction(self._database, queries)
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Write] = []
        self._fuse: int | None = None
        self._is_written = False
        self.dead = asyncio.Event()

    def light(self, writes: int, *, is_written: bool) -> None:
        """Die at the write after so many; `is_written`: with that one on disk."""
        self._fuse, self._is_written = writes, is_written

    def forget(self) -> None:
        """Die of no write any more."""
        self._fuse = None

    def close(self) -> None:
        self.dead.set()
        self._database.close()

    async def write(self, script: Script[Result]) -> Result:
        return cast("Result", await self._asked(script, None, None))

    async def write_batched(self, batch: Batch[Any, Result], item: Any) -> Result:
        return cast("Result", await self._asked(None, batch, item))

    async def read(self, script: Script[Result]) -> Result:
        await asyncio.sleep(0)
        if self.dead.is_set():
            await never()
        self._database.execute("BEGIN")
        try:
            return self._transaction.drive(script)
        finally:
            self._database.execute("ROLLBACK")

    def write_from_thread(self, script: Script[Result]) -> Future[Result]:
        future: Future[Result] = Future()
        write = Write(script, None, None, future)
        self._loop.call_soon_threadsafe(self._take, write)
        return future

    def _asked(
        self, script: Script[Any] | None, batch: Batch[Any, Any] | None, item: object
    ) -> asyncio.Future[Any]:
        write = Write(script, batch, item, self._loop.create_future())
        self._take(write)
        return cast("asyncio.Future[Any]", write.future)

    def _take(self, write: Write) -> None:
        if not self._waiting:
            self._loop.call_soon(self._write_all)
        self._waiting.append(write)

    def _write_all(self) -> None:
        writes = [each for each in self._waiting if not each.future.done()]
        self._waiting = []
        if self.dead.is_set() or not writes:
            return
        is_last = self._fuse is not None and len(writes) > self._fuse
        if self._fuse is not None:
            self._fuse -= len(writes)
        if not is_last:
            tell(self._transaction.run(writes))
            return
        if self._is_written:
            self._transaction.run(writes)
        self.dead.set()


async def never() -> Any:
    await asyncio.get_running_loop().create_future()
