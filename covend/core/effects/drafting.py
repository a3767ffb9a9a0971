"""What the drafts of one task have in common: which subject they are sent in order with, which
version of a visible thing they are, and which head they belong to.
"""

from __future__ import annotations

from typing import Any

from covend.core.effects.marker import external_id
from covend.core.model import EffectDraft, EffectKind, SubjectType, Task
from covend.core.settings import Policy

SHORT_SHA = 7


def subject_key(task: Task) -> str:
    """Name the subject by what never changes; effects of one subject are sent in order."""
    subject = task.subject
    repository = task.repository_id if task.repository_id is not None else task.repository
    match subject.type:
        case SubjectType.PULL_REQUEST:
            return f"{repository}/pull/{subject.number}"
        case SubjectType.ISSUE:
            return f"{repository}/issue/{subject.number}"
        case _:
            return f"{repository}/commit/{subject.head_sha}"


def version_of(task: Task) -> str:
    """Name the task and its generation, as markers and check runs carry it."""
    return external_id(task.id, task.generation)


def target_of(task: Task) -> str:
    """Say for people where an effect appears."""
    subject = task.subject
    if subject.number is not None:
        return f"{task.repository}#{subject.number}"
    return f"{task.repository}@{(subject.head_sha or '')[:SHORT_SHA]}"


def fence_of(task: Task, policy: Policy) -> dict[str, Any]:
    """Give the part of a request by which what was found is withheld once the head has moved.

    Nothing where no newer head takes the task's place: its rule does not supersede, somebody has
    asked for it by a command, or it is about no pull request.
    """
    subject = task.subject
    is_pull = subject.type is SubjectType.PULL_REQUEST and subject.number is not None
    if not is_pull or not subject.head_sha or not policy.rule.supersede or task.command is not None:
        return {}
    return {"fence": {"number": subject.number, "head_sha": subject.head_sha}}


def blob_url_of(task: Task) -> str | None:
    """Say where files can be read at the head: beside the pull request's own page."""
    page, found, _ = task.subject.url.partition("/pull/")
    return f"{page}/blob/{task.subject.head_sha}" if found else None


def draft_of(task: Task, kind: EffectKind, slot: str, request: dict[str, Any]) -> EffectDraft:
    """Make a draft that is sent after all that was planned before it on the task's subject."""
    return EffectDraft(
        kind=kind,
        slot=slot,
        subject=subject_key(task),
        target=target_of(task),
        request={"repository": task.repository, **request},
    )
