"""What a page says once about the change before it.

It is kept here and named in the address by a number nobody guesses: so no link makes a page say
what its writer wants, and no cookie is needed. A restart forgets it.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass

from covend.core.model import Moment

KEPT_MAX = 256
KEPT_MS = 60_000
SAID = "said"
"""The name of the parameter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """One sentence to whoever has asked for a change."""

    text: str
    is_error: bool = False


class Sayings:
    """The last sentences, each for a minute."""

    def __init__(self) -> None:
        """Begin with none."""
        self._kept: OrderedDict[str, tuple[Moment, str, Saying]] = OrderedDict()

    def keep(self, saying: Saying, visitor: str, now: Moment) -> str:
        """Keep one for a visitor; give its name."""
        name = secrets.token_urlsafe(9)
        self._kept[name] = (now + KEPT_MS, visitor, saying)
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return name

    def find(self, name: str, visitor: str, now: Moment) -> Saying | None:
        """Give one; None where it is over, or somebody else's."""
        until, owner, saying = self._kept.get(name, (0, "", None))
        return saying if until > now and owner == visitor else None
