"""Gives back the task of an attempt that nobody is at any more, at a start and while covend runs.

Refuses to guess who a process is: it is ended by its recorded pid, start time and boot, by its
cgroup, or by its task's marker in its environment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import anyio
import anyio.to_thread

from covend.core.ending import Ending
from covend.core.errors import SandboxError, StoreError, TreeNotEmptyError
from covend.core.model import Attempt, Claim, ClaimToken, Mode, Task
from covend.core.settings import Policy, Sandbox
from covend.core.states import TaskState
from covend.edges.agents.leftovers import Leftover
from covend.edges.agents.sandbox import left_by, remove
from covend.edges.agents.tree import Containment
from covend.services.clock import Clock
from covend.services.settling import Settlements, tell, unplanned
from covend.store.protocol import Settlement, Tasks
from covend.telemetry.logs import Log
from covend.telemetry.metrics import Metrics

log = Log("giving_back")


class GivingBack:
    """Ends what is left of attempts, and settles them as lost."""

    def __init__(
        self,
        *,
        tasks: Tasks,
        containment: Containment,
        environ: Mapping[str, str],
        clock: Clock,
        metrics: Metrics,
        settlements: Settlements,
    ) -> None:
        """End processes by `containment`, and settle as `settlements` plans it; container engines
        are found by `environ`.
        """
        self._tasks = tasks
        self._containment = containment
        self._environ = environ
        self._clock = clock
        self._metrics = metrics
        self._settlements = settlements

    async def end(self, attempts: Sequence[Attempt]) -> None:
        """End the processes of these attempts, also what was started before its pid was on disk,
        or has left its agent's group; and whatever else nobody is known to be at.
        """
        leftovers = [_leftover(attempt) for attempt in attempts]
        try:
            count = await anyio.to_thread.run_sync(self._containment.end_left, leftovers)
        except TreeNotEmptyError as error:
            log.error("orphans do not end; their tasks go on without them", error=str(error))
            return
        if count:
            self._metrics.orphans_reaped.inc(count)
            log.warning("orphans were ended", count=count)

    async def give_back(
        self,
        task: Task,
        token: ClaimToken,
        attempt: Attempt,
        ending: Ending,
        *,
        only_if_expired: bool = False,
    ) -> None:
        """Settle one attempt; raises ClaimLostError where somebody else has done so, and with
        `only_if_expired` where its lease has been renewed.

        Beyond `retry.infrastructure` its task ends failed with that reason.
        """
        now = self._clock.now()
        claim = Claim(
            task=task,
            attempt=attempt.number,
            token=token,
            lease_until=now,
            started_at=attempt.started_at,
        )
        policy = await self._policy(task)
        await self._remove_container(policy, attempt)
        planned = self._settlement(claim, policy, attempt, ending)
        planned = replace(planned, only_if_expired=only_if_expired)
        written = await self._tasks.settle(claim, planned, now)
        self._metrics.recovered.labels(attempt.phase).inc()
        self._tell(task, written)

    def _tell(self, task: Task, written: Settlement) -> None:
        tell(written, task, self._metrics)
        if written.target is not TaskState.QUEUED:
            self._metrics.count_task(task.rule, task.repository or "none", written.target)
            log.warning("a task is given up", task=task.id, reason=written.reason)

    async def _policy(self, task: Task) -> Policy | None:
        try:
            return (await self._tasks.policy_of(task)).by(task.agent)
        except StoreError:
            raise
        except Exception:
            log.exception("the policy of a task cannot be read", task=task.id)
            return None

    async def _remove_container(self, policy: Policy | None, attempt: Attempt) -> None:
        """Remove the container of an attempt: its engine, not covend, holds what runs in it."""
        if policy is None or policy.agent.sandbox is not Sandbox.CONTAINER:
            return
        name = f"{attempt.task}-{attempt.number}"
        try:
            undo = left_by(policy.agent, name, self._environ)
            await anyio.to_thread.run_sync(remove, undo)
        except SandboxError as error:
            log.error("a container may still be there", name=name, error=str(error))

    def _settlement(
        self, claim: Claim, policy: Policy | None, attempt: Attempt, ending: Ending
    ) -> Settlement:
        if policy is None:
            return unplanned(log_bytes=attempt.log_bytes)
        return self._settlements.plan(
            claim,
            policy,
            ending,
            log_bytes=attempt.log_bytes,
            was_resumed=attempt.mode is Mode.RESUME,
        )


def _leftover(attempt: Attempt) -> Leftover:
    return Leftover(
        task=attempt.task,
        attempt=attempt.number,
        pid=attempt.pid,
        ticks=attempt.pid_started,
        boot_id=attempt.boot_id,
        cgroup=attempt.cgroup,
    )
