"""How long ended things are kept: what is old enough to be deleted, by kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from covend.core.model import Moment, TaskId
from covend.core.reconciling import LOG_KEPT_S
from covend.core.settings import Retention
from covend.core.states import TaskState
from covend.core.units import DAY

PLACE_S = 365 * DAY
"""How long the place of a status comment is remembered after its task: the next text of its rule is
still put there, and not beside it.
"""


class Kind(StrEnum):
    """What is deleted by its age, in the order in which it is looked through.

    Tasks by the state they ended in, with their attempts, timeline and effects; ANSWERS are effects
    of no task.
    """

    COMPLETED = "completed"
    SUPERSEDED = "superseded"
    IGNORED = "ignored"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ANSWERS = "answers"
    DELIVERIES = "deliveries"
    COMMANDS = "commands"
    RERUNS = "reruns"
    CLOSINGS = "closings"
    AUDIT = "audit"
    CURSORS = "cursors"
    TURNS = "turns"


TASKS: Mapping[Kind, TaskState] = {
    kind: TaskState(kind)
    for kind in (Kind.COMPLETED, Kind.SUPERSEDED, Kind.IGNORED, Kind.FAILED, Kind.CANCELLED)
}
"""The kinds that are tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSince:
    """What ended, or came, at these moments or before is old."""

    completed: Moment
    failed: Moment
    deliveries: Moment
    wishes: Moment
    """What deliveries have asked for beside tasks, and what they closed: it goes after them."""
    places: Moment
    cursors: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """One step through what is kept: how much of it was deleted, and where to go on."""

    count: int = 0
    following: str | None = None
    """None: there is no more that is old enough."""
    attempts: Mapping[TaskId, int] = field(default_factory=dict)
    """How many attempts each deleted task had."""


def kept_since(kept: Retention, now: Moment, *, rates_s: float) -> KeptSince:
    """Say what is old at a moment; no task goes before `rates_s` is over, in which its attempts
    still count against a rate.
    """

    def ago(seconds: float) -> Moment:
        return now - round(1000 * seconds)

    completed_s, failed_s = max(kept.completed_s, rates_s), max(kept.failed_s, rates_s)
    return KeptSince(
        completed=ago(completed_s),
        failed=ago(failed_s),
        deliveries=ago(kept.deliveries_s),
        wishes=ago(max(kept.deliveries_s, completed_s)),
        places=ago(max(PLACE_S, completed_s)),
        # What was forgotten on request comes in again where GitHub's log outlives the mark.
        cursors=ago(max(failed_s, LOG_KEPT_S)),
    )
