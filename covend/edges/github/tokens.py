"""The installation tokens at hand: which are good for long enough, and which nobody needs any more.

In memory only. It asks GitHub nothing: who takes a token out revokes it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from covend.core.model import Moment

SPARE_MS = 5 * 60 * 1000
"""A token is used until this long before its end."""
IDLE_MS = 20 * 60 * 1000
"""What was not asked for in so long is needed no more; git may take half of that with one."""
TOKENS_MAX = 500
"""One more takes the place of the one that was of no use for longest."""


class Scope(NamedTuple):
    """What one token is for: nothing beside it."""

    installation: int
    repository: str | int
    permissions: tuple[tuple[str, str], ...]


@dataclass(slots=True, kw_only=True)
class Token:
    """One that GitHub gave."""

    installation: int
    text: str = field(repr=False)
    expires_at: Moment
    """By the machine's clock."""
    used_at: Moment = 0
    """By covend's own."""


class Tokens:
    """One token for each scope."""

    def __init__(self, now: Callable[[], Moment], wall: Callable[[], Moment]) -> None:
        """`wall` tells when a token ends, `now` how long it was of no use."""
        self._now = now
        self._wall = wall
        self._tokens: OrderedDict[Scope, Token] = OrderedDict()
        self._displaced: deque[Token] = deque(maxlen=TOKENS_MAX)

    def find(self, scope: Scope) -> str | None:
        """Give a token that is good for `SPARE_MS` yet."""
        token = self._tokens.get(scope)
        if token is None or token.expires_at - SPARE_MS <= self._wall():
            return None
        token.used_at = self._now()
        self._tokens.move_to_end(scope)
        return token.text

    def keep(self, scope: Scope, text: str, expires_at: Moment) -> None:
        """Keep a fresh token; the one before it, or one too many, is displaced."""
        older = self._tokens.pop(scope, None)
        if older is None and len(self._tokens) >= TOKENS_MAX:
            _, older = self._tokens.popitem(last=False)
        if older is not None:
            self._displaced.append(older)
        self._tokens[scope] = self._token(scope, text, expires_at)

    def displace(self, scope: Scope, text: str, expires_at: Moment) -> None:
        """Take note of a token that is used once, and of none that is found by its scope."""
        self._displaced.append(self._token(scope, text, expires_at))

    def forget(self, text: str) -> None:
        """Drop a token that GitHub does not accept."""
        for scope in [scope for scope, token in self._tokens.items() if token.text == text]:
            del self._tokens[scope]

    def take_idle(self) -> Sequence[Token]:
        """Take out what nobody has asked for in `IDLE_MS`, and is good yet."""
        idle_since = self._now() - IDLE_MS
        gone = [scope for scope, token in self._tokens.items() if token.used_at <= idle_since]
        taken = [self._tokens.pop(scope) for scope in gone]
        displaced = [token for token in self._displaced if token.used_at <= idle_since]
        for token in displaced:
            self._displaced.remove(token)
        return self._good(taken + displaced)

    def take_all(self) -> Sequence[Token]:
        """Take out every token that is good yet."""
        taken = [*self._tokens.values(), *self._displaced]
        self._tokens.clear()
        self._displaced.clear()
        return self._good(taken)

    def _token(self, scope: Scope, text: str, expires_at: Moment) -> Token:
        now, installation = self._now(), scope.installation
        return Token(installation=installation, text=text, expires_at=expires_at, used_at=now)

    def _good(self, tokens: Sequence[Token]) -> Sequence[Token]:
        return [token for token in tokens if token.expires_at > self._wall()]
