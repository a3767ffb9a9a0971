"""Which effects a task's beginning and end have: the drafts that are written with the move they
belong to.

Only kinds that the rule publishes, only where the subject has a place for them. A draft's `request`
is all that is needed to send it, the same bytes on each try; whatever has a secret's shape is out
of it before any text is cut.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from covend.core.effects.acknowledge import Reaction, react_to_task
from covend.core.effects.checks import check_by_word, check_ended, check_under_way
from covend.core.effects.diff import ChangedFile
from covend.core.effects.dismissals import plan_dismissals, review_slots
from covend.core.effects.drafting import (
    SHORT_SHA,
    blob_url_of,
    draft_of,
    fence_of,
    subject_key,
    version_of,
)
from covend.core.effects.labels import plan_labels
from covend.core.effects.marker import Marker, sign
from covend.core.effects.pull_request import plan_pull_request
from covend.core.effects.review import Frame, list_findings, review_request
from covend.core.effects.texts import code, cut_note, paragraphs, seal
from covend.core.effects.wording import (
    STOPPED,
    Look,
    explanation_of,
    footer,
    look_of,
    spent,
    summary_of,
)
from covend.core.ending import Ending, Finding
from covend.core.model import Claim, EffectDraft, EffectKind, Json, Moment, SubjectType, Task
from covend.core.redact import Redactor
from covend.core.settings import Policy
from covend.core.states import Outcome, TaskState

_COMMENTED = frozenset({SubjectType.PULL_REQUEST, SubjectType.ISSUE})
_REACTIONS: Mapping[str, Reaction] = {
    "success": Reaction.DONE,
    "neutral": Reaction.DONE,
    "failure": Reaction.REFUSED,
    "timed_out": Reaction.REFUSED,
    "action_required": Reaction.PUZZLED,
    "cancelled": Reaction.PUZZLED,
}
"""By the conclusion of a check."""


def plan_start(claim: Claim, policy: Policy, *, app: bool, key: bytes) -> tuple[EffectDraft, ...]:
    """Show that work is under way; where covend is no `app`, a check is a commit status."""
    drafts = check_under_way(claim, policy, app=app)
    return (*drafts, *_reaction(claim.task, policy, Reaction.SEEN, key))


def plan_end(  # noqa: PLR0913 - all that an end is shown by, and by keyword
    claim: Claim,
    policy: Policy,
    ending: Ending,
    *,
    target: TaskState,
    app: bool,
    key: bytes,
    now: Moment,
    files: Sequence[ChangedFile] | None = None,
    outdated: Sequence[str] = (),
) -> tuple[EffectDraft, ...]:
    """Show how an attempt ended: what it found, then the status comment, and the check last.

    A task that goes back to the queue shows nothing: its check stays in progress. A superseded one
    ends its check only, because the comment belongs to the work that took its place. `key` signs
    the markers; `files` is the diff of the task's head, None where it is not known; `outdated` are
    the ids of earlier reviews that this end outdates.
    """
    if target is TaskState.QUEUED:
        return ()
    ending = _without_secrets(ending)
    task, look = claim.task, look_of(target, ending)
    small = footer(task, policy, *spent(claim, ending, now))
    check = tuple(check_ended(task, policy, ending, look, target, small, app=app))
    if target is TaskState.SUPERSEDED:
        return check
    drafts: list[EffectDraft] = []
    if target is TaskState.COMPLETED:
        drafts += _review(task, policy, ending, files, small, key)
        drafts += plan_dismissals(task, policy, ending, outdated)
        drafts += plan_labels(task, policy, ending)
        drafts += plan_pull_request(task, policy, ending, small, key)
    fence = fence_of(task, policy) if target is TaskState.COMPLETED else {}
    text = _comment_text(task, policy, ending, look, {each.kind for each in (*drafts, *check)})
    drafts += _comment(task, policy, text, small, key, fence)
    reaction = _reaction(task, policy, _REACTIONS[look.conclusion], key)
    return (*drafts, *check, *reaction)


def plan_stop(
    task: Task, policy: Policy, *, target: TaskState, app: bool, key: bytes
) -> tuple[EffectDraft, ...]:
    """End the check of a task that ends without an attempt: cancelled or given up while it waited,
    or superseded (also after it was completed, where its findings are withheld).

    Nothing, where it never began: then no check is there.
    """
    if task.attempts == 0 or target not in STOPPED:
        return ()
    look = STOPPED[target]
    drafts = plan_word(task, policy, look, f"{look.title}.", app=app)
    if target is TaskState.SUPERSEDED:
        return drafts
    return (*drafts, *_reaction(task, policy, _REACTIONS[look.conclusion], key))


def plan_word(
    task: Task, policy: Policy, look: Look, text: str, *, app: bool
) -> tuple[EffectDraft, ...]:
    """Conclude the check of a task by covend's own word; nothing, where its rule shows none."""
    return tuple(check_by_word(task, policy, look, text, app=app))


# --- comments and reviews -------------------------------------------------------------------------


def _comment(
    task: Task, policy: Policy, text: str, small: str, key: bytes, fence: Json
) -> Iterator[EffectDraft]:
    if not _is_published(task, policy, EffectKind.COMMENT) or task.subject.type not in _COMMENTED:
        return
    slot = f"comment/{policy.rule.name}/{subject_key(task)}"
    marker = sign(Marker(slot=slot, task=version_of(task)), key)
    request = {
        "number": task.subject.number,
        "on": task.subject.type,
        "marker": marker,
        "body": {"body": seal(text, small, marker, note=cut_note(task.id))},
        **fence,
    }
    yield draft_of(task, EffectKind.COMMENT, slot, request)


def _comment_text(
    task: Task, policy: Policy, ending: Ending, look: Look, beside: Collection[EffectKind]
) -> str:
    """What is said `beside` it is not said twice: all of it by a review, and the findings by a
    check run. A commit status has no place for them.
    """
    sha = task.subject.head_sha
    on = f" on {code(sha[:SHORT_SHA])}" if sha else ""
    is_found = ending.outcome is Outcome.SUCCEEDED and EffectKind.CHECK not in beside
    findings = ending.result.findings if is_found else ()
    said = paragraphs(summary_of(ending), list_findings(findings, blob_url_of(task), is_all=True))
    return paragraphs(
        f"{look.icon} {code(policy.rule.name)}{on} · **{look.title}**",
        explanation_of(policy, ending),
        "What was found is in the review." if EffectKind.REVIEW in beside else said,
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
    slot = f"{review_slots(task, policy)}{version_of(task)}"
    marker = sign(Marker(slot=slot, task=version_of(task)), key)
    frame = Frame(
        head_sha=sha, tail=(small, marker), blob_url=blob_url_of(task), note=cut_note(task.id)
    )
    body, fallback = review_request(ending.result, files, frame)
    request = {
        "number": task.subject.number,
        "marker": marker,
        "body": body,
        "fallback": fallback,
        **fence_of(task, policy),
    }
    yield draft_of(task, EffectKind.REVIEW, slot, request)


def _is_reviewed(task: Task, policy: Policy, ending: Ending) -> bool:
    result = ending.result
    return (
        _is_published(task, policy, EffectKind.REVIEW)
        and task.subject.type is SubjectType.PULL_REQUEST
        and ending.outcome is Outcome.SUCCEEDED
        and bool(result.findings or result.summary.strip())
    )


# --- what they share ------------------------------------------------------------------------------


def _reaction(
    task: Task, policy: Policy, reaction: Reaction, key: bytes
) -> tuple[EffectDraft, ...]:
    if EffectKind.REACTION not in policy.rule.publish:
        return ()
    return react_to_task(task, reaction, key=key)


def _is_published(task: Task, policy: Policy, kind: EffectKind) -> bool:
    return kind in policy.rule.publish and bool(task.repository) and task.subject.number is not None


def _without_secrets(ending: Ending) -> Ending:
    """Take out what has a secret's shape, before a cut could make it pass for something else."""
    text = Redactor().text
    result = ending.result

    def finding(each: Finding) -> Finding:
        suggestion = each.suggestion if each.suggestion is None else text(each.suggestion)
        return replace(each, path=text(each.path), body=text(each.body), suggestion=suggestion)

    return replace(
        ending,
        error_message=ending.error_message and text(ending.error_message),
        result=replace(
            result,
            summary=text(result.summary),
            findings=tuple(map(finding, result.findings)),
            labels=tuple(map(text, result.labels)),
        ),
    )
