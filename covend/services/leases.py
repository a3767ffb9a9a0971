"""The heartbeat of this process's attempts; one whose claim is not ours any more is stopped at
once, and so is one that somebody wishes to end.

It beats in a thread of its own, past the event loop: however long that stands still, no lease is
lost. What nobody renews is given back: an attempt may have ended without settling its task.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from functools import partial

import anyio
import anyio.to_thread

from covend.core.contract.outcome import StopReason
from covend.core.errors import ClaimLostError, StoreError
from covend.core.model import Attempt, ClaimToken, Task, TaskId
from covend.services.clock import Clock
from covend.services.dispatcher import Running
from covend.services.endings import lost
from covend.services.giving_back import GivingBack
from covend.store.protocol import Renewed, Tasks
from covend.telemetry.logs import Log
from covend.telemetry.metrics import Metrics

RENEWALS_PER_LEASE = 3
SWEPT_AT_ONCE = 20
"""So many expired leases are read at once: each may take as long as its agent takes to end."""
LOST = lost("covend lost hold of this attempt; its log says why")
log = Log("leases")


class Leases:
    """Renews the lease of everything in `running`, and sweeps up what has none any more."""

    def __init__(
        self,
        *,
        tasks: Tasks,
        from_thread: Tasks,
        running: Mapping[ClaimToken, Running],
        giving_back: GivingBack,
        clock: Clock,
        metrics: Metrics,
        lease_s: float,
    ) -> None:
        """Renew and sweep each third of a lease; `from_thread` are the same tasks, over a
        `store.connection.FromThread`.
        """
        assert lease_s > 0
        self._tasks = tasks
        self._from_thread = from_thread
        self._running = running
        self._giving_back = giving_back
        self._clock = clock
        self._metrics = metrics
        self._lease_s = lease_s
        self._pause_s = lease_s / RENEWALS_PER_LEASE

    async def run(self) -> None:
        """Renew and sweep until cancelled."""
        ended = threading.Event()
        beat = partial(self.beat, asyncio.get_running_loop())
        heart = threading.Thread(target=self._beat_until, args=(beat, ended), name="leases")
        heart.daemon = True
        heart.start()
        try:
            while True:
                await anyio.sleep(self._pause_s)
                await self.sweep()
        finally:
            ended.set()
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(heart.join)

    # --- in its own thread ---

    def _beat_until(self, beat: partial[None], ended: threading.Event) -> None:
        """Beat at each third of a lease; whatever goes wrong at one beat, there is a next one."""
        while not ended.wait(self._pause_s):
            try:
                beat()
            except Exception:
                log.exception("leases could not be renewed: a fault of covend")

    def beat(self, loop: asyncio.AbstractEventLoop) -> None:
        """Renew once, from another thread than that of `loop`, where attempts are stopped then."""
        # One call into the interpreter's own code: no claim comes or goes within it.
        running = dict(self._running)
        claims = {token: each.claim.task.id for token, each in running.items()}
        if not claims:
            return
        try:
            renewed = asyncio.run(self._renew(claims))
        except StoreError as error:
            log.error("leases could not be renewed", code=error.code, error=str(error))
            return
        loop.call_soon_threadsafe(self._heed, frozenset(claims), renewed)

    async def _renew(self, claims: Mapping[ClaimToken, TaskId]) -> Renewed:
        now = self._clock.now()
        return await self._from_thread.renew(claims, now=now, lease_s=self._lease_s)

    # --- in the event loop ---

    async def sweep(self) -> None:
        """Give back what is held by no attempt of this process, and was not renewed in time."""
        try:
            while await self._sweep_some() == SWEPT_AT_ONCE:
                pass
        except StoreError as error:
            log.error("expired leases cannot be read", code=error.code, error=str(error))

    async def _sweep_some(self) -> int:
        """Give back some, and say how many."""
        expired = await self._tasks.expired(self._clock.now(), limit=SWEPT_AT_ONCE)
        given = [
            await self._give_back(task, token, attempt)
            for task, token, attempt in expired
            if token not in self._running
        ]
        return sum(given)

    async def _give_back(self, task: Task, token: ClaimToken, attempt: Attempt) -> bool:
        """Give one back; what goes wrong at this one is tried again by the next sweep."""
        log.error("nobody is at this attempt", task=task.id, attempt=attempt.number)
        try:
            await self._giving_back.end([attempt])
            await self._giving_back.give_back(task, token, attempt, LOST, only_if_expired=True)
        except ClaimLostError:
            log.info("it was settled or renewed in the meantime", task=task.id)
        except StoreError as error:
            log.error("not given back: the store", code=error.code, error=str(error))
        except Exception:
            log.exception("not given back: a fault of covend", task=task.id)
        else:
            return True
        return False

    def _heed(self, claims: frozenset[ClaimToken], renewed: Renewed) -> None:
        """Stop what is not to go on; what has settled in the meantime is simply gone."""
        for token in claims - renewed.held:
            self._lose(token)
        for token in renewed.cancelled:
            self._stop(token, StopReason.CANCELLED)
        for token in renewed.superseded:
            self._stop(token, StopReason.SUPERSEDED)

    def _lose(self, token: ClaimToken) -> None:
        running = self._running.get(token)
        if running is not None:
            claim = running.claim
            log.error("a claim was lost", task=claim.task.id, attempt=claim.attempt)
            self._metrics.leases_lost.inc()
            running.stop.request(StopReason.LOST)

    def _stop(self, token: ClaimToken, reason: StopReason) -> None:
        running = self._running.get(token)
        if running is not None and running.stop.reason is None:
            log.info("an attempt is not wanted any more", task=running.claim.task.id, why=reason)
            running.stop.request(reason)
