"""Routes past deliveries by other rules, and says what they would start now that they did not
then; it keeps nothing and starts nothing.

What would start is what routing alone says: look-ups are not made, so that a rule that needs one
counts as starting. Of the same work only the first delivery starts it. What a replay, or covend's
own doing, has brought in is left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum

from msgspec import structs

from covend.core import intake
from covend.core.intake import Refused
from covend.core.model import Delivery, Moment, Via
from covend.core.rules.verdicts import Verdict
from covend.services.rulings import Rulings
from covend.store.protocol import Outlook, PastDelivery

AT_ONCE = 50
"""So many deliveries are read at once: the bound on what is in memory."""


class Change(StrEnum):
    """What the rules make of a delivery now, compared with then."""

    SAME = "same"
    NEW = "new"
    """It would start what it did not start then."""
    NO_LONGER = "no_longer"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRehearsed:
    """What one rule did then with a delivery, and would do now."""

    rule: str
    then: bool
    now: bool
    key: str | None
    is_first: bool
    """Whether it would make a task now, and meets none that a delivery before it would make."""
    reason_then: str | None
    reason_now: str | None

    @property
    def change(self) -> Change:
        """Compare."""
        if self.then == self.now:
            return Change.SAME
        return Change.NEW if self.now else Change.NO_LONGER


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """One delivery, then and now; `rules` has those that started anything, or would."""

    delivery: Delivery
    reason_now: str
    rules: tuple[RuleRehearsed, ...]
    is_readable: bool = True


class Rehearsing:
    """What `replay --since … --dry-run` asks."""

    def __init__(self, *, outlook: Outlook, rules: Rulings, mention: str | None) -> None:
        """Route by `rules`; `mention` is the name that hears commands."""
        self._outlook = outlook
        self._rules = rules
        self._mention = mention

    async def rehearse(self, since: Moment, rule: str | None = None) -> AsyncIterator[Rehearsed]:
        """Give what came in since a moment, oldest first, by one rule alone or by all.

        Raises StoreError.
        """
        first = await self._outlook.first_since(since)
        if first is None:
            return
        keys: set[str] = set()
        number = first - 1
        while True:
            past, number = await self._outlook.past(number, limit=AT_ONCE)
            for each in past:
                if each.delivery.via is not Via.REPLAY:
                    yield self._compare(each, rule, keys)
            if len(past) < AT_ONCE:
                return

    def _compare(self, past: PastDelivery, rule: str | None, keys: set[str]) -> Rehearsed:
        source = past.delivery.source
        read = intake.reopen(past.headers, past.body, self._mention, source=source)
        if isinstance(read, Refused):
            reason = "it cannot be read any more"
            return Rehearsed(delivery=past.delivery, reason_now=reason, rules=(), is_readable=False)
        routing = self._rules.route(structs.replace(read.event, closed_at=None))
        drafts = {draft.rule: draft.key for draft in routing.drafts}
        then, now = _reasons(past.verdicts), _reasons(routing.verdicts)
        names = dict.fromkeys([*past.started, *drafts])
        told = []
        for name in names:
            if rule not in (None, name):
                continue
            key = drafts.get(name)
            told.append(
                RuleRehearsed(
                    rule=name,
                    then=name in past.started,
                    now=key is not None,
                    key=key,
                    is_first=key is not None and key not in keys,
                    reason_then=then.get(name),
                    reason_now=now.get(name),
                )
            )
            if key is not None:
                keys.add(key)
        return Rehearsed(delivery=past.delivery, reason_now=str(routing.reason), rules=tuple(told))


def _reasons(verdicts: tuple[Verdict, ...]) -> dict[str, str]:
    return {verdict.rule: verdict.reason for verdict in verdicts}
