"""A store that is only read: beside who writes it, after a kill, and never changed by it."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from importlib.resources import files
from pathlib import Path

import pytest

from covend.core.errors import StoreError
from covend.store.deliveries import StoredDeliveries
from covend.store.queries import load_queries
from covend.store.sqlite.connection import open_sqlite
from covend.store.sqlite.migrate import migrate
from covend.store.sqlite.snapshot import open_snapshot
from tests.store.arrivals import NOW, POLICY, arrival, draft

QUERIES = load_queries(files("covend.store.sqlite") / "queries")


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if not path.name.endswith("-shm")
    }


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def filled(folder: Path) -> None:
    async with open_sqlite(folder / "covend.db", QUERIES, migrate) as connection:
        deliveries = StoredDeliveries(connection, queue_max=10)
        await deliveries.save_policy(POLICY, NOW)
        await deliveries.accept(arrival(draft()))


async def seen(path: Path) -> int:
    with open_snapshot(path, QUERIES) as snapshot:
        found, _ = await StoredDeliveries(snapshot, queue_max=10).page(limit=10)
        return len(found)


async def test_what_is_written_meanwhile_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "covend.db"
    async with open_sqlite(path, QUERIES, migrate) as connection:
        deliveries = StoredDeliveries(connection, queue_max=10)
        await deliveries.save_policy(POLICY, NOW)
        assert await seen(path) == 0
        await deliveries.accept(arrival(draft()))
        assert await seen(path) == 1
        await deliveries.accept(arrival(draft()))
        assert await seen(path) == 2


async def test_looking_leaves_nothing_behind_and_changes_nothing(tmp_path: Path) -> None:
    await filled(tmp_path)
    before = digests(tmp_path)
    assert await seen(tmp_path / "covend.db") == 1
    assert digests(tmp_path) == before
    assert names(tmp_path) == set(before)


async def test_what_a_kill_left_behind_is_read_with_its_log(tmp_path: Path) -> None:
    alive, dead = tmp_path / "alive", tmp_path / "dead"
    alive.mkdir()
    async with open_sqlite(alive / "covend.db", QUERIES, migrate) as connection:
        deliveries = StoredDeliveries(connection, queue_max=10)
        await deliveries.save_policy(POLICY, NOW)
        await deliveries.accept(arrival(draft()))
        shutil.copytree(alive, dead)
    before = digests(dead)
    assert before["covend.db-wal"]
    assert await seen(dead / "covend.db") == 1
    assert digests(dead) == before


async def test_nothing_can_be_written(tmp_path: Path) -> None:
    await filled(tmp_path)
    with open_snapshot(tmp_path / "covend.db", QUERIES) as snapshot:
        deliveries = StoredDeliveries(snapshot, queue_max=10)
        with pytest.raises(StoreError, match="for reading alone"):
            await deliveries.save_policy(POLICY, NOW)
        with pytest.raises(StoreError, match="for reading alone"):
            await deliveries.accept(arrival(draft()))


async def test_a_store_of_another_version_is_refused_with_its_mend(tmp_path: Path) -> None:
    await filled(tmp_path)
    path = tmp_path / "covend.db"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 1")
    database.close()
    with pytest.raises(StoreError, match="the next `covend serve` brings it up"):
        await seen(path)


async def test_what_is_no_database_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "covend.db"
    path.write_text("no database at all" * 100)
    with pytest.raises(StoreError):
        await seen(path)
