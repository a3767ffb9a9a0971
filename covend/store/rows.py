"""Rows into records. Only here is a column's name turned into a field's."""

from __future__ import annotations

import orjson

from covend.core.model import (
    Attempt,
    Command,
    Conclusion,
    Delivery,
    DeliveryId,
    Effect,
    EffectId,
    EffectKind,
    Mode,
    Need,
    Phase,
    Repository,
    Subject,
    SubjectType,
    Task,
    TaskId,
    Trust,
    Usage,
    Via,
)
from covend.core.states import DeliveryState, EffectState, Outcome, TaskState
from covend.store.connection import Row


def delivery_of(row: Row, tasks: tuple[TaskId, ...]) -> Delivery:
    """Make a delivery of its row and the tasks that are linked to it."""
    return Delivery(
        id=DeliveryId(row["id"]),
        source=row["source"],
        via=Via(row["via"]),
        event=row["event"],
        action=row["action"],
        installation_id=row["installation_id"],
        repository_id=row["repository_id"],
        repository=row["repository"],
        sender=row["sender"],
        state=DeliveryState(row["state"]),
        reason=row["reason"],
        received_at=row["received_at"],
        body_sha256=row["body_sha256"].lower(),
        duplicates=row["duplicates"],
        tasks=tasks,
    )


def task_of(row: Row) -> Task:
    """Make a task of its row."""
    return Task(
        id=TaskId(row["id"]),
        state=TaskState(row["state"]),
        reason=row["reason"],
        not_before_at=row["not_before_at"],
        rule=row["rule"],
        agent=row["agent"],
        priority=row["priority"],
        key=row["key"],
        generation=row["generation"],
        policy=row["policy"],
        trust=Trust(row["trust"]),
        event=row["event"],
        installation_id=row["installation_id"],
        repository_id=row["repository_id"],
        repository=row["repository"],
        default_branch=row["default_branch"],
        clone_url=row["clone_url"],
        subject=subject_of(row),
        command=Command(**orjson.loads(row["command"])) if row["command"] else None,
        needs=frozenset(Need(need) for need in row["needs"].split()),
        delivery=DeliveryId(row["delivery_id"]) if row["delivery_id"] else None,
        attempts=row["attempts"],
        failures=row["failures"],
        infrastructure_failures=row["infrastructure_failures"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        finished_at=row["finished_at"],
        conclusion=Conclusion(row["conclusion"]) if row["conclusion"] else None,
        summary=row["summary"],
        error_code=row["error_code"],
        error_message=row["error_message"],
        cost_usd=row["cost_usd"],
        cancel_requested_at=row["cancel_requested_at"],
        repository_key=row["repository_key"],
        actor=row["actor"],
        subject_updated_at=row["subject_updated_at"],
        superseded_by=TaskId(row["superseded_by"]) if row["superseded_by"] else None,
        parent=TaskId(row["parent_id"]) if row["parent_id"] else None,
        depth=row["depth"],
        fallbacks=tuple(orjson.loads(row["fallbacks"])),
        is_afresh=bool(row["is_afresh"]),
        retry_until_at=row["retry_until_at"],
        approved_at=row["approved_at"],
        approved_by=row["approved_by"],
        inputs=orjson.loads(row["inputs"]),
    )


def subject_of(row: Row) -> Subject:
    """Make the subject of a task's row."""
    return Subject(
        type=SubjectType(row["subject_type"]),
        number=row["subject_number"],
        title=row["subject_title"],
        url=row["subject_url"],
        author=row["subject_author"],
        head_sha=row["head_sha"],
        base_sha=row["base_sha"],
        head_ref=row["head_ref"],
        base_ref=row["base_ref"],
        head_repository=row["head_repository"],
    )


def repository_of(row: Row) -> Repository:
    """Make a repository of what a task's row says of it."""
    return Repository(
        id=row["repository_id"],
        full_name=row["repository"],
        installation_id=row["installation_id"],
        default_branch=row["default_branch"],
        clone_url=row["clone_url"],
    )


def attempt_of(row: Row) -> Attempt:
    """Make an attempt of its row."""
    return Attempt(
        task=TaskId(row["task_id"]),
        number=row["number"],
        agent=row["agent"],
        node=row["node"],
        mode=Mode(row["mode"]),
        phase=Phase(row["phase"]),
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        error_code=row["error_code"],
        error_message=row["error_message"],
        exit_code=row["exit_code"],
        signal=row["signal"],
        pid=row["pid"],
        pid_started=row["pid_started"],
        boot_id=row["boot_id"],
        cgroup=row["cgroup"],
        workspace=row["workspace"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        session=row["session"],
        resumes=row["resumes"],
        usage=Usage(
            input_tokens=row["input_tokens"],
            output_tokens=row["output_tokens"],
            cost_usd=row["cost_usd"],
        ),
        log_bytes=row["log_bytes"],
    )


def effect_of(row: Row) -> Effect:
    """Make an effect of its row."""
    return Effect(
        id=EffectId(row["id"]),
        task=TaskId(row["task_id"]) if row["task_id"] else None,
        kind=EffectKind(row["kind"]),
        slot=row["slot"],
        subject=row["subject"],
        target=row["target"],
        installation_id=row["installation_id"],
        repository=row["repository"],
        request=orjson.loads(row["request"]),
        state=EffectState(row["state"]),
        tries=row["tries"],
        not_before_at=row["not_before_at"],
        remote_id=row["remote_id"],
        remote_url=row["remote_url"],
        error=row["error"],
        created_at=row["created_at"],
        sent_at=row["sent_at"],
        done_at=row["done_at"],
    )
