"""Each tick is one delivery, also over a crash between its keeping and the note of it, over a
restart and over a clock that is set back; what was missed is made up for as the schedule says.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from covend.core.errors import QueueFullError, StoreBusyError
from covend.core.intake import Refused, reopen
from covend.core.model import Delivery, Repository, SubjectType, Task, Trust, Via
from covend.core.outside import Missed, Schedule
from covend.core.settings import Checkout
from covend.core.states import DeliveryState, TaskState
from covend.demo.github import FOREVER, Fault
from covend.services.repositories import LookUp, Repositories
from covend.services.scheduler import AGAIN_MAX_MS, Scheduler
from covend.services.submitting import Keep
from covend.store.cursors import StoredCursors
from covend.store.protocol import Accepted, Arrival, Cursors
from tests.services.house import House, a_rule, an_agent

HOURLY = Schedule(name="hourly", cron="0 * * * *", rule="audit")
SKIPPING = Schedule(name="hourly", cron="0 * * * *", rule="audit", missed=Missed.SKIP)
HOUR_S = 3_600
HOUR = HOUR_S * 1000
BEGIN = 1_790_000_000_000 // HOUR * HOUR + HOUR
"""A full hour; the clock of a house stands a little before it."""


class Killed(BaseException):
    """The process is gone: nothing after this happens."""


class Deadly(StoredCursors):
    """Kills the process before it notes how far it has come, so many times after the first."""

    left = 0

    async def put(self, name: str, value: str, now: int) -> None:
        if self.left:
            self.left -= 1
            raise Killed
        await super().put(name, value, now)


async def a_house(house: House, at: int = BEGIN + 60_000) -> House:
    """Let it be a minute past the hour, and let the rule be there."""
    await house.adopt(a_rule(name="audit", on=(), checkout=Checkout.NONE), an_agent())
    house.clock.at = at
    live_since(house)
    return house


def live_since(house: House) -> None:
    """Let covend have started at this moment."""
    house.clock._start = house.clock.at  # noqa: SLF001


def a_scheduler(
    house: House,
    *schedules: Schedule,
    cursors: Cursors | None = None,
    look_up: LookUp | None = None,
    keep: Keep | None = None,
) -> Scheduler:
    return Scheduler(
        schedules=lambda: schedules,
        cursors=cursors or StoredCursors(house.connection),
        rulebook=house,
        look_up=look_up or Repositories(tasks=house.tasks, github=house.client).find,
        keep=keep or house.intake().keep,
        is_open=lambda: house.is_open,
        clock=house.clock,
        metrics=house.metrics,
    )


async def all_brought(house: House, scheduler: Scheduler) -> list[int]:
    """Bring what is due, and give the hours (after the first) of all that has ever come."""
    while await scheduler.bring_due():
        pass
    return await hours(house)


async def kept(house: House) -> Sequence[Delivery]:
    found, _ = await house.deliveries.page(limit=200)
    return list(reversed(found))


async def hours(house: House) -> list[int]:
    """Of each delivery the hour for which it came."""
    ticks = []
    for each in await kept(house):
        stored = await house.deliveries.find(each.id)
        assert stored is not None
        read = reopen(stored.headers, stored.body, None, source=each.source)
        assert not isinstance(read, Refused)
        ticks.append(read.event.payload["tick"])
    start = BEGIN // HOUR % 24
    return [(int(tick[11:13]) - start) % 24 for tick in ticks]


async def tasks(house: House) -> list[Task]:
    found, _ = await house.tasks.page(limit=100)
    return list(reversed(found))


# --- when -----------------------------------------------------------------------------------------


async def test_a_new_schedule_begins_now_and_brings_nothing_before(house: House) -> None:
    await a_house(house)
    scheduler = a_scheduler(house, HOURLY)
    assert await all_brought(house, scheduler) == []
    house.clock.turn(s=HOUR_S - 61)
    assert await all_brought(house, scheduler) == []
    house.clock.turn(s=1)
    assert await all_brought(house, scheduler) == [1]
    assert await all_brought(house, scheduler) == [1]


async def test_a_tick_is_a_delivery_that_starts_its_rule(house: House) -> None:
    await a_house(house)
    scheduler = a_scheduler(house, HOURLY)
    await all_brought(house, scheduler)
    house.clock.turn(s=HOUR_S)
    await all_brought(house, scheduler)
    (delivery,), (task,) = await kept(house), await tasks(house)
    assert (delivery.source, delivery.via) == ("schedule", Via.SCHEDULE)
    assert (delivery.event, delivery.action) == ("schedule", "hourly")
    assert delivery.state is DeliveryState.ROUTED
    assert (task.rule, task.trust, task.event) == ("audit", Trust.ADMIN, "schedule.hourly")
    assert (task.state, task.repository) == (TaskState.QUEUED, None)
    assert (task.subject.type, task.delivery) == (SubjectType.NONE, delivery.id)
    counted = house.metrics.deliveries.labels("schedule", "schedule", "routed")
    assert counted._value.get() == 1  # noqa: SLF001


async def test_each_tick_is_work_of_its_own(house: House) -> None:
    await a_house(house)
    scheduler = a_scheduler(house, HOURLY)
    for _ in range(3):
        await all_brought(house, scheduler)
        house.clock.turn(s=HOUR_S)
    assert await all_brought(house, scheduler) == [1, 2, 3]
    assert len({task.key for task in await tasks(house)}) == 3


async def test_two_schedules_tick_by_themselves(house: House) -> None:
    await a_house(house)
    other = Schedule(name="half", cron="30 * * * *", rule="audit")
    scheduler = a_scheduler(house, HOURLY, other)
    await all_brought(house, scheduler)
    house.clock.turn(s=HOUR_S)
    await all_brought(house, scheduler)
    assert sorted(each.action or "" for each in await kept(house)) == ["half", "hourly"]


async def test_a_cron_that_was_changed_begins_now(house: House) -> None:
    await a_house(house)
    await all_brought(house, a_scheduler(house, HOURLY))
    house.clock.turn(s=2 * HOUR_S)
    changed = Schedule(name="hourly", cron="30 * * * *", rule="audit")
    scheduler = a_scheduler(house, changed)
    assert await all_brought(house, scheduler) == []
    house.clock.turn(s=HOUR_S)
    assert await all_brought(house, scheduler) == [2]


async def test_a_clock_that_is_set_back_brings_no_tick_twice(house: House) -> None:
    await a_house(house)
    scheduler = a_scheduler(house, HOURLY)
    await all_brought(house, scheduler)
    house.clock.turn(s=HOUR_S)
    assert await all_brought(house, scheduler) == [1]
    house.clock.turn(s=-HOUR_S)
    live_since(house)
    again = a_scheduler(house, HOURLY)
    for brought in ([1], [1], [1, 2]):
        assert await all_brought(house, again) == brought
        house.clock.turn(s=HOUR_S)


# --- over a restart -------------------------------------------------------------------------------


async def test_of_the_missed_the_newest_comes_once(house: House) -> None:
    await a_house(house)
    await all_brought(house, a_scheduler(house, HOURLY))
    house.clock.turn(s=5 * HOUR_S)
    live_since(house)
    scheduler = a_scheduler(house, HOURLY)
    assert await all_brought(house, scheduler) == [5]
    house.clock.turn(s=HOUR_S)
    assert await all_brought(house, scheduler) == [5, 6]


async def test_or_none_of_them_does(house: House) -> None:
    await a_house(house)
    await all_brought(house, a_scheduler(house, SKIPPING))
    house.clock.turn(s=5 * HOUR_S)
    live_since(house)
    scheduler = a_scheduler(house, SKIPPING)
    assert await all_brought(house, scheduler) == []
    house.clock.turn(s=HOUR_S)
    assert await all_brought(house, scheduler) == [6]


@pytest.mark.parametrize("schedule", [HOURLY, SKIPPING], ids=["run_once", "skip"])
@pytest.mark.parametrize("down_s", [1, HOUR_S - 120])
async def test_killed_between_keeping_a_tick_and_noting_it_the_tick_is_not_brought_again(
    house: House, schedule: Schedule, down_s: int
) -> None:
    await a_house(house)
    cursors = Deadly(house.connection)
    scheduler = a_scheduler(house, schedule, cursors=cursors)
    await all_brought(house, scheduler)
    house.clock.turn(s=HOUR_S)
    cursors.left = 1
    with pytest.raises(BaseExceptionGroup):
        await scheduler.bring_due()
    assert await hours(house) == [1]
    house.clock.turn(s=down_s)
    live_since(house)
    again = a_scheduler(house, schedule)
    assert await all_brought(house, again) == [1]
    assert len(await tasks(house)) == 1
    house.clock.at = BEGIN + 2 * HOUR
    assert await all_brought(house, again) == [1, 2]


async def test_two_processes_bring_a_tick_once(house: House) -> None:
    await a_house(house)
    one, other = (a_scheduler(house, HOURLY) for _ in range(2))
    await all_brought(house, one)
    house.clock.turn(s=HOUR_S)
    kept_by_one: list[Accepted] = []

    async def keep_late(arrival: Arrival) -> Accepted:
        await other.bring_due()
        kept_by_one.append(await house.intake().keep(arrival))
        return kept_by_one[-1]

    await all_brought(house, a_scheduler(house, HOURLY, keep=keep_late))
    assert [each.duplicate for each in kept_by_one] == [True]
    assert len(await tasks(house)) == 1


# --- when something is in the way -----------------------------------------------------------------


@pytest.mark.parametrize("error", [QueueFullError, StoreBusyError])
@pytest.mark.parametrize("schedule", [HOURLY, SKIPPING], ids=["run_once", "skip"])
async def test_a_tick_that_cannot_be_kept_is_tried_again(
    house: House, schedule: Schedule, error: type[Exception]
) -> None:
    await a_house(house)
    left = 3

    async def keep(arrival: Arrival) -> Accepted:
        nonlocal left
        left -= 1
        if left >= 0:
            raise error
        return await house.intake().keep(arrival)

    scheduler = a_scheduler(house, schedule, keep=keep)
    await all_brought(house, scheduler)
    house.clock.turn(s=HOUR_S - 30)
    for brought in ([], [], [], [1]):
        assert await all_brought(house, scheduler) == brought
        house.clock.turn(s=AGAIN_MAX_MS / 1000)


async def test_nothing_is_brought_while_nothing_is_taken_in(house: House) -> None:
    await a_house(house)
    scheduler = a_scheduler(house, HOURLY)
    await all_brought(house, scheduler)
    house.clock.turn(s=HOUR_S)
    house.is_open = False
    assert await all_brought(house, scheduler) == []
    house.is_open = True
    assert await all_brought(house, scheduler) == [1]


async def test_a_rule_that_is_gone_by_now_starts_nothing_and_stops_nobody(house: House) -> None:
    await a_house(house)
    gone = Schedule(name="gone", cron="0 * * * *", rule="gone")
    scheduler = a_scheduler(house, gone, HOURLY)
    await all_brought(house, scheduler)
    house.clock.turn(s=HOUR_S)
    await all_brought(house, scheduler)
    states = {each.action: (each.state, each.reason) for each in await kept(house)}
    assert states["gone"] == (DeliveryState.IGNORED, "no_rule")
    assert states["hourly"][0] is DeliveryState.ROUTED


async def test_a_cursor_that_nobody_can_read_is_one_that_is_not_there(house: House) -> None:
    await a_house(house)
    await StoredCursors(house.connection).put("schedule/hourly", "[", 1)
    scheduler = a_scheduler(house, HOURLY)
    await all_brought(house, scheduler)
    house.clock.turn(s=HOUR_S)
    assert await all_brought(house, scheduler) == [1]


# --- in a repository ------------------------------------------------------------------------------

IN_TILL = Schedule(
    name="hourly", cron="0 * * * *", rule="audit", repository="acme/till", missed=Missed.SKIP
)


async def test_the_task_is_in_the_repository_as_a_submission_is(house: House) -> None:
    await a_house(house)
    scheduler = a_scheduler(house, IN_TILL)
    await all_brought(house, scheduler)
    house.clock.turn(s=HOUR_S)
    await all_brought(house, scheduler)
    (task,) = await tasks(house)
    till = house.till.repository
    assert (task.repository, task.repository_id) == ("acme/till", till.id)
    assert task.installation_id == house.github.state.installation_id
    assert task.default_branch == till.default_branch
    assert task.state is TaskState.QUEUED


async def test_a_look_up_that_fails_is_made_again_and_the_tick_is_not_lost(house: House) -> None:
    await a_house(house)
    scheduler = a_scheduler(house, IN_TILL)
    await all_brought(house, scheduler)
    house.clock.turn(s=HOUR_S - 60)
    house.github.faults.add("GET", "/repos/acme/till", Fault.ERROR_500, FOREVER)
    for _ in range(4):
        assert await all_brought(house, scheduler) == []
        house.clock.turn(s=AGAIN_MAX_MS / 1000)
    house.github.faults.clear()
    assert await all_brought(house, scheduler) == [1]


async def test_one_whose_repository_is_not_there_keeps_no_other_waiting(house: House) -> None:
    await a_house(house)

    async def look_up(full_name: str) -> Repository:
        return await Repositories(tasks=house.tasks, github=house.client).find(f"{full_name}-gone")

    scheduler = a_scheduler(
        house, IN_TILL, Schedule(name="plain", cron="0 * * * *", rule="audit"), look_up=look_up
    )
    await all_brought(house, scheduler)
    house.clock.turn(s=HOUR_S)
    await all_brought(house, scheduler)
    assert [each.action for each in await kept(house)] == ["plain"]
