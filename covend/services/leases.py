"""The heartbeat of this process's attempts; one whose claim is not ours any more is stopped at
once.

What nobody renews is given back: an attempt may have ended without settling its task.
"""

from __future__ import annotations

from collections.abc import Mapping

import anyio

from covend.core.contract.outcome import StopReason
from covend.core.errors import ClaimLostError, StoreError
from covend.core.model import Attempt, ClaimToken, Task
from covend.services.clock import Clock
from covend.services.dispatcher import Running
from covend.services.endings import lost
from covend.services.giving_back import GivingBack
from covend.store.protocol import Tasks
from covend.telemetry.logs import Log
from covend.telemetry.metrics import Metrics

RENEWALS_PER_LEASE = 3
LOST = lost("covend lost hold of this attempt; its log says why")
log = Log("leases")


class Leases:
    """Renews the lease of everything in `running`, and sweeps up what has none any more."""

    def __init__(
        self,
        *,
        tasks: Tasks,
        running: Mapping[ClaimToken, Running],
        giving_back: GivingBack,
        clock: Clock,
        metrics: Metrics,
        lease_s: float,
    ) -> None:
        """Renew and sweep each third of a lease."""
        assert lease_s > 0
        self._tasks = tasks
        self._running = running
        self._giving_back = giving_back
        self._clock = clock
        self._metrics = metrics
        self._lease_s = lease_s

    async def run(self) -> None:
        """Renew and sweep until cancelled."""
        while True:
            await anyio.sleep(self._lease_s / RENEWALS_PER_LEASE)
            await self.renew()
            await self.sweep()

    async def renew(self) -> None:
        """Renew once."""
        claims = {token: running.claim.task.id for token, running in self._running.items()}
        if not claims:
            return
        try:
            held = await self._tasks.renew(claims, now=self._clock.now(), lease_s=self._lease_s)
        except StoreError as error:
            log.error("leases could not be renewed", code=error.code, error=str(error))
            return
        for token in claims.keys() - held:
            self._lose(token)

    async def sweep(self) -> None:
        """Give back what is held by no attempt of this process, and was not renewed in time."""
        try:
            expired = await self._tasks.expired(self._clock.now())
        except StoreError as error:
            log.error("expired leases cannot be read", code=error.code, error=str(error))
            return
        for task, token, attempt in expired:
            if token not in self._running:
                await self._give_back(task, token, attempt)

    async def _give_back(self, task: Task, token: ClaimToken, attempt: Attempt) -> None:
        """Give one back; what goes wrong at this one is tried again by the next sweep."""
        log.error("nobody is at this attempt", task=task.id, attempt=attempt.number)
        try:
            await self._giving_back.end([attempt])
            await self._giving_back.give_back(task, token, attempt, LOST)
        except ClaimLostError:
            log.info("it was settled in the meantime", task=task.id)
        except StoreError as error:
            log.error("not given back: the store", code=error.code, error=str(error))
        except Exception:
            log.exception("not given back: a fault of covend", task=task.id)

    def _lose(self, token: ClaimToken) -> None:
        """Stop an attempt; one that has settled in the meantime is simply gone."""
        running = self._running.get(token)
        if running is not None:
            claim = running.claim
            log.error("a claim was lost", task=claim.task.id, attempt=claim.attempt)
            self._metrics.leases_lost.inc()
            running.stop.request(StopReason.LOST)
