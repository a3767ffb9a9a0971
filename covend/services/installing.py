"""Attends to where covend is installed: work of what is gone ends, and what is to be forgotten is
deleted, a little at a time.

Refuses to guess: what is gone was told by GitHub, and kept with the delivery that told it. What
runs there is asked to stop, and ends as cancelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio.to_thread

from covend.core.contract.outcome import StopReason
from covend.core.errors import NotFoundError, StoreError
from covend.core.model import TaskId
from covend.core.states import TaskState
from covend.edges.workspace.keeping import Workspaces
from covend.services.clock import Clock
from covend.services.intake import CountTask, StopAttempt, counts_nothing, runs_nothing
from covend.services.live import log_path
from covend.services.unavailable import as_unavailable
from covend.services.wakeups import Wakeups
from covend.store.protocol import Forgotten, Gone, Installations, Tasks
from covend.telemetry.logs import Log

LOOK_EVERY_S = 60.0
"""A wake-up may be lost, and nobody rings where a term is over."""
STORE_WAIT_S = 1.0
AT_ONCE = 50
FORGOTTEN_AT_ONCE = 200
"""Rows of one kind that are deleted in one transaction: others wait for no longer than that."""
log = Log("installing")


class Installing:
    """Ends what is gone, and forgets."""

    def __init__(  # noqa: PLR0913 - it forgets in the store and on the disk
        self,
        *,
        installations: Installations,
        tasks: Tasks,
        clock: Clock,
        wakeups: Wakeups,
        logs: Path,
        workspaces: Workspaces,
        term_s: float,
        stop_attempt: StopAttempt = runs_nothing,
        count_task: CountTask = counts_nothing,
    ) -> None:
        """Forget an installation `term_s` after it was deleted, and with it what its attempts have
        left in `logs` and `workspaces`.
        """
        assert term_s > 0
        self._installations = installations
        self._tasks = tasks
        self._clock = clock
        self._wakeups = wakeups
        self._logs = logs
        self._workspaces = workspaces
        self._term_ms = round(1000 * term_s)
        self._stop_attempt = stop_attempt
        self._count_task = count_task

    async def run(self) -> None:
        """Attend until cancelled."""
        while True:
            try:
                is_more = await self.end_gone() == AT_ONCE
                is_more |= await self.forget()
                pause = 0.0 if is_more else LOOK_EVERY_S
            except StoreError as error:
                log.error("installations cannot be attended to", code=error.code, error=str(error))
                pause = STORE_WAIT_S
            await self._wakeups.installations.wait(pause)

    async def end_gone(self) -> int:
        """End some of the work that is gone, or ask it to stop; say how much was found."""
        found = await self._installations.gone(limit=AT_ONCE)
        for gone in found:
            await self._end(gone)
        return len(found)

    async def forget(self) -> bool:
        """Delete some of what is to be forgotten; say whether there is more to delete now."""
        now = self._clock.now()
        done = await self._installations.forget_some(
            now, deleted_before=now - self._term_ms, limit=FORGOTTEN_AT_ONCE
        )
        if done is None:
            return False
        await self._clear_disk(done)
        if done.is_over:
            log.info("an installation is forgotten")
        return not done.is_waiting

    async def ask_to_forget(self, installation: int) -> None:
        """Have all that is known of an installation deleted from now on.

        What runs there ends first, by itself; one that lives goes on, and only its past is gone.
        Raises NotFoundError where none is known by that number.
        """
        with as_unavailable():
            is_known = await self._installations.ask_to_forget(installation, self._clock.now())
        if not is_known:
            raise NotFoundError(f"No installation {installation} is known.", id=str(installation))
        log.info("an installation is to be forgotten", installation=installation)
        self._wakeups.installations.wake()

    async def _end(self, gone: Gone) -> None:
        now, task = self._clock.now(), gone.task
        if task.state is TaskState.RUNNING:
            await self._tasks.request_cancel(task.id, reason=gone.reason, now=now)
            self._stop_attempt(task.id, StopReason.CANCELLED)
            log.info("task asked to stop", task=task.id, reason=gone.reason)
            return
        ended = await self._installations.end(gone, now)
        if ended is None:
            return
        log.info("task ended", task=ended.id, state=ended.state, reason=ended.reason)
        self._count_task(ended.rule, ended.repository or "none", ended.state)
        self._wakeups.followers.wake(ended.id)

    async def _clear_disk(self, forgotten: Forgotten) -> None:
        """Remove the logs and kept workspaces of what is gone, and the mirrors that nobody will
        need; what cannot be removed stays, and the log says so.
        """
        attempts = [
            (task, number)
            for task, count in forgotten.attempts.items()
            for number in range(1, count + 1)
        ]
        await anyio.to_thread.run_sync(self._remove_logs, attempts)
        names = {f"{task}-{number}" for task, number in attempts}
        try:
            await self._workspaces.forget(names, forgotten.repository_keys)
        except OSError as error:
            log.warning("a workspace or mirror stays", error=str(error))

    def _remove_logs(self, attempts: Sequence[tuple[TaskId, int]]) -> None:
        for task, number in attempts:
            self._remove(task, number)

    def _remove(self, task: TaskId, number: int) -> None:
        path = log_path(self._logs, task, number)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("a log stays", path=str(path), error=str(error))
