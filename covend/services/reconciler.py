"""Takes in what GitHub could not deliver: it looks through the delivery log at start, from time to
time, and when somebody asks.

Refuses to delete, to ask for a signature that the API does not show, and to take in anything twice:
what came by a webhook meanwhile is known by its id.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from covend.core.errors import (
    CovendError,
    DrainingError,
    GitHubError,
    NotPermittedError,
    StoreError,
)
from covend.edges.github.deliveries import DeliveryLog
from covend.edges.github.errors import MissingPermission, NotFound, RateLimited
from covend.services.clock import Clock
from covend.services.delivery_logs import DeliveryLogs
from covend.services.looking_through import LookingThrough
from covend.services.looks import Look, Looks, LookState, Stopped
from covend.services.readiness import Readiness
from covend.services.submitting import IsOpen
from covend.services.wakeups import Wakeups
from covend.telemetry.logs import Log

RETRY_S = 60.0
"""After a look that was stopped, where nobody says for how long to wait."""
NOTE = "reconcile"
"""Its place among the notes of `/readyz`."""
log = Log("reconciler")


class Reconciler:
    """The one loop that looks, and what `POST reconcile` asks."""

    def __init__(
        self,
        *,
        logs: DeliveryLogs,
        looking_through: LookingThrough,
        is_open: IsOpen,
        clock: Clock,
        wakeups: Wakeups,
        readiness: Readiness,
        every_s: float,
    ) -> None:
        """Look through the `logs` every `every_s`; 0: only when asked."""
        assert every_s >= 0
        self._logs = logs
        self._looking_through = looking_through
        self._is_open = is_open
        self._clock = clock
        self._wakeups = wakeups
        self._readiness = readiness
        self._every_s = every_s
        self._looks = Looks()
        self._refused: set[str] = set()
        self._is_unfinished = False
        """What somebody has asked for was stopped; it goes on also where nothing else does."""

    # --- what is asked ---

    def ask(self, since_s: float | None = None) -> Look:
        """Ask for a look back over so many seconds, and at least to where the last one ended; the
        loop does it next. Raises DrainingError while nothing is taken in.
        """
        if not self._is_open():
            raise DrainingError
        since = None if since_s is None else max(0, self._clock.now() - round(since_s * 1000))
        look = self._looks.ask(since)
        self._wakeups.reconcile.wake()
        return look

    def looks(self) -> Sequence[Look]:
        """List the last looks of this process, newest first."""
        return self._looks.newest_first()

    # --- the loop ---

    async def run(self) -> None:
        """Look until cancelled."""
        await self._begin()
        while True:
            is_wanted = self._every_s > 0 or self._is_unfinished
            look = self._looks.take(is_due=is_wanted and self._is_open())
            if look is not None:
                await self.look(look)
                self._is_unfinished = _will_go_on(look) and (look.is_asked or self._is_unfinished)
            # What rang during the look is heard at once, so that no ask waits for the next turn.
            await self._wakeups.reconcile.wait(self._pause_s(look))

    async def _begin(self) -> None:
        """Note when covend first ran, also where it looks only when asked."""
        try:
            await self._looking_through.begin()
        except StoreError as error:  # the first look notes it then
            log.error("the first start is not noted", code=error.code, error=str(error))

    def _pause_s(self, look: Look | None) -> float:
        if self._every_s == 0 and not self._is_unfinished:
            return math.inf
        retry_s = min(RETRY_S, self._every_s or RETRY_S)
        if not self._is_open():
            return retry_s  # what is refused meanwhile is in the log afterwards
        if look is None or not _will_go_on(look):
            return self._every_s or retry_s
        stopped = look.stopped
        if stopped is None or stopped.retry_at is None:
            return retry_s
        return max(1.0, (stopped.retry_at - self._clock.now()) / 1000)

    async def look(self, look: Look) -> None:
        """Look through every log; whatever stops it, the next look goes on from there."""
        look.started_at = self._clock.now()
        try:
            look.stopped = await self._through_all(look)
            look.is_complete = look.stopped is None
        except RateLimited as error:
            look.stopped = Stopped(code=error.code, message=str(error), retry_at=error.retry_at)
        except CovendError as error:
            look.stopped = Stopped(code=error.code, message=str(error))
        except Exception:
            log.exception("the delivery log cannot be looked through; the next round tries again")
            look.stopped = Stopped(code="internal", message="covend failed inside; see its log")
        finally:
            look.state = LookState.ENDED
            look.ended_at = self._clock.now()
            look.ended.set()
        self._say(look)

    async def _through_all(self, look: Look) -> Stopped | None:
        """Look through one log after the other; what is refused keeps none of the others back."""
        refused: list[str] = []
        for each in await self._logs.all():
            look.logs += 1
            try:
                await self._looking_through.look(look, each)
            except (MissingPermission, NotFound) as error:
                refused.append(self._note_refusal(each, error))
            else:
                self._refused.discard(each.name)
        if not refused:
            self._readiness.notes.pop(NOTE, None)
            return None
        self._readiness.notes[NOTE] = "; ".join(refused)
        return Stopped(code=NotPermittedError.code, message="; ".join(refused))

    def _note_refusal(self, of: DeliveryLog, error: GitHubError) -> str:
        """Say once that a log is not given: it will not be given the next time either."""
        told = f"GitHub does not show the deliveries of {of.of}: {of.needs}"
        if of.name not in self._refused:
            self._refused.add(of.name)
            log.warning("what GitHub could not deliver is not found", why=told, error=str(error))
        return told

    def _say(self, look: Look) -> None:
        counts = {
            "listed": look.listed,
            "known": look.known,
            "kept": look.kept,
            "ignored": look.ignored,
            "failed": look.failed,
        }
        stopped = look.stopped
        if stopped is not None and stopped.code != NotPermittedError.code:
            log.warning(
                "a look through the delivery log was stopped", why=stopped.message, **counts
            )
        elif look.kept or look.failed or look.is_asked:
            log.info("reconciled", **counts)


def _will_go_on(look: Look) -> bool:
    """Say whether it was stopped by what passes."""
    return look.stopped is not None and look.stopped.code != NotPermittedError.code
