"""What would become of a delivery is told as it would be kept, and nothing is kept."""

from __future__ import annotations

from msgspec import structs

from covend.core.model import Repository, Via
from covend.core.states import DeliveryState, TaskState
from covend.store.deliveries import StoredDeliveries
from covend.store.protocol import Arrival, Foreseen, Meeting
from covend.store.tasks import NEWEST_MAX
from tests.store.arrivals import Database, arrival, draft
from tests.store.pulls import claim, queued, settled, task


def anew(arrived: Arrival) -> Arrival:
    return structs.replace(arrived, is_anew=True, via=Via.REPLAY)


def the_one(foreseen: Foreseen) -> Meeting:
    (meeting,) = foreseen.meetings
    return meeting


async def counts(database: Database) -> tuple[int, int]:
    deliveries, _ = await database.deliveries.page(limit=100)
    tasks, _ = await database.tasks.page(limit=100)
    return len(deliveries), len(tasks)


async def test_new_work_is_foreseen_and_not_kept(database: Database) -> None:
    wanted = draft()
    foreseen = await database.deliveries.foresee(anew(arrival(wanted)))
    assert (foreseen.state, foreseen.reason) == (DeliveryState.ROUTED, "matched")
    assert the_one(foreseen) == Meeting(
        rule="review", key=wanted.key, reason="new", task=None, generation=1
    )
    assert await counts(database) == (0, 0)


async def test_open_work_is_met(database: Database) -> None:
    wanted = draft()
    there = await queued(database, arrival(wanted))
    foreseen = await database.deliveries.foresee(anew(arrival(wanted)))
    assert foreseen.reason == "same_work"
    assert (the_one(foreseen).task, the_one(foreseen).generation) == (there, None)


async def test_done_work_gets_the_generation_that_it_then_has(database: Database) -> None:
    wanted = draft()
    await queued(database, arrival(wanted))
    await settled(database, await claim(database), TaskState.COMPLETED)
    foreseen = await database.deliveries.foresee(anew(arrival(wanted)))
    assert (the_one(foreseen).reason, the_one(foreseen).generation) == ("new", 2)
    made = await task(database, await queued(database, anew(arrival(wanted))))
    assert made.generation == 2


async def test_a_delivery_that_nobody_wants_meets_nothing(database: Database) -> None:
    foreseen = await database.deliveries.foresee(anew(arrival()))
    assert (foreseen.state, foreseen.reason) == (DeliveryState.IGNORED, "no_match")
    assert (foreseen.meetings, foreseen.has_room) == ((), True)


async def test_a_full_queue_is_foreseen_for_what_is_new_alone(database: Database) -> None:
    there = draft()
    await queued(database, arrival(there))
    full = StoredDeliveries(database.connection, queue_max=1)
    assert not (await full.foresee(anew(arrival(draft())))).has_room
    assert (await full.foresee(anew(arrival(there)))).has_room
    assert (await full.foresee(anew(arrival()))).has_room


# --- a repository by its name ---------------------------------------------------------------------


def in_till(installation: int, *, name: str = "acme/till") -> Arrival:
    plain = arrival(draft())
    event = structs.replace(
        plain.event,
        repository=name,
        installation_id=installation,
        default_branch="main",
        clone_url="https://forge/acme/till.git",
    )
    return structs.replace(plain, event=event)


async def test_a_repository_is_told_as_its_newest_task_knows_it(database: Database) -> None:
    await queued(database, in_till(1))
    await queued(database, in_till(2))
    await queued(database, in_till(3, name="acme/other"))
    assert await database.tasks.repository("Acme/Till") == Repository(
        id=1,
        full_name="acme/till",
        installation_id=2,
        default_branch="main",
        clone_url="https://forge/acme/till.git",
    )
    assert await database.tasks.repository("acme/unknown") is None


async def test_a_name_that_nobody_knows_costs_a_look_at_the_newest_alone(
    database: Database,
) -> None:
    await queued(database, in_till(1))
    query = database.connection._queries["find_repository"].text  # noqa: SLF001  what is asked
    values = {"repository": "acme/unknown", "newest": NEWEST_MAX}
    plan = database.connection._writer.execute(f"EXPLAIN QUERY PLAN {query}", values)  # noqa: SLF001
    steps = [row["detail"] for row in plan]
    assert any("sqlite_autoindex_tasks" in step for step in steps)
    assert "LIMIT :newest" in query


async def test_what_is_handed_in_stays_with_its_task(database: Database) -> None:
    plain = in_till(1)
    event = structs.replace(plain.event, inputs={"depth": 2, "why": "✓"})
    made = await queued(database, structs.replace(plain, event=event))
    assert (await task(database, made)).inputs == {"depth": 2, "why": "✓"}
    assert (await task(database, await queued(database, in_till(1)))).inputs == {}
