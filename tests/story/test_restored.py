"""A backup of a covend at work is put back after the machine was lost: what was done since is done
again, and nothing of it appears twice.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson

from covend.demo.github.deliveries import write_down
from covend.demo.stage import Stage
from tests.services.alive import is_alive
from tests.story.agent import WaitingAgent
from tests.story.conftest import SetUp
from tests.story.process import COVEND, Covend, serving

LOOKED_FOR_S = 60.0 + 30.0
"""Where a thing is not there, it is looked for twice, a minute apart."""
LOAD = 40


async def run(stage: Stage, *args: str) -> Any:
    """Run a command, and give what it says."""
    command = (*COVEND, *args, "--json", "--config", str(stage.config))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    assert process.returncode == 0, said
    return orjson.loads(said)


async def backed_up(stage: Stage) -> Path:
    target = stage.folder / "backup"
    told = await run(stage, "backup", str(target))
    assert told["faults"] == []
    return target


async def published(stage: Stage, covend: Covend, task: str) -> None:
    """Wait until all that a task shows is visible."""

    async def look() -> bool | None:
        story = await covend.task(task)
        is_shown = {effect["state"] for effect in story["effects"]} == {"done"}
        return True if story["state"] == "completed" and is_shown else None

    await covend.until(look, within_s=LOOKED_FOR_S)


def seen(stage: Stage) -> tuple[int, int, int]:
    state = stage.github.state
    return len(state.check_runs), len(state.comments), len(state.reviews)


async def test_work_that_ran_at_the_backup_is_done_again_and_seen_once(
    staged: SetUp, agent: WaitingAgent
) -> None:
    async with staged(agent) as stage:
        async with serving(stage) as first:
            _, answer = await first.post(*stage.signed("pull_request.opened", serial=1))
            (task,) = answer["tasks"]
            ran = await agent.begins()
            backup = await backed_up(stage)
            agent.ends()
            await published(stage, first, task)
            await first.kill()
        assert not is_alive(ran.pid)
        assert (await run(stage, "verify"))["ok"]
        before = seen(stage)
        assert before == (1, 1, 1)
        told = await run(stage, "restore", str(backup), "--replace")
        assert told["tasks_to_recover"] == 1
        async with serving(stage) as second:
            begun = await agent.begins()
            assert (begun.task, begun.attempt) == (task, 2)
            agent.ends()
            await published(stage, second, task)
            assert (await run(stage, "verify"))["ok"]
        assert seen(stage) == before


async def test_work_that_came_after_the_backup_comes_back_and_is_seen_once(
    staged: SetUp,
) -> None:
    async with staged() as stage:
        async with serving(stage) as first:
            pushes = [stage.signed("push", serial=serial) for serial in range(2, LOAD)]
            load = asyncio.gather(*(first.post(*push) for push in pushes))
            backup = await backed_up(stage)
            await load
            body, headers = stage.signed("pull_request.opened", serial=1)
            write_down(stage.github.state, orjson.loads(body), headers)
            _, answer = await first.post(body, headers)
            (task,) = answer["tasks"]
            await published(stage, first, task)
            await first.kill()
        before = seen(stage)
        assert before == (1, 1, 1)
        await run(stage, "restore", str(backup), "--replace")
        async with serving(stage) as second:
            await second.hears("reconciled", kept=1)
            _, listed = await second.get("/api/v1/tasks")
            (again,) = [each["id"] for each in listed["items"]]
            assert again != task
            await published(stage, second, again)
            assert (await run(stage, "verify"))["ok"]
        assert seen(stage) == before
