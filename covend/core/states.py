"""The states of deliveries, tasks, attempts and effects, and every move between them, each table
once.

The code's checks, the schema's triggers and `docs/states.md` are all made from these tables; a pair
that is
not in a table cannot happen, neither here nor in the database.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class DeliveryState(StrEnum):
    """What became of an accepted delivery."""

    RECEIVED = "received"
    ROUTED = "routed"
    IGNORED = "ignored"


class TaskState(StrEnum):
    """Where a task stands."""

    RECEIVED = "received"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    IGNORED = "ignored"


class Outcome(StrEnum):
    """How an attempt ended; an attempt without one is still open."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    IDLE_TIMED_OUT = "idle_timed_out"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    INTERRUPTED = "interrupted"
    LOST = "lost"


class EffectState(StrEnum):
    """Where one intended write to the outside stands."""

    PENDING = "pending"
    SENDING = "sending"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    WITHHELD = "withheld"


Causes = frozenset[str]

DELIVERY_MOVES: Mapping[tuple[DeliveryState, DeliveryState], Causes] = {
    (DeliveryState.RECEIVED, DeliveryState.ROUTED): frozenset({"route"}),
    (DeliveryState.RECEIVED, DeliveryState.IGNORED): frozenset({"route"}),
}

TASK_MOVES: Mapping[tuple[TaskState, TaskState], Causes] = {
    (TaskState.RECEIVED, TaskState.QUEUED): frozenset({"ripen", "approve"}),
    (TaskState.RECEIVED, TaskState.IGNORED): frozenset({"refuse", "lose"}),
    (TaskState.RECEIVED, TaskState.CANCELLED): frozenset({"cancel"}),
    (TaskState.RECEIVED, TaskState.SUPERSEDED): frozenset({"supersede"}),
    (TaskState.QUEUED, TaskState.RUNNING): frozenset({"claim"}),
    (TaskState.QUEUED, TaskState.IGNORED): frozenset({"lose"}),
    (TaskState.QUEUED, TaskState.FAILED): frozenset({"exhaust"}),
    (TaskState.QUEUED, TaskState.CANCELLED): frozenset({"cancel"}),
    (TaskState.QUEUED, TaskState.SUPERSEDED): frozenset({"supersede"}),
    (TaskState.RUNNING, TaskState.COMPLETED): frozenset({"settle"}),
    (TaskState.RUNNING, TaskState.FAILED): frozenset({"settle"}),
    (TaskState.RUNNING, TaskState.QUEUED): frozenset(
        {"retry", "fall_back", "defer", "interrupt", "recover"}
    ),
    (TaskState.RUNNING, TaskState.CANCELLED): frozenset({"cancel"}),
    (TaskState.RUNNING, TaskState.SUPERSEDED): frozenset({"supersede"}),
    (TaskState.COMPLETED, TaskState.SUPERSEDED): frozenset({"supersede"}),
    (TaskState.FAILED, TaskState.QUEUED): frozenset({"retry"}),
    (TaskState.CANCELLED, TaskState.QUEUED): frozenset({"retry"}),
}

EFFECT_MOVES: Mapping[tuple[EffectState, EffectState], Causes] = {
    (EffectState.PENDING, EffectState.SENDING): frozenset({"send"}),
    (EffectState.PENDING, EffectState.WITHHELD): frozenset({"supersede"}),
    (EffectState.SENDING, EffectState.DONE): frozenset({"settle"}),
    (EffectState.SENDING, EffectState.FAILED): frozenset({"settle"}),
    (EffectState.SENDING, EffectState.UNKNOWN): frozenset({"settle", "recover"}),
    (EffectState.SENDING, EffectState.PENDING): frozenset({"retry"}),
    (EffectState.UNKNOWN, EffectState.DONE): frozenset({"look_up"}),
    (EffectState.UNKNOWN, EffectState.PENDING): frozenset({"look_up"}),
    (EffectState.UNKNOWN, EffectState.FAILED): frozenset({"look_up"}),
    (EffectState.FAILED, EffectState.PENDING): frozenset({"retry"}),
}

DELIVERY_STARTS = frozenset(DeliveryState)
TASK_STARTS = frozenset({TaskState.RECEIVED, TaskState.QUEUED})
EFFECT_STARTS = frozenset({EffectState.PENDING})

HOLDS_KEY = frozenset(
    {TaskState.RECEIVED, TaskState.QUEUED, TaskState.RUNNING, TaskState.COMPLETED},
)
"""While a task is in one of these, no other task of its key and generation can exist."""

OPEN_TASK = frozenset({TaskState.RECEIVED, TaskState.QUEUED, TaskState.RUNNING})
"""States that a task still moves out of by itself."""


def task_may_move(source: TaskState, target: TaskState) -> bool:
    """Say whether the table of tasks has this pair."""
    return (source, target) in TASK_MOVES
