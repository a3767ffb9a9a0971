"""The stage of the demonstration, held against GitHub's own description where that is at hand."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from covend.demo.github.description import Description
from covend.demo.stage import Stage, set_up
from tests.story.agent import WaitingAgent
from tests.story.config import config

EXAMPLE = (sys.executable, "-m", "covend.demo.agent")
SetUp = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture
def staged(description: Description | None, tmp_path: Path) -> SetUp:
    """Set a stage up with this configuration; nothing that GitHub would not have taken is left."""

    @asynccontextmanager
    async def stage(agent: WaitingAgent | None = None, **changes: str) -> AsyncIterator[Stage]:
        command = agent.command if agent else EXAMPLE
        async with set_up(
            tmp_path, description=description, config=config(**changes), command=command
        ) as made:
            yield made
            assert made.github.violations == []

    return stage


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[WaitingAgent]:
    with WaitingAgent(tmp_path) as agent:
        yield agent
