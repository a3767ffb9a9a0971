"""When GitHub may be asked again: remembers what it said about limits; refuses early, and never
waits.

https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from covend.core.model import Moment
from covend.edges.github.errors import RateLimited

WAIT_MIN_S = 60
"""Where GitHub names no moment: this long, and twice as long each time after."""
WAIT_MAX_S = 2 * 60 * 60
"""No answer, however odd, stops covend for longer; a primary limit lasts an hour at most."""
_DOUBLINGS_MAX = 5
_DIGITS_MAX = 15
"""A longer number is cut: it is beyond every bound either way, and Python refuses 4,300 digits."""
_LIMITED = frozenset({403, 429})
_TOO_MANY = 429
_SECONDARY = ("secondary rate limit", "abuse detection")


@dataclass(slots=True, kw_only=True)
class _Standing:
    until: Moment = 0
    limited_count: int = 0
    remaining: int | None = None


class Pacing:
    """The limits of every installation (None: of the plain token), since this process started."""

    def __init__(self, now: Callable[[], Moment]) -> None:
        """`now` gives ms UTC."""
        self._now = now
        self._standings: dict[int | None, _Standing] = {}

    @property
    def remaining(self) -> int | None:
        """The smallest number of requests that any installation has left in its hour."""
        known = [each.remaining for each in self._standings.values() if each.remaining is not None]
        return min(known, default=None)

    def require_open(self, installation: int | None) -> None:
        """Raise RateLimited where GitHub has asked to wait and that time is not over."""
        until = self._standing(installation).until
        if until > self._now():
            raise RateLimited("GitHub asked to wait", retry_at=until)

    def note(
        self, installation: int | None, status: int, headers: Mapping[str, str], message: str = ""
    ) -> None:
        """Learn from an answer; raises RateLimited where it is a refusal because of a limit."""
        standing = self._standing(installation)
        standing.remaining = _number(headers.get("x-ratelimit-remaining"), standing.remaining)
        if not _is_limit(status, headers, message):
            self._note_accepted(standing, status, headers)
            return
        standing.until = self._retry_at(standing, headers)
        standing.limited_count += 1
        raise RateLimited(f"GitHub's rate limit is reached ({status})", retry_at=standing.until)

    def _note_accepted(self, standing: _Standing, status: int, headers: Mapping[str, str]) -> None:
        """The last request of an hour is answered well; only the next one would be refused."""
        if status in _LIMITED:
            return
        standing.limited_count = 0
        if headers.get("x-ratelimit-remaining") == "0":
            standing.until = self._capped(_reset_at(headers))

    def _retry_at(self, standing: _Standing, headers: Mapping[str, str]) -> Moment:
        seconds = _number(headers.get("retry-after"))
        if seconds is not None:
            return self._capped(self._now() + seconds * 1000)
        if headers.get("x-ratelimit-remaining") == "0" and _reset_at(headers) > self._now():
            return self._capped(_reset_at(headers))
        doublings = min(standing.limited_count, _DOUBLINGS_MAX)
        return self._capped(self._now() + (WAIT_MIN_S << doublings) * 1000)

    def _capped(self, moment: Moment) -> Moment:
        return min(moment, self._now() + WAIT_MAX_S * 1000)

    def _standing(self, installation: int | None) -> _Standing:
        return self._standings.setdefault(installation, _Standing())


def _is_limit(status: int, headers: Mapping[str, str], message: str) -> bool:
    """A 403 is a limit only where GitHub says so; else a permission is missing."""
    if status not in _LIMITED:
        return False
    told = "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"
    return status == _TOO_MANY or told or any(words in message.lower() for words in _SECONDARY)


def _reset_at(headers: Mapping[str, str]) -> Moment:
    return (_number(headers.get("x-ratelimit-reset")) or 0) * 1000


def _number(text: str | None, default: int | None = None) -> int | None:
    if text is None or not (text.isascii() and text.isdigit()):
        return default
    return int(text[:_DIGITS_MAX])
