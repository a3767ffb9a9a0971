"""A free slot claims the next task and starts its attempt. It chooses nothing: the order is the
store's.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup

from covend.core.contract.outcome import StopReason
from covend.core.errors import StoreError
from covend.core.model import Claim, ClaimToken, TaskId
from covend.core.settings import Limits
from covend.core.states import TaskState
from covend.services.clock import Clock
from covend.services.stopping import Stop
from covend.services.wakeups import Wakeups
from covend.store.protocol import Tasks
from covend.telemetry.logs import Log
from covend.telemetry.metrics import Metrics

LOOK_EVERY_S = 15.0
"""A wake-up may be lost; so often the dispatcher looks by itself."""

STORE_WAIT_S = 1.0
log = Log("dispatcher")
Run = Callable[[Claim, Stop], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Running:
    """An attempt of this process: its claim, and the way to end it."""

    claim: Claim
    stop: Stop


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
        agents: Mapping[str, int],
    ) -> None:
        """Run at most `limits.concurrency` attempts at once, of each agent what `agents` says."""
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
        self._agents = agents
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
            claim = await self._claim()
            if claim is None:
                return
            self._metrics.claim_wait.observe(
                max(0, claim.started_at - claim.task.not_before_at) / 1000
            )
            running = self.running[claim.token] = Running(claim, Stop())
            group.start_soon(self._attend, running)

    async def _claim(self) -> Claim | None:
        return await self._tasks.claim(
            node=self._node,
            token=ClaimToken(f"{self._clock.new_id()}-{os.urandom(8).hex()}"),
            now=self._clock.now(),
            lease_s=self._lease_s,
            agents=self._agents,
        )

    async def _attend(self, running: Running) -> None:
        """Run one attempt; whatever it does, its slot is free again and the others go on."""
        task = running.claim.task.id
        self._wakeups.followers.wake(task)
        try:
            await self._run(running.claim, running.stop)
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
