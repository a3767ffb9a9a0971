"""The outbox to the world: chooses what is due, one effect of a subject at a time, in its order.

It refuses to let anybody's crowd stand in others' way: a subject in doubt holds up itself alone, an
installation that GitHub limits itself alone, and no installation has all the places. Callbacks are
none of its business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain, zip_longest

import anyio

from covend.core.errors import StoreError
from covend.core.model import Effect, EffectId, EffectKind, Moment
from covend.edges.github.client import GitHubClient
from covend.edges.github.pacing import WRITERS_MAX
from covend.edges.github.surfaces import SURFACES, Surface
from covend.services.clock import Clock
from covend.services.fencing import Fencing
from covend.services.known_secrets import Secrets
from covend.services.sending import FORGOTTEN, Sending
from covend.services.side_by_side import SideBySide
from covend.services.wakeups import Wakeups
from covend.store.protocol import Effects
from covend.telemetry.logs import Log
from covend.telemetry.metrics import Metrics

AT_ONCE = 8
PLACES_MAX = WRITERS_MAX
"""Of one installation, whose writes wait for each other; all the rest is for others."""
LOOK_EVERY_S = 15.0
STORE_WAIT_S = 1.0
SWEEP_EVERY_MS = 60_000
SWEPT_AT_ONCE = 100

log = Log("publisher")


class Publisher:
    """Sends what is due, at most one effect of a subject at a time."""

    def __init__(
        self,
        *,
        effects: Effects,
        github: GitHubClient,
        clock: Clock,
        wakeups: Wakeups,
        metrics: Metrics,
        secrets: Secrets,
        fencing: Fencing,
        surfaces: Mapping[EffectKind, Surface] = SURFACES,
    ) -> None:
        """Send through `github` by the `surfaces`, without anything that `secrets` knows; a kind
        that has none is given up.
        """
        self._effects = effects
        self._clock = clock
        self._wakeups = wakeups
        self._sending = Sending(
            effects=effects,
            github=github,
            clock=clock,
            metrics=metrics,
            secrets=secrets,
            fencing=fencing,
            surfaces=surfaces,
        )
        self._places: Counter[int | None] = Counter()
        self._attended: set[EffectId] = set()
        """What has come to an end since the outbox was read last: it is not as it was read."""
        self._swept_at: Moment = 0
        self._is_draining = False
        self._emptied = anyio.Event()

    async def run(self) -> None:
        """Publish until drained or cancelled."""
        try:
            async with anyio.create_task_group() as group:
                sends = SideBySide(group, at_once=AT_ONCE, bell=self._wakeups.effects)
                while (pause := await self._round(sends)) is not None:
                    await self._wakeups.effects.wait(pause)
        finally:
            self._emptied.set()

    def drain(self) -> None:
        """Send what is due already, and end: what waits for a moment waits for the next start."""
        self._is_draining = True
        self._wakeups.effects.wake()

    async def drained(self, seconds: float) -> None:
        """Wait until nothing is under way, so long at most: what is cut off must be looked up."""
        with anyio.move_on_after(seconds):
            await self._emptied.wait()

    async def _round(self, sends: SideBySide) -> float | None:
        """Start what is due, and say how long to wait then; None where that was the last."""
        try:
            await self._sweep(sends)
            await self.publish_due(sends)
            pause = await self._pause_s()
        except StoreError as error:
            log.error("the outbox cannot be read", code=error.code, error=str(error))
            pause = STORE_WAIT_S
        return None if self._is_draining and not sends.is_busy else pause

    async def publish_due(self, sends: SideBySide) -> int:
        """Start to look up and send what is due now, by subject; say how many that is."""
        started_count = 0
        # Who has all its places is not listed again, so that each look finds others.
        for _ in range(AT_ONCE):
            due = await self._due(sends.limit)
            newly = sum(self._start(effect, sends) for effect in due)
            started_count += newly
            if not newly:
                break
        return started_count

    async def doubt_forgotten(self, sends: SideBySide) -> int:
        """Doubt what is marked as under way where nobody is at it; say how many that is."""
        marked = await self._effects.sending(limit=SWEPT_AT_ONCE)
        forgotten = [effect for effect in marked if not sends.has(effect.id)]
        for effect in forgotten:
            await self._sending.doubt(effect, FORGOTTEN)
        return len(forgotten)

    async def _sweep(self, sends: SideBySide) -> None:
        now = self._clock.now()
        if now - self._swept_at >= SWEEP_EVERY_MS:
            await self.doubt_forgotten(sends)
            self._swept_at = now

    async def _due(self, limit: int) -> Sequence[Effect]:
        """List what to look up and what to send by turns, so that neither keeps all the places."""
        self._attended.clear()
        now = self._clock.now()
        busy = [each for each, held_count in self._places.items() if held_count >= PLACES_MAX]
        doubtful = await self._effects.doubtful(now=now, limit=limit, busy=busy)
        sendable = await self._effects.sendable(now=now, limit=limit, busy=busy)
        turns = chain.from_iterable(zip_longest(doubtful, sendable))
        return [effect for effect in turns if effect is not None]

    def _start(self, effect: Effect, sends: SideBySide) -> bool:
        if self._places[effect.installation_id] >= PLACES_MAX:
            return False
        attend, put_off = partial(self._attend, effect), partial(self._put_off, effect)
        is_started = effect.id not in self._attended and sends.start(effect.id, attend, put_off)
        self._places[effect.installation_id] += is_started
        return is_started

    async def _attend(self, effect: Effect) -> None:
        try:
            await self._sending.attend(effect)
        finally:
            self._places[effect.installation_id] -= 1
            self._attended.add(effect.id)

    async def _put_off(self, effect: Effect) -> None:
        try:
            await self._sending.put_off(effect)
        finally:
            self._attended.add(effect.id)

    async def _pause_s(self) -> float:
        now = self._clock.now()
        due = await self._effects.next_due_at(now)
        return LOOK_EVERY_S if due is None else min(LOOK_EVERY_S, max(0.01, (due - now) / 1000))
