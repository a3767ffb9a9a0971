"""Writes handed over from a thread of its own: past an event loop that stands still, never lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from covend.core.errors import ConflictError, StoreError
from covend.store.connection import Ask, FromThread, Script, one
from covend.store.queries import load_queries
from covend.store.sqlite.connection import SqliteConnection, open_sqlite
from covend.store.sqlite.migrate import migrate
from tests.store.arrivals import Database, arrival, draft

QUERIES = load_queries(files("covend.store.sqlite") / "queries")
WITHIN_S = 10.0


def saving(name: str) -> Script[object]:
    return one("save_policy", sha256=name, body=b"{}", now=1)


def failing(name: str) -> Script[None]:
    yield Ask("save_policy", {"sha256": name, "body": b"{}", "now": 1})
    raise ConflictError("on second thoughts")


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


async def is_saved(connection: SqliteConnection, name: str) -> bool:
    return await connection.read(one("find_policy", sha256=name)) is not None


async def test_a_write_is_on_disk_while_the_event_loop_stands_still(database: Database) -> None:
    connection, done = database.connection, threading.Event()

    def write() -> None:
        connection.write_from_thread(saving("from a thread")).result(WITHIN_S)
        done.set()

    in_thread(write)
    assert done.wait(WITHIN_S)  # while the loop stands still
    assert await is_saved(connection, "from a thread")


async def test_what_a_script_from_a_thread_does_wrong_is_undone_and_told(
    database: Database,
) -> None:
    connection = database.connection
    told = connection.write_from_thread(failing("undone"))
    with pytest.raises(ConflictError):
        await asyncio.to_thread(told.result, WITHIN_S)
    assert not await is_saved(connection, "undone")
    await connection.write(saving("after it"))


async def test_what_is_handed_over_cannot_be_taken_back(database: Database) -> None:
    """Nobody may answer what was cancelled: the thread that writes would end by it."""
    told = database.connection.write_from_thread(saving("kept"))
    assert not told.cancel()
    await asyncio.to_thread(told.result, WITHIN_S)
    assert await is_saved(database.connection, "kept")


async def test_a_write_from_a_thread_is_observed_like_any_other(tmp_path: Path) -> None:
    seen: list[int] = []
    path = tmp_path / "covend.db"
    async with open_sqlite(path, QUERIES, migrate, lambda _s, writes: seen.append(writes)) as it:
        await asyncio.to_thread(it.write_from_thread(saving("one")).result, WITHIN_S)
        await it.write(saving("two"))
    assert seen == [1, 1]


async def test_what_is_handed_over_at_the_close_lands_or_is_refused(tmp_path: Path) -> None:
    """A thread that waited for an answer behind the last word waited for ever."""
    ends: list[object] = []
    async with open_sqlite(tmp_path / "covend.db", QUERIES, migrate) as connection:

        def write_on() -> None:
            try:
                while True:
                    connection.write_from_thread(saving("again")).result(WITHIN_S)
            except BaseException as error:  # noqa: BLE001  looked at below
                ends.append(error)

        threads = [in_thread(write_on) for _ in range(4)]
        await connection.write(saving("begun"))
    for thread in threads:
        await asyncio.to_thread(thread.join, WITHIN_S)
    assert [type(end) for end in ends] == [StoreError] * 4


async def test_the_stores_verbs_work_in_a_thread_with_a_loop_of_its_own(
    database: Database,
) -> None:
    accepted = await database.deliveries.accept(arrival(draft()))
    elsewhere = Database(database.path, FromThread(database.connection))  # type: ignore[arg-type]

    async def there() -> tuple[object, object]:
        story = await elsewhere.tasks.story(accepted.tasks[0])
        again = await elsewhere.deliveries.accept(arrival(draft()))
        return story, again.tasks

    story, tasks = await asyncio.to_thread(asyncio.run, there())
    assert story == await database.tasks.story(accepted.tasks[0])
    assert tasks
