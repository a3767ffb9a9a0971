"""Concludes checks that were left in progress although nobody is at their task any more, with what
became of it.

Refuses to leave one spinning: whatever kept its end from being shown (a fault, a permission that
was missing for a while, an installation that was suspended), the next round shows it.
"""

from __future__ import annotations

from covend.core.errors import StoreError
from covend.core.model import Effect, EffectId
from covend.core.units import DAY
from covend.services.clock import Clock
from covend.services.settling import Settlements
from covend.services.wakeups import Wakeup, Wakeups
from covend.store.protocol import LeftOpen, Tasks
from covend.telemetry.logs import Log

LOOK_EVERY_S = 600.0
STORE_WAIT_S = 1.0
SINCE_S = 14 * DAY
"""GitHub itself calls a check stale that nobody concludes for this long.
https://docs.github.com/en/rest/checks/runs
"""
SETTLED_S = 120.0
"""So long after the end of a task its own effects have had their chance."""
TRIES_MAX = 3
TRIES_PER_S = DAY
"""So often within that time: what is mended later is shown then."""
AT_ONCE = 100
log = Log("concluding")


class Concluding:
    """Looks at start, and from then on every `LOOK_EVERY_S`."""

    def __init__(
        self,
        *,
        left_open: LeftOpen,
        tasks: Tasks,
        settlements: Settlements,
        clock: Clock,
        wakeups: Wakeups,
    ) -> None:
        """Plan what shall be seen by `settlements`."""
        self._left_open = left_open
        self._tasks = tasks
        self._settlements = settlements
        self._clock = clock
        self._wakeups = wakeups
        self._bell = Wakeup()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.conclude_all()
                pause = LOOK_EVERY_S
            except StoreError as error:
                log.error("checks cannot be looked through", code=error.code, error=str(error))
                pause = STORE_WAIT_S
            await self._bell.wait(pause)

    async def conclude_all(self) -> int:
        """Conclude whatever was left in progress; say how many that were."""
        now, after, count = self._clock.now(), None, 0
        while True:
            page = await self._left_open.page(
                since=max(0, now - round(1000 * SINCE_S)),
                after=after,
                before=now - round(1000 * SETTLED_S),
                tried_since=max(0, now - round(1000 * TRIES_PER_S)),
                tries_max=TRIES_MAX,
                limit=AT_ONCE,
            )
            for effect in page:
                count += _is_in_progress(effect) and await self._conclude(effect)
            if len(page) < AT_ONCE:
                break
            after = EffectId(page[-1].id)
        if count:
            self._wakeups.effects.wake()
        return count

    async def _conclude(self, left: Effect) -> bool:
        """Conclude one; what covend itself fails at keeps no other waiting."""
        try:
            return await self._show_end(left)
        except StoreError:
            raise
        except Exception:
            log.exception("a check cannot be concluded", effect=left.id)
            return False

    async def _show_end(self, left: Effect) -> bool:
        story = await self._tasks.story(left.task) if left.task else None
        if story is None:
            return False
        policy = await self._tasks.policy_of(story.task)
        effects = self._settlements.conclude(story.task, policy)
        alike = tuple(each for each in effects if each[1].slot == left.slot)
        if not alike or not await self._left_open.conclude(left.id, alike, self._clock.now()):
            return False
        log.warning("a check was left in progress", task=story.task.id, target=left.target)
        return True


def _is_in_progress(effect: Effect) -> bool:
    body = effect.request.get("body", {})
    is_check_open = body.get("status") in {"queued", "in_progress"}
    return bool(is_check_open or body.get("state") == "pending")
