"""Says which of two heads of one subject came later, and whether an event is from before its end.

Events come in any order: what they tell of their own moments decides, and within a second, which
is all that GitHub tells, the order of their coming. An event that tells no moment (checks on a head
that may be left behind by now) decides nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from covend.core.model import Moment


class Head(NamedTuple):
    """A head of a subject, as one event tells it; None is what it does not tell."""

    sha: str | None
    updated_at: Moment | None
    before_sha: str | None
    """The head that it replaced."""


class Place(StrEnum):
    """Where a head stands beside a known one."""

    SAME = "same"
    NEWER = "newer"
    OLDER = "older"
    UNKNOWN = "unknown"
    """It takes nobody's place, and nobody has taken its own."""


def compare(coming: Head, known: Head) -> Place:
    """Place a head that has just come beside one that came before it.

    In one second the chain of heads decides; without a word of it the later one to come is newer.
    """
    if coming.sha == known.sha:
        return Place.SAME
    if coming.updated_at is None or known.updated_at is None:
        return Place.UNKNOWN
    if coming.updated_at != known.updated_at:
        return Place.NEWER if coming.updated_at > known.updated_at else Place.OLDER
    was_replaced = known.before_sha is not None and known.before_sha == coming.sha
    return Place.OLDER if was_replaced and coming.before_sha != known.sha else Place.NEWER


def is_over(updated_at: Moment | None, closed_at: Moment | None, *, is_opening: bool) -> bool:
    """Say whether an event tells of its subject as it was before that was closed.

    Nothing is opened in the second in which it was closed but what was open before.
    """
    if updated_at is None or closed_at is None:
        return False
    return updated_at < closed_at or (is_opening and updated_at == closed_at)
