"""What it means that somebody asks GitHub to make a check again: which tasks are meant, and how
each is to be done once more.

Refuses nobody: GitHub lets only those ask who may push, and tells it to the App alone whose check
it is. An ask that is attended to twice does nothing more the second time.

https://docs.github.com/en/rest/guides/using-the-rest-api-to-interact-with-checks
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct

from covend.core.model import DeliveryId, Event, Moment, SubjectType, Task
from covend.core.rules import facts
from covend.core.states import OPEN_TASK, TaskState

_Check = tuple[str, SubjectType, int | None]
GITHUB = "github"
ASKS = frozenset({"check_run.rerequested", "check_run.requested_action", "check_suite.rerequested"})


class RerunAsk(Struct, frozen=True, kw_only=True):
    """What one delivery asks for."""

    head_sha: str
    external_id: str | None
    """Of the check that is meant; None: all of the head."""
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunWish:
    """An ask as the store keeps it until it is attended to."""

    delivery: DeliveryId
    repository_key: str
    head_sha: str
    external_id: str | None
    actor: str
    created_at: Moment


class Way(StrEnum):
    """How a task is done once more."""

    RETRY = "retry"
    """It has failed or was cancelled: it is queued again."""
    ANEW = "anew"
    """It has come to an end that stands: what asked for it is routed once more."""


def read_ask(event: Event) -> RerunAsk | None:
    """Read what an event asks for; None where it asks for no check, or names no commit."""
    if event.full_name not in ASKS or event.source != GITHUB:
        return None
    check = facts.mapping(event.payload.get(event.name))
    head_sha, is_one = facts.sha(check.get("head_sha")), event.name == "check_run"
    external_id = facts.name(check.get("external_id")) if is_one else None
    if head_sha is None or not event.sender or (is_one and external_id is None):
        return None
    return RerunAsk(head_sha=head_sha, external_id=external_id, actor=event.sender)


def task_named(external_id: str) -> str:
    """Give the task whose check has that id."""
    return external_id.rpartition(".")[0]


def meant_by_rerun(tasks: Sequence[Task], wish: RerunWish) -> list[tuple[Task, Way]]:
    """Choose among the tasks of a head, newest first, what is to be done once more, and how.

    Of each rule the newest counts, on each of the subjects that share the head. One that is open
    will conclude its check by itself; what came after the ask is what it asked for.
    """
    named = None if wish.external_id is None else task_named(wish.external_id)
    kinds = {_check_of(task) for task in tasks if named in {None, task.id}}
    newest: dict[_Check, Task] = {}
    for task in tasks:
        if _check_of(task) in kinds:
            newest.setdefault(_check_of(task), task)
    ways = ((task, _way(task, wish.created_at)) for task in newest.values())
    return [(task, way) for task, way in ways if way is not None]


def _check_of(task: Task) -> _Check:
    """Say whose check it is: one branch may be proposed twice, and each has its own."""
    return task.rule, task.subject.type, task.subject.number


def _way(task: Task, asked_at: Moment) -> Way | None:
    ended_at = task.updated_at if task.finished_at is None else task.finished_at
    if task.state in OPEN_TASK or ended_at > asked_at:
        return None
    return Way.RETRY if task.state in {TaskState.FAILED, TaskState.CANCELLED} else Way.ANEW
