"""What is accepted is kept once, whole, and on disk; what is refused leaves nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from random import Random

import pytest

from covend.core.errors import QueueFullError, StoreBusyError, StoreFullError
from covend.core.model import Need
from covend.core.states import DeliveryState, TaskState
from covend.store.deliveries import StoredDeliveries
from tests.store.arrivals import NOW, Database, arrival, draft


def counts(database: Database) -> tuple[int, int]:
    """Count deliveries and tasks with a connection of one's own."""
    with sqlite3.connect(database.path) as other:
        return (
            other.execute("SELECT count(*) FROM deliveries").fetchone()[0],
            other.execute("SELECT count(*) FROM tasks").fetchone()[0],
        )


async def test_a_new_delivery_is_kept_with_its_task(database: Database) -> None:
    coming = arrival(draft())
    accepted = await database.deliveries.accept(coming)
    stored = await database.deliveries.find(accepted.delivery)
    assert not accepted.duplicate
    assert accepted.tasks == coming.task_ids
    assert stored is not None
    assert stored.body == coming.envelope.body
    assert stored.delivery.tasks == coming.task_ids
    assert stored.delivery.body_sha256 == coming.envelope.body_sha256


async def test_fifty_of_the_same_at_once_are_one_delivery_and_one_task(database: Database) -> None:
    coming = arrival(draft())
    answers = await asyncio.gather(*(database.deliveries.accept(coming) for _ in range(50)))
    assert sum(not answer.duplicate for answer in answers) == 1
    assert {answer.tasks for answer in answers} == {coming.task_ids}
    assert counts(database) == (1, 1)
    stored = await database.deliveries.find(coming.envelope.delivery)
    assert stored is not None
    assert stored.delivery.duplicates == 49


async def test_the_same_body_under_a_new_id_is_a_repetition_of_the_first(
    database: Database,
) -> None:
    coming = arrival(draft())
    again = arrival(draft(), body=coming.envelope.body, body_sha256=coming.envelope.body_sha256)
    first = await database.deliveries.accept(coming)
    second = await database.deliveries.accept(again)
    assert second.duplicate
    assert second.delivery == first.delivery
    assert second.tasks == first.tasks
    assert counts(database) == (1, 1)


async def test_the_same_body_of_another_event_is_another_delivery(database: Database) -> None:
    coming = arrival(draft())
    other = arrival(
        draft(),
        event="pull_request_target",
        body=coming.envelope.body,
        body_sha256=coming.envelope.body_sha256,
    )
    await database.deliveries.accept(coming)
    assert not (await database.deliveries.accept(other)).duplicate
    assert counts(database) == (2, 2)


async def test_the_same_work_from_two_deliveries_is_one_task(database: Database) -> None:
    wanted = draft()
    first, second = await asyncio.gather(
        database.deliveries.accept(arrival(wanted)), database.deliveries.accept(arrival(wanted))
    )
    third = await database.deliveries.accept(arrival(wanted))
    assert first.tasks == second.tasks == third.tasks
    assert {second.reason, third.reason} == {"same_work"}
    assert third.state is DeliveryState.ROUTED
    assert not third.duplicate
    assert counts(database) == (3, 1)


async def test_a_delivery_that_met_its_work_says_so_ever_after(database: Database) -> None:
    """It was answered so, and stored as `matched`."""
    wanted = draft()
    await database.deliveries.accept(arrival(wanted))
    again = arrival(wanted)
    answers = await asyncio.gather(*[database.deliveries.accept(again) for _ in range(2)])
    answers.append(await database.deliveries.accept(again))
    assert [answer.reason for answer in answers] == ["same_work"] * 3
    assert [answer.duplicate for answer in answers] == [False, True, True]
    stored = await database.deliveries.find(again.envelope.delivery)
    assert stored is not None
    assert stored.delivery.reason == "same_work"


@pytest.mark.parametrize(
    ("reason", "due"), [("checks_pending", True), ("look_up: unreachable", False)]
)
async def test_one_more_check_is_a_reason_to_look_at_all_of_them_now(
    database: Database, reason: str, due: bool
) -> None:
    """It waited for its time, which after a long wait is minutes away."""
    wanted = draft(needs=frozenset({Need.CHECKS}))
    (task,) = (await database.deliveries.accept(arrival(wanted))).tasks
    await database.tasks.postpone(task, reason=reason, until=NOW + 30_000, now=NOW)
    await database.deliveries.accept(arrival(wanted, now=NOW + 1))
    found = await database.tasks.ripe(now=NOW + 1, limit=5)
    assert [each.id for each in found] == ([task] if due else [])


async def test_a_task_that_lacks_something_waits_in_received(database: Database) -> None:
    accepted = await database.deliveries.accept(arrival(draft(needs=frozenset({Need.PATHS}))))
    story = await database.tasks.story(accepted.tasks[0])
    assert story is not None
    assert (story.task.state, story.task.reason) == (TaskState.RECEIVED, "look_up")
    assert story.task.needs == {Need.PATHS}
    assert [move.target for move in story.timeline] == [TaskState.RECEIVED]


async def test_a_full_queue_refuses_work_but_neither_repetitions_nor_what_is_ignored(
    database: Database,
) -> None:
    narrow = StoredDeliveries(database.connection, queue_max=2)
    first = arrival(draft())
    await narrow.accept(first)
    await narrow.accept(arrival(draft()))
    with pytest.raises(QueueFullError):
        await narrow.accept(arrival(draft()))
    assert (await narrow.accept(first)).duplicate
    assert (await narrow.accept(arrival())).state is DeliveryState.IGNORED
    assert counts(database) == (3, 2)


async def test_a_full_queue_takes_as_many_of_a_batch_as_there_is_room_for(
    database: Database,
) -> None:
    narrow = StoredDeliveries(database.connection, queue_max=3)
    coming = [arrival(draft()) for _ in range(8)]
    twice = [*coming, coming[7]]
    answers = await asyncio.gather(*(narrow.accept(one) for one in twice), return_exceptions=True)
    assert [isinstance(answer, QueueFullError) for answer in answers] == [False] * 3 + [True] * 6
    assert counts(database) == (3, 3)


async def test_a_full_queue_takes_a_delivery_whose_work_is_there_already(
    database: Database,
) -> None:
    narrow = StoredDeliveries(database.connection, queue_max=1)
    wanted = draft()
    first = await narrow.accept(arrival(wanted))
    second = await narrow.accept(arrival(wanted))
    assert (second.reason, second.tasks) == ("same_work", first.tasks)
    with pytest.raises(QueueFullError):
        await narrow.accept(arrival(wanted, draft()))


async def test_one_bad_row_fails_alone(database: Database) -> None:
    bad = draft(policy="a policy that was never saved")
    answers = await asyncio.gather(
        database.deliveries.accept(arrival(draft())),
        database.deliveries.accept(arrival(bad)),
        database.deliveries.accept(arrival(draft())),
        return_exceptions=True,
    )
    assert [isinstance(answer, Exception) for answer in answers] == [False, True, False]
    assert counts(database) == (2, 2)


async def test_a_full_disk_is_said_and_leaves_nothing_half_stored(database: Database) -> None:
    writer = database.connection._writer  # noqa: SLF001  the only way to fill it up
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages}")
    noise = Random(1).randbytes(300_000)
    with pytest.raises(StoreFullError):
        await database.deliveries.accept(arrival(draft(), body=noise))
    assert counts(database) == (0, 0)
    writer.execute(f"PRAGMA max_page_count = {pages + 1000}")
    await database.deliveries.accept(arrival(draft()))
    assert counts(database) == (1, 1)


async def test_a_foreign_lock_is_waited_for_and_then_said(database: Database) -> None:
    writer = database.connection._writer  # noqa: SLF001  so that the test need not wait as long
    writer.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answers = await asyncio.gather(
        *(database.deliveries.accept(arrival(draft())) for _ in range(3)), return_exceptions=True
    )
    other.execute("ROLLBACK")
    other.close()
    assert {type(answer) for answer in answers} == {StoreBusyError}
    assert counts(database) == (0, 0)
    await database.deliveries.accept(arrival(draft()))
    assert counts(database) == (1, 1)
