"""The rules in force: replaced as a whole, and only after their policies are in the store.

A configuration that cannot be read or followed on this machine, or a store that cannot take it,
changes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from operator import attrgetter
from urllib.parse import urlsplit

import anyio.to_thread

from covend.core.errors import ConfigError, StoreError
from covend.core.model import Event, Trust
from covend.core.outside import Callback, Schedule
from covend.core.rules.commands import PREFIX
from covend.core.rules.routing import Router, prepare
from covend.core.rules.verdicts import Routing
from covend.core.safeguards.shapes import Terms
from covend.core.settings import Agent, Policy, Rule, Settings
from covend.services.clock import Clock
from covend.store.protocol import Deliveries
from covend.telemetry.logs import Log

Reload = Callable[[], Settings]
"""Reads the configuration again; ConfigError where it cannot be used."""

Accept = Callable[[Settings], Awaitable[None]]
"""Tries whether this machine can do what a configuration asks for; ConfigError where it cannot."""

AT_START: Mapping[str, Callable[[Settings], object]] = {
    name: attrgetter(name)
    for name in ("state_dir", "server", "admin", "store", "github", "limits", "sources")
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
        self._at_start: Settings | None = None
        self._settings: Settings | None = None
        self._router: Router = prepare((), {}, self._own_logins, ())

    async def adopt(self, settings: Settings) -> None:
        """Put these rules and their agents in force for later deliveries; tasks keep their policy.

        Raises StoreError, and the rules before stay in force.
        """
        at_start = self._at_start or settings
        changed = [name for name, look in AT_START.items() if look(at_start) != look(settings)]
        for policy in (*settings.policies.values(), *settings.policies_by_trust.values()):
            await self._deliveries.save_policy(policy, self._clock.now())
        self._router = prepare(
            settings.rules,
            settings.policies,
            self._own_logins,
            settings.github.ignore_senders,
            policies_by_trust=settings.policies_by_trust,
            chain_depth=at_start.limits.chain_depth,
        )
        self._at_start, self._settings = at_start, settings
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

    def chain_depth(self) -> int:
        """Say how many tasks in a row may start each other, as at the start."""
        assert self._at_start is not None
        return self._at_start.limits.chain_depth

    def terms(self) -> Terms:
        """Say what claims are bound by: safeguards as they are in force, limits as at the start."""
        assert self._at_start is not None
        assert self._settings is not None
        return terms_of(self._at_start, self._settings)

    def callbacks(self) -> Mapping[str, Callback]:
        """Give the callbacks in force, by name."""
        return self._settings.callbacks if self._settings else {}

    def verbs(self) -> tuple[str, ...]:
        """List the verbs that rules in force listen to, in their order, each once; no globs."""
        rules = self._settings.rules if self._settings else ()
        names = (name for rule in rules for name in rule.on if name.startswith(PREFIX))
        verbs = (name.removeprefix(PREFIX) for name in names)
        return tuple(dict.fromkeys(verb for verb in verbs if not set(verb) & set("*?[!")))

    def rules(self) -> tuple[str, ...]:
        """List the rules in force by name, in their order."""
        return tuple(rule.name for rule in self._settings.rules) if self._settings else ()

    def in_force(self) -> tuple[Rule, ...]:
        """Give the rules in force as they are configured, in their order."""
        return self._settings.rules if self._settings else ()

    def agents(self) -> Mapping[str, Agent]:
        """Give the agents in force, by name."""
        return self._settings.agents if self._settings else {}

    def schedules(self) -> tuple[Schedule, ...]:
        """List the schedules in force, in their order."""
        return self._settings.schedules if self._settings else ()

    def names_of(self, kind: str) -> tuple[str, ...] | None:
        """List the rules (`rule`) or agents (`agent`) in force by name; None for anything else."""
        match kind:
            case "rule":
                return self.rules()
            case "agent":
                return tuple(self._settings.agents) if self._settings else ()
            case _:
                return None

    def policy(self, rule: str, trust: Trust) -> Policy | None:
        """Give the policy in force for a rule and a trust; None where the rule is gone."""
        settings = self._settings
        if settings is None:
            return None
        return settings.policies_by_trust.get((rule, trust)) or settings.policies.get(rule)


def terms_of(at_start: Settings, settings: Settings) -> Terms:
    """Gather what claims are bound by out of the settings of the start and those in force; an agent
    that is gone may still have tasks.
    """
    limits = at_start.limits
    agents = {**at_start.agents, **settings.agents}.items()
    return Terms(
        concurrency=limits.concurrency,
        agents={name: each.concurrency for name, each in agents if each.concurrency is not None},
        per_repository=limits.concurrency_per_repository,
        per_installation=limits.concurrency_per_installation,
        safeguards=settings.safeguards,
        usd_per_day=limits.budget_usd_per_day,
        tokens_per_day=limits.budget_tokens_per_day,
        usd_per_repository_per_day=limits.budget_usd_per_repository_per_day,
        tokens_per_repository_per_day=limits.budget_tokens_per_repository_per_day,
        host=urlsplit(at_start.github.api_url).hostname,
    )
