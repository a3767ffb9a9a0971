"""kill -9 at the worst moments: what was accepted is done, once."""

from __future__ import annotations

import asyncio
from typing import Any

from covend.demo.github import Fault, StandInGitHub
from covend.demo.stage import Stage
from tests.services.alive import is_alive
from tests.story.agent import WaitingAgent
from tests.story.conftest import SetUp
from tests.story.process import Covend, serving

LOOK_UP_S = 8.0 + 20.0
"""covend waits for GitHub's replicas before it looks up, 8 s of its clock."""

TWO_LOOKS_S = 60.0 + 20.0
"""Where the kill hits a request that never left, which no test can choose."""


async def opened(stage: Stage, covend: Covend) -> str:
    """Send that the pull request was opened, and give the task."""
    status, answer = await covend.post(*stage.signed("pull_request.opened", serial=1))
    assert (status, answer["state"]) == (202, "routed")
    (task,) = answer["tasks"]
    return str(task)


async def reviewed(github: StandInGitHub, *, within_s: float = LOOK_UP_S) -> None:
    """Wait until the review is there and its check concluded, and look that each is there once."""
    state = github.state
    await github.wait_for(
        lambda: state.reviews and any(run.conclusion for run in state.check_runs),
        within_s=within_s,
    )
    assert len(state.reviews) == 1
    assert len(state.check_runs) == 1


async def test_killed_right_after_the_answer_the_task_runs_once(staged: SetUp) -> None:
    async with staged() as stage:
        async with serving(stage) as first:
            task = await opened(stage, first)
            await first.kill()
        async with serving(stage) as second:
            await reviewed(stage.github, within_s=TWO_LOOKS_S)
            story = await second.task_in("completed", task)
    outcomes = [attempt["outcome"] for attempt in story["attempts_list"]]
    assert outcomes in (["succeeded"], ["lost", "succeeded"])


async def test_killed_while_the_agent_runs_it_is_ended_and_runs_again(
    staged: SetUp, agent: WaitingAgent
) -> None:
    async with staged(agent) as stage:
        async with serving(stage) as first:
            task = await opened(stage, first)
            lost = await agent.begins()
            await first.hears("published", kind="check")
            await first.kill()
            assert is_alive(lost.pid)
        async with serving(stage) as second:
            begun = await agent.begins()
            assert not is_alive(lost.pid)
            assert (begun.task, begun.attempt) == (lost.task, 2)
            agent.ends()
            await reviewed(stage.github)
            story = await second.task_in("completed", task)
    assert [attempt["outcome"] for attempt in story["attempts_list"]] == ["lost", "succeeded"]
    assert "recovered" in [move["why"] for move in story["timeline"]]


async def test_killed_between_sending_and_recording_the_review_is_found(staged: SetUp) -> None:
    """The one story that waits for GitHub's replicas in real time."""
    async with staged() as stage:
        held = stage.github.faults.add("POST", "*/reviews", Fault.HELD)
        async with serving(stage) as first:
            task = await opened(stage, first)
            await held.reached.wait()
            await first.kill()
        held.release()
        await stage.github.wait_for(lambda: stage.github.state.reviews)
        async with serving(stage) as second:
            assert (await second.hears("recovered"))["effects_in_doubt"] == 1
            await reviewed(stage.github)
            story = await second.task_in("completed", task)
    asked = [each for each in stage.github.requests if each.path.endswith("/reviews")]
    assert [each.method for each in asked] == ["POST", "GET"]
    effects: dict[str, Any] = {each["kind"]: each for each in story["effects"]}
    assert effects["review"]["state"] == "done"


async def test_fifty_times_at_once_is_once(staged: SetUp) -> None:
    async with staged() as stage, serving(stage) as covend:
        body, headers = stage.signed("pull_request.opened", serial=1)
        answers = await asyncio.gather(*[covend.post(body, headers) for _ in range(50)])
        assert sorted(status for status, _ in answers) == [200] * 49 + [202]
        ((task,),) = {tuple(answer["tasks"]) for _, answer in answers}
        assert sum(answer.get("duplicate", False) for _, answer in answers) == 49
        await reviewed(stage.github)
        story = await covend.task(task)
        _, tasks = await covend.get("/api/v1/tasks")
        _, deliveries = await covend.get("/api/v1/deliveries")
    assert len(story["attempts_list"]) == len(tasks["items"]) == len(deliveries["items"]) == 1
    assert deliveries["items"][0]["duplicates"] == 49
