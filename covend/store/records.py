"""What goes in and out of the store, and is no noun of the domain itself: records, which refuse to
be changed. `protocol` gives them on to whoever asks the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec import Struct

from covend.core.ending import Ending
from covend.core.installing import InstallationState
from covend.core.model import (
    Attempt,
    Claim,
    ClaimToken,
    Delivery,
    DeliveryId,
    Effect,
    EffectDraft,
    EffectId,
    Envelope,
    Event,
    Moment,
    Task,
    TaskId,
    Via,
)
from covend.core.rules.verdicts import Routing, Verdict
from covend.core.safeguards.shapes import (
    Candidate,
    Hold,
    Lesson,
    Safeguard,
    Spent,
    Switch,
    Terms,
)
from covend.core.states import DeliveryState, EffectState, Outcome, TaskState


class Arrival(Struct, frozen=True, kw_only=True):
    """A delivery with its verdict, ready to be kept; `task_ids` has an id for each draft of the
    routing.
    """

    envelope: Envelope
    event: Event
    via: Via
    routing: Routing
    received_at: Moment
    task_ids: tuple[TaskId, ...]
    is_anew: bool = False
    """Asked for on purpose although it may have been done: its tasks get a new generation."""


class EndedTask(NamedTuple):
    """A task that has ended although nobody was at it."""

    task: TaskId
    rule: str
    repository: str | None
    state: TaskState


class Accepted(Struct, frozen=True, kw_only=True):
    """What the sender is told: the delivery is on disk, new or known."""

    delivery: DeliveryId
    state: DeliveryState
    reason: str
    tasks: tuple[TaskId, ...]
    duplicate: bool
    overtaken: tuple[TaskId, ...] = ()
    """Running tasks that it has superseded or closed: their attempts are to be stopped."""
    ended: tuple[EndedTask, ...] = ()
    """What it has ended at once, because that had never run."""
    leaves_overdue: bool = False
    """Whether tasks that nobody is at are to end for it (`Tasks.overdue`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """What one draft of an arrival meets: the task that does its work, or room for a new one."""

    rule: str
    key: str
    reason: str
    """`new`, `same_work`, or `stale` where nothing is made of it."""
    task: TaskId | None
    """The task that is there already."""
    generation: int | None
    """Of the task that would be made."""
    takes_place: bool = False
    """Whether it is about a newer head than the rule's other work on the subject."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What would become of an arrival, were it kept now."""

    state: DeliveryState
    reason: str
    meetings: tuple[Meeting, ...]
    has_room: bool
    """Whether the queue would take what is new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attended:
    """What became of something that was said to covend itself."""

    verb: str
    state: str
    """`received`, `done` or `refused`."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One draft, as the store is asked what it would meet."""

    candidate: Candidate
    terms: Terms
    meeting: Meeting


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDelivery:
    """A delivery as it came, and what was made of it then."""

    delivery: Delivery
    headers: Mapping[str, str]
    body: bytes
    verdicts: tuple[Verdict, ...]
    started: Mapping[str, bool]
    """The rules that were given a task for it, and whether that was made for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDelivery:
    """A delivery with everything that came with it."""

    delivery: Delivery
    headers: Mapping[str, str]
    body: bytes
    verdicts: tuple[Verdict, ...]
    command: Attended | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One line of a task's timeline; `source` is None for its beginning."""

    at: Moment
    source: TaskState | None
    target: TaskState
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStory:
    """Everything the store knows of a task."""

    task: Task
    timeline: tuple[Move, ...]
    attempts: tuple[Attempt, ...]
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an attempt is, and its task with it, at one moment."""

    state: TaskState
    attempts: int
    """How many of the task have begun."""
    has_begun: bool
    outcome: Outcome | None
    error_code: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The process of an attempt: enough to tell it from a stranger with the same pid."""

    pid: int
    pid_started: int
    boot_id: str
    cgroup: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What becomes of a running task: where to, why, when again, and what the world shall see."""

    target: TaskState
    reason: str
    ending: Ending
    not_before_at: Moment = 0
    log_bytes: int = 0
    effects: tuple[tuple[EffectId, EffectDraft], ...] = ()
    if_cancelled: Settlement | None = None
    """What is written instead where somebody has asked to cancel the task; without it, the same
    without effects.
    """
    if_superseded: Settlement | None = None
    """What is written instead where a newer head has taken the task's place; without it, the same
    without effects.
    """
    is_deferred: bool = False
    """Back to the queue without a failure counted."""
    agent: str | None = None
    """Back to the queue for this agent, the next of the task's `fallbacks`."""
    is_afresh: bool = False
    """Back to the queue for an attempt that goes on with no session."""
    retry_until_at: Moment | None = None
    lesson: LessonOf | None = None
    """What its safeguards learn from the end, decided over what the same transaction reads."""
    follower: Arrival | None = None
    """The event of the task's own end, where a rule wants it; kept only if the task ends so."""
    only_if_expired: bool = False
    """Settle only while the lease is over at the moment of settling, else as a lost claim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonOf:
    """Which safeguards are to be read, and what is made of them."""

    ids: tuple[str, ...]
    learn: Callable[[Mapping[str, Safeguard]], Lesson]


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """What became of the leases of one process."""

    held: frozenset[ClaimToken]
    cancelled: frozenset[ClaimToken] = frozenset()
    """Of these: somebody has asked to cancel their tasks."""
    superseded: frozenset[ClaimToken] = frozenset()
    """Of these: a newer head has taken their place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """A task that nobody is at and that is to end: as what, and why."""

    task: Task
    target: TaskState
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """Sizes that metrics show."""

    tasks: Mapping[TaskState, int]
    effects: Mapping[EffectState, int]
    oldest_queued_at: Moment | None
    oldest_effect_at: Moment | None
    wal_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a look for work came to."""

    claim: Claim | None
    budget: Spent | None = None
    """What the attempt may spend; None where nothing bounds it."""
    held: tuple[Hold, ...] = ()
    """What was held back on the way."""
    switched: tuple[tuple[TaskId, str, Switch], ...] = ()
    """Tasks that went to another agent on the way, with the agent they had."""
    ended: tuple[Task, ...] = ()
    """Tasks that covend has no business with any more (see `Installations.gone`)."""
    is_more: bool = False
    """Whether the look was cut short, so that another one is due at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """An account that has the App, as GitHub's events have told it."""

    id: int
    account: str
    state: InstallationState
    permissions: Mapping[str, str]
    events: tuple[str, ...]
    repositories_count: int
    """Those that were named; an installation on all repositories names none."""
    created_at: Moment
    updated_at: Moment
    forget_at: Moment | None
    """When somebody asked for all that is known of it to be deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """Open work that covend has no business with any more, and why."""

    task: Task
    reason: str
    """`installation_deleted` or `_suspended`, `repository_deleted` or `_removed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What one step of forgetting an installation has deleted."""

    attempts: Mapping[TaskId, int] = field(default_factory=dict)
    """The tasks that are gone, and how many attempts each had: what they left on the disk is to go
    too.
    """
    repository_keys: frozenset[str] = frozenset()
    """Where they have worked, where nobody will any more."""
    is_over: bool = False
    is_waiting: bool = False
    """Whether work of it has still to end."""
