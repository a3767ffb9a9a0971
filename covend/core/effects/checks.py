"""The check run or commit status of a task: under way, ended with what was found, or stopped.

Where covend is no App a check is a commit status: it says how it ended, and has no place for more.
https://docs.github.com/en/rest/checks/runs
https://docs.github.com/en/rest/commits/statuses
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from covend.core.effects.annotations import Annotated, annotate
from covend.core.effects.drafting import blob_url_of, draft_of, subject_key, version_of
from covend.core.effects.review import list_findings
from covend.core.effects.texts import cut, cut_note, one_line, paragraphs
from covend.core.effects.wording import Look, explanation_of, footer, start_text, summary_of
from covend.core.ending import Ending
from covend.core.model import Claim, EffectDraft, EffectKind, Json, Moment, Task
from covend.core.settings import Policy
from covend.core.states import Outcome, TaskState

SUMMARY_MAX = 65_535
"""Characters in a check run's summary."""
TITLE_MAX = 255
"""Characters in a check run's title."""
DESCRIPTION_MAX = 140
"""Characters in a commit status's description."""

_CHECKED = frozenset({EffectKind.CHECK, EffectKind.STATUS})


def check_name(policy: Policy) -> str:
    """Name the check run or the status's context; branch protection refers to it."""
    return f"covend/{policy.rule.name}"


def check_under_way(claim: Claim, policy: Policy, *, app: bool) -> Iterator[EffectDraft]:
    """Show that work is under way."""
    title = "In progress"
    output = {"title": title, "summary": start_text(claim, policy)}
    check = {"status": "in_progress", "started_at": _moment(claim.started_at), "output": output}
    return _drafts(claim.task, policy, check, _status("pending", title), app=app)


def check_ended(
    task: Task,
    policy: Policy,
    ending: Ending,
    look: Look,
    target: TaskState,
    small: str,
    *,
    app: bool,
) -> Iterator[EffectDraft]:
    """Conclude the check; what was found is on it where no review tells it."""
    found = _found(policy, ending, target)
    summary = _summary(task, policy, ending, found, target, small)
    check, status = _completed(look, summary), _status(look.state, look.title)
    return _drafts(task, policy, check, status, app=app, found=found)


def check_waiting(task: Task, policy: Policy, *, app: bool) -> Iterator[EffectDraft]:
    """Show that work which was asked for again waits for its turn."""
    title = "Queued"
    output = {"title": title, "summary": paragraphs(f"{title}.", footer(task, policy))}
    check = {"status": "queued", "output": output}
    return _drafts(task, policy, check, _status("pending", title), app=app)


def check_by_word(
    task: Task, policy: Policy, look: Look, text: str, *, app: bool
) -> Iterator[EffectDraft]:
    """Conclude the check by covend's own word, where no attempt has more to tell."""
    check = _completed(look, paragraphs(text, footer(task, policy)))
    return _drafts(task, policy, check, _status(look.state, look.title), app=app)


def _drafts(
    task: Task,
    policy: Policy,
    check: Json,
    status: Json,
    *,
    app: bool,
    found: Annotated | None = None,
) -> Iterator[EffectDraft]:
    wanted = _CHECKED & frozenset(policy.rule.publish)
    if not task.repository or not task.subject.head_sha:
        return
    if EffectKind.CHECK in wanted and app:
        identity = {"name": check_name(policy), "external_id": version_of(task)}
        yield from _check_run(task, policy, {**identity, **check}, found or Annotated())
    if EffectKind.STATUS in wanted or (wanted and not app):
        body = {"context": check_name(policy), **status}
        yield _on_head(task, policy, EffectKind.STATUS, {"body": body})


def _check_run(task: Task, policy: Policy, body: Json, found: Annotated) -> Iterator[EffectDraft]:
    """Conclude the check with the first annotations; each further batch is an update of its own,
    that adds to them and changes nothing else.
    """
    if not found.batches:
        yield _on_head(task, policy, EffectKind.CHECK, {"body": body})
        return
    count, rest = 0, {name: body[name] for name in ("name", "external_id")}
    for batch in found.batches:
        first, count = count == 0, count + len(batch)
        output = {**body["output"], "annotations": list(batch)}
        shown = {**(body if first else rest), "output": output}
        yield _on_head(
            task,
            policy,
            EffectKind.CHECK,
            {"annotated": count, "is_added": not first, "body": shown},
        )


def _on_head(task: Task, policy: Policy, kind: EffectKind, request: dict[str, Any]) -> EffectDraft:
    """Annotations can never be taken off a check run, so that each version of a task has its own
    where it may get some.
    """
    sha = task.subject.head_sha
    slot = f"{kind}/{policy.rule.name}/{subject_key(task)}/{sha}"
    if kind is EffectKind.CHECK and _annotates(policy):
        slot = f"{slot}/{version_of(task)}"
    return draft_of(task, kind, slot, {"head_sha": sha, **request})


def _annotates(policy: Policy) -> bool:
    """With a review, findings would be said twice."""
    publish = policy.rule.publish
    return EffectKind.CHECK in publish and EffectKind.REVIEW not in publish


def _found(policy: Policy, ending: Ending, target: TaskState) -> Annotated:
    is_found = target is TaskState.COMPLETED and ending.outcome is Outcome.SUCCEEDED
    is_shown = is_found and _annotates(policy)
    return annotate(ending.result.findings) if is_shown else Annotated()


def _summary(
    task: Task, policy: Policy, ending: Ending, found: Annotated, target: TaskState, small: str
) -> str:
    """Findings on a commit that is not the head any more are withheld."""
    is_all = len(found.beside) == len(ending.result.findings)
    text = paragraphs(
        explanation_of(policy, ending),
        "" if target is TaskState.SUPERSEDED else summary_of(ending),
        list_findings(found.beside, blob_url_of(task), is_all=is_all),
    )
    end = paragraphs(_surplus(found.surplus_count), small)
    return paragraphs(cut(text, SUMMARY_MAX - len(end) - 2, cut_note(task.id)), end)


def _surplus(count: int) -> str:
    match count:
        case 0:
            return ""
        case 1:
            return "*One more finding is not shown.*"
        case _:
            return f"*{count} more findings are not shown.*"


def _completed(look: Look, summary: str) -> dict[str, Any]:
    """Without `completed_at`: GitHub sets it, and the bytes stay the same on each try."""
    output = {"title": one_line(look.title, TITLE_MAX), "summary": summary}
    return {"status": "completed", "conclusion": look.conclusion, "output": output}


def _status(state: str, title: str) -> dict[str, Any]:
    return {"state": state, "description": one_line(title, DESCRIPTION_MAX)}


def _moment(at: Moment) -> str:
    return datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
