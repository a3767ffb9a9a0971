"""Slots: never more at once than there are, never idle while there is work, and an orderly end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import pytest

from covend.core.bounds import Budgets, Rate, Safeguards
from covend.core.contract.outcome import StopReason
from covend.core.errors import StoreBusyError
from covend.core.model import Claim
from covend.core.safeguards.shapes import EVERYTHING, Hold, Spent, Switch, Waiting
from covend.core.states import Outcome, TaskState
from covend.services.stopping import Stop
from covend.store.protocol import Settlement, Taken
from covend.store.tasks import StoredTasks
from tests.services.house import House, a_rule, an_agent, an_ending
from tests.services.rooms import LEASE_S
from tests.telemetry.book import Book

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
    budgets: list[Spent | None] = field(default_factory=list)
    changed: anyio.Event = field(default_factory=anyio.Event)

    async def run(self, claim: Claim, stop: Stop, budget: Spent | None = None) -> None:
        self.budgets.append(budget)
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
    """Its task is running until its lease is over: only then another may begin in its place."""
    await with_tasks(house, 2)
    attempts, broken = Attempts(house), anyio.Event()
    attempts.gate.set()

    async def run(claim: Claim, stop: Stop, _: Spent | None) -> None:
        if not attempts.begun:
            attempts.begun.append(claim.task.id)
            broken.set()
            raise RuntimeError("a fault of covend's own")
        await attempts.run(claim, stop)

    dispatcher = house.dispatcher(run, concurrency=1)
    async with anyio.create_task_group() as group:
        group.start_soon(dispatcher.run)
        await broken.wait()
        await anyio.wait_all_tasks_blocked()
        assert dispatcher.running == {}
        house.clock.turn(s=LEASE_S)
        await house.leases(dispatcher).sweep()
        house.wakeups.queued.wake()
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

    async def claim(self, **asked: Any) -> Taken:
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

    async def claim(self, **_: Any) -> Taken:
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

    async def run(claim: Claim, stop: Stop, _: Spent | None) -> None:
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


# --- what is held back on the way -----------------------------------------------------------------


class Scripted(StoredTasks):
    """A store that answers as it is told, and then that there is nothing."""

    def __init__(self, house: House, *answers: Taken) -> None:
        super().__init__(house.connection)
        self._answers = list(answers)
        self.asked: list[Any] = []
        self.emptied = anyio.Event()

    async def claim(self, **asked: Any) -> Taken:
        self.asked.append(asked["terms"])
        if self._answers:
            return self._answers.pop(0)
        self.emptied.set()
        return Taken(claim=None)


async def looked(house: House, *answers: Taken) -> Scripted:
    """Let a dispatcher look for work until it is told that there is nothing."""
    tasks = Scripted(house, *answers)
    dispatcher = house.dispatcher(Attempts(house).run, tasks=tasks)
    async with anyio.create_task_group() as group:
        group.start_soon(dispatcher.run)
        with anyio.fail_after(WITHIN_S):
            await tasks.emptied.wait()
        dispatcher.drain()
    return tasks


def held(house: House, by: str, *, s: float = 60.0, reason: Waiting = Waiting.PAUSED) -> Hold:
    until = house.clock.now() + round(s * 1000)
    return Hold(reason=reason, until=until, scope=EVERYTHING, by=by)


def a_look(*held: Hold, **more: Any) -> Taken:
    return Taken(claim=None, held=held, is_more=True, **more)


def trips(house: House) -> dict[str, float]:
    """How often each kind of safeguard has tripped."""
    (metric,) = house.metrics.safeguard_trips.collect()
    return {each.labels["safeguard"]: each.value for each in metric.samples}


async def test_a_look_that_was_cut_short_is_gone_on_with_at_once(house: House) -> None:
    """The rest of a long queue waited for the next wake-up."""
    tasks = await looked(house, a_look(), a_look(), a_look())
    assert len(tasks.asked) == 4


async def test_what_holds_work_is_told_once_for_each_change(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Book(monkeypatch)
    pause, longer = held(house, "pause/all"), held(house, "rate/rule=review", s=90)
    shorter = held(house, "rate/rule=review", reason=Waiting.RATE_LIMITED)
    await looked(house, a_look(pause, shorter), a_look(pause, shorter), a_look(longer))
    told = [line["by"] for line in book.lines() if line["message"] == "work is held"]
    assert told == ["pause/all", "rate/rule=review", "rate/rule=review"]


async def test_a_limit_trips_when_it_begins_to_hold_and_not_while_it_does(house: House) -> None:
    """An end tells of the others; a pause is somebody's wish."""
    holds = [held(house, by) for by in ("rate/rule=a", "rate/rule=b", "budget/all", "pause/all")]
    circuit = held(house, "circuit/agent:sh", reason=Waiting.CIRCUIT_OPEN)
    longer = held(house, "rate/rule=a", s=90)
    await looked(house, a_look(*holds, circuit), a_look(*holds), a_look(longer))
    assert trips(house) == {"rate": 2, "budget": 1}


async def test_a_limit_that_has_let_go_meanwhile_trips_anew(house: House) -> None:
    first = held(house, "rate/rule=a")
    tasks = Scripted(house, a_look(first))
    dispatcher = house.dispatcher(Attempts(house).run, tasks=tasks)
    async with anyio.create_task_group() as group:
        group.start_soon(dispatcher.run)
        await tasks.emptied.wait()
        house.clock.turn(s=60)
        tasks._answers.append(a_look(held(house, "rate/rule=a")))  # noqa: SLF001
        tasks.emptied = anyio.Event()
        house.wakeups.queued.wake()
        with anyio.fail_after(WITHIN_S):
            await tasks.emptied.wait()
        dispatcher.drain()
    assert trips(house) == {"rate": 2}


async def test_an_agent_that_cannot_be_had_is_counted_with_who_goes_on(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    task = await house.queued()
    switch = Switch(agent="other", reason="circuit_open")
    await looked(house, a_look(switched=((task.id, "sh", switch),)))
    (metric,) = house.metrics.fallbacks.collect()
    (counted,) = metric.samples
    assert counted.labels == {"from": "sh", "to": "other", "reason": "circuit_open"}


async def test_the_terms_are_asked_for_at_each_claim(house: House) -> None:
    """A reload had no effect on what was claimed after it."""
    rates = [Rate(per=("rule",), max_count=count, window_s=60) for count in (1, 2)]
    tasks = Scripted(house, a_look())
    dispatcher = house.dispatcher(Attempts(house).run, tasks=tasks)
    for rate in rates:
        house.terms = replace(house.terms, safeguards=Safeguards(rate=(rate,)))
        await dispatcher._claim()  # noqa: SLF001  one look
    assert [each.safeguards.rate for each in tasks.asked] == [(rate,) for rate in rates]


async def test_an_attempt_is_told_what_it_may_spend(house: House) -> None:
    budgets = Budgets(tokens_per_attempt=1_000)
    await house.adopt(a_rule(), an_agent(budgets=budgets))
    await house.queued()
    attempts = Attempts(house)
    attempts.gate.set()
    dispatcher = house.dispatcher(attempts.run)
    async with anyio.create_task_group() as group:
        group.start_soon(dispatcher.run)
        await attempts.until_begun(1)
        dispatcher.drain()
    (budget,) = attempts.budgets
    assert budget is not None
    assert budget.tokens == 1_000
