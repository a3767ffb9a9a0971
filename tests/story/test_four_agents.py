"""kill -9 while four agents run that hide their children: the next start ends all of them before it
claims anything.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from covend.demo.stage import Stage
from tests.services.fifo import Fifo
from tests.story import escaping_agent
from tests.story.agent import Script
from tests.story.conftest import SetUp
from tests.story.process import Covend, Line, serving
from tests.story.test_busy import open_pull, send
from tests.story.test_kill import opened
from tests.story.trees import PROGRAMS, end, living, noted_in

AGENTS = 4
RULE = 'checkout = "head"\npublish = []'
HIDINGS = {
    "cgroup": ("escaped", "stopped", "deaf", "wiped"),
    # Without a cgroup nothing that outlives the daemon ties such a one to its attempt.
    "walk": ("escaped", "stopped", "deaf"),
}
SLOWER_MAX = 3.0
"""Times the start of the program itself, which takes some tenths of a second: ending what is left
must take well under five seconds.
"""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Fifo]:
    with Fifo(tmp_path / "here") as fifo:
        yield fifo


@pytest.fixture
def left(tmp_path: Path) -> Iterator[Path]:
    """Where agents note whom they have started."""
    path = tmp_path / "left"
    yield path
    end(noted_in(path))


async def four_opened(stage: Stage, covend: Covend) -> list[str]:
    tasks = [await opened(stage, covend)]
    for _ in range(AGENTS - 1):
        status, answer, _ = await send(stage, covend, open_pull(stage))
        assert status == 202
        tasks += answer["tasks"]
    return tasks


def order(covend: Covend, *messages: str) -> list[int]:
    """Give the place of the first line of each message."""
    told = [line["message"] for line in covend.log]
    return [told.index(message) for message in messages]


def moment(line: Line) -> float:
    return datetime.fromisoformat(line["at"]).timestamp()


@pytest.mark.parametrize("way", PROGRAMS)
async def test_killed_with_four_agents_all_end_before_the_next_claim(
    staged: SetUp, here: Fifo, left: Path, way: str
) -> None:
    program = (sys.executable, "-S", escaping_agent.__file__, str(here.path), str(left))
    agent = Script((*program, *HIDINGS[way]))
    async with staged(agent, rule=RULE) as stage:
        async with serving(stage, PROGRAMS[way]) as first:
            tasks = await four_opened(stage, first)
            counts = [await here.line() for _ in range(AGENTS)]
            old = noted_in(left)
            await first.kill()
            assert counts == [f"1 {1 + len(HIDINGS[way])}"] * AGENTS
            assert len(living(old)) == AGENTS * (1 + len(HIDINGS[way]))
        async with serving(stage, PROGRAMS[way]) as second:
            assert [await here.line() for _ in range(AGENTS)] == ["2 0"] * AGENTS
            stories = [await second.task_in("completed", task) for task in tasks]
    assert living(old) == []
    for story in stories:
        attempts = [attempt["outcome"] for attempt in story["attempts_list"]]
        assert attempts == ["lost", "succeeded"]
    held, ended, recovered, begun = order(
        second, "agents are held", "orphans were ended", "recovered", "attempt begins"
    )
    assert held < ended < recovered < begun
    assert second.log[ended]["count"] == len(old)
    starting_s = moment(second.log[held]) - second.begun_at
    assert moment(second.log[recovered]) - moment(second.log[held]) < SLOWER_MAX * starting_s
