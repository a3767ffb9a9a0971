"""However an attempt ends, its task ends with it: last of all, and whatever fails on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from covend.core.bounds import Retry
from covend.core.contract.outcome import StopReason
from covend.core.effects.plan import plan_end
from covend.core.ending import Ending
from covend.core.errors import NotFoundError
from covend.core.model import Claim, EffectDraft, Moment, Task
from covend.core.settings import Policy
from covend.core.states import Outcome, TaskState
from covend.services import attempt, preparing, settling
from covend.services.stopping import Stop
from covend.store.protocol import Settlement
from covend.store.tasks import StoredTasks
from tests.services.house import CHECK, COMMENT, House, a_rule, an_agent

ONCE = Retry(attempts=1)


def failing(kind: type[Exception] = RuntimeError) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise kind("a fault of covend's own")

    return fail


async def with_agent(house: House, script: str = "true", **changes: object) -> Claim:
    """Its rule stays with its head, so that only the end looks whether that has moved."""
    rule = a_rule(publish=(CHECK, COMMENT), supersede=False)
    await house.adopt(rule, an_agent(script, retry=ONCE, **changes))
    return await house.claimed()


async def test_an_old_heads_failure_says_nothing_about_the_new_one(house: House) -> None:
    """It overwrote the comment of the work that had taken its place."""
    claim = await with_agent(house, "exit 3")
    house.till.git.push(7, {"README.md": "Pushed meanwhile.\n"}, "One more")
    story = await house.run(claim)
    await house.publish()
    assert story.task.state is TaskState.SUPERSEDED
    assert house.github.state.comments == []
    (run,) = house.github.state.check_runs
    assert run.conclusion == "neutral"


@pytest.mark.parametrize("supersede", [True, False])
async def test_work_on_the_live_head_stands_where_a_replica_tells_an_older_one(
    house: House, supersede: bool
) -> None:
    """GitHub tells a push before all of its replicas know it: the newest work was superseded."""
    rule = a_rule(publish=(CHECK, COMMENT), supersede=supersede)
    await house.adopt(rule, an_agent())
    claim = await house.claimed()
    branch = f"refs/heads/{house.till.pulls[7].head_ref}"
    live = house.till.git.commit_at(branch)
    move(house, branch, f"{live}~1")
    house.look_again_s = 1.0
    async with anyio.create_task_group() as group:
        group.start_soon(house.run, claim)
        await house.github.wait_for(lambda: house.posted("/pulls/7", "GET"))
        move(house, branch, live)
    assert (await house.story(claim.task.id)).task.state is TaskState.COMPLETED


def move(house: House, branch: str, to: str) -> None:
    house.till.git.set_ref(branch, house.till.git.commit_at(to))
    house.till.refresh_pulls()


async def test_what_will_be_tried_again_is_not_compared(house: House) -> None:
    await house.adopt(a_rule(supersede=False), an_agent("exit 75"))
    claim = await house.claimed()
    house.till.git.push(7, {"README.md": "Pushed meanwhile.\n"}, "One more")
    assert (await house.run(claim)).task.state is TaskState.QUEUED


class Watched(StoredTasks):
    """Looks what is left of an attempt in the moment in which its task is settled."""

    def __init__(self, house: House) -> None:
        super().__init__(house.connection)
        self._house = house
        self.left: list[str] | None = None

    async def settle(self, claim: Claim, settlement: Settlement, now: Moment) -> Settlement:
        self.left = [each.name for each in self._house.folder.glob("workspaces/*")]
        return await super().settle(claim, settlement, now)


async def test_a_task_is_settled_when_nothing_is_left_of_its_attempt(house: House) -> None:
    """Its next attempt began while the former one's workspace was still being removed."""
    claim, tasks = await with_agent(house, "mkdir -p a/b"), Watched(house)
    await house.attempts(tasks).run(claim, Stop())
    assert tasks.left == []


class WithoutPolicy(StoredTasks):
    """A store from which the policies are gone."""

    async def policy_of(self, task: Task) -> Policy:
        raise NotFoundError(task.policy)


async def test_a_task_without_a_readable_policy_is_given_up(house: House) -> None:
    """It stayed `running` until the next start, which failed by it."""
    claim = await with_agent(house)
    await house.attempts(WithoutPolicy(house.connection)).run(claim, Stop())
    story = await house.story(claim.task.id)
    assert (story.task.state, story.task.error_code) == (TaskState.FAILED, "internal")
    assert story.attempts[0].outcome is Outcome.FAILED


@pytest.mark.parametrize("place", [(attempt, "get_pull"), (settling, "plan_end")])
async def test_a_fault_at_the_end_is_an_end_too(
    house: House, monkeypatch: pytest.MonkeyPatch, place: tuple[Any, str]
) -> None:
    claim = await with_agent(house)
    monkeypatch.setattr(*place, failing())
    story = await house.run(claim)
    assert (story.task.state, story.task.error_code) == (TaskState.FAILED, "internal")


async def test_an_end_that_cannot_be_shown_still_ends_its_check(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(claim: Claim, policy: Policy, ending: Ending, **how: Any) -> tuple[EffectDraft, ...]:
        if ending.outcome is Outcome.SUCCEEDED:
            raise RuntimeError("a fault of covend's own")
        return plan_end(claim, policy, ending, **how)

    claim = await with_agent(house)
    monkeypatch.setattr(settling, "plan_end", plan)
    await house.run(claim)
    await house.publish()
    (run,) = house.github.state.check_runs
    assert run.conclusion == "failure"


async def test_a_fault_at_the_beginning_is_an_end_too(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = await with_agent(house)
    monkeypatch.setattr(settling, "plan_start", failing())
    story = await house.run(claim)
    assert (story.task.state, story.task.error_code) == (TaskState.FAILED, "internal")


async def test_what_cannot_be_cleared_away_is_no_reason_to_forget_the_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = await with_agent(house)
    monkeypatch.setattr(preparing, "remove_directory", failing(OSError))
    assert (await house.run(claim)).task.state is TaskState.COMPLETED


async def test_a_stop_before_the_agent_clears_away_and_gives_back(house: House) -> None:
    claim, tasks, stop = await with_agent(house), Watched(house), Stop()
    stop.request(StopReason.INTERRUPTED)
    await house.attempts(tasks).run(claim, stop)
    assert tasks.left == []
    assert (await house.story(claim.task.id)).task.state is TaskState.QUEUED
