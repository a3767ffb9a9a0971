"""A heartbeat keeps an attempt ours; one whose claim is gone is stopped, and leaves no trace."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest

from covend.core.errors import StoreBusyError
from covend.core.model import Attempt, ClaimToken, Moment, TaskId
from covend.core.states import EffectState, Outcome, TaskState
from covend.services.dispatcher import Dispatcher
from covend.services.leases import Leases
from covend.store.tasks import StoredTasks
from tests.services.alive import is_alive
from tests.services.fifo import Fifo
from tests.services.house import House, a_rule, an_agent
from tests.services.rooms import LEASE_S

WITHIN_S = 20.0
FOR_EVER_S = 1_000.0


def leases(house: House, dispatcher: Dispatcher, tasks: StoredTasks | None = None) -> Leases:
    return Leases(
        tasks=tasks or house.tasks,
        running=dispatcher.running,
        giving_back=house.giving_back(),
        clock=house.clock,
        metrics=house.metrics,
        lease_s=LEASE_S,
    )


@asynccontextmanager
async def one_running(house: House) -> AsyncIterator[tuple[Dispatcher, int]]:
    """An agent that never ends by itself; gives its dispatcher and its pid."""
    with Fifo(house.folder / "told") as told:
        # The prompt comes after covend has noted who the agent is.
        script = f"cat > /dev/null; echo $$ > {told.path}; exec sleep 1000"
        await house.adopt(a_rule(), an_agent(script))
        await house.queued()
        dispatcher = house.dispatcher(house.attempts().run, concurrency=1)
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
        await leases(house, dispatcher).renew()
        (row,) = house.ask("SELECT lease_until_at FROM tasks")
        assert row == (house.clock.now() + LEASE_S * 1000,)
        assert is_alive(pid)


async def test_a_lost_claim_stops_the_process_and_nothing_is_settled(house: House) -> None:
    async with one_running(house) as (dispatcher, pid):
        (running,) = dispatcher.running.values()
        task = running.claim.task.id
        steal(house)
        await leases(house, dispatcher).renew()
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
        await leases(house, dispatcher).renew()
        assert house.metrics.leases_lost._value.get() == 0  # noqa: SLF001


class Busy(StoredTasks):
    """A store that another program holds."""

    async def renew(
        self, claims: Mapping[ClaimToken, TaskId], *, now: Moment, lease_s: float
    ) -> frozenset[ClaimToken]:
        raise StoreBusyError


async def test_a_busy_store_is_no_lost_claim(house: House) -> None:
    async with one_running(house) as (dispatcher, pid):
        await leases(house, dispatcher, Busy(house.connection)).renew()
        assert is_alive(pid)
        (running,) = dispatcher.running.values()
        assert running.stop.reason is None


async def test_what_nobody_holds_is_given_back_when_its_lease_is_over(house: House) -> None:
    """It stayed `running`, with its key and its place, until the next start."""
    dispatcher = house.dispatcher(house.attempts().run)
    await house.adopt(a_rule(), an_agent())
    claim = await house.claimed()
    house.clock.turn(s=LEASE_S - 1)
    await leases(house, dispatcher).sweep()
    assert (await house.story(claim.task.id)).task.state is TaskState.RUNNING

    house.clock.turn(s=1)
    await leases(house, dispatcher).sweep()
    story = await house.story(claim.task.id)
    assert (story.task.state, story.task.reason) == (TaskState.QUEUED, "recovered")
    assert [attempt.outcome for attempt in story.attempts] == [Outcome.LOST]


async def test_a_late_heartbeat_gives_nothing_back_that_runs(house: House) -> None:
    async with one_running(house) as (dispatcher, pid):
        house.clock.turn(s=LEASE_S)
        await leases(house, dispatcher).sweep()
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
    sweeping = leases(house, house.dispatcher(house.attempts().run))
    monkeypatch.setattr(sweeping, "_giving_back", giving_back)
    await sweeping.sweep()
    states = [(await house.story(each.task.id)).task.state for each in claims]
    assert states == [TaskState.RUNNING, TaskState.QUEUED]
