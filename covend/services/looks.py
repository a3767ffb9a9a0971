"""Looks through GitHub's delivery log: who has asked for them, and what they have come to so far.

They are this process's own: what outlives it is in the store. Refuses to run two at once, because
one loop takes them in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import anyio

from covend.core.model import DeliveryId, Moment

LOOKS_MAX = 20
"""So many are remembered."""


class LookState(StrEnum):
    """How far a look is."""

    WAITING = "waiting"
    LISTING = "listing"
    FETCHING = "fetching"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """Why a look did not come to the log's end, and when to try again, where that is known."""

    code: str
    message: str
    retry_at: Moment | None = None


@dataclass(slots=True, kw_only=True)
class Look:
    """One look through the logs; its counts grow while it is under way."""

    number: int
    since: Moment | None
    """From when on somebody has asked for it; None where the last one ended."""
    is_asked: bool
    state: LookState = LookState.WAITING
    started_at: Moment | None = None
    ended_at: Moment | None = None
    logs: int = 0
    """Logs that it has begun with; 0 where no webhook is known yet."""
    listed: int = 0
    """Entries of the log: tries to deliver."""
    known: int = 0
    """Of these, such of deliveries that are here, or that somebody has asked to forget."""
    fetched: int = 0
    kept: int = 0
    ignored: int = 0
    """Of what was kept: what asked for no work."""
    unknown_delivered: int = 0
    """Of what was kept: what GitHub says was delivered before."""
    failed: int = 0
    """What GitHub lists and does not give, or not so that it can be read."""
    passed_over: set[DeliveryId] = field(default_factory=set)
    """These, so that none is asked for twice."""
    is_complete: bool = False
    """Whether it came to the log's end, and all that could be had is here."""
    stopped: Stopped | None = None
    ended: anyio.Event = field(default_factory=anyio.Event)


class Looks:
    """The looks of this process: at most one under way, and one more asked for."""

    def __init__(self) -> None:
        """Begin with none."""
        self._numbers = 0
        self._asked: Look | None = None
        self._newest: deque[Look] = deque(maxlen=LOOKS_MAX)

    def ask(self, since: Moment | None) -> Look:
        """Ask for a look; one that waits already reaches back as far as both then."""
        if self._asked is None:
            self._asked = self._make(since, is_asked=True)
        elif since is not None:
            known = self._asked.since
            self._asked.since = since if known is None else min(known, since)
        return self._asked

    def take(self, *, is_due: bool) -> Look | None:
        """Give the one that is asked for; else, where one is due, a new one."""
        look, self._asked = self._asked, None
        return look or (self._make(None, is_asked=False) if is_due else None)

    def newest_first(self) -> Sequence[Look]:
        """List what is remembered."""
        return tuple(self._newest)

    def _make(self, since: Moment | None, *, is_asked: bool) -> Look:
        self._numbers += 1
        look = Look(number=self._numbers, since=since, is_asked=is_asked)
        self._newest.appendleft(look)
        return look
