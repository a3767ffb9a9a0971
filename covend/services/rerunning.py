"""Has checks made again for which somebody has asked on GitHub: what has failed is queued once
more, and what stands is routed once more, by the rules in force.

Refuses silence: GitHub has taken the old conclusion away by then, so that a check that cannot be
made again is concluded at once, with the reason. An ask is attended to until it is ended in the
store: a crash between the deed and its end does nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from covend.core.errors import CovendError, StoreError, UserError
from covend.core.model import EffectKind, Task
from covend.core.rerunning import RerunWish, Way, meant_by_rerun
from covend.core.states import TaskState
from covend.services.clock import Clock
from covend.services.operations import Operations
from covend.services.replaying import Replaying
from covend.services.settling import Effects, Settlements
from covend.services.waiting_longer import as_long_again
from covend.services.wakeups import Wakeups
from covend.store.protocol import Accepted, Reruns, Tasks
from covend.telemetry.logs import Log, about

LOOK_EVERY_S = 15.0
STORE_WAIT_S = 1.0
AT_ONCE = 20
TASKS_MAX = 200
"""Tasks of one commit that are looked at, the newest."""
GIVE_UP_MS = 3_600_000
_SHOWN = frozenset({EffectKind.CHECK})
_WAITING = frozenset({TaskState.RECEIVED, TaskState.QUEUED})
Shown = tuple[Task, Effects]
"""A task, and what is to be seen of it."""
log = Log("rerunning")


class Rerunning:
    """Works on asks whose time has come, the oldest first."""

    def __init__(
        self,
        *,
        reruns: Reruns,
        tasks: Tasks,
        operations: Operations,
        replaying: Replaying,
        settlements: Settlements,
        clock: Clock,
        wakeups: Wakeups,
    ) -> None:
        """Queue again by `operations`, route again by `replaying`."""
        self._reruns = reruns
        self._tasks = tasks
        self._operations = operations
        self._replaying = replaying
        self._settlements = settlements
        self._clock = clock
        self._wakeups = wakeups

    async def run(self) -> None:
        """Attend until cancelled."""
        while True:
            try:
                await self.attend_due()
                pause = await self._pause_s()
            except StoreError as error:
                log.error("asks cannot be read", code=error.code, error=str(error))
                pause = STORE_WAIT_S
            await self._wakeups.reruns.wait(pause)

    async def attend_due(self) -> int:
        """Attend to what is due; say how many asks that is."""
        due = await self._reruns.due(now=self._clock.now(), limit=AT_ONCE)
        for wish in due:
            with about(delivery=wish.delivery, actor=wish.actor):
                await self._attend(wish)
        return len(due)

    async def _attend(self, wish: RerunWish) -> None:
        """Attend to one; what covend itself fails at keeps no other waiting."""
        try:
            await self._make_again(wish)
        except CovendError as error:
            await self._put_off(wish, error.code, str(error))
        except Exception:
            log.exception("a check cannot be made again")
            await self._put_off(wish, "fault", "covend itself failed at this")

    async def _make_again(self, wish: RerunWish) -> None:
        tasks = await self._reruns.tasks_of(wish, limit=TASKS_MAX)
        shown: list[Shown] = []
        count = 0
        for task, way in meant_by_rerun(tasks, wish):
            policy = await self._tasks.policy_of(task)
            if wish.external_id is None and not _SHOWN & set(policy.rule.publish):
                continue
            try:
                shown += await self._once_more(task, way, wish)
                count += 1
            except UserError as error:
                log.warning("not made again", task=task.id, error=str(error))
                shown.append((task, self._settlements.unfit(task, policy, str(error))))
        await self._end(wish, count, shown, is_known=bool(tasks))

    async def _once_more(self, task: Task, way: Way, wish: RerunWish) -> list[Shown]:
        """Do it, and say what is to be seen of it until it begins."""
        if way is Way.RETRY:
            again = await self._operations.retry(task.id, by=f"@{wish.actor}")
        else:
            again = await self._make_anew(task)
        if again.state not in _WAITING:
            return []
        policy = await self._tasks.policy_of(again)
        return [(again, self._settlements.again(again, policy))]

    async def _make_anew(self, task: Task) -> Task:
        if task.delivery is None:
            raise UserError("what asked for it is not kept", id=task.id)
        again = await self._replaying.replay(task.delivery, rule=task.rule)
        assert isinstance(again.came_to, Accepted), "it was kept, and not only foreseen"
        if not again.came_to.tasks:
            raise UserError(f"rule `{task.rule}` does not ask for it any more", id=task.id)
        log.info("made again", task=task.id, delivery=again.delivery)
        story = await self._tasks.story(again.came_to.tasks[0])
        assert story is not None, "it has just been kept"
        return story.task

    async def _end(
        self,
        wish: RerunWish,
        count: int,
        shown: Sequence[Shown],
        *,
        is_known: bool,
    ) -> None:
        state = "done" if count or not shown else "refused"
        reason = "done" if is_known else "nothing_known"
        now = self._clock.now()
        ended = await self._reruns.end(
            wish.delivery, state=state, reason=reason, shown=shown, now=now
        )
        if ended:
            log.info("attended to", state=state, reason=reason, again=count)
            self._wakeups.effects.wake()

    async def _put_off(self, wish: RerunWish, code: str, error: str) -> None:
        """Wait for about as long as it has waited already; after an hour give up."""
        now = self._clock.now()
        if now - wish.created_at > GIVE_UP_MS:
            log.error("not made again", code=code, error=error)
            shown = await self._all_unfit(wish, error)
            await self._reruns.end(
                wish.delivery, state="refused", reason=code, shown=shown, now=now
            )
            self._wakeups.effects.wake()
            return
        log.warning("not made again yet", code=code, error=error)
        await self._reruns.postpone(
            wish.delivery, reason=code, until=as_long_again(wish.created_at, now)
        )

    async def _all_unfit(self, wish: RerunWish, why: str) -> list[Shown]:
        """Plan what concludes all that is meant; what covend itself fails at is left out."""
        tasks = await self._reruns.tasks_of(wish, limit=TASKS_MAX)
        unfit: list[Shown] = []
        for task, _ in meant_by_rerun(tasks, wish):
            try:
                policy = await self._tasks.policy_of(task)
                unfit.append((task, self._settlements.unfit(task, policy, why)))
            except StoreError:
                raise
            except Exception:
                log.exception("a check cannot be concluded", task=task.id)
        return unfit

    async def _pause_s(self) -> float:
        now = self._clock.now()
        due = await self._reruns.next_due_at(now)
        return LOOK_EVERY_S if due is None else min(LOOK_EVERY_S, max(0.01, (due - now) / 1000))
