"""Moves tasks that nobody is at: by what was looked up, by somebody's yes, or once more.

Refuses to begin again what was never known to be allowed to run.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from covend.core.errors import ConflictError
from covend.core.model import (
    EffectDraft,
    EffectId,
    Moment,
    Subject,
    SubjectType,
    Task,
    TaskId,
    Trust,
)
from covend.core.settings import Policy
from covend.core.states import TaskState
from covend.store.connection import Ask, Script, one
from covend.store.effects import effect_rows
from covend.store.kept_policies import KeptPolicies
from covend.store.rows import task_of

Effects = Sequence[tuple[EffectId, EffectDraft]]


def with_effects(moving: Ask, effects: Effects, now: Moment) -> Script[Task | None]:
    """Move a task, and write what shall be seen of it if it has moved."""
    answer = yield moving
    if not answer.rows:
        return None
    task = task_of(answer.rows[0])
    yield Ask("insert_effects", each=effect_rows(task, effects, now))
    return task


def known(subject: Subject, trust: Trust | None) -> dict[str, object]:
    """Give what was looked up, as the statements take it."""
    return {
        "head_sha": subject.head_sha,
        "base_sha": subject.base_sha,
        "head_ref": subject.head_ref,
        "base_ref": subject.base_ref,
        "head_repository": subject.head_repository,
        "subject_type": None if subject.type is SubjectType.NONE else subject.type,
        "subject_title": subject.title or None,
        "subject_url": subject.url or None,
        "subject_author": subject.author or None,
        "trust": trust,
    }


def by_policy(policy: Policy | None) -> dict[str, object]:
    """Give by what it is to be done, as the statements take it; None leaves it as it is."""
    fallbacks = [agent.name for agent in policy.fallbacks] if policy else None
    return {
        "policy": policy.sha256 if policy else None,
        "agent": policy.agent.name if policy else None,
        "fallbacks": orjson.dumps(fallbacks).decode() if policy else None,
    }


def approve(task: TaskId, by: str, now: Moment) -> Script[Task | None]:
    """Let go what waits for this alone; of the rest, note that it need not wait for it."""
    for query in ("approve_task", "approve_early"):
        row = yield from one(query, id=task, by=by, now=now)
        if row is not None:
            return task_of(row)
    return None


def retry(task: TaskId, reason: str, now: Moment, policies: KeptPolicies) -> Script[Task | None]:
    """Begin anew with the first agent of the settings that it was routed by."""
    row = yield from one("find_task", id=task)
    if row is None or row["state"] not in (TaskState.FAILED, TaskState.CANCELLED):
        return None
    if row["needs"]:
        raise ConflictError(
            f"task {task} was cancelled before it was known whether it may run: only a new "
            "delivery asks for it again",
            needs=row["needs"],
        )
    policy = yield from policies.find(row["policy"])
    fallbacks = orjson.dumps([agent.name for agent in policy.fallbacks]).decode()
    again = yield from one(
        "retry_ended_task",
        id=task,
        reason=reason,
        agent=policy.agent.name,
        fallbacks=fallbacks,
        now=now,
    )
    return task_of(again) if again else None
