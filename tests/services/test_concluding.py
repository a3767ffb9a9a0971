"""No check stays in progress when nobody is at its task any more."""

from __future__ import annotations

import pytest

from covend.core.model import Task
from covend.core.states import EffectState, Outcome, TaskState
from covend.core.units import DAY
from covend.services.concluding import SETTLED_S, SINCE_S, TRIES_MAX, TRIES_PER_S, Concluding
from covend.store.concluding import StoredLeftOpen
from covend.store.protocol import Settlement
from tests.services.house import CHECK, House, a_rule, an_agent, an_ending

OUTCOMES = {
    TaskState.COMPLETED: Outcome.SUCCEEDED,
    TaskState.FAILED: Outcome.FAILED,
    TaskState.CANCELLED: Outcome.CANCELLED,
    TaskState.SUPERSEDED: Outcome.SUPERSEDED,
}


def concluding(house: House) -> Concluding:
    return Concluding(
        left_open=StoredLeftOpen(house.connection),
        tasks=house.tasks,
        settlements=house.settlements,
        clock=house.clock,
        wakeups=house.wakeups,
    )


async def left_open(house: House, target: TaskState = TaskState.COMPLETED) -> Task:
    """A task that has ended, and whose end was never shown."""
    await house.adopt(a_rule(publish=(CHECK,)), an_agent())
    claim = await house.claimed()
    await house.announce(claim)
    await house.publish()
    ending = an_ending(outcome=OUTCOMES[target])
    silent = Settlement(target=target, reason="x", ending=ending)
    await house.tasks.settle(claim, silent, house.clock.now())
    return claim.task


def fail_what_waits(house: House) -> None:
    """By hand, past the publisher."""
    house.meddle("UPDATE effects SET state = 'sending' WHERE state = 'pending'")
    house.meddle("UPDATE effects SET state = 'failed' WHERE state = 'sending'")


@pytest.mark.parametrize(
    ("target", "conclusion"),
    [
        (TaskState.COMPLETED, "success"),
        (TaskState.FAILED, "failure"),
        (TaskState.CANCELLED, "cancelled"),
        (TaskState.SUPERSEDED, "neutral"),
    ],
)
async def test_a_check_that_was_left_in_progress_tells_how_its_task_ended(
    house: House, target: TaskState, conclusion: str
) -> None:
    await left_open(house, target)
    house.clock.turn(s=SETTLED_S + 1)
    assert await concluding(house).conclude_all() == 1
    await house.publish()
    (run,) = house.github.state.check_runs
    assert (run.status, run.conclusion) == ("completed", conclusion)
    assert await concluding(house).conclude_all() == 0


async def test_an_end_that_is_on_its_way_is_waited_for(house: House) -> None:
    await house.adopt(a_rule(publish=(CHECK,)), an_agent())
    await house.settled(an_ending())
    house.clock.turn(s=SETTLED_S + 1)
    assert await concluding(house).conclude_all() == 0


async def test_what_has_just_ended_has_its_chance_first(house: House) -> None:
    await left_open(house)
    assert await concluding(house).conclude_all() == 0


async def test_work_that_goes_on_is_left_in_progress(house: House) -> None:
    task = await left_open(house, TaskState.FAILED)
    house.clock.turn(s=SETTLED_S + 1)
    await house.tasks.retry(task.id, reason="operator", now=house.clock.now())
    assert await concluding(house).conclude_all() == 0


async def test_two_rounds_at_once_conclude_it_once(house: House) -> None:
    task = await left_open(house)
    (effect,) = (await house.story(task.id)).effects
    policy = await house.tasks.policy_of(task)
    store = StoredLeftOpen(house.connection)
    for is_first in (True, False):
        ended = (await house.story(task.id)).task
        effects = house.settlements.conclude(ended, policy)
        assert await store.conclude(effect.id, effects, house.clock.now()) is is_first


async def test_one_that_cannot_be_concluded_is_not_tried_for_ever(house: House) -> None:
    task = await left_open(house)
    house.clock.turn(s=SETTLED_S + 1)
    for _ in range(TRIES_MAX):
        assert await concluding(house).conclude_all() == 1
        fail_what_waits(house)
    assert await concluding(house).conclude_all() == 0
    effects = (await house.story(task.id)).effects
    assert [each.state for each in effects[1:]] == [EffectState.FAILED] * TRIES_MAX


async def test_what_could_not_be_concluded_today_is_concluded_tomorrow(house: House) -> None:
    """A permission that was missing for an hour left a check in progress for ever."""
    await left_open(house)
    house.clock.turn(s=SETTLED_S + 1)
    for _ in range(TRIES_MAX):
        await concluding(house).conclude_all()
        fail_what_waits(house)
    house.clock.turn(s=TRIES_PER_S + 1)
    assert await concluding(house).conclude_all() == 1
    await house.publish()
    (run,) = house.github.state.check_runs
    assert run.status == "completed"


async def test_a_check_of_a_suspended_installation_waits_until_it_is_active_again(
    house: House,
) -> None:
    task = await left_open(house)
    house.clock.turn(s=SETTLED_S + 1)
    house.meddle(
        "INSERT INTO installations (id, account, state, told_at, created_at, updated_at)"
        " VALUES (:id, 'acme', 'suspended', 0, 0, 0)",
        id=task.installation_id,
    )
    assert await concluding(house).conclude_all() == 0
    house.meddle("UPDATE installations SET state = 'active'")
    assert await concluding(house).conclude_all() == 1


async def test_what_github_itself_calls_stale_by_now_is_left_to_it(house: House) -> None:
    await left_open(house)
    house.clock.turn(s=SINCE_S + DAY)
    assert await concluding(house).conclude_all() == 0


async def test_what_was_to_be_made_again_and_never_began_is_concluded_too(house: House) -> None:
    task = await left_open(house)
    policy = await house.tasks.policy_of(task)
    again = house.settlements.again((await house.story(task.id)).task, policy)
    (effect,) = (await house.story(task.id)).effects
    store = StoredLeftOpen(house.connection)
    assert await store.conclude(effect.id, again, house.clock.now())
    await house.publish()
    (run,) = house.github.state.check_runs
    assert run.status == "queued"
    house.clock.turn(s=SETTLED_S + 1)
    assert await concluding(house).conclude_all() == 1
