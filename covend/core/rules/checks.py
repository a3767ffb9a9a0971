"""Says what all checks of a head come to: `checks.passed` or `checks.failed`, once all are in.

A single check's end is only news that they may be: whoever acts on these names looks up all check
runs and statuses of the head first, and leaves out covend's own.

https://docs.github.com/en/rest/checks/runs
https://docs.github.com/en/rest/commits/statuses
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from covend.core.model import Event
from covend.core.rules import facts

PASSED = "checks.passed"
FAILED = "checks.failed"
NAMES = frozenset({PASSED, FAILED})

CHECKING = frozenset({"check_run", "check_suite", "status"})
"""Events that can be news of all checks: the first two when they are `completed`."""

GOOD = frozenset({"success", "neutral", "skipped"})
"""What a check that has passed says; every other word, one of tomorrow too, is a failure."""


class Stand(StrEnum):
    """How all checks of a head stand."""

    PENDING = "pending"
    """Some are not in, or there is none."""
    PASSED = "passed"
    FAILED = "failed"


class Check(Struct, frozen=True, kw_only=True):
    """The newest check run or status of one name; `said` is None until it is in."""

    name: str
    said: str | None


class HeadChecks(Struct, frozen=True, kw_only=True):
    """How all checks of a head stand, and the names of those that make it so."""

    stand: Stand
    names: tuple[str, ...] = ()


def name_of(event: Event) -> str | None:
    """Give the additional name of a check's end; None where it is none, or of no known head.

    One check that has failed leaves no other name for all.
    """
    if event.subject.head_sha is None:
        return None
    said = _said(event)
    if said is None:
        return None
    return PASSED if said in GOOD else FAILED


def said_by_status(state: object) -> str | None:
    """Give what a status says, None while it is `pending`."""
    said = facts.name(state)
    return None if said == "pending" else said


def judge_head(checks: Iterable[Check]) -> HeadChecks:
    """Judge all checks of a head; what is not in comes before what has failed."""
    found = tuple(checks)
    if waiting := tuple(one.name for one in found if one.said is None):
        return HeadChecks(stand=Stand.PENDING, names=waiting)
    if failed := tuple(one.name for one in found if one.said not in GOOD):
        return HeadChecks(stand=Stand.FAILED, names=failed)
    names = tuple(one.name for one in found)
    return HeadChecks(stand=Stand.PASSED if names else Stand.PENDING, names=names)


def _said(event: Event) -> str | None:
    if event.name == "status":
        return said_by_status(event.payload.get("state"))
    return event.conclusion if event.action == "completed" else None
