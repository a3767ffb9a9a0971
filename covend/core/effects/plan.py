"""Which effects a task's beginning and end have: the drafts that are written with the move they
belong to.

Only kinds that the rule publishes, only where the subject has a place for them. A draft's `request`
is all that is needed to send it, the same bytes on each try.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from covend.core.effects.diff import ChangedFile
from covend.core.effects.marker import Marker, external_id, sign
from covend.core.effects.review import Frame, review_request
from covend.core.effects.texts import code, cut, one_line, seal
from covend.core.effects.wording import (
    STOPPED,
    Look,
    explanation_of,
    footer,
    look_of,
    spent,
    start_text,
    summary_of,
)
from covend.core.ending import Ending
from covend.core.model import Claim, EffectDraft, EffectKind, Json, Moment, SubjectType, Task
from covend.core.settings import Policy
from covend.core.states import Outcome, TaskState

SUMMARY_MAX = 65_535
"""Characters in a check run's summary."""
DESCRIPTION_MAX = 140
"""Characters in a commit status's description."""
SHORT_SHA = 7

_COMMENTED = frozenset({SubjectType.PULL_REQUEST, SubjectType.ISSUE})
_CHECKED = frozenset({EffectKind.CHECK, EffectKind.STATUS})


def plan_start(claim: Claim, policy: Policy, *, app: bool) -> tuple[EffectDraft, ...]:
    """Show that work is under way; where covend is no `app`, a check is a commit status."""
    text = start_text(claim, policy)
    title = "In progress"
    output = {"title": title, "summary": text}
    check = {"status": "in_progress", "started_at": _moment(claim.started_at), "output": output}
    return tuple(_checks(claim.task, policy, check, _status("pending", title), app=app))


def plan_end(
    claim: Claim,
    policy: Policy,
    ending: Ending,
    *,
    target: TaskState,
    app: bool,
    key: bytes,
    now: Moment,
    files: Sequence[ChangedFile] | None = None,
) -> tuple[EffectDraft, ...]:
    """Show how an attempt ended: the review, then the status comment, and the check last.

    A task that goes back to the queue shows nothing: its check stays in progress. A superseded one
    ends its check only, because the comment belongs to the work that took its place. `key` signs
    the markers; `files` is the diff of the task's head, None where it is not known.
    """
    if target is TaskState.QUEUED:
        return ()
    task, look = claim.task, look_of(target, ending)
    small = footer(task, policy, *spent(claim, ending, now))
    drafts: list[EffectDraft] = []
    if target is not TaskState.SUPERSEDED:
        drafts += _review(task, policy, ending, files, small, key)
        text = _comment_text(task, policy, ending, look, drafts)
        drafts += _comment(task, policy, text, small, key)
    summary = _joined(explanation_of(policy, ending), _visible_summary(target, ending))
    check = _completed(look, _joined(cut(summary, SUMMARY_MAX - len(small) - 2), small))
    status = _status(look.state, look.title)
    return (*drafts, *_checks(task, policy, check, status, app=app))


def plan_stop(
    task: Task, policy: Policy, *, target: TaskState, app: bool
) -> tuple[EffectDraft, ...]:
    """End the check of a task that ends without an attempt: cancelled or given up while it waited,
    or superseded (also after it was completed, where its findings are withheld).

    Nothing, where it never began: then no check is there.
    """
    if task.attempts == 0 or target not in STOPPED:
        return ()
    look = STOPPED[target]
    check = _completed(look, _joined(f"{look.title}.", footer(task, policy)))
    return tuple(_checks(task, policy, check, _status(look.state, look.title), app=app))


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


def check_name(policy: Policy) -> str:
    """Name the check run or the status's context; branch protection refers to it."""
    return f"covend/{policy.rule.name}"


def _checks(
    task: Task, policy: Policy, check: Json, status: Json, *, app: bool
) -> Iterator[EffectDraft]:
    wanted = _CHECKED & frozenset(policy.rule.publish)
    if not task.repository or not task.subject.head_sha:
        return
    if EffectKind.CHECK in wanted and app:
        identity = {"name": check_name(policy), "external_id": _version(task)}
        yield _on_head(task, policy, EffectKind.CHECK, {**identity, **check})
    if EffectKind.STATUS in wanted or (wanted and not app):
        yield _on_head(task, policy, EffectKind.STATUS, {"context": check_name(policy), **status})


def _on_head(task: Task, policy: Policy, kind: EffectKind, body: Json) -> EffectDraft:
    sha = task.subject.head_sha
    slot = f"{kind}/{policy.rule.name}/{subject_key(task)}/{sha}"
    return _draft(task, kind, slot, {"head_sha": sha, "body": body})


def _comment(
    task: Task, policy: Policy, text: str, small: str, key: bytes
) -> Iterator[EffectDraft]:
    if not _is_published(task, policy, EffectKind.COMMENT) or task.subject.type not in _COMMENTED:
        return
    slot = f"comment/{policy.rule.name}/{subject_key(task)}"
    marker = sign(Marker(slot=slot, task=_version(task)), key)
    request = {
        "number": task.subject.number,
        "on": task.subject.type,
        "marker": marker,
        "body": {"body": seal(text, small, marker)},
    }
    yield _draft(task, EffectKind.COMMENT, slot, request)


def _comment_text(
    task: Task, policy: Policy, ending: Ending, look: Look, drafts: Iterable[EffectDraft]
) -> str:
    """What a review says is not said twice."""
    sha = task.subject.head_sha
    on = f" on {code(sha[:SHORT_SHA])}" if sha else ""
    told = any(draft.kind is EffectKind.REVIEW for draft in drafts)
    return _joined(
        f"{look.icon} {code(policy.rule.name)}{on} · **{look.title}**",
        explanation_of(policy, ending),
        "What was found is in the review." if told else summary_of(ending),
    )


def _review(
    task: Task,
    policy: Policy,
    ending: Ending,
    files: Sequence[ChangedFile] | None,
    small: str,
    key: bytes,
) -> Iterator[EffectDraft]:
    sha = task.subject.head_sha
    if not _is_reviewed(task, policy, ending) or sha is None:
        return
    slot = f"review/{policy.rule.name}/{subject_key(task)}/{_version(task)}"
    marker = sign(Marker(slot=slot, task=_version(task)), key)
    frame = Frame(head_sha=sha, tail=(small, marker), blob_url=_blob_url(task))
    body, fallback = review_request(ending.result, files, frame)
    request = {
        "number": task.subject.number,
        "marker": marker,
        "body": body,
        "fallback": fallback,
    }
    yield _draft(task, EffectKind.REVIEW, slot, request)


def _is_reviewed(task: Task, policy: Policy, ending: Ending) -> bool:
    result = ending.result
    return (
        _is_published(task, policy, EffectKind.REVIEW)
        and task.subject.type is SubjectType.PULL_REQUEST
        and ending.outcome is Outcome.SUCCEEDED
        and bool(result.findings or result.summary.strip())
    )


def _is_published(task: Task, policy: Policy, kind: EffectKind) -> bool:
    return kind in policy.rule.publish and bool(task.repository) and task.subject.number is not None


def _draft(task: Task, kind: EffectKind, slot: str, request: dict[str, Any]) -> EffectDraft:
    return EffectDraft(
        kind=kind,
        slot=slot,
        subject=subject_key(task),
        target=_target(task),
        request={"repository": task.repository, **request},
    )


def _completed(look: Look, summary: str) -> dict[str, Any]:
    """Without `completed_at`: GitHub sets it, and the bytes stay the same on each try."""
    output = {"title": look.title, "summary": summary}
    return {"status": "completed", "conclusion": look.conclusion, "output": output}


def _status(state: str, title: str) -> dict[str, Any]:
    return {"state": state, "description": one_line(title, DESCRIPTION_MAX)}


def _visible_summary(target: TaskState, ending: Ending) -> str:
    """Findings on a commit that is not the head any more are withheld."""
    return "" if target is TaskState.SUPERSEDED else summary_of(ending)


def _target(task: Task) -> str:
    subject = task.subject
    if subject.number is not None:
        return f"{task.repository}#{subject.number}"
    return f"{task.repository}@{(subject.head_sha or '')[:SHORT_SHA]}"


def _blob_url(task: Task) -> str | None:
    """Where files can be read at the head: beside the pull request's own page."""
    page, found, _ = task.subject.url.partition("/pull/")
    return f"{page}/blob/{task.subject.head_sha}" if found else None


def _version(task: Task) -> str:
    return external_id(task.id, task.generation)


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def _moment(at: Moment) -> str:
    return datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
