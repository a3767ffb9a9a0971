"""The stage of the demonstration, held against GitHub's own description where that is at hand."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from covend.demo.github.description import Description
from covend.demo.stage import Stage, free_port, set_up
from tests.story.agent import Program, WaitingAgent
from tests.story.config import config

EXAMPLE = (sys.executable, "-m", "covend.demo.agent")
PASSABLE = 0o711
SetUp = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture
def staged(description: Description | None, tmp_path: Path) -> SetUp:
    """Set a stage up with this configuration; nothing that GitHub would not have taken is left.

    The operators' address is one that commands find in the configuration, also over a restart.
    """

    @asynccontextmanager
    async def stage(
        agent: Program | None = None, /, *, folder: Path = tmp_path, **changes: str
    ) -> AsyncIterator[Stage]:
        command = agent.command if agent else EXAMPLE
        async with set_up(
            folder,
            description=description,
            config=config(**changes),
            command=command,
            ports=(0, free_port()),
        ) as made:
            yield made
            assert made.github.violations == []

    return stage


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[WaitingAgent]:
    with WaitingAgent(tmp_path) as agent:
        yield agent


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user can pass through, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="covend-story-")).resolve()
    folder.chmod(PASSABLE)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
