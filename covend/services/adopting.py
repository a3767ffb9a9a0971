"""After a backup was restored: takes for covend's own what was published in the time that was lost,
by tasks that are not known any more, so that their work, done once more, does not appear twice.

What was shown then stands: a review, and a check that was concluded. A comment is edited in place,
and a check that was left in progress is concluded. Where no backup was restored, it asks nobody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial

from covend.core.model import Effect, EffectKind
from covend.core.restoring import RESTORED, Lost, load_lost
from covend.edges.github.client import GitHubClient, Sent
from covend.edges.github.kin import find_comment, find_review, find_run
from covend.edges.github.surfaces import Send, Surface
from covend.services.clock import Clock
from covend.store.protocol import Cursors, Effects
from covend.telemetry.logs import Log

Adopt = Callable[[Send, Lost, GitHubClient, Effect, Sent | None], Awaitable[Sent]]
log = Log("adopting")


class Adopting:
    """Puts a look at what is there before what is sent."""

    def __init__(self, *, effects: Effects, cursors: Cursors, clock: Clock) -> None:
        """Know by `cursors` whether a backup was restored, and by `effects` what is known here."""
        self._effects = effects
        self._cursors = cursors
        self._clock = clock
        self._lost: Lost | None = None
        self._is_read = False
        self._adopt: Mapping[EffectKind, Adopt] = {
            EffectKind.CHECK: self._send_check,
            EffectKind.COMMENT: self._send_comment,
            EffectKind.REVIEW: self._send_review,
        }

    def over(self, surfaces: Mapping[EffectKind, Surface]) -> Mapping[EffectKind, Surface]:
        """Give the same surfaces, of which some look before they send; looking up is as it was."""
        return {
            kind: replace(surface, send=partial(self._send, self._adopt[kind], surface.send))
            if kind in self._adopt
            else surface
            for kind, surface in surfaces.items()
        }

    async def _send(
        self,
        adopt: Adopt,
        send: Send,
        client: GitHubClient,
        effect: Effect,
        previous: Sent | None,
    ) -> Sent:
        lost = await self._known_lost()
        if lost is None or not lost.may_have_shown(self._clock.now()):
            return await send(client, effect, previous)
        return await adopt(send, lost, client, effect, previous)

    async def _known_lost(self) -> Lost | None:
        """Read it once: a backup is restored only while no covend runs."""
        if not self._is_read:
            self._lost = load_lost(await self._cursors.find(RESTORED))
            self._is_read = True
        return self._lost

    async def _send_check(
        self, send: Send, _lost: Lost, client: GitHubClient, effect: Effect, previous: Sent | None
    ) -> Sent:
        """Conclude what the lost time has left in progress; nothing is added to what it has
        concluded, since an update would add its annotations once more.
        """
        run = await find_run(client, effect, await self._known(effect), previous)
        body = effect.request["body"]
        if run is None:
            return await send(client, effect, previous)
        if run.version == body["external_id"]:
            return await send(client, effect, run.sent)
        _tell(effect, run.sent)
        if run.is_concluded or "conclusion" not in body:
            return run.sent
        return await send(client, effect, run.sent)

    async def _send_comment(
        self, send: Send, lost: Lost, client: GitHubClient, effect: Effect, previous: Sent | None
    ) -> Sent:
        if previous is None and (kin := await find_comment(client, effect, lost.since)):
            _tell(effect, kin)
            return await send(client, effect, kin)
        return await send(client, effect, previous)

    async def _send_review(
        self, send: Send, _lost: Lost, client: GitHubClient, effect: Effect, previous: Sent | None
    ) -> Sent:
        if previous is None and (
            kin := await find_review(client, effect, await self._known(effect))
        ):
            _tell(effect, kin)
            return kin
        return await send(client, effect, previous)

    async def _known(self, effect: Effect) -> frozenset[str]:
        """Give the ids of what is known to be in the places beside the effect's."""
        beside = await self._effects.visible(f"{effect.slot.rpartition('/')[0]}/")
        return frozenset(each.remote_id for each in beside if each.remote_id)


def _tell(effect: Effect, kin: Sent) -> None:
    log.info("found from before the restore", target=effect.target, url=kin.remote_url)
