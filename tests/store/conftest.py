"""A real store in a temporary directory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

import pytest

from covend.store.queries import load_queries
from covend.store.sqlite.connection import open_sqlite
from covend.store.sqlite.migrate import migrate
from tests.store.arrivals import NOW, POLICY, Database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """Open a fresh store that knows the policy of `draft`."""
    queries = load_queries(files("covend.store.sqlite") / "queries")
    async with open_sqlite(tmp_path / "covend.db", queries, migrate) as connection:
        opened = Database(tmp_path / "covend.db", connection)
        await opened.deliveries.save_policy(POLICY, NOW)
        yield opened
