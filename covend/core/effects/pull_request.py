"""The draft of a pull request for what an agent committed: one branch of its own for each task, and
onto which branch it is proposed.

Refuses nothing that the agent wrote: it is made harmless, cut to GitHub's bounds, and where there
is none, said for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from covend.core.effects.drafting import fence_of, version_of
from covend.core.effects.marker import Marker, sign
from covend.core.effects.texts import cut_note, one_line, seal, tame
from covend.core.ending import Ending
from covend.core.model import EffectDraft, EffectKind, Json, Subject, SubjectType, Task, TaskId
from covend.core.redact import Redactor
from covend.core.settings import Policy
from covend.core.states import Outcome

TITLE_MAX = 256
"""Characters that GitHub takes in a title."""
BRANCHES = "covend/"
"""Every branch that covend pushes begins so, and it pushes no other."""


def branch_of(task: TaskId) -> str:
    """Name the branch of a task's commits; ids are lower-case letters and digits."""
    return f"{BRANCHES}{task}"


def plan_pull_request(
    task: Task, policy: Policy, ending: Ending, small: str, key: bytes
) -> Iterator[EffectDraft]:
    """Propose what the agent committed; nothing where that is nothing.

    `small` is the footer below the body, `key` signs its marker. The effect has a subject of its
    own: what is pushed for long, or in vain, holds up no comment and no check.
    """
    if EffectKind.PULL_REQUEST not in policy.rule.publish or not task.repository:
        return
    if ending.outcome is not Outcome.SUCCEEDED or ending.commits is None:
        return
    branch = branch_of(task.id)
    place = task.repository_id if task.repository_id is not None else task.repository
    slot = f"pull_request/{policy.rule.name}/{place}/{branch}"
    marker = sign(Marker(slot=slot, task=version_of(task)), key)
    request: dict[str, Any] = {
        "repository": task.repository,
        "sha": ending.commits.sha,
        "mirror": ending.commits.mirror,
        "attempt": ending.commits.attempt,
        "base": base_of(task),
        "marker": marker,
        "body": _body(task, policy, ending, branch, (small, marker)),
        **fence_of(task, policy),
    }
    yield EffectDraft(
        kind=EffectKind.PULL_REQUEST,
        slot=slot,
        subject=f"{place}/branch/{branch}",
        target=f"{task.repository}:{branch}",
        request=request,
    )


def base_of(task: Task) -> str | None:
    """Say onto which branch the commits are proposed: that of the pull request they are about, or
    what that one is proposed onto, where its branch lies in a fork. None is the default branch.
    """
    subject = task.subject
    if subject.type is not SubjectType.PULL_REQUEST:
        return None
    return subject.head_ref if _is_at_home(task, subject) else subject.base_ref


def _is_at_home(task: Task, subject: Subject) -> bool:
    head, home = subject.head_repository, task.repository
    return head is not None and home is not None and head.lower() == home.lower()


def _body(task: Task, policy: Policy, ending: Ending, branch: str, tail: tuple[str, ...]) -> Json:
    told: Json = Redactor().values(ending.result.pull_request or {})
    text = tame(str(told.get("body") or ending.result.summary)).strip()
    about = f"For #{task.subject.number}." if task.subject.number is not None else ""
    return {
        "title": _title(task, policy, told, ending),
        "head": branch,
        "body": seal(
            "\n\n".join(part for part in (about, text) if part), *tail, note=cut_note(task.id)
        ),
        "draft": told.get("draft") is not False,
    }


def _title(task: Task, policy: Policy, told: Json, ending: Ending) -> str:
    """Take the agent's own, or the first line of its summary, or what the work was about."""
    lines = tame(ending.result.summary).splitlines()
    first = next((line for line in map(_heading, lines) if line), "")
    about = f": {task.subject.title}" if task.subject.title else ""
    given = (one_line(str(told.get("title") or ""), TITLE_MAX), one_line(first, TITLE_MAX))
    return next(filter(None, given), one_line(f"{policy.rule.name}{about}", TITLE_MAX))


def _heading(line: str) -> str:
    return line.strip().lstrip("#>*-").strip(" *_`~")
