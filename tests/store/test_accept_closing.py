"""Closing a subject ends the work on it, and what is older than its end starts nothing."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import structs

from covend.core.model import Need, Via
from covend.core.states import TaskState
from tests.store.arrivals import NOW, Database
from tests.store.pulls import (
    CHECK,
    SECOND,
    claim,
    closed,
    commanded,
    pushed,
    queued,
    said,
    settled,
    states,
    task,
    tried,
    wanted,
)


async def test_a_late_opened_after_the_closing_starts_nothing(database: Database) -> None:
    await database.deliveries.accept(closed(at=NOW))
    for at in (NOW - SECOND, NOW):
        answer = await database.deliveries.accept(pushed("a", at=at, action="opened"))
        assert (answer.state, answer.reason, answer.tasks) == ("ignored", "stale", ())
    reopened = await database.deliveries.accept(pushed("a", at=NOW, action="reopened"))
    assert reopened.reason == "matched"


async def test_a_closing_and_a_late_opened_in_one_batch_start_nothing(database: Database) -> None:
    first, second = await asyncio.gather(
        database.deliveries.accept(closed(at=NOW)),
        database.deliveries.accept(pushed("a", at=NOW, action="opened")),
    )
    assert (first.tasks, second.reason, second.tasks) == ((), "stale", ())


async def test_an_opened_and_its_closing_in_one_batch_leave_nothing_to_do(
    database: Database,
) -> None:
    opened, _ = await asyncio.gather(
        database.deliveries.accept(pushed("a", at=NOW, action="opened")),
        database.deliveries.accept(closed(at=NOW)),
    )
    assert await states(database, *opened.tasks) == ["cancelled"]


async def test_closing_cancels_what_waits_whatever_rule_or_command_asked_for_it(
    database: Database,
) -> None:
    waiting = [
        await queued(database, pushed("a", at=NOW)),
        await queued(database, pushed("a", at=None, rule="lint", needs=frozenset({Need.PATHS}))),
        await queued(database, commanded("fix", wanted("a", key="command", is_by_head=False))),
    ]
    elsewhere = await queued(database, pushed("a", number=8))
    answer = await database.deliveries.accept(closed(at=NOW))
    assert answer.overtaken == ()
    assert await states(database, *waiting) == ["cancelled"] * 3
    assert await states(database, elsewhere) == ["queued"]
    ended = await task(database, waiting[0])
    assert (ended.reason, ended.finished_at) == ("closed", NOW)


async def test_closing_marks_and_names_what_runs(database: Database) -> None:
    running = await queued(database, pushed("a", at=NOW))
    taken = await claim(database)
    answer = await database.deliveries.accept(closed(at=NOW))
    assert answer.overtaken == (running,)
    assert (await task(database, running)).cancel_requested_at == NOW
    assert await settled(database, taken, TaskState.COMPLETED) is TaskState.CANCELLED
    assert (await task(database, running)).reason == "closed"


async def test_what_waits_to_be_tried_again_is_claimed_by_nobody_once_closed(
    database: Database,
) -> None:
    waiting = await tried(database, pushed("a", at=NOW))
    answer = await database.deliveries.accept(closed(at=NOW))
    assert answer.leaves_overdue
    taken = await database.tasks.overdue(NOW, limit=9)
    assert [(each.task.id, each.target, each.reason) for each in taken] == [
        (waiting, TaskState.CANCELLED, "closed")
    ]
    with pytest.raises(AssertionError, match="nothing to claim"):
        await claim(database, NOW + 9 * SECOND)


async def test_the_closings_own_rule_still_runs(database: Database) -> None:
    waiting = await queued(database, pushed("a", at=NOW))
    answer = await database.deliveries.accept(
        closed(wanted("a", rule="sweep", key="sweep:a"), at=NOW)
    )
    assert await states(database, waiting, *answer.tasks) == ["cancelled", "queued"]


async def test_work_that_the_closing_asks_for_too_goes_on(database: Database) -> None:
    """One rule on `opened` and `closed`: the task that is there is what the closing gets."""
    running = await queued(database, pushed("a", at=NOW))
    await claim(database)
    answer = await database.deliveries.accept(closed(wanted("a"), at=NOW))
    assert (answer.tasks, answer.overtaken) == ((running,), ())
    assert (await task(database, running)).cancel_requested_at is None


async def test_a_second_closing_by_another_hook_cancels_nothing_that_was_asked_for_since(
    database: Database,
) -> None:
    swept = await database.deliveries.accept(closed(wanted("a", rule="sweep"), at=NOW))
    again = await database.deliveries.accept(closed(wanted("a", rule="sweep"), at=NOW))
    assert again.tasks == swept.tasks
    assert await states(database, *swept.tasks) == ["queued"]


async def test_work_of_a_pull_request_that_was_opened_again_outlives_a_late_closing(
    database: Database,
) -> None:
    again = await queued(database, pushed("a", at=NOW + SECOND, action="reopened"))
    await database.deliveries.accept(closed(at=NOW))
    assert await states(database, again) == ["queued"]


async def test_work_that_tells_no_moment_outlives_a_closing_that_is_told_long_after(
    database: Database,
) -> None:
    """Checks and submissions say nothing of their subject's age, which may be open again by now."""
    before = await queued(database, pushed("a", at=None, now=NOW + SECOND))
    await claim(database, NOW + SECOND)
    late = NOW + 90 * SECOND
    tried_once = await queued(database, pushed("b", at=None, now=late, number=8))
    taken = await claim(database, late)
    await settled(database, taken, TaskState.QUEUED, not_before_at=late + SECOND)
    later = [tried_once, await queued(database, pushed("c", at=None, now=late, number=9))]
    for closed_number in (7, 8, 9):
        await database.deliveries.accept(
            closed(at=NOW, now=NOW + 600 * SECOND, number=closed_number)
        )
    assert await states(database, *later) == ["queued"] * 2
    assert [(await task(database, each)).reason for each in later] == ["settled", "new"]
    assert (await task(database, before)).cancel_requested_at is not None


async def test_a_closing_that_is_older_than_the_last_one_says_nothing_new(
    database: Database,
) -> None:
    await database.deliveries.accept(closed(at=NOW + SECOND))
    unknown = await queued(database, pushed("a", at=None))
    await database.deliveries.accept(closed(at=NOW))
    assert await states(database, unknown) == ["queued"]
    late = await database.deliveries.accept(pushed("b", at=NOW + SECOND - 1))
    assert late.reason == "stale"


async def test_opened_again_while_the_old_attempt_still_ends_is_new_work(
    database: Database,
) -> None:
    old = await queued(database, pushed("a", at=NOW))
    taken = await claim(database)
    await database.deliveries.accept(closed(at=NOW + SECOND))
    again = await database.deliveries.accept(
        pushed("a", at=NOW + 2 * SECOND, action="reopened", now=NOW + 1)
    )
    assert again.reason == "matched"
    await settled(database, taken, TaskState.COMPLETED)
    assert await states(database, old, *again.tasks) == ["cancelled", "queued"]
    assert (await task(database, again.tasks[0])).generation == 2


async def test_opened_again_while_the_old_task_still_waits_is_new_work(
    database: Database,
) -> None:
    old = await tried(database, pushed("a", at=NOW))
    await database.deliveries.accept(closed(at=NOW + SECOND))
    again = await database.deliveries.accept(pushed("a", at=NOW + 2 * SECOND, action="reopened"))
    assert again.reason == "matched"
    assert old not in again.tasks


async def test_a_wish_to_cancel_that_is_there_already_keeps_its_reason(
    database: Database,
) -> None:
    running = await queued(database, pushed("a", at=NOW))
    taken = await claim(database)
    await database.tasks.request_cancel(running, reason="operator", now=NOW)
    answer = await database.deliveries.accept(closed(at=NOW))
    assert answer.overtaken == ()
    await settled(database, taken, TaskState.COMPLETED)
    assert (await task(database, running)).reason == "operator"


async def test_finished_work_keeps_its_effects_when_its_subject_is_closed(
    database: Database,
) -> None:
    done = await queued(database, pushed("a", at=NOW))
    await settled(database, await claim(database), TaskState.COMPLETED, CHECK)
    await database.deliveries.accept(closed(at=NOW))
    assert await states(database, done) == ["completed"]
    assert len(await database.effects.sendable(now=NOW, limit=9)) == 1


async def test_a_replay_on_a_closed_subject_is_done_because_it_was_asked_for(
    database: Database,
) -> None:
    await database.deliveries.accept(closed(at=NOW))
    asked = structs.replace(pushed("a", at=NOW - SECOND), is_anew=True, via=Via.REPLAY)
    assert (await database.deliveries.accept(asked)).reason == "matched"


async def test_a_closed_subject_without_a_number_closes_nothing(database: Database) -> None:
    waiting = await queued(database, pushed("a"))
    nameless = closed(at=NOW)
    event = structs.replace(
        nameless.event, subject=structs.replace(nameless.event.subject, number=None)
    )
    await database.deliveries.accept(structs.replace(nameless, event=event))
    assert await states(database, waiting) == ["queued"]


async def test_a_command_from_before_the_closing_is_over_with_it(database: Database) -> None:
    await database.deliveries.accept(closed(at=NOW))
    late = commanded("fix", wanted("a", is_by_head=False), at=NOW - SECOND)
    assert (await database.deliveries.accept(late)).reason == "stale"


async def test_an_event_that_wants_nothing_of_a_closed_subject_is_ignored_as_before(
    database: Database,
) -> None:
    await database.deliveries.accept(closed(at=NOW))
    answer = await database.deliveries.accept(said(at=NOW - SECOND))
    assert answer.reason == "no_match"
