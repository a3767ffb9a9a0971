"""SIGTERM: nothing new comes in, what runs may finish, and in the end nothing is left."""

from __future__ import annotations

import signal

from tests.services.alive import is_alive
from tests.story.agent import Begun, WaitingAgent
from tests.story.conftest import SetUp
from tests.story.process import Covend, serving
from tests.story.test_kill import opened, reviewed

SOON_S = 8.0
"""Far less than any drain or grace that is not meant."""


async def stopping(covend: Covend) -> None:
    """Ask it to end, and wait until it has heard."""
    covend.send(signal.SIGTERM)
    await covend.hears("stopping")


def outcomes(story: dict[str, list[dict[str, str]]]) -> list[str]:
    return [attempt["outcome"] for attempt in story["attempts_list"]]


async def test_while_it_drains_it_says_so_and_takes_nothing(
    staged: SetUp, agent: WaitingAgent
) -> None:
    async with staged(agent) as stage, serving(stage) as covend:
        await opened(stage, covend)
        await agent.begins()
        await stopping(covend)
        status, ready = await covend.get("/readyz")
        assert (status, ready["state"]) == (503, "draining")
        status, answer, headers = await covend.posted(*stage.signed("push", serial=2))
        assert (status, answer["error"]["code"]) == (503, "draining")
        assert int(headers["Retry-After"]) > 0
        agent.ends()
        assert await covend.exit_code() == 0


async def test_what_runs_finishes_within_the_drain_and_is_published(
    staged: SetUp, agent: WaitingAgent
) -> None:
    """Its last request was cut off, and looked up for a minute after the next start."""
    async with staged(agent) as stage:
        async with serving(stage) as first:
            task = await opened(stage, first)
            await agent.begins()
            await stopping(first)
            agent.ends()
            assert await first.exit_code(within_s=SOON_S) == 0
        await reviewed(stage.github, within_s=0)
        async with serving(stage) as second:
            assert outcomes(await second.task(task)) == ["succeeded"]
            assert not [line for line in second.log if line["message"] == "recovered"]


async def test_what_outlasts_the_drain_is_interrupted_and_queued_again(
    staged: SetUp, agent: WaitingAgent
) -> None:
    async with staged(agent, limits='drain = "200ms"') as stage:
        async with serving(stage) as first:
            task = await opened(stage, first)
            begun = await agent.begins()
            await stopping(first)
            assert await first.exit_code(within_s=SOON_S) == 0
            assert not is_alive(begun.pid)
        async with serving(stage) as second:
            again = await agent.begins()
            assert again == Begun(pid=again.pid, task=task, attempt=2)
            agent.ends()
            await reviewed(stage.github)
            story = await second.task_in("completed", task)
    assert outcomes(story) == ["interrupted", "succeeded"]
    assert [each["kind"] for each in story["effects"]].count("review") == 1


async def test_a_second_signal_waits_no_longer(staged: SetUp, agent: WaitingAgent) -> None:
    async with staged(agent, limits='drain = "10m"') as stage, serving(stage) as covend:
        await opened(stage, covend)
        begun = await agent.begins()
        await stopping(covend)
        assert is_alive(begun.pid)
        covend.send(signal.SIGTERM)
        assert await covend.exit_code(within_s=SOON_S) == 0
        assert not is_alive(begun.pid)


async def test_an_idle_covend_ends_at_once(staged: SetUp) -> None:
    async with staged() as stage, serving(stage) as covend:
        covend.send(signal.SIGINT)
        assert await covend.exit_code(within_s=SOON_S) == 0
        assert not [line for line in covend.log if line["level"] in {"warning", "error"}]
        assert covend.said == []
