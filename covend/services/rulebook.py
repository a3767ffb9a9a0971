"""The rules in force: replaced as a whole, and only after their policies are in the store.

A configuration that cannot be read or followed on this machine, or a store that cannot take it,
changes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from operator import attrgetter

import anyio.to_thread

from covend.core.errors import ConfigError, StoreError
from covend.core.model import Event
from covend.core.rules.routing import Router, prepare
from covend.core.rules.verdicts import Routing
from covend.core.settings import Settings
from covend.services.clock import Clock
from covend.store.protocol import Deliveries
from covend.telemetry.logs import Log

Reload = Callable[[], Settings]
"""Reads the configuration again; ConfigError where it cannot be used."""

Accept = Callable[[Settings], Awaitable[None]]
"""Tries whether this machine can do what a configuration asks for; ConfigError where it cannot."""

AT_START: Mapping[str, Callable[[Settings], object]] = {
    **{
        name: attrgetter(name)
        for name in ("state_dir", "server", "admin", "store", "github", "limits")
    },
    "agents.*.concurrency": lambda settings: {
        name: agent.concurrency for name, agent in settings.agents.items()
    },
}
"""What is read at a start and not by a reload."""

log = Log("rulebook")


class Rulebook:
    """Routes by the settings adopted last; before the first it routes nothing."""

    def __init__(self, *, deliveries: Deliveries, clock: Clock, own_logins: Iterable[str]) -> None:
        """Never let what `own_logins` do start work."""
        self._deliveries = deliveries
        self._clock = clock
        self._own_logins = tuple(own_logins)
        self._settings: Settings | None = None
        self._router: Router = prepare((), {}, self._own_logins, ())

    async def adopt(self, settings: Settings) -> None:
        """Put these rules and their agents in force for later deliveries; tasks keep their policy.

        Raises StoreError, and the rules before stay in force.
        """
        before = self._settings or settings
        changed = [name for name, look in AT_START.items() if look(before) != look(settings)]
        for policy in settings.policies.values():
            await self._deliveries.save_policy(policy, self._clock.now())
        self._router = prepare(
            settings.rules, settings.policies, self._own_logins, settings.github.ignore_senders
        )
        self._settings = before
        if changed:
            log.warning("these changes need a restart", sections=changed)

    async def reload(self, reload: Reload, accept: Accept) -> bool:
        """Adopt what `reload` reads and `accept` lets pass, and log what only a restart would put
        in force; False where everything stays as it was, and the log says why.
        """
        try:
            settings = await anyio.to_thread.run_sync(reload)
            await accept(settings)
            await self.adopt(settings)
        except (ConfigError, StoreError) as error:
            log.error("the configuration stays as it was", code=error.code, error=str(error))
            return False
        log.info("reloaded", rules=len(settings.rules))
        return True

    def route(self, event: Event) -> Routing:
        """Give the verdicts of the rules in force."""
        return self._router.route(event)
