"""Slots: never more at once than there are, never idle while there is work, and an orderly end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from covend.core.contract.outcome import StopReason
from covend.core.errors import StoreBusyError
from covend.core.model import Claim
from covend.core.states import Outcome, TaskState
from covend.services.stopping import Stop
from covend.store.protocol import Settlement
from covend.store.tasks import StoredTasks
from tests.services.house import House, a_rule, an_agent, an_ending

WITHIN_S = 10.0
DONE = Settlement(target=TaskState.COMPLETED, reason="done", ending=an_ending())


@dataclass
class Attempts:
    """Stand in for agents: each waits until it is let go, or stopped."""

    house: House
    gate: anyio.Event = field(default_factory=anyio.Event)
    at_once: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    begun: list[str] = field(default_factory=list)
    stopped: list[StopReason] = field(default_factory=list)
    changed: anyio.Event = field(default_factory=anyio.Event)

    async def run(self, claim: Claim, stop: Stop) -> None:
        self._count(claim, 1)
        with stop.scope:
            await self.gate.wait()
        self._count(claim, -1)
        if stop.reason is not None:
            self.stopped.append(stop.reason)
        await self.house.tasks.settle(claim, DONE, self.house.clock.now())

    async def until_begun(self, count: int, *, within_s: float = WITHIN_S) -> None:
        with anyio.fail_after(within_s):
            while len(self.begun) < count:
                await self.changed.wait()

    def _count(self, claim: Claim, by: int) -> None:
        for name in ("all", claim.task.agent):
            self.at_once[name] += by
            self.most[name] = max(self.most[name], self.at_once[name])
        if by > 0:
            self.begun.append(claim.task.id)
        self.changed.set()
        self.changed = anyio.Event()


async def with_tasks(house: House, count: int, agent: str = "sh") -> None:
    """Queue so many tasks, each on a pull request of its own."""
    name = f"for-{agent}"
    await house.adopt(a_rule(name=name, agent=agent), an_agent(name=agent))
    for _ in range(count):
        await house.queued(number=house.open_pull().number)
    del house.policies[name]


async def test_never_more_run_at_once_than_there_are_slots(house: House) -> None:
    await with_tasks(house, 12)
    attempts = Attempts(house)
    dispatcher = house.dispatcher(attempts.run, concurrency=3)
    async with anyio.create_task_group() as group:
        group.start_soon(dispatcher.run)
        await attempts.until_begun(3)
        attempts.gate.set()
        await attempts.until_begun(12)
        dispatcher.drain()
    assert attempts.most["all"] == 3
    assert len(set(attempts.begun)) == 12
    assert dispatcher.running == {}


async def test_an_agents_own_limit_leaves_its_slots_to_others(house: House) -> None:
    await with_tasks(house, 4, "narrow")
    await with_tasks(house, 3, "wide")
    attempts = Attempts(house)
    dispatcher = house.dispatcher(attempts.run, concurrency=4, narrow=1)
    async with anyio.create_task_group() as group:
        group.start_soon(dispatcher.run)
        await attempts.until_begun(4)
        assert attempts.at_once == {"all": 4, "narrow": 1, "wide": 3}
        attempts.gate.set()
        await attempts.until_begun(7)
        dispatcher.drain()
    assert attempts.most["narrow"] == 1


async def test_an_attempt_that_breaks_gives_its_slot_back(house: House) -> None:
    await with_tasks(house, 2)
    attempts = Attempts(house)
    attempts.gate.set()

    async def run(claim: Claim, stop: Stop) -> None:
        if not attempts.begun:
            attempts.begun.append(claim.task.id)
            raise RuntimeError("a fault of covend's own")
        await attempts.run(claim, stop)

    dispatcher = house.dispatcher(run, concurrency=1)
    async with anyio.create_task_group() as group:
        group.start_soon(dispatcher.run)
        await attempts.until_begun(2)
        dispatcher.drain()
    assert len(set(attempts.begun)) == 2


async def test_a_drain_waits_for_what_runs_and_claims_nothing_more(house: House) -> None:
    await with_tasks(house, 2)
    attempts = Attempts(house)
    dispatcher = house.dispatcher(attempts.run, concurrency=1)
    async with anyio.create_task_group() as group:
        group.start_soon(dispatcher.run)
        await attempts.until_begun(1)
        dispatcher.drain()
        attempts.gate.set()
        with anyio.fail_after(WITHIN_S):
            await dispatcher.drained(WITHIN_S)
    assert (len(attempts.begun), attempts.stopped) == (1, [])


async def test_what_outlasts_a_drain_is_interrupted(house: House) -> None:
    await with_tasks(house, 2)
    attempts = Attempts(house)
    dispatcher = house.dispatcher(attempts.run)
    async with anyio.create_task_group() as group:
        group.start_soon(dispatcher.run)
        await attempts.until_begun(2)
        dispatcher.drain()
        with anyio.fail_after(WITHIN_S):
            await dispatcher.drained(0.05)
    assert attempts.stopped == [StopReason.INTERRUPTED] * 2


class Busy(StoredTasks):
    """A store that another program holds for a moment."""

    def __init__(self, house: House) -> None:
        super().__init__(house.connection)
        self.refusals = 1

    async def claim(self, **asked: Any) -> Claim | None:
        if self.refusals:
            self.refusals -= 1
            raise StoreBusyError
        return await super().claim(**asked)


async def test_a_busy_store_is_asked_again_within_seconds(house: House) -> None:
    """The next look was a quarter of a minute away."""
    await with_tasks(house, 1)
    attempts = Attempts(house)
    attempts.gate.set()
    dispatcher = house.dispatcher(attempts.run, tasks=Busy(house))
    async with anyio.create_task_group() as group:
        group.start_soon(dispatcher.run)
        await attempts.until_begun(1, within_s=5.0)
        dispatcher.drain()


async def test_a_task_that_waits_is_claimed_when_its_time_has_come(house: House) -> None:
    await with_tasks(house, 1)
    house.meddle("UPDATE tasks SET not_before_at = :at", at=house.clock.now() + 60_000)
    attempts = Attempts(house)
    attempts.gate.set()
    dispatcher = house.dispatcher(attempts.run)
    async with anyio.create_task_group() as group:
        group.start_soon(dispatcher.run)
        await anyio.wait_all_tasks_blocked()
        assert attempts.begun == []
        house.clock.turn(s=60)
        house.wakeups.queued.wake()
        await attempts.until_begun(1)
        dispatcher.drain()


async def test_no_dispatcher_without_a_slot(house: House) -> None:
    with pytest.raises(AssertionError):
        house.dispatcher(Attempts(house).run, concurrency=0)


class Broken(StoredTasks):
    """A store of which covend itself makes a wrong use."""

    async def claim(self, **_: Any) -> Claim | None:
        raise RuntimeError("a fault of covend's own")


async def test_nobody_waits_for_a_dispatcher_that_has_died(house: House) -> None:
    """The end of covend waited for it for ever."""
    dispatcher = house.dispatcher(Attempts(house).run, tasks=Broken(house.connection))
    with pytest.raises(ExceptionGroup):
        await dispatcher.run()
    with anyio.fail_after(WITHIN_S):
        await dispatcher.drained(0)


AGAIN = Settlement(
    target=TaskState.QUEUED, reason="retry", ending=an_ending(outcome=Outcome.FAILED)
)


async def test_a_task_that_runs_again_is_not_mixed_up_with_its_former_attempt(
    house: House,
) -> None:
    """The end of the former one took the entry of the next, whose own end then ended covend."""
    await with_tasks(house, 1)
    attempts, settled, gate = Attempts(house), anyio.Event(), anyio.Event()

    async def run(claim: Claim, stop: Stop) -> None:
        if claim.attempt == 2:
            await attempts.run(claim, stop)
            return
        await house.tasks.settle(claim, AGAIN, house.clock.now())
        house.wakeups.queued.wake()
        settled.set()
        await gate.wait()

    dispatcher = house.dispatcher(run, concurrency=2)
    async with anyio.create_task_group() as group:
        group.start_soon(dispatcher.run)
        await settled.wait()
        await attempts.until_begun(1)
        gate.set()
        await anyio.wait_all_tasks_blocked()
        (running,) = dispatcher.running.values()
        assert running.claim.attempt == 2
        attempts.gate.set()
        dispatcher.drain()
