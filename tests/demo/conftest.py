"""A stand-in of GitHub with the till on it, held against GitHub's own description."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import jwt
import pytest

from covend.demo.github import Hosted, StandInGitHub
from covend.demo.github.description import Description
from tests.demo.api import Api


@pytest.fixture(scope="session")
def description(shared: Path) -> Description:
    return Description.read(shared / "github" / "openapi-slim.json")


@pytest.fixture
async def github(description: Description) -> AsyncIterator[StandInGitHub]:
    async with StandInGitHub(description=description) as github:
        yield github


@pytest.fixture
def till(github: StandInGitHub, tmp_path: Path) -> Hosted:
    return github.host_till(tmp_path / "till.git")


@pytest.fixture
async def session(github: StandInGitHub) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(github.api_url) as session:
        yield session


@pytest.fixture
def app_token(github: StandInGitHub) -> str:
    now = int(time.time())
    claims = {"iss": str(github.state.app.id), "iat": now - 60, "exp": now + 500}
    return jwt.encode(claims, github.key.private, algorithm="RS256")


@pytest.fixture
def as_app(session: aiohttp.ClientSession, app_token: str) -> Api:
    return Api(session, app_token)


@pytest.fixture
async def api(as_app: Api, till: Hosted) -> Api:
    """Calls with an installation token that may do all the App may."""
    assert till.full_name == "acme/till"
    return await as_app.narrowed()
