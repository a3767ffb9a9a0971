"""A fresh store, a listener before it, and a second look at its file."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

from covend.store.queries import load_queries
from covend.store.sqlite.connection import SqliteConnection, open_sqlite
from covend.store.sqlite.migrate import migrate
from tests.web.desk import Desk, open_desk
from tests.web.door import Door, open_door


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[SqliteConnection]:
    queries = load_queries(files("covend.store.sqlite") / "queries")
    async with open_sqlite(tmp_path / "covend.db", queries, migrate) as opened:
        yield opened


@pytest.fixture
def database(connection: SqliteConnection, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The same file by a connection of the test's own."""
    with closing(sqlite3.connect(tmp_path / "covend.db", isolation_level=None)) as opened:
        yield opened


@pytest.fixture
async def door(connection: SqliteConnection, database: sqlite3.Connection) -> AsyncIterator[Door]:
    async with open_door(connection, database) as opened:
        yield opened


@pytest.fixture
async def desk(connection: SqliteConnection, tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(connection, tmp_path) as opened:
        yield opened
