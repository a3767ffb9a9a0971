"""Holds kept workspaces and mirrors to their age and their share of the disk, safeguards to those
that have something to say, and tokens to those that are needed, round by round.

Refuses to end by an error: what could not be removed in this round is left to the next.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from covend.edges.workspace.keeping import Workspaces
from covend.services.clock import Clock
from covend.store.protocol import Guards
from covend.telemetry.logs import Log

EVERY_S = 600.0
RevokeIdle = Callable[[], Awaitable[None]]
"""Bounded in time, and never fails."""
log = Log("tidying")


class Tidying:
    """Tidies at start and from then on every `EVERY_S`."""

    def __init__(
        self,
        *,
        workspaces: Workspaces,
        guards: Guards,
        clock: Clock,
        revoke_idle: RevokeIdle,
        age_s: float,
        budget_bytes: int,
    ) -> None:
        """Keep failed workspaces for `age_s`, and them and the mirrors within `budget_bytes`;
        `revoke_idle` gives back what tokens nobody needs.
        """
        assert age_s > 0
        assert budget_bytes >= 0
        self._workspaces = workspaces
        self._guards = guards
        self._clock = clock
        self._revoke_idle = revoke_idle
        self._age_s = age_s
        self._budget_bytes = budget_bytes

    async def run(self) -> None:
        """Tidy until cancelled."""
        while True:
            await self.tidy()
            await anyio.sleep(EVERY_S)

    async def tidy(self) -> None:
        """Tidy once."""
        await self._tidy_workspaces()
        await self._tidy_guards()
        await self._revoke_idle()

    async def _tidy_workspaces(self) -> None:
        try:
            done = await self._workspaces.tidy(age_s=self._age_s, budget_bytes=self._budget_bytes)
        except Exception:
            log.exception("the workspaces could not be tidied; the next round tries again")
            return
        if done.kept_count or done.mirrors_count:
            log.info(
                "tidied",
                kept=done.kept_count,
                mirrors=done.mirrors_count,
                left_bytes=done.left_bytes,
            )

    async def _tidy_guards(self) -> None:
        try:
            count = await self._guards.tidy(self._clock.now())
        except Exception:
            log.exception("the safeguards could not be tidied; the next round tries again")
            return
        if count:
            log.info("safeguards tidied", count=count)
