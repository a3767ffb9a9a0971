"""Group commit: who shares a transaction, whose fault is whose, and what an end leaves behind."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from covend.core.errors import ConflictError, StoreError
from covend.store.connection import Ask, Script, one
from covend.store.queries import load_queries
from covend.store.sqlite.connection import READERS, SqliteConnection, open_sqlite
from covend.store.sqlite.migrate import migrate
from covend.store.sqlite.transaction import PARAMETERS_MAX
from tests.store.arrivals import Database, arrival, draft

QUERIES = load_queries(files("covend.store.sqlite") / "queries")


def saving(name: str) -> Script[object]:
    """Write one row and return."""
    return one("save_policy", sha256=name, body=b"{}", now=1)


def failing_after_a_write(name: str) -> Script[None]:
    """Write one row, and then find out that it should not have."""
    yield Ask("save_policy", {"sha256": name, "body": b"{}", "now": 1})
    raise ConflictError("on second thoughts")


async def is_saved(connection: SqliteConnection, name: str) -> bool:
    return await connection.read(one("find_policy", sha256=name)) is not None


async def test_an_sqlite_that_is_too_old_is_named_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.37.2")
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 37, 2))
    with pytest.raises(StoreError, match=r"SQLite 3\.37\.2, and covend needs 3\.38 or newer"):
        async with open_sqlite(tmp_path / "covend.db", QUERIES, migrate):
            pytest.fail("it was opened")
    assert not (tmp_path / "covend.db").exists()


async def test_writes_that_wait_together_share_one_commit(tmp_path: Path) -> None:
    shared: list[int] = []
    async with open_sqlite(
        tmp_path / "covend.db", QUERIES, migrate, lambda _seconds, writes: shared.append(writes)
    ) as connection:
        await asyncio.gather(*(connection.write(saving(f"{number}")) for number in range(20)))
    assert sum(shared) == 20
    assert len(shared) <= 2


async def test_a_script_that_fails_undoes_its_own_writes_and_nobody_elses(
    database: Database,
) -> None:
    connection = database.connection
    answers = await asyncio.gather(
        connection.write(saving("before")),
        connection.write(failing_after_a_write("undone")),
        connection.write(saving("after")),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [type(None), ConflictError, type(None)]
    saved = [await is_saved(connection, name) for name in ("before", "undone", "after")]
    assert saved == [True, False, True]


def asking_for_too_large_a_number() -> Script[object]:
    """Give SQLite an integer beyond its 64 bits, which the driver refuses by OverflowError."""
    return one("save_policy", sha256="large", body=b"{}", now=2**63)


def tripping_over_itself() -> Script[None]:
    """Fail as only a fault of covend's does."""
    yield Ask("count_tasks_by_state")
    raise KeyError("a fault of covend's")


@pytest.mark.parametrize("bad", [asking_for_too_large_a_number, tripping_over_itself])
async def test_no_fault_of_one_script_is_anybody_elses(
    database: Database, bad: Callable[[], Script[object]]
) -> None:
    connection = database.connection
    answers = await asyncio.gather(
        connection.write(saving("before")),
        connection.write(bad()),
        connection.write(saving("after")),
        return_exceptions=True,
    )
    assert [isinstance(answer, Exception) for answer in answers] == [False, True, False]
    assert [await is_saved(connection, name) for name in ("before", "after")] == [True, True]


async def test_a_reader_that_was_cancelled_at_its_beginning_serves_the_next(
    database: Database,
) -> None:
    for _ in range(2 * READERS):
        reading = asyncio.ensure_future(database.connection.read(one("newest_moment")))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
    for _ in range(2 * READERS):
        assert await database.connection.read(one("newest_moment")) is not None


async def test_a_script_alone_in_its_transaction_is_undone_as_well(database: Database) -> None:
    with pytest.raises(ConflictError):
        await database.connection.write(failing_after_a_write("undone"))
    assert not await is_saved(database.connection, "undone")


async def test_a_batch_may_have_more_values_than_a_statement_takes(database: Database) -> None:
    writer = database.connection._writer  # noqa: SLF001  Debian's SQLite takes more than others do
    writer.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 32_766)
    wide = QUERIES["insert_tasks"].columns
    count = PARAMETERS_MAX // wide + 50
    coming = [arrival(*(draft() for _ in range(50))) for _ in range(count // 50 + 1)]
    roomy = database.deliveries.__class__(database.connection, queue_max=10 * count)
    accepted = await asyncio.gather(*(roomy.accept(one_of) for one_of in coming))
    assert (
        sum(len(answer.tasks) for answer in accepted) == 50 * len(coming) > PARAMETERS_MAX // wide
    )


async def test_what_waits_when_the_store_closes_is_told_so(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "covend.db", QUERIES, migrate) as connection:
        first = asyncio.ensure_future(connection.write(saving("first")))
        await asyncio.sleep(0)
        late = [asyncio.ensure_future(connection.write(saving(f"{number}"))) for number in range(3)]
        await asyncio.sleep(0)
    told = await asyncio.wait_for(asyncio.gather(first, *late, return_exceptions=True), 10)
    assert all(answer is None or isinstance(answer, StoreError) for answer in told)
    with pytest.raises(StoreError):
        await connection.write(saving("after the end"))


async def test_a_database_of_a_newer_covend_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "covend.db"
    async with open_sqlite(path, QUERIES, migrate) as connection:
        connection._writer.execute("PRAGMA user_version = 999")  # noqa: SLF001  as a newer one would
    with pytest.raises(StoreError, match="newer"):
        async with open_sqlite(path, QUERIES, migrate):
            pass


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "covend.db"
    path.write_bytes(b"This is a letter to my aunt. " * 100)
    with pytest.raises(StoreError):
        async with open_sqlite(path, QUERIES, migrate):
            pass


async def test_opening_again_changes_nothing_in_the_schema(tmp_path: Path) -> None:
    async def schema() -> list[tuple[str, str]]:
        async with open_sqlite(tmp_path / "covend.db", QUERIES, migrate) as connection:
            rows = connection._writer.execute(  # noqa: SLF001  looked at by hand
                "SELECT name, sql FROM sqlite_master ORDER BY name"
            )
            return [(row[0], row[1]) for row in rows]

    assert await schema() == await schema()
