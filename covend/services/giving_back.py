"""Gives back the task of an attempt that nobody is at any more, at a start and while covend runs.

Refuses to guess who a process is: it is ended by its recorded pid, start time and boot, or by its
task's marker in its environment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import anyio
import anyio.to_thread

from covend.core.errors import StoreError
from covend.core.model import Attempt, Claim, ClaimToken, Ending, Task
from covend.core.states import TaskState
from covend.edges.agents.leftovers import end_leftover
from covend.edges.agents.marked import end_marked
from covend.services.clock import Clock
from covend.services.settling import Settlements, unplanned
from covend.store.protocol import Settlement, Tasks
from covend.telemetry.logs import Log
from covend.telemetry.metrics import Metrics

log = Log("giving_back")


class GivingBack:
    """Ends what is left of attempts, and settles them as lost."""

    def __init__(
        self, *, tasks: Tasks, clock: Clock, metrics: Metrics, settlements: Settlements
    ) -> None:
        """Settle as `settlements` plans it."""
        self._tasks = tasks
        self._clock = clock
        self._metrics = metrics
        self._settlements = settlements

    async def end(self, attempts: Sequence[Attempt]) -> None:
        """End the processes of these attempts, also what was started before its pid was on disk,
        or has left its agent's group.
        """
        for attempt in attempts:
            await self._end(attempt)
        tasks = [attempt.task for attempt in attempts]
        count = await anyio.to_thread.run_sync(end_marked, tasks)
        if count:
            self._metrics.orphans_reaped.inc(count)
            log.warning("orphans were ended by their marker", count=count)

    async def give_back(
        self, task: Task, token: ClaimToken, attempt: Attempt, ending: Ending
    ) -> None:
        """Settle one attempt; raises ClaimLostError where somebody else has done so."""
        now = self._clock.now()
        claim = Claim(
            task=task,
            attempt=attempt.number,
            token=token,
            lease_until=now,
            started_at=attempt.started_at,
        )
        settlement = await self._settlement(claim, attempt, ending)
        await self._tasks.settle(claim, settlement, now)
        self._metrics.recovered.labels(attempt.phase).inc()

    async def _settlement(self, claim: Claim, attempt: Attempt, ending: Ending) -> Settlement:
        try:
            policy = await self._tasks.policy_of(claim.task)
        except StoreError:
            raise
        except Exception:
            log.exception("the policy of a task cannot be read", task=claim.task.id)
            return unplanned(log_bytes=attempt.log_bytes)
        planned = self._settlements.plan(claim, policy, ending, log_bytes=attempt.log_bytes)
        if planned.target is TaskState.QUEUED:
            return replace(planned, reason="recovered")
        return planned

    async def _end(self, attempt: Attempt) -> None:
        if attempt.pid is None or attempt.pid_started is None or attempt.boot_id is None:
            return
        was_there = await anyio.to_thread.run_sync(
            end_leftover, attempt.pid, attempt.pid_started, attempt.boot_id
        )
        if was_there:
            self._metrics.orphans_reaped.inc()
            log.warning("an orphan was ended", task=attempt.task, pid=attempt.pid)
