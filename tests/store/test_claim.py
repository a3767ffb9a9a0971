"""Who is claimed next, and what a claim protects."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from covend.core.ending import Ending, Result
from covend.core.errors import ClaimLostError
from covend.core.model import (
    Claim,
    ClaimToken,
    EffectDraft,
    EffectId,
    EffectKind,
    Phase,
    TaskId,
    Usage,
)
from covend.core.states import Outcome, TaskState
from covend.store.protocol import Renewed, Settlement, Started
from tests.store.arrivals import NOW, Database, arrival, draft, numbers, terms

LEASE_S = 90.0
DONE = Settlement(
    target=TaskState.COMPLETED,
    reason="succeeded",
    ending=Ending(
        outcome=Outcome.SUCCEEDED,
        result=Result(summary="Fine.", usage=Usage(input_tokens=7, cost_usd=0.25)),
    ),
)
CHECK = EffectDraft(
    kind=EffectKind.CHECK, slot="s", subject="p", target="acme/r#1", request={"a": 1}
)


async def claim(database: Database, now: int = NOW, **agents: int) -> Claim | None:
    """Claim the next task with a fresh token."""
    token = ClaimToken(f"token-{next(numbers)}")
    taken = await database.tasks.claim(
        node="n", token=token, now=now, lease_s=LEASE_S, terms=terms(agents=agents)
    )
    return taken.claim


async def claimed(database: Database) -> Claim:
    """Accept one task and claim it."""
    await database.deliveries.accept(arrival(draft()))
    taken = await claim(database)
    assert taken is not None
    return taken


async def order(database: Database, now: int = NOW) -> list[TaskId]:
    """Claim until nothing is left."""
    ids: list[TaskId] = []
    while taken := await claim(database, now):
        ids.append(taken.task.id)
    return ids


async def test_a_claim_writes_the_attempt_and_the_move_together(database: Database) -> None:
    taken = await claimed(database)
    story = await database.tasks.story(taken.task.id)
    assert story is not None
    assert story.task.state is TaskState.RUNNING
    assert [(attempt.number, attempt.outcome) for attempt in story.attempts] == [(1, None)]
    assert [move.target for move in story.timeline] == [TaskState.QUEUED, TaskState.RUNNING]


async def test_the_larger_priority_goes_first_then_the_older(database: Database) -> None:
    low, late, high = [
        (await database.deliveries.accept(arrival(draft(priority=priority), now=NOW + at))).tasks[0]
        for priority, at in ((0, 0), (5, 9), (5, 1))
    ]
    assert await order(database, NOW + 100) == [high, late, low]


async def test_repositories_take_turns_however_long_the_queue_of_one_is(
    database: Database,
) -> None:
    for _ in range(20):
        await database.deliveries.accept(arrival(draft(), repository_id=1))
    rare = [
        (await database.deliveries.accept(arrival(draft(), repository_id=number))).tasks[0]
        for number in (2, 3)
    ]
    assert set(rare) <= set((await order(database))[:3])


async def test_what_is_not_due_is_left_alone(database: Database) -> None:
    await database.deliveries.accept(arrival(draft(), now=NOW + 1000))
    assert await claim(database, NOW) is None
    assert await database.tasks.next_due_at(TaskState.QUEUED, NOW) == NOW + 1000
    assert await claim(database, NOW + 1000) is not None


async def test_an_agent_at_its_limit_waits_while_others_go_on(database: Database) -> None:
    for agent in ("busy", "busy", "free"):
        await database.deliveries.accept(arrival(draft(agent=agent)))
    agents = [
        taken.task.agent if taken else None
        for taken in [await claim(database, busy=1, free=1) for _ in range(3)]
    ]
    assert sorted(map(str, agents)) == ["None", "busy", "free"]


async def test_a_hundred_claims_at_once_take_each_task_once(database: Database) -> None:
    for _ in range(60):
        await database.deliveries.accept(arrival(draft()))
    taken = await asyncio.gather(*(claim(database) for _ in range(100)))
    ids = [one.task.id for one in taken if one]
    assert len(ids) == len(set(ids)) == 60


async def test_settling_moves_the_task_and_writes_the_effects_at_once(database: Database) -> None:
    taken = await claimed(database)
    settlement = replace(DONE, effects=((EffectId("e1"), CHECK),))
    await database.tasks.settle(taken, settlement, NOW + 5)
    story = await database.tasks.story(taken.task.id)
    assert story is not None
    assert (story.task.state, story.task.summary, story.task.cost_usd) == (
        TaskState.COMPLETED,
        "Fine.",
        0.25,
    )
    assert [attempt.outcome for attempt in story.attempts] == [Outcome.SUCCEEDED]
    assert [(effect.id, effect.request) for effect in story.effects] == [("e1", {"a": 1})]


async def test_a_lost_claim_never_settles_and_leaves_no_effect(database: Database) -> None:
    taken = await claimed(database)
    stranger = replace(taken, token=ClaimToken("another"))
    with pytest.raises(ClaimLostError):
        await database.tasks.settle(
            stranger, replace(DONE, effects=((EffectId("e2"), CHECK),)), NOW
        )
    story = await database.tasks.story(taken.task.id)
    assert story is not None
    assert story.task.state is TaskState.RUNNING
    assert story.effects == ()


async def test_a_task_settles_once(database: Database) -> None:
    taken = await claimed(database)
    await database.tasks.settle(taken, DONE, NOW)
    with pytest.raises(ClaimLostError):
        await database.tasks.settle(taken, DONE, NOW)


async def test_a_failure_that_is_retried_waits_and_is_counted(database: Database) -> None:
    taken = await claimed(database)
    again = Settlement(
        target=TaskState.QUEUED,
        reason="retry",
        ending=Ending(outcome=Outcome.FAILED, result=Result(), error_code="exit_75"),
        not_before_at=NOW + 500,
    )
    await database.tasks.settle(taken, again, NOW)
    assert await claim(database, NOW + 499) is None
    second = await claim(database, NOW + 500)
    assert second is not None
    assert (second.attempt, second.task.failures, second.task.infrastructure_failures) == (2, 1, 0)


async def test_an_interruption_is_not_a_failure(database: Database) -> None:
    taken = await claimed(database)
    back = Settlement(
        target=TaskState.QUEUED,
        reason="interrupted",
        ending=Ending(outcome=Outcome.INTERRUPTED, result=Result()),
        not_before_at=NOW,
    )
    await database.tasks.settle(taken, back, NOW)
    second = await claim(database)
    assert second is not None
    assert (second.task.failures, second.task.infrastructure_failures) == (0, 1)


async def test_a_heartbeat_renews_what_is_ours_and_tells_what_is_lost(database: Database) -> None:
    mine, gone = await claimed(database), await claimed(database)
    renewed = await database.tasks.renew(
        {mine.token: mine.task.id, ClaimToken("another"): gone.task.id},
        now=NOW + 1000,
        lease_s=LEASE_S,
    )
    assert renewed == Renewed(held=frozenset({mine.token}))


async def test_what_was_not_renewed_in_time_is_listed(database: Database) -> None:
    kept, forgotten = await claimed(database), await claimed(database)
    over = forgotten.lease_until
    assert await database.tasks.expired(over - 1, limit=9) == []
    await database.tasks.renew({kept.token: kept.task.id}, now=over, lease_s=LEASE_S)
    ((task, token, attempt),) = await database.tasks.expired(over, limit=9)
    assert (task.id, token, attempt.number) == (forgotten.task.id, forgotten.token, 1)


async def test_a_process_is_noted_by_its_own_attempt_alone(database: Database) -> None:
    taken = await claimed(database)
    started = Started(pid=1, pid_started=2, boot_id="b")
    await database.tasks.note_process(taken, started)
    await database.tasks.note_phase(taken, Phase.EXECUTOR)
    with pytest.raises(ClaimLostError):
        await database.tasks.note_process(replace(taken, token=ClaimToken("x")), started)
    ((_, token, attempt),) = await database.tasks.running()
    assert (token, attempt.pid, attempt.phase) == (taken.token, 1, Phase.EXECUTOR)
