"""Sends one effect, or looks for it, and writes down what became of it.

It never guesses: a look-up that fails is made again, and only what was looked for twice and was not
there is sent once more, byte for byte. Nothing is tried for ever: what cannot be decided is given
up, and is an operator's from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from covend.core.effects.annotations import lacks_part
from covend.core.effects.dismissals import dismissal_of
from covend.core.errors import GitHubError
from covend.core.model import Effect, EffectDraft, EffectId, EffectKind, Moment
from covend.core.states import EffectState
from covend.edges.github.client import GitHubClient, Sent
from covend.edges.github.errors import OutcomeUnknown, RateLimited, Refused
from covend.edges.github.surfaces import Surface
from covend.services.clock import Clock
from covend.services.fencing import Fencing, fence_of
from covend.services.insisting import insist
from covend.services.known_secrets import Secrets
from covend.store.protocol import Effects
from covend.telemetry.logs import Log, about
from covend.telemetry.metrics import Metrics

FIRST_LOOK_MS = 8_000
SECOND_LOOK_MS = 60_000
"""GitHub answers reads from replicas: absence counts when it is seen this long after the request
left.
"""

RETRY_MS = (2_000, 10_000, 30_000, 60_000, 300_000)
TRIES_MAX = 50
"""Requests and look-ups: at the last step of RETRY_MS about four hours; then it is the operator's.
"""
UNREAD_MAX = 1_000
"""Effects whose head could not be read, and how often: the oldest give way, and begin anew."""

SEEMS_MOVED = "the live head is another: it is read once more, since a replica may not know it yet"
FAULT = "covend itself failed at this; its log says why"
NO_PART = (
    "it adds to a check whose part before this one is not published: send that one again first"
)
FORGOTTEN = "covend lost sight of this while it was being sent"
ASKED_AGAIN = "it may be visible: it is looked up before it is sent again"

Dismissal = tuple[EffectId, EffectDraft]
log = Log("publisher")


class Sending:
    """What the publisher does about one effect."""

    def __init__(
        self,
        *,
        effects: Effects,
        github: GitHubClient,
        clock: Clock,
        metrics: Metrics,
        secrets: Secrets,
        fencing: Fencing,
        surfaces: Mapping[EffectKind, Surface],
    ) -> None:
        """Send through `github` by the `surfaces`, without anything that `secrets` knows."""
        self._effects = effects
        self._github = github
        self._clock = clock
        self._metrics = metrics
        self._secrets = secrets
        self._fencing = fencing
        self._surfaces = surfaces
        self._unread: dict[EffectId, int] = {}

    async def attend(self, effect: Effect) -> None:
        """Do what is due: look it up where it may be visible, else send it."""
        # What answers a command belongs to no task.
        of_task = {} if effect.task is None else {"task": effect.task}
        with about(**of_task, effect=effect.id, kind=effect.kind):
            surface = self._surfaces.get(effect.kind)
            if surface is None:
                await self._refuse(effect, f"covend has no way to publish a {effect.kind}")
            elif effect.state is EffectState.UNKNOWN:
                await self._look_up(effect, surface)
            elif effect.sent_at is not None:
                await self._look_first(effect)
            elif await self._may_leave(effect):
                await self._send(effect, surface)

    async def put_off(self, effect: Effect) -> None:
        """After a fault of covend's own: look up what may have left, and let others go before what
        has not.
        """
        if effect.state is EffectState.UNKNOWN:
            await self._look_again_or_fail(effect, FAULT)
        elif not await self.doubt(effect, FAULT) and (begun := await self._begin(effect)):
            await self._retry_or_fail(begun, FAULT, self._clock.now() + RETRY_MS[-1])

    async def doubt(self, effect: Effect, error: str) -> bool:
        """Have looked up what may have left; False where it was not being sent."""
        until = self._clock.now() + FIRST_LOOK_MS
        is_doubted = await insist(lambda: self._effects.doubt(effect.id, error=error, until=until))
        if is_doubted:
            self._count(effect, "unknown")
            log.warning("sent, and no answer", target=effect.target, error=error)
        return is_doubted

    # --- before it leaves -------------------------------------------------------------------------

    async def _may_leave(self, effect: Effect) -> bool:
        """Say whether what it is about is still there; where that cannot be read, it waits, and
        that is no try.
        """
        fence = fence_of(effect)
        if fence is None:
            return True
        try:
            moved = await self._fencing.has_moved(effect, fence)
        except RateLimited as error:
            await self._limit(effect, error)
            return False
        except Refused as error:
            await self._refuse(effect, f"the live head cannot be read: {error.code}: {error}")
            return False
        except GitHubError as error:
            await self._wait_for_head(effect, f"the live head: {error.code}: {error}")
            return False
        self._unread.pop(effect.id, None)
        if not moved:
            return True
        if effect.error == SEEMS_MOVED:
            await self._fencing.withdraw(effect)
        else:
            await self._wait(effect, SEEMS_MOVED, self._clock.now() + FIRST_LOOK_MS)
        return False

    async def _wait_for_head(self, effect: Effect, error: str) -> None:
        # The count is this process's own: a restart begins it anew, and tries are for sending.
        count = self._unread.pop(effect.id, 0) + 1
        if count >= TRIES_MAX:
            await self._refuse(effect, error)
            return
        self._unread[effect.id] = count
        if len(self._unread) > UNREAD_MAX:
            del self._unread[next(iter(self._unread))]
        await self._wait(effect, error, self._clock.now() + _wait_ms(count))

    async def _wait(self, effect: Effect, error: str, until: Moment) -> None:
        await self._effects.postpone(effect.id, error=error, until=until)
        self._count(effect, "postponed")
        log.warning("waits", target=effect.target, until=until, error=error)

    async def _refuse(self, effect: Effect, error: str) -> None:
        """Give up what cannot even leave; what may be visible already stays in doubt."""
        if effect.state is EffectState.UNKNOWN:
            await self._fail(effect, error, is_doubtful=True)
        elif (begun := await self._begin(effect)) is not None:
            await self._fail(begun, error, is_doubtful=effect.sent_at is not None)

    async def _look_first(self, effect: Effect) -> None:
        """It left once, nobody knows what became of it, and somebody has asked for it again."""
        if (begun := await self._begin(effect)) is None:
            return
        now = self._clock.now()
        await insist(lambda: self._effects.doubt(begun.id, error=ASKED_AGAIN, until=now))

    async def _begin(self, effect: Effect) -> Effect | None:
        begun = await self._effects.begin(effect.id, self._clock.now())
        if begun is None:
            log.info("not sent: another was faster, or it is withheld", target=effect.target)
        return begun

    # --- on its way -------------------------------------------------------------------------------

    async def _send(self, effect: Effect, surface: Surface) -> None:
        # Read before it is marked: a store that fails here leaves the effect where it is.
        previous = await self._effects.slot(effect.slot)
        if lacks_part(effect.request, previous.request if previous else {}):
            await self._refuse(effect, NO_PART)
            return
        begun = await self._begin(effect)
        if begun is None:
            return
        try:
            sent = await surface.send(
                self._github,
                replace(begun, request=self._secrets.values(begun.request)),
                _sent(previous),
            )
        except OutcomeUnknown as error:
            await self.doubt(begun, f"{error.code}: {error}")
        except RateLimited as error:
            await self._limit(begun, error)
        except Refused as error:
            await self._fail(begun, f"{error.code}: {error}")
        except GitHubError as error:
            await self._retry_or_fail(begun, f"{error.code}: {error}", self._later(begun.tries))
        else:
            await self._finish(begun, sent, "sent")

    async def _look_up(self, effect: Effect, surface: Surface) -> None:
        """Look for what may have been written; absent twice, the second time late enough, means it
        was not.
        """
        assert effect.sent_at is not None, "what is unknown has left"
        # No earlier than this covend: the clock may have been set between two.
        sent_at = max(effect.sent_at, self._clock.started_at)
        try:
            found = await surface.look_up(self._github, effect)
        except RateLimited as error:
            await self._limit(effect, error)
        except GitHubError as error:
            await self._look_again_or_fail(effect, f"look-up: {error}")
        else:
            if found is not None:
                await self._finish(effect, found, "found")
            elif self._clock.now() - sent_at >= SECOND_LOOK_MS:
                await self._send_again_or_fail(effect, sent_at)
            else:
                await self._effects.look_again(
                    effect.id, error="not there yet", until=sent_at + SECOND_LOOK_MS
                )

    # --- what became of it ------------------------------------------------------------------------

    async def _finish(self, effect: Effect, sent: Sent, how: str) -> None:
        now = self._clock.now()
        is_outdated = await insist(
            lambda: self._effects.finish(
                effect.id,
                remote_id=sent.remote_id,
                remote_url=sent.remote_url,
                now=now,
                dismissal=self._late_dismissal(effect, sent.remote_id),
            )
        )
        self._count(effect, how)
        log.info("published", how=how, target=effect.target, url=sent.remote_url)
        if is_outdated:
            log.info("outdated before it appeared", target=effect.target, url=sent.remote_url)

    def _late_dismissal(self, effect: Effect, remote_id: str) -> Dismissal | None:
        """A review that appears after a later one has ended was not there to be outdated by it."""
        if effect.kind is not EffectKind.REVIEW:
            return None
        return EffectId(self._clock.new_id()), dismissal_of(effect, remote_id)

    async def _fail(self, effect: Effect, error: str, *, is_doubtful: bool = False) -> None:
        now = self._clock.now()
        await insist(
            lambda: self._effects.fail(effect.id, error=error, now=now, is_doubtful=is_doubtful)
        )
        self._count(effect, "failed")
        log.error("could not be published", target=effect.target, error=error)

    async def _limit(self, effect: Effect, error: RateLimited) -> None:
        """Wait as long as GitHub asks to, with all the others that it has asked."""
        text, until = f"{error.code}: {error}", error.retry_at
        count = await insist(
            lambda: self._effects.postpone_installation(effect, error=text, until=until)
        )
        self._count(effect, "postponed")
        log.warning("waits", target=effect.target, until=until, error=text, effects=count)

    async def _retry_or_fail(self, effect: Effect, error: str, until: Moment) -> None:
        if effect.tries >= TRIES_MAX:
            await self._fail(effect, error)
            return
        await insist(lambda: self._effects.retry(effect.id, error=error, until=until))
        self._count(effect, "retried")
        log.warning("will be sent again", target=effect.target, until=until, error=error)

    async def _look_again_or_fail(self, effect: Effect, error: str) -> None:
        if effect.tries >= TRIES_MAX:
            await self._fail(effect, f"it may be visible or not: {error}", is_doubtful=True)
            return
        until = self._later(effect.tries)
        await self._effects.look_again(effect.id, error=error, until=until)

    async def _send_again_or_fail(self, effect: Effect, sent_at: Moment) -> None:
        """Send again what was looked up and was not there; the waiting counts from the last try."""
        error = "looked up and not there"
        if effect.tries >= TRIES_MAX:
            await self._fail(effect, f"{error}, however often it was sent")
            return
        until = sent_at + _wait_ms(effect.tries)
        await self._effects.retry(effect.id, error=error, until=until)
        self._count(effect, "absent")
        log.warning("will be sent again", target=effect.target, until=until, error=error)

    def _count(self, effect: Effect, result: str) -> None:
        self._metrics.effects_ended.labels(effect.kind, result).inc()

    def _later(self, tries: int) -> Moment:
        return self._clock.now() + _wait_ms(tries)


def _sent(previous: Effect | None) -> Sent | None:
    if previous is None or previous.remote_id is None:
        return None
    return Sent(remote_id=previous.remote_id, remote_url=previous.remote_url)


def _wait_ms(tries: int) -> int:
    return RETRY_MS[min(max(tries, 1), len(RETRY_MS)) - 1]
