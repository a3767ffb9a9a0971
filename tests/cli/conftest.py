"""An operator before a running covend with an empty store; and one who has no App yet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from covend.demo.github import StandInGitHub
from covend.demo.github.description import Description
from tests.cli.app_maker import begun, open_github
from tests.cli.operator_desk import Operator, open_operator


@pytest.fixture
async def operator(tmp_path: Path) -> AsyncIterator[Operator]:
    async with open_operator(tmp_path) as opened:
        yield opened


@pytest.fixture
async def github(description: Description | None) -> AsyncIterator[StandInGitHub]:
    async with open_github(description) as github:
        yield github


@pytest.fixture
def folder(tmp_path: Path, github: StandInGitHub) -> Path:
    return begun(tmp_path, github)
