"""Tasks that nobody is at and that are to end: found, and ended with what shall be seen of it; and
those whose findings are about a head that is not there any more.

Refuses to end what has moved since it was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import orjson

from covend.core.model import EffectDraft, EffectId, Moment, Task
from covend.core.states import TaskState
from covend.store.connection import Ask, Row, Script, one, rows
from covend.store.effects import effect_rows
from covend.store.protocol import Overdue
from covend.store.rows import task_of

SUPERSEDED = "superseded"
CLOSED = "closed"
TOO_OLD = "too_old"


def list_overdue(now: Moment, limit: int) -> Script[Sequence[Overdue]]:
    """See `Tasks.overdue`."""
    found = yield from rows("list_overdue_tasks", now=now, limit=limit)
    return [_overdue_of(row) for row in found]


def end(
    overdue: Overdue,
    effects: Sequence[tuple[EffectId, EffectDraft]],
    follower: Script[None] | None,
    now: Moment,
) -> Script[Task | None]:
    """See `Tasks.end`; `follower` keeps what follows."""
    task = overdue.task
    row = yield from one(
        _ending(overdue.target),
        id=task.id,
        attempts=task.attempts,
        reason=overdue.reason,
        now=now,
    )
    if row is None:
        return None
    yield Ask("withhold_rest", {"task_id": task.id, "reason": overdue.reason, "now": now})
    yield Ask("insert_effects", each=effect_rows(task, effects, now))
    if follower is not None:
        yield from follower
    return task_of(row)


def withdraw(
    task: Task,
    effects: Sequence[tuple[EffectId, EffectDraft]],
    reason: str,
    now: Moment,
) -> Script[Task | None]:
    """See `Tasks.withdraw`."""
    row = yield from one(
        "withdraw_task", id=task.id, attempts=task.attempts, reason=reason, now=now
    )
    if row is None:
        alone = orjson.dumps([task.id]).decode()
        yield Ask("withhold_findings", {"tasks": alone, "now": now})
        return None
    yield Ask("withhold_rest", {"task_id": task.id, "reason": SUPERSEDED, "now": now})
    yield Ask("insert_effects", each=effect_rows(task, effects, now))
    return task_of(row)


def _ending(target: TaskState) -> str:
    match target:
        case TaskState.SUPERSEDED:
            return "end_superseded_task"
        case TaskState.CANCELLED:
            return "end_closed_task"
        case TaskState.FAILED:
            return "end_aged_task"
        case (
            TaskState.RECEIVED
            | TaskState.QUEUED
            | TaskState.RUNNING
            | TaskState.COMPLETED
            | TaskState.IGNORED
        ):
            message = f"a task that nobody is at cannot end as {target}"
            raise ValueError(message)
        case _:
            assert_never(target)


def _overdue_of(row: Row) -> Overdue:
    task, target = task_of(row), TaskState(row["target"])
    return Overdue(task=task, target=target, reason=_reason(task, target))


def _reason(task: Task, target: TaskState) -> str:
    if target is TaskState.FAILED:
        return f"{task.error_code}: {TOO_OLD}" if task.error_code else TOO_OLD
    return CLOSED if target is TaskState.CANCELLED else SUPERSEDED
