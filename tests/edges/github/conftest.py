"""The stand-in with the till on it: whatever was asked has to fit GitHub's own description."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from covend.demo.github import Request, StandInGitHub
from covend.demo.github.description import Description
from covend.edges.github.client import GitHubClient
from tests.edges.github.github_world import Clock, World
from tests.edges.github.scripted import ScriptedGitHub


@pytest.fixture
async def world(description: Description | None, tmp_path: Path) -> AsyncIterator[World]:
    clock = Clock()
    async with (
        StandInGitHub(description=description, clock=clock.moment) as github,
        aiohttp.ClientSession() as session,
    ):
        till = github.host_till(tmp_path / "till.git")
        yield World(github=github, till=till, clock=clock, session=session)
    assert github.violations == []
    assert [each for each in github.requests if _reads_with_more(each)] == []


@pytest.fixture
def client(world: World) -> GitHubClient:
    return world.client()


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedGitHub]:
    async with aiohttp.ClientSession() as session:
        scripted = ScriptedGitHub(session)
        await scripted.server.start_server()
        yield scripted
        await scripted.server.close()
    assert scripted.replies == []


def _reads_with_more(asked: Request) -> bool:
    """Say whether an App's token that may write was used to read."""
    granted = asked.credential.permissions or {}
    return asked.method == "GET" and "write" in granted.values()
