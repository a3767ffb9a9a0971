"""Limits of an agent: the one that goes over them ends, and no other."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from covend.demo.stage import Stage
from tests.services.fifo import Fifo
from tests.story import greedy_agent
from tests.story.agent import Script
from tests.story.config import ALONE, TIMEOUT
from tests.story.conftest import SetUp
from tests.story.process import Covend, serving
from tests.story.test_hundred_tasks import ask
from tests.story.trees import below

LIMITS = {"hog": 'memory = "64MiB"', "storm": "pids = 64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Greedy:
    """How agents are heard and told."""

    here: Fifo
    word: Fifo

    @property
    def script(self) -> Script:
        paths = (str(self.here.path), str(self.word.path))
        return Script((sys.executable, "-S", greedy_agent.__file__, *paths))


@pytest.fixture
def greedy(tmp_path: Path) -> Iterator[Greedy]:
    with Fifo(tmp_path / "here") as here, Fifo(tmp_path / "word") as word:
        yield Greedy(here=here, word=word)


async def two(stage: Stage, covend: Covend, greedy: Greedy) -> list[str]:
    """Have two agents run, and give their tasks."""
    tasks = [await ask(stage, covend, serial) for serial in range(2)]
    for _ in tasks:
        await greedy.here.line()
    return tasks


async def ended(covend: Covend, tasks: list[str]) -> tuple[Any, str]:
    """Wait until one of them has failed, and give its story and the other one's task."""
    failed = (await covend.hears("attempt ended", outcome="failed"))["task"]
    (other,) = set(tasks) - {failed}
    return await covend.task_in("failed", failed), other


@pytest.mark.parametrize(("deed", "limit"), [("hog", "memory"), ("storm", "pids")])
async def test_who_goes_over_a_limit_ends_alone(
    staged: SetUp, greedy: Greedy, deed: str, limit: str
) -> None:
    settings = f"{TIMEOUT}\nlimits = {{{{ {LIMITS[deed]} }}}}"
    async with (
        staged(greedy.script, agent=settings, rule=ALONE) as stage,
        serving(stage) as covend,
    ):
        tasks = await two(stage, covend, greedy)
        greedy.word.say(deed)
        story, other = await ended(covend, tasks)
        left = len(below(covend.pid))
        greedy.word.say("Fine.")
        await covend.task_in("completed", other)
        _, ready = await covend.get("/readyz")
    assert [line for line in covend.log if line["message"] == "configuration"] == []
    (attempt,) = story["attempts_list"]
    # Where the kernel counts processes, it refuses to make one more, and the agent fails of that.
    is_refused = limit == "pids" and ready[limit] == "cgroup"
    assert attempt["error_code"] == ("exit_code" if is_refused else f"{limit}_limit")
    assert left == 1
