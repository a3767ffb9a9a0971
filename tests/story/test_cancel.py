"""An operator's cancel, from the command line to GitHub: what runs is stopped, nothing of it is
published, and no crash forgets the wish.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from covend.demo.stage import Stage, free_port
from tests.services.alive import is_alive
from tests.story.agent import WaitingAgent
from tests.story.conftest import SetUp
from tests.story.process import COVEND, WITHIN_S, serving
from tests.story.test_kill import opened

Output = tuple[int, str, str]


@pytest.fixture(autouse=True)
def _one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon and the command line meet at the same port, also after a restart."""
    monkeypatch.setenv("COVEND_ADMIN__LISTEN", f"127.0.0.1:{free_port()}")


@asynccontextmanager
async def command(stage: Stage, *args: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a command of covend's beside it."""
    process = await asyncio.create_subprocess_exec(
        *COVEND,
        *args,
        "--config",
        str(stage.config),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def run(stage: Stage, *args: str) -> Output:
    async with command(stage, *args) as process:
        return await ended(process)


async def ended(process: asyncio.subprocess.Process) -> Output:
    out, error = await asyncio.wait_for(process.communicate(), WITHIN_S)
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


def begin_with(agent: WaitingAgent, words: str) -> None:
    """Let the agent do something first."""
    script = Path(agent.command[1])
    script.write_text(f"{words}\n{script.read_text()}")


async def test_a_cancelled_task_stops_its_agent_and_publishes_nothing(
    staged: SetUp, agent: WaitingAgent
) -> None:
    async with staged(agent) as stage, serving(stage) as covend:
        task = await opened(stage, covend)
        begun = await agent.begins()
        async with command(stage, "logs", "-f", task) as follower:
            code, out, _ = await run(stage, "cancel", task, "--reason", "wrong branch")
            assert (code, task in out) == (0, True)
            story = await covend.task_in("cancelled", task)
            assert not is_alive(begun.pid)
            followed, _, told = await ended(follower)
        assert (followed, told.splitlines()[-1]) == (0, "covend: the task is cancelled")
        state = stage.github.state
        await stage.github.wait_for(
            lambda: any(run.conclusion == "cancelled" for run in state.check_runs)
        )
        assert (await run(stage, "cancel", task))[0] == 0
    assert state.reviews == []
    assert story["reason"] == "operator: wrong branch"
    assert [attempt["outcome"] for attempt in story["attempts_list"]] == ["cancelled"]


async def test_a_crash_does_not_forget_that_a_task_was_to_be_cancelled(
    staged: SetUp, agent: WaitingAgent
) -> None:
    """The agent takes its whole grace, so covend is killed before its task has ended."""
    begin_with(agent, "trap '' TERM INT")
    async with staged(agent) as stage:
        async with serving(stage) as first:
            task = await opened(stage, first)
            begun = await agent.begins()
            await first.hears("published", kind="check")
            code, out, _ = await run(stage, "cancel", task)
            assert (code, "stopping" in out) == (0, True)
            await first.kill()
        async with serving(stage) as second:
            story = await second.task_in("cancelled", task)
            assert not is_alive(begun.pid)
            state = stage.github.state
            await stage.github.wait_for(
                lambda: any(run.conclusion == "cancelled" for run in state.check_runs)
            )
    assert story["reason"] == "operator"
    assert len(story["attempts_list"]) == 1
    assert state.reviews == []


async def test_what_an_agent_prints_is_followed_over_a_restart(
    staged: SetUp, agent: WaitingAgent
) -> None:
    begin_with(agent, "echo attempt $COVEND_ATTEMPT")
    async with staged(agent) as stage, serving(stage) as first:
        task = await opened(stage, first)
        await agent.begins()
        async with command(stage, "logs", "-f", task) as follower:
            assert follower.stdout is not None
            assert await asyncio.wait_for(follower.stdout.readline(), WITHIN_S) == b"attempt 1\n"
            await first.kill()
            async with serving(stage) as second:
                await agent.begins()
                agent.ends()
                await second.task_in("completed", task)
                code, out, told = await ended(follower)
    assert told.splitlines() == [
        "covend: attempt 1 has ended: lost",
        "covend: attempt 2 has ended: succeeded",
        "covend: the task is completed",
    ]
    assert (code, out) == (0, "attempt 2\n")
