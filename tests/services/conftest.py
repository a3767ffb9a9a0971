"""A house with the till on it; whatever it asks of GitHub has to fit GitHub's own description."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from importlib.resources import files
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from covend.demo.github import StandInGitHub
from covend.demo.github.description import Description
from covend.edges.agents.tree import probe
from covend.store.queries import load_queries
from covend.store.sqlite.connection import open_sqlite
from covend.store.sqlite.migrate import migrate
from tests.services.fifo import Fifo
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
        containment = probe(f"test-{uuid4().hex[:12]}")
        yield House(
            containment=containment,
            folder=tmp_path,
            github=github,
            till=github.host_till(tmp_path / "till.git"),
            clock=clock,
            session=session,
            connection=connection,
        )
        containment.close()
    assert github.violations == []


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Fifo]:
    with Fifo(tmp_path / "fifo") as opened:
        yield opened
