"""What a new task begins with, what is made once more on purpose, and the events of tasks' ends."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import structs

from covend.core.errors import QueueFullError
from covend.core.model import DeliveryId, Need, TaskId, Via
from covend.core.safeguards.shapes import FOREVER
from covend.core.states import TaskState
from covend.store.accepting import keep_follower
from covend.store.connection import Script
from covend.store.deliveries import StoredDeliveries
from covend.store.protocol import Arrival
from tests.store.arrivals import NOW, Database, arrival, draft
from tests.store.pulls import claim, pushed, queued, said, settled, states, task, wanted


def anew(arrived: Arrival) -> Arrival:
    """The same, asked for on purpose."""
    return structs.replace(arrived, is_anew=True, via=Via.REPLAY)


def follower(arrived: Arrival) -> Arrival:
    """The same, as covend's own event of a task's end."""
    envelope = structs.replace(arrived.envelope, source="covend", event="task")
    return structs.replace(arrived, envelope=envelope, via=Via.API)


async def follow(database: Database, arrived: Arrival) -> None:
    """Keep a follower in a transaction of its own."""
    await database.connection.write(keep_follower(arrived))


async def test_a_task_keeps_who_asked_for_it_and_what_it_came_from(database: Database) -> None:
    said_so = said(
        wanted("a", fallbacks=("codex", "other")), at=NOW, before="0", parent=TaskId("t"), depth=2
    )
    made = await task(database, await queued(database, said_so))
    assert (made.actor, made.subject_updated_at, made.fallbacks) == ("ada", NOW, ("codex", "other"))
    assert (made.parent, made.depth, made.generation) == ("t", 2, 1)
    assert made.repository_key == "1"


@pytest.mark.parametrize(
    ("needs", "debounce_s", "reason", "not_before_at"),
    [
        ({Need.APPROVAL}, 5.0, "approval", FOREVER),
        ({Need.APPROVAL, Need.PATHS}, 0.0, "look_up", NOW),
        ({Need.CHECKS}, 5.0, "look_up", NOW + 5000),
        (set(), 5.0, "debounce", NOW + 5000),
    ],
)
async def test_a_task_says_what_it_waits_for(
    database: Database, needs: set[Need], debounce_s: float, reason: str, not_before_at: int
) -> None:
    made = await queued(database, arrival(draft(needs=frozenset(needs), debounce_s=debounce_s)))
    found = await task(database, made)
    assert (found.state, found.reason) == (TaskState.RECEIVED, reason)
    assert found.not_before_at == not_before_at


async def test_what_waits_for_an_approval_alone_is_not_looked_at_again(
    database: Database,
) -> None:
    await queued(database, arrival(draft(needs=frozenset({Need.APPROVAL}))))
    assert await database.tasks.ripe(now=NOW + 10**9, limit=9) == []


async def test_finished_work_is_done_once_more_where_it_is_asked_for_anew(
    database: Database,
) -> None:
    work = draft()
    done = await queued(database, arrival(work))
    await settled(database, await claim(database), TaskState.COMPLETED)
    assert (await database.deliveries.accept(arrival(work))).tasks == (done,)
    again = await database.deliveries.accept(anew(arrival(work)))
    assert again.reason == "matched"
    assert (await task(database, again.tasks[0])).generation == 2
    later = await database.deliveries.accept(arrival(work))
    assert (later.reason, later.tasks) == ("same_work", again.tasks)


async def test_work_that_is_open_is_not_done_once_more_however_it_is_asked_for(
    database: Database,
) -> None:
    work = draft()
    made = await queued(database, arrival(work))
    answer = await database.deliveries.accept(anew(arrival(work)))
    assert (answer.reason, answer.tasks) == ("same_work", (made,))
    await claim(database)
    assert (await database.deliveries.accept(anew(arrival(work)))).tasks == (made,)


async def test_two_replays_in_one_instant_are_one_more_task(database: Database) -> None:
    work = draft()
    done = await queued(database, arrival(work))
    await settled(database, await claim(database), TaskState.COMPLETED)
    one, other = await asyncio.gather(
        database.deliveries.accept(anew(arrival(work))),
        database.deliveries.accept(anew(arrival(work))),
    )
    assert one.tasks == other.tasks != (done,)


async def test_a_replay_needs_room_as_new_work_does(database: Database) -> None:
    work = draft()
    await queued(database, arrival(work))
    await settled(database, await claim(database), TaskState.COMPLETED)
    full = StoredDeliveries(database.connection, queue_max=0)
    with pytest.raises(QueueFullError):
        await full.accept(anew(arrival(work)))
    assert (await full.accept(arrival(work))).reason == "same_work"


async def test_a_follower_makes_its_tasks_once(database: Database) -> None:
    coming = follower(arrival(draft(), delivery=DeliveryId("once")))
    for _ in range(2):
        await follow(database, coming)
    stored = await database.deliveries.find(DeliveryId("once"))
    assert stored is not None
    assert stored.delivery.tasks == coming.task_ids
    assert stored.delivery.duplicates == 0
    assert await states(database, *coming.task_ids) == ["queued"]


async def test_a_follower_finds_the_work_that_is_there(database: Database) -> None:
    work = draft()
    made = await queued(database, arrival(work))
    coming = follower(arrival(work, delivery=DeliveryId("mine")))
    await follow(database, coming)
    stored = await database.deliveries.find(DeliveryId("mine"))
    assert stored is not None
    assert stored.delivery.tasks == (made,)


async def test_a_full_queue_refuses_no_follower(database: Database) -> None:
    full = StoredDeliveries(database.connection, queue_max=1)
    await full.accept(arrival(draft()))
    with pytest.raises(QueueFullError):
        await full.accept(arrival(draft()))
    coming = follower(arrival(draft()))
    await follow(database, coming)
    assert await states(database, *coming.task_ids) == ["queued"]


async def test_a_follower_is_undone_with_the_transaction_that_it_is_part_of(
    database: Database,
) -> None:
    coming = follower(arrival(draft()))

    def failing() -> Script[None]:
        yield from keep_follower(coming)
        raise QueueFullError

    with pytest.raises(QueueFullError):
        await database.connection.write(failing())
    assert await database.deliveries.find(coming.envelope.delivery) is None


async def test_a_follower_on_a_newer_head_marks_what_runs_on_the_old_one(
    database: Database,
) -> None:
    old = await queued(database, pushed("a"))
    await claim(database)
    coming = follower(pushed("b"))
    await follow(database, coming)
    assert (await task(database, old)).superseded_by == coming.task_ids[0]
