"""The operator's verbs. Refuses what the task's state does not allow, and never waits for an agent.

What an operator has wished is on disk before anybody is asked to fulfil it: no crash forgets it.
"""

from __future__ import annotations

from collections.abc import Callable

from covend.core.contract.outcome import StopReason
from covend.core.errors import AlreadyEndedError, ConflictError, NotFoundError, StoreError
from covend.core.model import Task, TaskId
from covend.core.states import TaskState
from covend.services.clock import Clock
from covend.services.settling import Effects, Settlements
from covend.services.wakeups import Wakeups
from covend.store.protocol import Tasks
from covend.telemetry.logs import Log
from covend.telemetry.metrics import Metrics

OPERATOR = "operator"
"""Who has done it, in timelines: there is one token, and whoever holds it is the operator."""
TRIES_MAX = 5
"""So often a task is looked at again that moved between the look and the wish."""

StopAttempt = Callable[[TaskId, StopReason], bool]
"""Ask what runs of a task to end now; False where nothing of it runs in this process."""
log = Log("operations")


class Operations:
    """What operators may do to tasks."""

    def __init__(
        self,
        *,
        tasks: Tasks,
        clock: Clock,
        wakeups: Wakeups,
        metrics: Metrics,
        settlements: Settlements,
        stop_attempt: StopAttempt,
    ) -> None:
        """Stop attempts by `stop_attempt`, which the dispatcher has."""
        self._tasks = tasks
        self._clock = clock
        self._wakeups = wakeups
        self._metrics = metrics
        self._settlements = settlements
        self._stop_attempt = stop_attempt

    async def cancel(self, task: str, why: str = "") -> Task:
        """Cancel what waits, at once; ask what runs to stop. Give the task as it is then.

        A task that is still `running` then will end as `cancelled`, whatever its attempt comes to,
        also over a restart. To cancel twice is to cancel once. The task may be named by the
        beginning of its id. Raises NotFoundError, AmbiguousIdError, and AlreadyEndedError where it
        has ended in another way.
        """
        reason = f"{OPERATOR}: {why}" if why else OPERATOR
        for _ in range(TRIES_MAX):
            found = await self._find(task)
            if (cancelled := await self._cancelled(found, reason)) is not None:
                return cancelled
        raise ConflictError(f"Task {task} keeps moving: try again.", id=task)

    async def _find(self, task: str) -> Task:
        story = await self._tasks.story(task)
        if story is None:
            raise NotFoundError(f"There is no task {task}.", id=task)
        return story.task

    async def _cancelled(self, task: Task, reason: str) -> Task | None:
        """Try once; None where the task has moved since it was read."""
        match task.state:
            case TaskState.RECEIVED | TaskState.QUEUED:
                return await self._take_back(task, reason)
            case TaskState.RUNNING:
                return await self._stop(task, reason)
            case TaskState.CANCELLED:
                return task
            case _:
                raise AlreadyEndedError(
                    f"Task {task.id} is {task.state}: there is nothing to cancel.",
                    id=task.id,
                    state=task.state,
                )

    async def _take_back(self, task: Task, reason: str) -> Task | None:
        effects, now = await self._effects(task), self._clock.now()
        cancelled = await self._tasks.cancel(task, reason=reason, effects=effects, now=now)
        if cancelled is not None:
            log.info("task cancelled", task=task.id, was=task.state, reason=reason)
            self._metrics.count_task(task.rule, task.repository or "none", TaskState.CANCELLED)
            self._wakeups.effects.wake()
            self._wakeups.followers.wake(task.id)
        return cancelled

    async def _stop(self, task: Task, reason: str) -> Task | None:
        asked = await self._tasks.request_cancel(task.id, reason=reason, now=self._clock.now())
        if asked is not None:
            is_here = self._stop_attempt(task.id, StopReason.CANCELLED)
            log.info("cancel requested", task=task.id, reason=reason, runs_here=is_here)
        return asked

    async def _effects(self, task: Task) -> Effects:
        """Plan what shall be seen; what cannot be planned keeps nobody from cancelling."""
        try:
            policy = await self._tasks.policy_of(task)
            return self._settlements.stop(task, policy, TaskState.CANCELLED)
        except StoreError:
            raise
        except Exception:
            log.exception("the end of a task cannot be shown", task=task.id)
            return ()
