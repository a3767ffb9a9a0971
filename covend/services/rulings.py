"""The rules by which something is explained: those in force, or those of a configuration that
nobody runs by.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from covend.core.model import Event, Trust
from covend.core.rules.routing import prepare
from covend.core.rules.verdicts import Routing
from covend.core.safeguards.shapes import Terms
from covend.core.settings import Policy, Settings
from covend.services.rulebook import terms_of


class Rulings(Protocol):
    """What a `Rulebook` can tell."""

    def route(self, event: Event) -> Routing:
        """Give the rules' verdicts."""
        ...

    def policy(self, rule: str, trust: Trust) -> Policy | None:
        """Give the policy for a rule and a trust; None where there is no such rule."""
        ...

    def terms(self) -> Terms:
        """Say what claims are bound by."""
        ...

    def chain_depth(self) -> int:
        """Say how many tasks in a row may start each other."""
        ...


class WrittenRules:
    """Rules as a configuration has them, in force nowhere."""

    def __init__(self, settings: Settings, own_logins: Iterable[str]) -> None:
        """Never let what `own_logins` do start work."""
        self._settings = settings
        self.route = prepare(
            settings.rules,
            settings.policies,
            own_logins,
            settings.github.ignore_senders,
            policies_by_trust=settings.policies_by_trust,
            chain_depth=settings.limits.chain_depth,
        ).route

    def policy(self, rule: str, trust: Trust) -> Policy | None:
        """See `Rulings.policy`."""
        settings = self._settings
        return settings.policies_by_trust.get((rule, trust)) or settings.policies.get(rule)

    def terms(self) -> Terms:
        """See `Rulings.terms`."""
        return terms_of(self._settings, self._settings)

    def chain_depth(self) -> int:
        """See `Rulings.chain_depth`."""
        return self._settings.limits.chain_depth
