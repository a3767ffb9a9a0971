"""The outbox to the world: each effect is marked before it leaves, and looked up where its outcome
is not known.

It never guesses: a look-up that fails is made again, and only what was looked for twice and was not
there is
sent once more, byte for byte.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import anyio

from covend.core.errors import GitHubError, StoreError
from covend.core.model import Effect, Moment
from covend.core.states import EffectState
from covend.edges.github.client import GitHubClient, Sent
from covend.edges.github.errors import (
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unreachable,
)
from covend.edges.github.surfaces import SURFACES
from covend.services.clock import Clock
from covend.services.insisting import insist
from covend.services.known_secrets import Secrets
from covend.services.side_by_side import SideBySide
from covend.services.wakeups import Wakeups
from covend.store.protocol import Effects
from covend.telemetry.logs import Log, about
from covend.telemetry.metrics import Metrics

AT_ONCE = 8
LOOK_EVERY_S = 15.0
STORE_WAIT_S = 1.0
FIRST_LOOK_MS = 8_000
SECOND_LOOK_MS = 60_000
"""GitHub answers reads from replicas: absence counts when it is seen this long after the request
left.
"""

SWEEP_EVERY_MS = 60_000
SWEPT_AT_ONCE = 100

RETRY_MS = (2_000, 10_000, 30_000, 60_000, 300_000)
TRIES_MAX = 50
"""Requests and look-ups: at the last step of RETRY_MS about four hours; then it is the operator's.
"""

FAULT = "covend itself failed at this; its log says why"
FORGOTTEN = "covend lost sight of this while it was being sent"

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
    ) -> None:
        """Send through `github`, without anything that `secrets` knows."""
        self._effects = effects
        self._github = github
        self._clock = clock
        self._wakeups = wakeups
        self._metrics = metrics
        self._secrets = secrets
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
        now, limit = self._clock.now(), sends.limit
        doubtful = await self._effects.doubtful(now=now, limit=limit)
        sendable = await self._effects.sendable(now=now, limit=limit)
        due = (*doubtful, *sendable)
        return sum(
            sends.start(effect.id, partial(self._attend, effect), partial(self._put_off, effect))
            for effect in due
        )

    async def doubt_forgotten(self, sends: SideBySide) -> int:
        """Doubt what is marked as under way where nobody is at it; say how many that is."""
        marked = await self._effects.sending(limit=SWEPT_AT_ONCE)
        forgotten = [effect for effect in marked if not sends.has(effect.id)]
        for effect in forgotten:
            await self._doubt(effect, FORGOTTEN)
        return len(forgotten)

    async def _sweep(self, sends: SideBySide) -> None:
        now = self._clock.now()
        if now - self._swept_at >= SWEEP_EVERY_MS:
            await self.doubt_forgotten(sends)
            self._swept_at = now

    async def _attend(self, effect: Effect) -> None:
        # What answers a command belongs to no task.
        of_task = {} if effect.task is None else {"task": effect.task}
        with about(**of_task, effect=effect.id, kind=effect.kind):
            if effect.sent_at is not None and effect.state is EffectState.UNKNOWN:
                await self._look_up(effect, max(effect.sent_at, self._clock.started_at))
            else:
                await self._send(effect)

    async def _send(self, effect: Effect) -> None:
        # Read before it is marked: a store that fails here leaves the effect where it is.
        previous = await self._effects.slot(effect.slot)
        begun = await self._effects.begin(effect.id, self._clock.now())
        if begun is None:
            return
        try:
            sent = await SURFACES[begun.kind].send(
                self._github,
                replace(begun, request=self._secrets.values(begun.request)),
                Sent(remote_id=previous[0], remote_url=previous[1]) if previous else None,
            )
        except OutcomeUnknown as error:
            await self._doubt(begun, f"{error.code}: {error}")
        except RateLimited as error:
            await self._retry(begun, error, error.retry_at)
        except Refused as error:
            await self._fail(begun, f"{error.code}: {error}")
        except (Unreachable, GitHubError) as error:
            await self._retry_or_fail(begun, error)
        else:
            await self._finish(begun, sent, "sent")

    async def _look_up(self, effect: Effect, sent_at: Moment) -> None:
        """Look for what may have been written; absent twice, the second time late enough, means it
        was not. `sent_at` is no earlier than this covend: the clock may have been set between two.
        """
        try:
            found = await SURFACES[effect.kind].look_up(self._github, effect)
        except GitHubError as error:
            until = error.retry_at if isinstance(error, RateLimited) else self._later(effect.tries)
            await self._look_again_or_fail(effect, f"look-up: {error}", until)
            return
        if found is not None:
            await self._finish(effect, found, "found")
        elif self._clock.now() - sent_at >= SECOND_LOOK_MS:
            await self._send_again_or_fail(effect, sent_at)
        else:
            await self._effects.look_again(
                effect.id, error="not there yet", until=sent_at + SECOND_LOOK_MS
            )

    async def _finish(self, effect: Effect, sent: Sent, how: str) -> None:
        now = self._clock.now()
        await insist(
            lambda: self._effects.finish(
                effect.id, remote_id=sent.remote_id, remote_url=sent.remote_url, now=now
            )
        )
        self._metrics.effects_ended.labels(effect.kind, how).inc()
        log.info("published", how=how, target=effect.target, url=sent.remote_url)

    async def _look_again_or_fail(self, effect: Effect, error: str, until: Moment) -> None:
        if effect.tries >= TRIES_MAX:
            await self._fail(effect, f"it may be visible or not: {error}")
        else:
            await self._effects.look_again(effect.id, error=error, until=until)

    async def _send_again_or_fail(self, effect: Effect, sent_at: Moment) -> None:
        """Send again what was looked up and was not there; the waiting counts from the last try."""
        error = "looked up and not there"
        if effect.tries >= TRIES_MAX:
            await self._fail(effect, f"{error}, however often it was sent")
            return
        await self._effects.retry(effect.id, error=error, until=sent_at + _wait_ms(effect.tries))
        self._metrics.effects_ended.labels(effect.kind, "absent").inc()

    async def _put_off(self, effect: Effect) -> None:
        """After a fault of covend's own: look up what may have left, and let others go before what
        has not.
        """
        if effect.state is EffectState.UNKNOWN:
            await self._look_again_or_fail(effect, FAULT, self._later(effect.tries))
        else:
            await self._doubt(effect, FAULT)
            until = self._clock.now() + RETRY_MS[-1]
            await self._effects.postpone(effect.id, error=FAULT, until=until)

    async def _fail(self, effect: Effect, error: str) -> None:
        now = self._clock.now()
        await insist(lambda: self._effects.fail(effect.id, error=error, now=now))
        self._metrics.effects_ended.labels(effect.kind, "failed").inc()
        log.error("could not be published", target=effect.target, error=error)

    async def _doubt(self, effect: Effect, error: str) -> None:
        until = self._clock.now() + FIRST_LOOK_MS
        if await insist(lambda: self._effects.doubt(effect.id, error=error, until=until)):
            self._metrics.effects_ended.labels(effect.kind, "unknown").inc()
            log.warning("sent, and no answer", target=effect.target, error=error)

    async def _retry(self, effect: Effect, error: GitHubError, until: Moment) -> None:
        text = f"{error.code}: {error}"
        await insist(lambda: self._effects.retry(effect.id, error=text, until=until))
        self._metrics.effects_ended.labels(effect.kind, "retried").inc()
        log.warning("will be sent again", target=effect.target, until=until, error=str(error))

    async def _retry_or_fail(self, effect: Effect, error: GitHubError) -> None:
        if effect.tries >= TRIES_MAX:
            await self._fail(effect, f"{error.code}: {error}")
        else:
            await self._retry(effect, error, self._later(effect.tries))

    def _later(self, tries: int) -> Moment:
        return self._clock.now() + _wait_ms(tries)

    async def _pause_s(self) -> float:
        now = self._clock.now()
        due = await self._effects.next_due_at(now)
        return LOOK_EVERY_S if due is None else min(LOOK_EVERY_S, max(0.01, (due - now) / 1000))


def _wait_ms(tries: int) -> int:
    return RETRY_MS[min(max(tries, 1), len(RETRY_MS)) - 1]
