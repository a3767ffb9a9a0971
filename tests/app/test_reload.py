"""A reload brings in only agents that this machine can confine, and opens the way for them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from covend.app import running
from covend.core.errors import StoreBusyError
from covend.core.settings import Agent, Settings
from covend.demo.stage import set_up
from covend.store.auditing import StoredAudit
from tests.passage import ANOTHER, as_another, let_pass
from tests.telemetry.book import Book


@pytest.fixture
async def settings(tmp_path: Path) -> AsyncIterator[Settings]:
    async with set_up(tmp_path) as stage:
        yield stage.settings({})


def with_agent(settings: Settings, **changes: Any) -> Settings:
    agent = Agent(name="new", command=("true",), **changes)
    return replace(settings, agents={**settings.agents, "new": agent})


async def test_an_agent_that_cannot_be_confined_keeps_the_configuration_as_it_was(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came into force, and each of its tasks failed."""
    async with running(settings, os.environ) as daemon:
        book = Book(monkeypatch)
        assert not await daemon.reload(lambda: with_agent(settings, user="nobody-has-this-name"))
    errors = [line["error"] for line in book.lines() if line["level"] == "error"]
    assert len(errors) == 1, errors
    assert errors[0].startswith("agents.new: ")
    assert "nobody-has-this-name" in errors[0]


def modes(settings: Settings) -> list[int]:
    places = (settings.state_dir, settings.state_dir / "workspaces")
    return [place.stat().st_mode & 0o777 for place in places]


async def test_a_new_agent_of_another_user_finds_the_way_open(
    settings: Settings, tmp_path: Path
) -> None:
    let_pass(tmp_path)
    async with running(settings, os.environ) as daemon:
        assert await daemon.reload(lambda: with_agent(settings, **as_another()))
        if ANOTHER:
            assert modes(settings) == [0o711, 0o711]


async def test_a_first_start_with_an_agent_of_another_user_opens_the_way(
    settings: Settings, tmp_path: Path
) -> None:
    let_pass(tmp_path)
    async with running(with_agent(settings, **as_another()), os.environ):
        if ANOTHER:
            assert modes(settings) == [0o711, 0o711]


async def test_a_reload_stands_in_the_audit_with_what_came_of_it(settings: Settings) -> None:
    async with running(settings, os.environ) as daemon:
        assert await daemon.reload(lambda: settings)
        assert not await daemon.reload(lambda: with_agent(settings, user="nobody-has-this-name"))
    with closing(sqlite3.connect(settings.state_dir / "covend.db")) as database:
        rows = database.execute("SELECT who, way, verb, address, outcome FROM audit").fetchall()
    asked = ("operator", "signal", "reload", None)
    assert rows == [(*asked, "ok"), (*asked, "config")]


async def test_a_reload_that_cannot_be_written_down_changes_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(self: object, wish: object, now: int) -> int:
        raise StoreBusyError

    async with running(settings, os.environ) as daemon:
        monkeypatch.setattr(StoredAudit, "begin", busy)
        asked: list[Settings] = []

        def read() -> Settings:
            asked.append(settings)
            return settings

        assert not await daemon.reload(read)
        assert asked == []
