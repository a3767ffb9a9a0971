"""What was missed of a delivery log: how far back one has to look, which of its entries are missing
here, in which order they come in, and how far the log was wholly looked through.

Refuses to forget: a moment counts as looked through only when all that is older has come in.
https://docs.github.com/en/webhooks/testing-and-troubleshooting-webhooks/viewing-webhook-deliveries
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from covend.core.model import DeliveryId, Moment

LOG_KEPT_S = 3 * 24 * 3600.0
"""How far back GitHub's log reaches."""
OVERLAP_S = 30 * 60.0
"""So far behind the last look the next one begins: an entry may come to the log late, or out of
order, and what GitHub did not show once is asked for again.
"""
RETAINED_SHARE = 0.9
"""Of the deliveries' retention: what is older may have been deleted here, by a clock that is not
quite GitHub's, and is not missed.
"""
BEGUN = "reconcile/begun"
"""The cursor that keeps when covend first ran on this store."""
_GOOD = range(200, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One try to deliver; `guid` is the delivery's id, which all its tries share."""

    id: int
    guid: DeliveryId
    delivered_at: Moment
    status_code: int
    """What was answered; 0 or 5xx where nothing was."""
    installation_id: int | None = None

    @property
    def was_taken(self) -> bool:
        """Say whether it was answered well."""
        return self.status_code in _GOOD


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A webhook of one repository."""

    id: int
    repository: str


class Missed(NamedTuple):
    """A delivery that is not known here; `entry` is one of its tries, by which it can be read."""

    guid: DeliveryId
    entry: int
    at: Moment
    """Of its first try in the log."""
    was_taken: bool
    """Whether GitHub says that it was delivered."""


class Through(NamedTuple):
    """How far a log was looked through."""

    at: Moment
    """GitHub's moment up to which nothing is missing."""
    looked_at: Moment
    """When a look last came to the log's end, by covend's clock; 0 where none has."""


def forgotten_name(installation: int) -> str:
    """Name the cursor that keeps since when an installation's past is forgotten here, on request:
    what was sent before is not missed.
    """
    return f"forgotten/{installation}"


def load_through(text: str | None) -> Through | None:
    """Read what `dump_through` wrote; None for anything else."""
    try:
        found = orjson.loads(text or "")
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, dict):
        return None
    at, looked_at = found.get("through_at"), found.get("looked_at")
    if not (isinstance(at, int) and isinstance(looked_at, int)):
        return None
    return Through(at, looked_at)


def dump_through(through: Through) -> str:
    return orjson.dumps({"through_at": through.at, "looked_at": through.looked_at}).decode()


def floor_of(
    through: Through | None,
    since: Moment | None,
    now: Moment,
    retention_s: float,
    *,
    begun: Moment,
) -> Moment:
    """Say back to which moment to look: to `since`, and at least to where the last look ended, or
    where this store had `begun`, as far as GitHub's log and the deliveries' retention reach.
    """
    reach_s = min(LOG_KEPT_S, retention_s * RETAINED_SHARE)
    oldest = now - round(reach_s * 1000)
    wanted = (begun if through is None else through.at) - round(OVERLAP_S * 1000)
    return max(oldest, wanted if since is None else min(since, wanted))


def is_beyond_log(through: Through | None, now: Moment) -> bool:
    """Say whether the log does not reach back any more to when it was last looked through."""
    oldest = now - round(LOG_KEPT_S * 1000)
    return through is not None and 0 < through.looked_at < oldest


class Gathering:
    """One way back through a log, page by page, newest first."""

    def __init__(self, *, floor: Moment, missed_max: int) -> None:
        """Look back to `floor`, and hold at most `missed_max`: the oldest, which come in first."""
        assert missed_max > 0
        self._floor = floor
        self._missed_max = missed_max
        self._missed: dict[DeliveryId, Missed] = {}
        self.reached_at = floor
        """The newest moment that was seen."""
        self.is_cut = False
        """Whether something newer had to be let go: another way back finds it again."""
        self.has_reached_floor = False

    def within(self, page: Sequence[LogEntry]) -> list[LogEntry]:
        """Take a page, and give what of it is to be looked at."""
        for entry in page:
            self.reached_at = max(self.reached_at, entry.delivered_at)
            if entry.delivered_at < self._floor:
                self.has_reached_floor = True
        return [entry for entry in page if entry.delivered_at >= self._floor]

    def note(self, entries: Iterable[LogEntry], unknown: Container[DeliveryId]) -> None:
        """Hold those entries that are `unknown` here; the tries of one delivery are one."""
        for entry in entries:
            if entry.guid not in unknown:
                continue
            later = self._missed.pop(entry.guid, None)
            self._missed[entry.guid] = Missed(
                entry.guid,
                entry.id,
                min(entry.delivered_at, later.at) if later else entry.delivered_at,
                entry.was_taken or (later is not None and later.was_taken),
            )
            if len(self._missed) > self._missed_max:
                del self._missed[next(iter(self._missed))]
                self.is_cut = True

    def oldest_first(self) -> list[Missed]:
        """Give what is held, in the order in which it comes in."""
        return sorted(self._missed.values(), key=lambda missed: (missed.at, missed.entry))
