"""Moments never go back, and neither do the ids that are made of them."""

from __future__ import annotations

import time
from dataclasses import replace

import anyio
import pytest

from covend.core.bounds import Rate, Safeguards
from covend.core.states import Outcome
from covend.services.clock import Clock
from covend.store.upkeep import StoredUpkeep
from tests.services.fifo import WITHIN_S, Fifo
from tests.services.hand_clock import HandClock
from tests.services.house import House, a_rule, an_agent

HOUR_MS = 3_600_000


class Wall:
    """The machine's own clock, which somebody sets."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._true = time.time_ns
        self.off_ms = 0
        patch.setattr(time, "time_ns", lambda: self._true() + self.off_ms * 1_000_000)


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    return Wall(monkeypatch)


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS])
def test_a_wall_clock_that_is_set_moves_no_moment(wall: Wall, by_ms: int) -> None:
    clock = Clock()
    before, id_before = clock.now(), clock.new_id()
    wall.off_ms = by_ms
    assert 0 <= clock.now() - before < HOUR_MS / 2
    assert clock.new_id() > id_before
    assert abs(clock.wall() - before - by_ms) < HOUR_MS / 2


async def test_a_start_after_the_clock_was_set_back_begins_where_the_store_ended(
    house: House, wall: Wall
) -> None:
    """Leases and rates of before would have lain in the future for an hour."""
    house.clock = Clock()  # type: ignore[assignment]  # the machine's own
    await house.adopt(a_rule(), an_agent())
    await house.claimed()
    before = house.clock.now()
    wall.off_ms = -HOUR_MS
    newest = await StoredUpkeep(house.connection, house.folder / "covend.db-wal").newest_moment()
    assert newest <= before
    assert Clock(not_before=newest).now() >= newest > Clock.wall()


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS])
async def test_a_wall_clock_that_is_set_breaks_no_rate(
    house: House, wall: Wall, by_ms: int
) -> None:
    another = house.open_pull().number
    house.clock = Clock()  # type: ignore[assignment]  # the machine's own
    rate = Rate(per=("rule",), max_count=1, window_s=600)
    house.terms = replace(house.terms, safeguards=Safeguards(rate=(rate,)))
    await house.adopt(a_rule(), an_agent())
    await house.claimed()
    wall.off_ms = by_ms
    waiting = await house.queued(number=another)
    taken = await house.look()
    assert taken.claim is None
    (hold,) = taken.held
    assert 0 < hold.until - house.clock.now() <= 600_000
    assert (await house.story(waiting.id)).task.reason == "rate_limited"


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS])
async def test_a_wall_clock_that_is_set_is_over_nobodys_time(
    house: House, fifo: Fifo, wall: Wall, by_ms: int
) -> None:
    house.clock = Clock()  # type: ignore[assignment]  # the machine's own
    gate = house.folder / "go-on"
    script = f"echo up > {fifo.path}; until test -e {gate}; do sleep 0.02; done; echo Done."
    await house.adopt(a_rule(), an_agent(script, timeout_s=WITHIN_S, idle_timeout_s=WITHIN_S))
    claim = await house.claimed()
    async with anyio.create_task_group() as group:
        group.start_soon(house.run, claim)
        assert await fifo.line() == "up"
        wall.off_ms = by_ms
        gate.touch()
    story = await house.story(claim.task.id)
    assert (story.attempts[0].outcome, story.task.summary) == (Outcome.SUCCEEDED, "Done.")
    assert story.task.finished_at is not None
    assert abs(story.task.finished_at - claim.started_at) < HOUR_MS / 2


def test_the_clock_never_begins_behind_what_is_stored() -> None:
    later = Clock().now() + 3_600_000
    assert Clock(not_before=later).now() >= later


def test_the_machines_own_moment_does_not_follow_what_is_stored() -> None:
    later = Clock.wall() + 3_600_000
    assert Clock(not_before=later).wall() < later


def test_ids_of_one_moment_sort_in_the_order_of_their_making() -> None:
    clock = HandClock()
    made = [clock.new_id() for _ in range(50)]
    assert made == sorted(set(made))


def test_ids_of_a_later_moment_sort_behind() -> None:
    clock = HandClock()
    earlier = clock.new_id()
    clock.turn(s=0.001)
    assert clock.new_id() > earlier


def test_two_clocks_of_one_moment_make_different_ids() -> None:
    assert HandClock().new_id() != HandClock().new_id()
