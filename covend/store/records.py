"""What goes in and out of the store, and is no noun of the domain itself: records, which refuse to
be changed. `protocol` gives them on to whoever asks the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import Struct

from covend.core.model import (
    Attempt,
    Delivery,
    DeliveryId,
    Effect,
    EffectDraft,
    EffectId,
    Ending,
    Envelope,
    Event,
    Moment,
    Task,
    TaskId,
    Via,
)
from covend.core.rules.verdicts import Routing, Verdict
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


class Accepted(Struct, frozen=True, kw_only=True):
    """What the sender is told: the delivery is on disk, new or known."""

    delivery: DeliveryId
    state: DeliveryState
    reason: str
    tasks: tuple[TaskId, ...]
    duplicate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDelivery:
    """A delivery with everything that came with it."""

    delivery: Delivery
    headers: Mapping[str, str]
    body: bytes
    verdicts: tuple[Verdict, ...]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """Sizes that metrics show."""

    tasks: Mapping[TaskState, int]
    effects: Mapping[EffectState, int]
    oldest_queued_at: Moment | None
    oldest_effect_at: Moment | None
    wal_bytes: int
