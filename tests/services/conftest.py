"""A house with the till on it; whatever it asks of GitHub has to fit GitHub's own description."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

import aiohttp
import pytest

from covend.demo.github import StandInGitHub
from covend.demo.github.description import Description
from covend.store.queries import load_queries
from covend.store.sqlite.connection import open_sqlite
from covend.store.sqlite.migrate import migrate
from tests.services.hand_clock import HandClock
from tests.services.house import House


@pytest.fixture
async def house(description: Description | None, tmp_path: Path) -> AsyncIterator[House]:
    clock = HandClock()
    queries = load_queries(files("covend.store.sqlite") / "queries")
    async with (
        StandInGitHub(description=description, clock=clock.moment) as github,
        aiohttp.ClientSession() as session,
        open_sqlite(tmp_path / "covend.db", queries, migrate) as connection,
    ):
        yield House(
            folder=tmp_path,
            github=github,
            till=github.host_till(tmp_path / "till.git"),
            clock=clock,
            session=session,
            connection=connection,
        )
    assert github.violations == []
