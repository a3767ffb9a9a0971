"""When GitHub may be asked again: remembers what it said about limits, and keeps the writes of one
installation a second apart.

It refuses early, and waits for nothing longer than the turns of a few writes.
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import StrEnum

import anyio

from covend.core.model import Moment
from covend.edges.github.errors import RateLimited

WRITE_GAP_MS = 1_000
"""GitHub asks for at least a second between two requests that change something."""
WRITERS_MAX = 3
"""Writes of one installation that wait for their turn; one more is told to come back."""
WAIT_MIN_S = 60
"""Where GitHub names no moment: this long, and twice as long each time after."""
REST_S = 60
"""After fresh credentials were not accepted. Many such, and GitHub refuses good ones as well:
https://docs.github.com/en/rest/authentication/authenticating-to-the-rest-api#failed-login-limit
"""
WAIT_MAX_S = 2 * 60 * 60
"""No answer, however odd, stops covend for longer; a primary limit lasts an hour at most."""
_DOUBLINGS_MAX = 5
_DIGITS_MAX = 15
"""A longer number is cut: it is beyond every bound either way, and Python refuses 4,300 digits."""
_LIMITED = frozenset({403, 429})
_TOO_MANY = 429
_SECONDARY = ("secondary rate limit", "abuse detection", "login attempts exceeded")


class Resource(StrEnum):
    """What has an hour of its own: GraphQL counts points, all else requests."""

    CORE = "core"
    GRAPHQL = "graphql"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What is left of one hour's requests, as GitHub has told it last."""

    remaining: int
    limit: int | None
    reset_at: Moment | None


@dataclass(slots=True, kw_only=True)
class _Hour:
    """What is left of a primary limit, as of its last answer."""

    remaining: int | None = None
    limit: int | None = None
    reset_at: Moment = 0
    until: Moment = 0


@dataclass(slots=True, kw_only=True)
class _Standing:
    until: Moment = 0
    """Asked to wait, whatever for."""
    rests_until: Moment = 0
    """Its credentials are not accepted."""
    limited_count: int = 0
    hours: dict[Resource, _Hour] = field(
        default_factory=lambda: {resource: _Hour() for resource in Resource}
    )
    wrote_at: Moment | None = None
    writers: int = 0
    turn: anyio.Lock = field(default_factory=anyio.Lock)


class Pacing:
    """The limits of every installation (None: of the App itself, or of the plain token), since this
    process started.
    """

    def __init__(self, now: Callable[[], Moment], *, gap_ms: int = WRITE_GAP_MS) -> None:
        """`now` gives ms UTC; 0 as `gap_ms` lets writes follow each other at once."""
        self._now = now
        self._gap_ms = gap_ms
        self._standings: dict[int | None, _Standing] = {}

    @property
    def remaining(self) -> int | None:
        """The smallest number of requests that any installation has left in an hour that is not
        over.
        """
        quota = self.quota()
        return None if quota is None else quota.remaining

    def quota(self) -> Quota | None:
        """Give what is left to the installation that has the least left of an hour that is not
        over; None where GitHub has told of none.
        """
        hours = [each.hours[Resource.CORE] for each in self._standings.values()]
        known = [
            Quota(remaining=hour.remaining, limit=hour.limit, reset_at=hour.reset_at or None)
            for hour in hours
            if hour.remaining is not None and not 0 < hour.reset_at <= self._now()
        ]
        return min(known, key=lambda quota: quota.remaining, default=None)

    def ready_at(self, installation: int | None) -> Moment:
        """Give the moment from which a write of an installation may leave; one in the past means
        now. Writes that wait for their turn already are counted.
        """
        standing = self._standings.get(installation)
        return 0 if standing is None else max(_until(standing, Resource.CORE), self._turn(standing))

    def require_open(self, installation: int | None, resource: Resource = Resource.CORE) -> None:
        """Raise RateLimited where GitHub has asked to wait and that time is not over."""
        standing = self._standing(installation)
        until = _until(standing, resource)
        if until > self._now():
            is_resting = until == standing.rests_until
            why = "GitHub does not accept who asks" if is_resting else "GitHub asked to wait"
            raise RateLimited(why, retry_at=until)

    def rest(self, installation: int | None) -> None:
        """Let nothing leave for `REST_S`: fresh credentials were not accepted."""
        self._standing(installation).rests_until = self._now() + REST_S * 1000

    @asynccontextmanager
    async def turn(self, installation: int | None) -> AsyncIterator[None]:
        """Wait until an installation's last write is a second old; what leaves within this counts
        as the next one, unless it raises.

        Raises RateLimited where too many wait already.
        """
        standing = self._standing(installation)
        if standing.writers >= WRITERS_MAX:
            raise RateLimited("other writes come first", retry_at=self._turn(standing))
        standing.writers += 1
        try:
            async with standing.turn:
                await self._wait_for_gap(standing)
                yield
                standing.wrote_at = self._now()
        finally:
            standing.writers -= 1

    def note(
        self,
        installation: int | None,
        status: int,
        headers: Mapping[str, str],
        message: str = "",
        *,
        resource: Resource = Resource.CORE,
        limited: bool = False,
    ) -> None:
        """Learn from an answer; raises RateLimited where it is a refusal because of a limit.

        `limited` says so of one whose status does not tell.
        """
        standing = self._standing(installation)
        hour = standing.hours[resource]
        hour.remaining = _number(headers.get("x-ratelimit-remaining"), hour.remaining)
        hour.limit = _number(headers.get("x-ratelimit-limit"), hour.limit)
        hour.reset_at = _reset_at(headers) or hour.reset_at
        if limited or _is_limit(status, headers, message):
            until = self._retry_at(standing, hour, headers)
            standing.limited_count += 1
            raise RateLimited(f"GitHub's rate limit is reached ({status})", retry_at=until)
        if status not in _LIMITED:
            self._note_accepted(standing, hour, headers)

    def _note_accepted(self, standing: _Standing, hour: _Hour, headers: Mapping[str, str]) -> None:
        """The last request of an hour is answered well; only the next one would be refused."""
        standing.limited_count = 0
        if headers.get("x-ratelimit-remaining") == "0":
            hour.until = max(hour.until, self._capped(_reset_at(headers)))

    def _retry_at(self, standing: _Standing, hour: _Hour, headers: Mapping[str, str]) -> Moment:
        """Find out how long to wait; only a spent hour leaves the other resource alone."""
        if "retry-after" not in headers and self._is_spent(headers):
            hour.until = max(hour.until, self._capped(_reset_at(headers)))
            return hour.until
        doublings = min(standing.limited_count, _DOUBLINGS_MAX)
        default = self._now() + (WAIT_MIN_S << doublings) * 1000
        told = self._told_at(headers.get("retry-after", ""))
        # Answers cross: a later one takes nothing back of what an earlier one has asked for.
        standing.until = max(standing.until, self._capped(default if told is None else told))
        return standing.until

    def _is_spent(self, headers: Mapping[str, str]) -> bool:
        return headers.get("x-ratelimit-remaining") == "0" and _reset_at(headers) > self._now()

    def _told_at(self, retry_after: str) -> Moment | None:
        """Read seconds, as GitHub sends them, or a date, as HTTP allows a proxy before it to; a
        date that is over tells nothing.
        """
        seconds = _number(retry_after)
        if seconds is not None:
            return self._now() + max(seconds, 1) * 1000
        try:
            at = int(parsedate_to_datetime(retry_after).timestamp() * 1000)
        except (ValueError, OverflowError):
            return None
        return at if at > self._now() else None

    async def _wait_for_gap(self, standing: _Standing) -> None:
        """Sleep once, one gap at most: whatever the clock does, a write comes to its turn."""
        if standing.wrote_at is not None:
            wait_ms = standing.wrote_at + self._gap_ms - self._now()
            if wait_ms > 0:
                await anyio.sleep(min(wait_ms, self._gap_ms) / 1000)

    def _turn(self, standing: _Standing) -> Moment:
        last_at = standing.wrote_at
        if last_at is None:
            last_at = self._now() - self._gap_ms
        return last_at + self._gap_ms * (1 + standing.writers)

    def _capped(self, moment: Moment) -> Moment:
        return min(moment, self._now() + WAIT_MAX_S * 1000)

    def _standing(self, installation: int | None) -> _Standing:
        return self._standings.setdefault(installation, _Standing())


def _until(standing: _Standing, resource: Resource) -> Moment:
    return max(standing.until, standing.rests_until, standing.hours[resource].until)


def _is_limit(status: int, headers: Mapping[str, str], message: str) -> bool:
    """A 403 is a limit only where GitHub says so; else a permission is missing."""
    if status not in _LIMITED:
        return False
    told = "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"
    return status == _TOO_MANY or told or is_secondary(message)


def is_secondary(message: str) -> bool:
    """Say whether GitHub's words are about a secondary limit."""
    return any(words in message.lower() for words in _SECONDARY)


def _reset_at(headers: Mapping[str, str]) -> Moment:
    return (_number(headers.get("x-ratelimit-reset")) or 0) * 1000


def _number(text: str | None, default: int | None = None) -> int | None:
    if text is None or not (text.isascii() and text.isdigit()):
        return default
    return int(text[:_DIGITS_MAX])
