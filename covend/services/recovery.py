"""At start, before anything is claimed: what a former covend left running is ended, and its task
given back.

Refuses to claim or send anything itself: what was being sent is only doubted.
"""

from __future__ import annotations

from covend.core.errors import StoreError
from covend.core.model import Attempt, ClaimToken, Task
from covend.edges.workspace.keeping import Workspaces
from covend.services.clock import Clock
from covend.services.endings import lost
from covend.services.giving_back import GivingBack
from covend.services.sending import FIRST_LOOK_MS
from covend.store.protocol import Effects, Tasks
from covend.telemetry.logs import Log

LOST = lost("covend stopped while this attempt was running")
log = Log("recovery")


class Recovery:
    """Runs once."""

    def __init__(
        self,
        *,
        tasks: Tasks,
        effects: Effects,
        clock: Clock,
        giving_back: GivingBack,
        workspaces: Workspaces,
    ) -> None:
        """Clear everything away that attempts had in `workspaces`."""
        self._tasks = tasks
        self._effects = effects
        self._clock = clock
        self._giving_back = giving_back
        self._workspaces = workspaces

    async def run(self) -> None:
        """End what was left, clear away its workspaces, give back its tasks, and doubt what was
        being sent.
        """
        running = await self._tasks.running()
        await self._giving_back.end([attempt for _, _, attempt in running])
        await self._workspaces.clean_up()
        for task, token, attempt in running:
            await self._give_back(task, token, attempt)
        now = self._clock.now()
        doubted = await self._effects.doubt_all_sending(now + FIRST_LOOK_MS)
        if running or doubted:
            log.warning("recovered", tasks=len(running), effects_in_doubt=doubted)

    async def _give_back(self, task: Task, token: ClaimToken, attempt: Attempt) -> None:
        """Give one back; what covend itself fails at keeps covend from no start: it is tried again
        when its lease is over.
        """
        try:
            await self._giving_back.give_back(task, token, attempt, LOST)
        except StoreError:
            raise
        except Exception:
            log.exception("not given back: a fault of covend", task=task.id)
