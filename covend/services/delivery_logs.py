"""Knows which delivery logs there are: the App's, or those of the repositories' webhooks that the
deliveries themselves have named.

Refuses to forget a webhook because it has been quiet.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from covend.core.model import Moment
from covend.core.reconciling import Hook
from covend.edges.github.client import GitHubClient
from covend.edges.github.deliveries import DeliveryLog, app_log, hook_log
from covend.services.clock import Clock
from covend.store.protocol import Cursors, Deliveries

HOOKS_MAX = 100
"""The webhooks that are remembered: those that were heard of last."""
CURSOR = "reconcile/hooks"


class DeliveryLogs:
    """The logs to be looked through."""

    def __init__(
        self, *, github: GitHubClient, deliveries: Deliveries, cursors: Cursors, clock: Clock
    ) -> None:
        """Ask by `github`, as the App or with its plain token."""
        self._github = github
        self._deliveries = deliveries
        self._cursors = cursors
        self._clock = clock
        self._known: dict[str, DeliveryLog] = {}

    async def all(self) -> Sequence[DeliveryLog]:
        """List them; a log stays the same object, which knows when GitHub may be asked again."""
        now = self._now
        if self._github.auth.app_id is not None:
            found = [app_log(self._github, now)]
        else:
            found = [hook_log(self._github, hook, now) for hook in await self._hooks()]
        self._known = {each.name: self._known.get(each.name, each) for each in found}
        return list(self._known.values())

    def _now(self) -> Moment:
        return self._clock.now()

    async def _hooks(self) -> Sequence[Hook]:
        heard = {each.id: each for each in await self._deliveries.hooks()}
        known = _load(await self._cursors.find(CURSOR))
        merged = [*heard.values(), *(each for each in known if each.id not in heard)][:HOOKS_MAX]
        if merged != known:
            await self._cursors.put(CURSOR, _dump(merged), self._clock.now())
        return merged


def _load(text: str | None) -> list[Hook]:
    found = orjson.loads(text) if text else []
    return [Hook(id=number, repository=repository) for number, repository in found]


def _dump(hooks: Sequence[Hook]) -> str:
    return orjson.dumps([(each.id, each.repository) for each in hooks]).decode()
