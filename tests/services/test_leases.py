"""A heartbeat keeps an attempt ours; one whose claim is gone is stopped, and leaves no trace."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Self

import anyio
import anyio.to_thread
import pytest

from covend.core.bounds import Retry
from covend.core.contract.outcome import StopReason
from covend.core.errors import StoreBusyError
from covend.core.model import Attempt, Claim, ClaimToken, Moment, Task, TaskId
from covend.core.states import EffectState, Outcome, TaskState
from covend.services import leases as sweeping
from covend.services.clock import Clock
from covend.services.dispatcher import Dispatcher
from covend.services.leases import RENEWALS_PER_LEASE, Leases
from covend.store.connection import FromThread
from covend.store.protocol import Renewed
from covend.store.tasks import StoredTasks
from tests.services.alive import is_alive
from tests.services.fifo import Fifo
from tests.services.house import House, a_rule, an_agent
from tests.services.rooms import LEASE_S

WITHIN_S = 20.0
FOR_EVER_S = 1_000.0


async def beat(leases: Leases) -> None:
    """Renew once, as its thread does, and let what it has found be heeded."""
    await anyio.to_thread.run_sync(leases.beat, asyncio.get_running_loop())


@asynccontextmanager
async def one_running(
    house: House, *, lease_s: float = LEASE_S
) -> AsyncIterator[tuple[Dispatcher, int]]:
    """An agent that never ends by itself; gives its dispatcher and its pid."""
    with Fifo(house.folder / "told") as told:
        # The prompt comes after covend has noted who the agent is.
        script = f"cat > /dev/null; echo $$ > {told.path}; exec sleep 1000"
        await house.adopt(a_rule(), an_agent(script))
        await house.queued()
        dispatcher = house.dispatcher(house.attempts().run, concurrency=1, lease_s=lease_s)
        async with anyio.create_task_group() as group:
            group.start_soon(dispatcher.run)
            yield dispatcher, int(await told.line())
            dispatcher.drain()
            with anyio.fail_after(WITHIN_S):
                await dispatcher.drained(0)


async def ended(dispatcher: Dispatcher) -> None:
    """Wait for the end of what runs, without asking it to."""
    dispatcher.drain()
    with anyio.fail_after(WITHIN_S):
        await dispatcher.drained(FOR_EVER_S)


def steal(house: House) -> None:
    """Give the task to another daemon, attempt and all."""
    house.meddle("UPDATE attempts SET claim = 'another'")
    house.meddle("UPDATE tasks SET claim = 'another'")


async def test_a_heartbeat_renews_the_lease(house: House) -> None:
    async with one_running(house) as (dispatcher, pid):
        house.clock.turn(s=LEASE_S / 3)
        await beat(house.leases(dispatcher))
        (row,) = house.ask("SELECT lease_until_at FROM tasks")
        assert row == (house.clock.now() + LEASE_S * 1000,)
        assert is_alive(pid)


async def test_a_lost_claim_stops_the_process_and_nothing_is_settled(house: House) -> None:
    async with one_running(house) as (dispatcher, pid):
        (running,) = dispatcher.running.values()
        task = running.claim.task.id
        steal(house)
        await beat(house.leases(dispatcher))
        await ended(dispatcher)
        story = await house.story(task)
        assert not is_alive(pid)
        assert story.task.state is TaskState.RUNNING
        assert [attempt.outcome for attempt in story.attempts] == [None]
        assert [effect.state for effect in story.effects] == [EffectState.PENDING]
        assert house.metrics.leases_lost._value.get() == 1  # noqa: SLF001  no public way to read


async def test_a_settled_attempt_is_not_a_lost_one(house: House) -> None:
    async with one_running(house) as (dispatcher, _):
        dispatcher.interrupt()
        await ended(dispatcher)
        await beat(house.leases(dispatcher))
        assert house.metrics.leases_lost._value.get() == 0  # noqa: SLF001


class Busy(StoredTasks):
    """A store that another program holds."""

    async def renew(
        self, claims: Mapping[ClaimToken, TaskId], *, now: Moment, lease_s: float
    ) -> Renewed:
        raise StoreBusyError


async def test_a_busy_store_is_no_lost_claim(house: House) -> None:
    async with one_running(house) as (dispatcher, pid):
        await beat(house.leases(dispatcher, Busy(house.connection)))
        assert is_alive(pid)
        (running,) = dispatcher.running.values()
        assert running.stop.reason is None


async def test_what_nobody_holds_is_given_back_when_its_lease_is_over(house: House) -> None:
    """It stayed `running`, with its key and its place, until the next start."""
    dispatcher = house.dispatcher(house.attempts().run)
    await house.adopt(a_rule(), an_agent())
    claim = await house.claimed()
    house.clock.turn(s=LEASE_S - 1)
    await house.leases(dispatcher).sweep()
    assert (await house.story(claim.task.id)).task.state is TaskState.RUNNING

    house.clock.turn(s=1)
    await house.leases(dispatcher).sweep()
    story = await house.story(claim.task.id)
    assert (story.task.state, story.task.reason) == (TaskState.QUEUED, "recovered")
    assert [attempt.outcome for attempt in story.attempts] == [Outcome.LOST]


async def test_a_late_heartbeat_gives_nothing_back_that_runs(house: House) -> None:
    async with one_running(house) as (dispatcher, pid):
        house.clock.turn(s=LEASE_S)
        await house.leases(dispatcher).sweep()
        (running,) = dispatcher.running.values()
        assert is_alive(pid)
        assert (await house.story(running.claim.task.id)).task.state is TaskState.RUNNING


async def test_one_that_cannot_be_given_back_holds_up_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.adopt(a_rule(), an_agent())
    claims = [await house.claimed(), await house.claimed(number=house.open_pull().number)]
    house.clock.turn(s=LEASE_S)
    giving_back = house.giving_back()
    first = claims[0].task.id

    async def end(attempts: Sequence[Attempt]) -> None:
        if attempts[0].task == first:
            raise RuntimeError("a fault of covend's own")

    monkeypatch.setattr(giving_back, "end", end)
    leases = house.leases(house.dispatcher(house.attempts().run))
    monkeypatch.setattr(leases, "_giving_back", giving_back)
    await leases.sweep()
    states = [(await house.story(each.task.id)).task.state for each in claims]
    assert states == [TaskState.RUNNING, TaskState.QUEUED]


# --- past the event loop --------------------------------------------------------------------------

SHORT_S = 1.2
"""A lease, in tests whose clock is the machine's own."""


class Watch:
    """Looks from a thread of its own how much of a lease was left, at the worst."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.least_ms = 10**9
        self.seen: set[int] = set()
        """The ends of the lease so far: one more for each renewal."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.02):
            (row,) = self._house.ask("SELECT lease_until_at FROM tasks")
            self.least_ms = min(self.least_ms, row[0] - self._house.clock.now())
            self.seen.add(row[0])


def stand_still_until(is_over: Callable[[], bool], limit_s: float = WITHIN_S) -> None:
    """Hold the event loop up."""
    until = time.monotonic() + limit_s
    while not is_over() and time.monotonic() < until:
        time.sleep(0.01)


async def test_an_event_loop_that_stands_still_loses_no_lease(house: House) -> None:
    """Another daemon would have taken what still ran here."""
    house.clock = Clock()  # type: ignore[assignment]  # time has to go on by itself
    async with one_running(house, lease_s=SHORT_S) as (dispatcher, pid):
        leases = house.leases(dispatcher, lease_s=SHORT_S)
        async with anyio.create_task_group() as group:
            group.start_soon(leases.run)
            await anyio.wait_all_tasks_blocked()
            with Watch(house) as watch:
                stand_still_until(lambda: len(watch.seen) > 2 * RENEWALS_PER_LEASE)
            group.cancel_scope.cancel()
        assert len(watch.seen) > 2 * RENEWALS_PER_LEASE
        assert watch.least_ms > 0
        (running,) = dispatcher.running.values()
        assert (is_alive(pid), running.stop.reason) == (True, None)


async def test_the_heart_ends_with_its_loop(house: House) -> None:
    leases = house.leases(house.dispatcher(house.attempts().run))
    async with anyio.create_task_group() as group:
        group.start_soon(leases.run)
        await anyio.wait_all_tasks_blocked()
        assert "leases" in [each.name for each in threading.enumerate()]
        group.cancel_scope.cancel()
    assert "leases" not in [each.name for each in threading.enumerate()]


class Faulty(StoredTasks):
    """A store of which covend itself makes a wrong use, once."""

    def __init__(self, house: House) -> None:
        super().__init__(FromThread(house.connection))
        self.faults = 0
        self.renewed = threading.Event()

    async def renew(
        self, claims: Mapping[ClaimToken, TaskId], *, now: Moment, lease_s: float
    ) -> Renewed:
        self.faults += 1
        if self.faults == 1:
            raise RuntimeError("a fault of covend's own")
        renewed = await super().renew(claims, now=now, lease_s=lease_s)
        self.renewed.set()
        return renewed


async def test_a_fault_at_one_beat_does_not_stop_the_heart(house: House) -> None:
    async with one_running(house) as (dispatcher, _):
        faulty = Faulty(house)
        leases = house.leases(dispatcher, faulty, lease_s=0.1)
        async with anyio.create_task_group() as group:
            group.start_soon(leases.run)
            assert await anyio.to_thread.run_sync(faulty.renewed.wait, WITHIN_S)
            group.cancel_scope.cancel()


# --- wishes of others -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "state", "check"),
    [
        (
            "cancel_requested_at = 1, cancel_reason = 'closed'",
            TaskState.CANCELLED,
            "cancelled",
        ),
        ("superseded_by = 'a newer one'", TaskState.SUPERSEDED, "neutral"),
    ],
)
async def test_a_wish_of_another_process_is_obeyed_at_the_next_beat(
    house: House, wish: str, state: TaskState, check: str
) -> None:
    """It was read where the attempt ended by itself, hours later."""
    async with one_running(house) as (dispatcher, pid):
        (running,) = dispatcher.running.values()
        house.meddle(f"UPDATE tasks SET {wish}")
        await beat(house.leases(dispatcher))
        await ended(dispatcher)
        assert not is_alive(pid)
        story = await house.story(running.claim.task.id)
        assert story.task.state is state
        await house.publish()
        (run,) = house.github.state.check_runs
        assert run.conclusion == check
        assert house.metrics.leases_lost._value.get() == 0  # noqa: SLF001


async def test_who_is_stopped_already_is_not_stopped_for_another_reason(house: House) -> None:
    async with one_running(house) as (dispatcher, _):
        (running,) = dispatcher.running.values()
        running.stop.request(StopReason.INTERRUPTED)
        house.meddle("UPDATE tasks SET superseded_by = 'a newer one'")
        await beat(house.leases(dispatcher))
        assert running.stop.reason is StopReason.INTERRUPTED


# --- what nobody is at ----------------------------------------------------------------------------


async def lost_in(house: House, *claims: Claim) -> list[TaskState]:
    """Let the leases run out, sweep once, and say where the tasks are then."""
    house.clock.turn(s=LEASE_S)
    await house.leases(house.dispatcher(house.attempts().run)).sweep()
    return [(await house.story(each.task.id)).task.state for each in claims]


async def test_a_lease_renewed_since_it_was_read_is_not_given_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its task ran twice."""
    await house.adopt(a_rule(), an_agent())
    claim = await house.claimed()
    giving_back = house.giving_back()

    async def end(_: Sequence[Attempt]) -> None:
        claims, now = {claim.token: claim.task.id}, house.clock.now()
        await house.tasks.renew(claims, now=now, lease_s=LEASE_S)

    monkeypatch.setattr(giving_back, "end", end)
    monkeypatch.setattr(house, "giving_back", lambda: giving_back)
    assert await lost_in(house, claim) == [TaskState.RUNNING]
    story = await house.story(claim.task.id)
    assert [attempt.outcome for attempt in story.attempts] == [None]


async def test_many_expired_leases_are_swept_in_small_batches(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "SWEPT_AT_ONCE", 2)
    await house.adopt(a_rule(), an_agent())
    claims = [await house.claimed(number=house.open_pull().number) for _ in range(5)]
    asked: list[int] = []

    class Counted(StoredTasks):
        async def expired(
            self, now: Moment, *, limit: int
        ) -> Sequence[tuple[Task, ClaimToken, Attempt]]:
            asked.append(limit)
            return await super().expired(now, limit=limit)

    house.tasks = Counted(house.connection)
    assert await lost_in(house, *claims) == [TaskState.QUEUED] * 5
    assert asked == [2, 2, 2]


async def test_a_task_whose_attempts_are_lost_again_and_again_is_given_up(house: House) -> None:
    """Where each of them takes the daemon down, nobody else may come to work."""
    await house.adopt(a_rule(), an_agent(retry=Retry(attempts=1, infrastructure=2)))
    claim = await house.claimed()
    await house.announce(claim)
    states = []
    for _ in range(3):
        states += await lost_in(house, claim)
        house.clock.turn(s=1_000)
        if states[-1] is TaskState.QUEUED:
            await house.claim()
    assert states == [TaskState.QUEUED, TaskState.QUEUED, TaskState.FAILED]
    story = await house.story(claim.task.id)
    assert (story.task.reason, story.task.error_code) == ("lost: exhausted", "lost")
    assert [attempt.outcome for attempt in story.attempts] == [Outcome.LOST] * 3
    assert (story.task.failures, story.task.infrastructure_failures) == (1, 2)
    await house.publish()
    (run,) = house.github.state.check_runs
    assert run.conclusion == "failure"


# --- a clock that is set --------------------------------------------------------------------------

HOUR_NS = 3_600_000_000_000


@pytest.mark.parametrize("by_ns", [HOUR_NS, -HOUR_NS])
async def test_a_wall_clock_that_jumps_ends_nothing_that_runs(
    house: House, monkeypatch: pytest.MonkeyPatch, by_ns: int
) -> None:
    house.clock = Clock()  # type: ignore[assignment]  # the machine's own
    async with one_running(house) as (dispatcher, pid):
        wall = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: wall() + by_ns)
        monkeypatch.setattr(time, "time", lambda: (wall() + by_ns) / 1e9)
        leases = house.leases(dispatcher)
        await leases.sweep()
        await beat(leases)
        await leases.sweep()
        (row,) = house.ask("SELECT state, lease_until_at FROM tasks")
        assert row[0] == "running"
        assert 0 < row[1] - house.clock.now() <= LEASE_S * 1000
        (running,) = dispatcher.running.values()
        assert (is_alive(pid), running.stop.reason) == (True, None)
