"""Ends tasks that nobody is at: overtaken or closed while they waited to be tried again, too old
for another try, or done and overtaken before all of it was published.

Refuses to judge: which these are was written with the news that made them pointless. It may come to
them late, or after a crash; nobody claims or publishes them until then.
"""

from __future__ import annotations

from covend.core.errors import StoreError
from covend.core.model import Task
from covend.core.states import TaskState
from covend.services.clock import Clock
from covend.services.endings import too_old
from covend.services.settling import Effects, Settlements
from covend.services.wakeups import Wakeups
from covend.store.protocol import Effects as StoredEffects
from covend.store.protocol import Overdue, Tasks
from covend.telemetry.logs import Log
from covend.telemetry.metrics import Metrics

LOOK_EVERY_S = 15.0
"""A wake-up may be lost, and nobody rings for what grows too old."""
STORE_WAIT_S = 1.0
AT_ONCE = 50
"""So many are read at a time."""
log = Log("closing")


class Closing:
    """Works on what is overdue."""

    def __init__(
        self,
        *,
        tasks: Tasks,
        effects: StoredEffects,
        clock: Clock,
        wakeups: Wakeups,
        metrics: Metrics,
        settlements: Settlements,
    ) -> None:
        """Plan what shall be seen by `settlements`."""
        self._tasks = tasks
        self._effects = effects
        self._clock = clock
        self._wakeups = wakeups
        self._metrics = metrics
        self._settlements = settlements

    async def run(self) -> None:
        """End what is overdue until cancelled."""
        while True:
            try:
                is_more = await self.end_overdue() == AT_ONCE
                pause = 0.0 if is_more else LOOK_EVERY_S
            except StoreError as error:
                log.error("overdue tasks cannot be ended", code=error.code, error=str(error))
                pause = STORE_WAIT_S
            await self._wakeups.overdue.wait(pause)

    async def end_overdue(self) -> int:
        """End some of what is overdue, and withhold what is overtaken; say how many have ended."""
        now = self._clock.now()
        if withheld := await self._effects.withhold_overtaken(now):
            log.info("overtaken effects withheld", count=withheld)
            self._wakeups.effects.wake()
        found = await self._tasks.overdue(now, limit=AT_ONCE)
        return sum([await self._attend(each) for each in found])

    async def _attend(self, overdue: Overdue) -> bool:
        """End one; what covend itself fails at keeps no other from its end."""
        try:
            return await self._end(overdue)
        except StoreError:
            raise
        except Exception:
            log.exception("a task cannot be ended", task=overdue.task.id)
            return False

    async def _end(self, overdue: Overdue) -> bool:
        effects = await self._planned(overdue.task, overdue.target)
        follower = self._settlements.follower(overdue.task, too_old(overdue.task), overdue.target)
        ended = await self._tasks.end(
            overdue, effects=effects, now=self._clock.now(), follower=follower
        )
        if ended is None:
            return False
        if follower is not None:
            self._wakeups.received.wake()
            self._wakeups.queued.wake()
        log.info(
            "task ended",
            task=ended.id,
            state=ended.state,
            was=overdue.task.state,
            reason=ended.reason,
        )
        self._metrics.count_task(ended.rule, ended.repository or "none", ended.state)
        self._wakeups.effects.wake()
        self._wakeups.callbacks.wake()
        self._wakeups.followers.wake(ended.id)
        return True

    async def _planned(self, task: Task, target: TaskState) -> Effects:
        """Plan what shall be seen; what cannot be planned keeps nobody from ending."""
        try:
            policy = await self._tasks.policy_of(task)
            return self._settlements.stop(task, policy, target)
        except StoreError:
            raise
        except Exception:
            log.exception("the end of a task cannot be shown", task=task.id)
            return ()
