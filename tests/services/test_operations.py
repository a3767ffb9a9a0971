"""The operator's verbs against tasks that move while they are looked at."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from covend.core.contract.outcome import StopReason
from covend.core.errors import ConflictError
from covend.core.model import EffectKind, Task, TaskId
from covend.core.states import Outcome, TaskState
from covend.services.operations import Operations
from covend.services.recovery import LOST
from covend.store.guards import StoredGuards
from covend.store.protocol import Settlement, TaskStory
from covend.store.tasks import StoredTasks
from tests.services.house import House, a_rule, an_agent, an_ending

AGAIN = Settlement(
    target=TaskState.QUEUED, reason="retry", ending=an_ending(outcome=Outcome.FAILED)
)


@dataclass
class Stops:
    """Stand in for the dispatcher: notes who was to be stopped."""

    asked: list[tuple[TaskId, StopReason]] = field(default_factory=list)
    drains: list[bool] = field(default_factory=list)

    def __call__(self, task: TaskId, reason: StopReason) -> bool:
        self.asked.append((task, reason))
        return True


def operations(house: House, stops: Stops, tasks: StoredTasks | None = None) -> Operations:
    return Operations(
        tasks=tasks or house.tasks,
        guards=StoredGuards(house.connection),
        clock=house.clock,
        wakeups=house.wakeups,
        metrics=house.metrics,
        settlements=house.settlements,
        stop_attempt=stops,
        on_drain=stops.drains.append,
    )


class Moving(StoredTasks):
    """Tasks that are claimed right after each look, and given back before the next."""

    def __init__(self, house: House, times: int) -> None:
        super().__init__(house.connection)
        self._house = house
        self._times = times

    async def story(self, task: str) -> TaskStory | None:
        found = await super().story(task)
        if self._times:
            self._times -= 1
            claim = await self._house.claim()
            await self.settle(claim, AGAIN, self._house.clock.now())
        return found


async def waiting(house: House) -> Task:
    await house.adopt(a_rule(publish=(EffectKind.CHECK,)), an_agent())
    return await house.queued()


async def test_a_task_that_was_claimed_meanwhile_is_looked_at_again(house: House) -> None:
    """Its check would have stayed in progress: there was none when its end was planned."""
    task, stops = await waiting(house), Stops()
    await operations(house, stops, Moving(house, 1)).cancel(task.id)
    story = await house.story(task.id)
    assert (story.task.state, story.task.attempts) == (TaskState.CANCELLED, 1)
    assert [effect.request["body"]["conclusion"] for effect in story.effects] == ["cancelled"]
    assert stops.asked == []


async def test_a_task_that_never_stands_still_is_given_up(house: House) -> None:
    task = await waiting(house)
    with pytest.raises(ConflictError, match="keeps moving"):
        await operations(house, Stops(), Moving(house, 99)).cancel(task.id)


async def test_what_was_to_be_cancelled_is_not_given_back_to_the_queue(house: House) -> None:
    """As recovery finds it: covend died between the wish and the end of the attempt."""
    await waiting(house)
    claim, stops = await house.claim(), Stops()
    await house.announce(claim)
    await operations(house, stops).cancel(claim.task.id, "wrong branch")
    assert stops.asked == [(claim.task.id, StopReason.CANCELLED)]
    [(task, token, attempt)] = await house.tasks.running()
    assert task.cancel_requested_at is not None
    await house.giving_back().give_back(task, token, attempt, LOST)
    story = await house.story(task.id)
    assert (story.task.state, story.task.reason) == (
        TaskState.CANCELLED,
        "operator: wrong branch",
    )
    assert story.effects[-1].request["body"]["conclusion"] == "cancelled"
    await house.publish()
    [check] = house.github.state.check_runs
    assert check.conclusion == "cancelled"


async def test_a_cancelled_task_is_counted(house: House) -> None:
    task = await waiting(house)
    await operations(house, Stops()).cancel(task.id)
    written = house.metrics.render().decode()
    assert 'outcome="cancelled"' in written
