"""What the end of an attempt brings about in its one transaction, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from covend.core.ending import Ending, Result
from covend.core.errors import ClaimLostError
from covend.core.model import Claim, EffectDraft, EffectId, EffectKind, Task, TaskId
from covend.core.safeguards.shapes import (
    Lesson,
    Release,
    Safeguard,
    SafeguardKind,
    Scope,
    SpendingId,
    Waiting,
)
from covend.core.safeguards.spending import ids_at
from covend.core.states import Outcome, TaskState
from covend.store.connection import Script
from covend.store.protocol import Arrival, LessonOf, Renewed, Settlement, TaskStory
from covend.store.tasks import StoredTasks
from tests.store.arrivals import NOW, Database, arrival, draft
from tests.store.hand_endings import FAILED_AGAIN, ended, supersede
from tests.store.hand_gate import HandGate, fill, take, taken

CHECK = EffectDraft(kind=EffectKind.CHECK, slot="s", subject="p", target="t", request={})
GUARD = Safeguard(
    id="loop/acme/r1#1",
    kind=SafeguardKind.LOOP,
    scope="acme/r1#1",
    state="counting",
    reason="r",
    until=None,
    values={"turns": 1},
)


async def claimed(database: Database, **changes: object) -> Claim:
    await database.deliveries.accept(arrival(draft(**changes)))
    return await taken(database, HandGate())


async def story_of(database: Database, claim: Claim) -> TaskStory:
    story = await database.tasks.story(claim.task.id)
    assert story is not None
    return story


async def task_of(database: Database, claim: Claim) -> Task:
    return (await story_of(database, claim)).task


def spent(database: Database) -> Mapping[SpendingId, tuple[float, int]]:
    rows = database.connection._writer.execute("SELECT * FROM spending")  # noqa: SLF001  looked at
    return {SpendingId(scope=r["scope"], day=r["day"]): (r["usd"], r["tokens"]) for r in rows}


# --- back to the queue ----------------------------------------------------------------------------


async def test_a_deferral_counts_as_no_failure_of_any_kind(database: Database) -> None:
    claim = await claimed(database)
    later = replace(FAILED_AGAIN, is_deferred=True, reason="rate_limited", not_before_at=NOW + 70)
    await database.tasks.settle(claim, later, NOW)
    task = await task_of(database, claim)
    assert (task.state, task.reason, task.not_before_at) == (
        TaskState.QUEUED,
        "rate_limited",
        NOW + 70,
    )
    assert (task.failures, task.infrastructure_failures, task.cost_usd) == (0, 0, 0.5)


async def test_the_next_agent_has_all_its_tries_and_the_daemon_has_no_more(
    database: Database,
) -> None:
    claim = await claimed(database, fallbacks=("second", "third"))
    lost = ended(TaskState.QUEUED, Outcome.LOST, not_before_at=NOW)
    await database.tasks.settle(claim, lost, NOW)
    again = await taken(database, HandGate())
    await database.tasks.settle(again, replace(FAILED_AGAIN, not_before_at=NOW), NOW)
    third = await taken(database, HandGate())
    assert (third.task.failures, third.task.infrastructure_failures) == (1, 1)
    other = replace(FAILED_AGAIN, agent="second", reason="fall_back")
    await database.tasks.settle(third, other, NOW)
    task = await task_of(database, claim)
    assert (task.agent, task.fallbacks, task.reason) == ("second", ("third",), "fall_back")
    assert (task.failures, task.infrastructure_failures) == (0, 1)


async def test_a_fresh_start_is_asked_for_once_and_not_lost_when_it_is_put_off(
    database: Database,
) -> None:
    claim = await claimed(database)
    afresh = replace(FAILED_AGAIN, is_afresh=True, is_deferred=True, not_before_at=NOW)
    await database.tasks.settle(claim, afresh, NOW)
    second = await taken(database, HandGate())
    assert second.task.is_afresh
    put_off = replace(FAILED_AGAIN, is_deferred=True, not_before_at=NOW)
    await database.tasks.settle(second, put_off, NOW)
    third = await taken(database, HandGate())
    assert third.task.is_afresh
    lost = ended(TaskState.QUEUED, Outcome.LOST, not_before_at=NOW)
    await database.tasks.settle(third, lost, NOW)
    fourth = await taken(database, HandGate())
    assert fourth.task.is_afresh
    await database.tasks.settle(fourth, FAILED_AGAIN, NOW)
    assert not (await task_of(database, claim)).is_afresh


async def test_how_long_a_task_may_be_tried_again_is_kept_once_it_was_said(
    database: Database,
) -> None:
    claim = await claimed(database)
    bounded = replace(FAILED_AGAIN, retry_until_at=NOW + 99, not_before_at=NOW)
    await database.tasks.settle(claim, bounded, NOW)
    second = await taken(database, HandGate())
    assert second.task.retry_until_at == NOW + 99
    await database.tasks.settle(second, ended(TaskState.QUEUED, Outcome.INTERRUPTED), NOW)
    assert (await task_of(database, claim)).retry_until_at == NOW + 99


# --- what others have wished ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "end",
    [
        ended(),
        ended(TaskState.FAILED, Outcome.FAILED),
        FAILED_AGAIN,
        replace(FAILED_AGAIN, is_deferred=True),
        replace(FAILED_AGAIN, agent="second"),
        ended(TaskState.QUEUED, Outcome.LOST),
    ],
)
async def test_no_late_write_passes_a_newer_head(database: Database, end: Settlement) -> None:
    claim = await claimed(database, fallbacks=("second",))
    supersede(database, claim)
    seen = replace(end, effects=((EffectId(f"late-{claim.task.id}"), CHECK),))
    written = await database.tasks.settle(claim, seen, NOW)
    story = await story_of(database, claim)
    assert (written.target, story.task.state) == (TaskState.SUPERSEDED,) * 2
    assert story.attempts[0].outcome is Outcome.SUPERSEDED
    assert story.effects == ()
    assert story.task.cost_usd == 0.5


async def test_the_end_of_what_a_newer_head_has_overtaken_is_shown_as_was_planned(
    database: Database,
) -> None:
    claim = await claimed(database)
    supersede(database, claim)
    mark = EffectId(f"e-{claim.task.id}")
    other = ended(TaskState.SUPERSEDED, Outcome.SUPERSEDED, effects=((mark, CHECK),))
    written = await database.tasks.settle(claim, ended(if_superseded=other), NOW)
    assert written == other
    assert [effect.id for effect in (await story_of(database, claim)).effects] == [mark]


async def test_who_is_cancelled_and_overtaken_is_cancelled(database: Database) -> None:
    claim = await claimed(database)
    supersede(database, claim)
    await database.tasks.request_cancel(claim.task.id, reason="operator", now=NOW)
    both = ended(
        if_cancelled=ended(TaskState.CANCELLED, Outcome.CANCELLED),
        if_superseded=ended(TaskState.SUPERSEDED, Outcome.SUPERSEDED),
    )
    await database.tasks.settle(claim, both, NOW)
    task = await task_of(database, claim)
    assert (task.state, task.reason) == (TaskState.CANCELLED, "operator")


async def test_a_heartbeat_tells_what_others_have_wished(database: Database) -> None:
    plain, stopped, overtaken = [await claimed(database) for _ in range(3)]
    await database.tasks.request_cancel(stopped.task.id, reason="operator", now=NOW)
    supersede(database, overtaken)
    claims = {each.token: each.task.id for each in (plain, stopped, overtaken)}
    assert await database.tasks.renew(claims, now=NOW, lease_s=9.0) == Renewed(
        held=frozenset(claims),
        cancelled=frozenset({stopped.token}),
        superseded=frozenset({overtaken.token}),
    )


async def test_what_a_newer_head_has_overtaken_is_not_claimed_again(database: Database) -> None:
    claim = await claimed(database)
    await database.tasks.settle(claim, replace(FAILED_AGAIN, not_before_at=NOW), NOW)
    supersede(database, claim)
    assert (await take(database, HandGate())).claim is None


# --- leases ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "end",
    [
        ended(TaskState.FAILED, Outcome.LOST),
        ended(TaskState.QUEUED, Outcome.LOST),
        ended(TaskState.QUEUED, Outcome.LOST, agent="second"),
        ended(TaskState.QUEUED, Outcome.LOST, is_deferred=True),
        ended(TaskState.QUEUED, Outcome.FAILED),
        ended(TaskState.CANCELLED, Outcome.CANCELLED),
        ended(TaskState.SUPERSEDED, Outcome.SUPERSEDED),
    ],
)
@pytest.mark.parametrize("wish", ["none", "cancel", "supersede"])
async def test_a_lease_that_was_renewed_after_it_was_listed_is_not_given_back(
    database: Database, end: Settlement, wish: str
) -> None:
    claim = await claimed(database, fallbacks=("second",))
    if wish == "cancel":
        await database.tasks.request_cancel(claim.task.id, reason="operator", now=NOW)
    if wish == "supersede":
        supersede(database, claim)
    swept = replace(end, only_if_expired=True)
    with pytest.raises(ClaimLostError):
        await database.tasks.settle(claim, swept, claim.lease_until - 1)
    story = await story_of(database, claim)
    assert (story.task.state, story.attempts[0].outcome) == (TaskState.RUNNING, None)
    await database.tasks.settle(claim, swept, claim.lease_until)
    assert (await task_of(database, claim)).state is not TaskState.RUNNING


async def test_leases_that_are_over_are_listed_oldest_first_and_few_at_once(
    database: Database,
) -> None:
    claims = [await claimed(database) for _ in range(3)]
    for claim, lease_s in zip(claims, (3.0, 1.0, 2.0), strict=True):
        await database.tasks.renew({claim.token: claim.task.id}, now=NOW, lease_s=lease_s)
    found = await database.tasks.expired(NOW + 9_000, limit=2)
    assert [token for _, token, _ in found] == [claims[1].token, claims[2].token]


# --- what goes with it ----------------------------------------------------------------------------


async def test_what_an_attempt_has_cost_counts_to_each_of_its_budgets(database: Database) -> None:
    claim = await claimed(database)
    await database.tasks.settle(claim, replace(FAILED_AGAIN, not_before_at=NOW), NOW)
    again = await taken(database, HandGate())
    await database.tasks.settle(again, ended(), NOW)
    budgets = ids_at(claim.task, NOW)
    assert len(budgets) > 1
    assert spent(database) == dict.fromkeys(budgets, (1.0, 222))


async def test_a_sum_that_no_column_holds_keeps_no_attempt_from_ending(database: Database) -> None:
    claim = await claimed(database)
    for each in ids_at(claim.task, NOW):
        database.connection._writer.execute(  # noqa: SLF001  by hand, past every query
            "INSERT INTO spending (scope, day, tokens) VALUES (?, ?, ?)",
            (each.scope, each.day, 2**63 - 1),
        )
    await database.tasks.settle(claim, ended(), NOW)
    assert set(spent(database).values()) == {(0.5, 2**53)}


async def test_what_costs_nothing_is_not_written_down(database: Database) -> None:
    claim = await claimed(database)
    nothing = Ending(outcome=Outcome.SUCCEEDED, result=Result())
    await database.tasks.settle(claim, ended(ending=nothing), NOW)
    assert spent(database) == {}


async def test_a_cancelled_attempt_has_cost_what_it_has_cost(database: Database) -> None:
    claim = await claimed(database)
    await database.tasks.request_cancel(claim.task.id, reason="operator", now=NOW)
    await database.tasks.settle(claim, ended(), NOW)
    assert set(spent(database).values()) == {(0.5, 111)}


async def test_a_lesson_is_read_decided_and_written_with_the_end(database: Database) -> None:
    claim = await claimed(database)
    (held,) = fill(database, [("9", "echo", 0, NOW + 500)])
    writer = database.connection._writer  # noqa: SLF001  by hand, past every query
    writer.execute("UPDATE tasks SET reason = 'circuit_open' WHERE id = ?", (held,))
    old = replace(GUARD, id="circuit/agent:echo", kind=SafeguardKind.CIRCUIT)
    await database.guards.put(old, NOW - 5)
    shown: list[Mapping[str, Safeguard]] = []

    def learn(guards: Mapping[str, Safeguard]) -> Lesson:
        shown.append(guards)
        release = Release(reason=Waiting.CIRCUIT_OPEN, scope=Scope(agent="echo"))
        return Lesson(writes=(GUARD,), removes=(old.id,), releases=(release,))

    lesson = LessonOf(ids=(old.id, GUARD.id), learn=learn)
    await database.tasks.settle(claim, ended(lesson=lesson), NOW)
    assert [set(each) for each in shown] == [{old.id}]
    assert [each.id for each in await database.guards.list()] == [GUARD.id]
    assert (await taken(database, HandGate())).task.id == held


async def test_a_lesson_that_fails_leaves_the_attempt_as_it_was(database: Database) -> None:
    claim = await claimed(database)

    def learn(guards: Mapping[str, Safeguard]) -> Lesson:
        raise ZeroDivisionError

    lesson = LessonOf(ids=(), learn=learn)
    with pytest.raises(ZeroDivisionError):
        await database.tasks.settle(claim, ended(lesson=lesson), NOW)
    story = await story_of(database, claim)
    assert (story.task.state, story.attempts[0].outcome) == (TaskState.RUNNING, None)
    assert spent(database) == {}


class Followers:
    """Keeps what follows in a list, inside of the transaction."""

    def __init__(self) -> None:
        self.kept: list[Arrival] = []

    def keep(self, arrival: Arrival) -> Script[None]:
        self.kept.append(arrival)
        yield from ()


async def test_the_event_of_an_end_is_kept_only_where_the_task_ends_so(
    database: Database,
) -> None:
    followers = Followers()
    tasks = StoredTasks(database.connection, keep_follower=followers.keep)
    first, second = await claimed(database), await claimed(database)
    follower = arrival(draft())
    await tasks.settle(first, ended(follower=follower), NOW)
    await tasks.request_cancel(second.task.id, reason="operator", now=NOW)
    await tasks.settle(second, ended(follower=arrival(draft())), NOW)
    assert followers.kept == [follower]


async def test_the_event_of_an_end_begins_its_task_in_the_same_transaction(
    database: Database,
) -> None:
    claim = await claimed(database)
    follower = arrival(draft())
    await database.tasks.settle(claim, ended(follower=follower), NOW)
    assert (await taken(database, HandGate())).task.id == follower.task_ids[0]


async def test_the_stories_of_steps_tell_their_reasons(database: Database) -> None:
    claim = await claimed(database, fallbacks=("second",))
    other = replace(FAILED_AGAIN, agent="second", reason="fall_back", not_before_at=NOW)
    await database.tasks.settle(claim, other, NOW)
    await taken(database, HandGate())
    story = await story_of(database, claim)
    assert [move.reason for move in story.timeline] == ["new", "claimed", "fall_back", "claimed"]
    assert [attempt.agent for attempt in story.attempts] == ["echo", "second"]


async def test_a_settled_task_is_not_there_for_another_end(database: Database) -> None:
    claim = await claimed(database)
    await database.tasks.settle(claim, ended(), NOW)
    with pytest.raises(ClaimLostError):
        await database.tasks.settle(claim, replace(FAILED_AGAIN, is_deferred=True), NOW)
    assert TaskId(claim.task.id) == (await task_of(database, claim)).id
