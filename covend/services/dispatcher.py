"""A free slot claims the next task and starts its attempt. It chooses nothing: the order is the
store's, and so is what is held back on the way, which is only told here.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup

from covend.core.contract.outcome import StopReason
from covend.core.errors import StoreError
from covend.core.model import Claim, ClaimToken, Moment, TaskId
from covend.core.safeguards.shapes import Hold, SafeguardKind, Spent, Switch, Terms
from covend.core.settings import Limits
from covend.core.states import TaskState
from covend.services.clock import Clock
from covend.services.stopping import Stop
from covend.services.wakeups import Wakeups
from covend.store.protocol import Taken, Tasks
from covend.telemetry.logs import Log
from covend.telemetry.metrics import Metrics

LOOK_EVERY_S = 15.0
"""A wake-up may be lost; so often the dispatcher looks by itself."""

STORE_WAIT_S = 1.0
_COMPUTED = frozenset({SafeguardKind.RATE, SafeguardKind.BUDGET})
"""What trips by a claim; the others trip by an end, or by an operator."""
log = Log("dispatcher")
Run = Callable[[Claim, Stop, Spent | None], Awaitable[None]]
"""Runs an attempt: its claim, the way to end it, and what it may spend."""


@dataclass(frozen=True, slots=True)
class Running:
    """An attempt of this process: its claim, and the way to end it."""

    claim: Claim
    stop: Stop
    budget: Spent | None = None
    """What it may spend; None where nothing bounds it."""


class Dispatcher:
    """Keeps the slots busy."""

    def __init__(
        self,
        *,
        tasks: Tasks,
        run: Run,
        clock: Clock,
        wakeups: Wakeups,
        metrics: Metrics,
        node: str,
        limits: Limits,
        terms: Callable[[], Terms],
    ) -> None:
        """Run at most `limits.concurrency` attempts at once, of them what `terms` let pass, which
        are asked for at each claim.
        """
        assert limits.concurrency > 0
        assert limits.lease_s > 0
        self.running: dict[ClaimToken, Running] = {}
        self._tasks = tasks
        self._run = run
        self._clock = clock
        self._wakeups = wakeups
        self._metrics = metrics
        self._node = node
        self._concurrency = limits.concurrency
        self._terms = terms
        self._holding = _Holding(metrics)
        self._lease_s = limits.lease_s
        self._is_draining = False
        self._emptied = anyio.Event()

    async def run(self) -> None:
        """Claim and start until drained; returns when the last attempt has ended."""
        try:
            async with anyio.create_task_group() as group:
                while not self._is_draining:
                    await self._wakeups.queued.wait(await self._round(group))
        finally:
            self._emptied.set()

    def drain(self) -> None:
        """Claim nothing more; what runs goes on."""
        self._is_draining = True
        self._wakeups.queued.wake()

    async def drained(self, seconds: float) -> None:
        """Wait until nothing runs; what still runs after so many seconds is interrupted and waited
        for.
        """
        with anyio.move_on_after(seconds):
            await self._emptied.wait()
            return
        self.interrupt()
        await self._emptied.wait()

    def interrupt(self) -> None:
        """Ask everything that runs to end now; its tasks go back to the queue."""
        for running in list(self.running.values()):
            running.stop.request(StopReason.INTERRUPTED)

    def stop(self, task: TaskId, reason: StopReason) -> bool:
        """Ask what runs of a task to end now; False where nothing of it runs here."""
        found = [each for each in self.running.values() if each.claim.task.id == task]
        for running in found:
            running.stop.request(reason)
        return bool(found)

    async def _round(self, group: TaskGroup) -> float:
        """Start what there are slots for, and say how long to wait then."""
        try:
            await self._fill(group)
            return await self._pause_s()
        except StoreError as error:
            log.error("nothing can be claimed", code=error.code, error=str(error))
            return STORE_WAIT_S

    async def _fill(self, group: TaskGroup) -> None:
        while len(self.running) < self._concurrency and not self._is_draining:
            taken = await self._claim()
            self._tell(taken)
            if taken.claim is None:
                if taken.is_more:
                    continue
                return
            claim = taken.claim
            self._metrics.claim_wait.observe(
                max(0, claim.started_at - claim.task.not_before_at) / 1000
            )
            running = self.running[claim.token] = Running(claim, Stop(), taken.budget)
            group.start_soon(self._attend, running)

    async def _claim(self) -> Taken:
        return await self._tasks.claim(
            node=self._node,
            token=ClaimToken(f"{self._clock.new_id()}-{os.urandom(8).hex()}"),
            now=self._clock.now(),
            lease_s=self._lease_s,
            terms=self._terms(),
        )

    def _tell(self, taken: Taken) -> None:
        """Say what the look for work did beside the claim."""
        for hold in taken.held:
            self._holding.tell(hold, self._clock.now())
        for task, former, switch in taken.switched:
            self._tell_switch(task, former, switch)
        for ended in taken.ended:
            log.info("task ended", task=ended.id, state=ended.state, reason=ended.reason)
            self._metrics.count_task(ended.rule, ended.repository or "none", ended.state)
            self._wakeups.followers.wake(ended.id)

    def _tell_switch(self, task: TaskId, former: str, switch: Switch) -> None:
        log.warning(
            "another agent goes on", task=task, was=former, now=switch.agent, why=switch.reason
        )
        self._metrics.fallbacks.labels(former, switch.agent, switch.reason).inc()

    async def _attend(self, running: Running) -> None:
        """Run one attempt; whatever it does, its slot is free again and the others go on."""
        task = running.claim.task.id
        self._wakeups.followers.wake(task)
        try:
            await self._run(running.claim, running.stop, running.budget)
        except Exception:
            log.exception("an attempt failed inside covend", task=task)
        finally:
            self.running.pop(running.claim.token, None)
            self._wakeups.queued.wake()
            self._wakeups.followers.wake(task)

    async def _pause_s(self) -> float:
        """Sleep until the next task is due, or somebody rings."""
        if len(self.running) >= self._concurrency:
            return LOOK_EVERY_S
        now = self._clock.now()
        due = await self._tasks.next_due_at(TaskState.QUEUED, now)
        return LOOK_EVERY_S if due is None else min(LOOK_EVERY_S, max(0.0, (due - now) / 1000))


class _Holding:
    """What holds work back, as this process has told it: each change is told once."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._until: dict[str, Moment] = {}
        """By the safeguard's id; what is over is forgotten."""

    def tell(self, hold: Hold, now: Moment) -> None:
        """Log a hold that is new or changed; count its safeguard where it held nothing before."""
        self._until = {each: until for each, until in self._until.items() if until > now}
        known = self._until.get(hold.by)
        self._until[hold.by] = hold.until
        if known == hold.until:
            return
        log.info("work is held", reason=hold.reason, by=hold.by, until=hold.until)
        kind = hold.by.partition("/")[0]
        if known is None and kind in _COMPUTED:
            self._metrics.safeguard_trips.labels(kind).inc()
