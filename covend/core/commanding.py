"""What people may say to covend itself in a comment: the one table of built-in verbs, and which
tasks a verb is meant for.

Refuses nobody: a permission is looked up live by whoever asks this table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from covend.core.model import Command, DeliveryId, Moment, Need, SubjectType, Task
from covend.core.states import OPEN_TASK, TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandWish:
    """A command that somebody has given, as the store keeps it until it is attended to."""

    delivery: DeliveryId
    command: Command
    is_wanted: bool
    """Whether a rule listens to the verb: then its task does the work."""
    is_bot: bool
    installation_id: int | None
    repository_id: int | None
    repository: str | None
    repository_key: str
    subject_type: SubjectType
    subject_number: int | None
    reason: str
    created_at: Moment


class Verb(StrEnum):
    """What covend itself listens to; every other verb is a rule's, or nobody's."""

    STATUS = "status"
    RETRY = "retry"
    CANCEL = "cancel"
    APPROVE = "approve"
    PAUSE = "pause"
    RESUME = "resume"
    HELP = "help"


WRITERS = frozenset({"admin", "maintain", "write"})
KEEPERS = frozenset({"admin", "maintain"})
"""What holds or releases a whole repository is not for everybody who may push to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltIn:
    """One verb: its line of help, who may say it, and whether a rule's name may follow."""

    verb: Verb
    promise: str
    allowed: frozenset[str] = WRITERS
    """Live permissions."""
    takes_rule: bool = False


BUILT_IN: Mapping[str, BuiltIn] = MappingProxyType(
    {
        each.verb: each
        for each in (
            BuiltIn(verb=Verb.STATUS, promise="shows what was started here, and how it stands"),
            BuiltIn(
                verb=Verb.RETRY,
                promise="starts again what has failed or was cancelled here",
                takes_rule=True,
            ),
            BuiltIn(
                verb=Verb.CANCEL,
                promise="ends what waits or is at work here",
                takes_rule=True,
            ),
            BuiltIn(
                verb=Verb.APPROVE,
                promise="lets run what waits here for somebody's yes",
                takes_rule=True,
            ),
            BuiltIn(
                verb=Verb.PAUSE,
                promise="starts nothing more in this repository, until `resume`",
                allowed=KEEPERS,
            ),
            BuiltIn(
                verb=Verb.RESUME,
                promise="lets work in this repository go on",
                allowed=KEEPERS,
            ),
            BuiltIn(verb=Verb.HELP, promise="shows these lines"),
        )
    }
)
"""In the order of the help."""


def allowed_for(verb: str) -> frozenset[str]:
    """Say which live permissions may say a verb; one that nobody knows is heard as any other."""
    built_in = BUILT_IN.get(verb)
    return built_in.allowed if built_in else WRITERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """What a verb is meant for."""

    tasks: tuple[Task, ...]
    """To be acted on, newest first."""
    is_so: bool
    """Something is as it was wished already: by another, or by covend just before it died."""


def meant_by(verb: Verb, tasks: Sequence[Task], *, rule: str, asked_at: Moment) -> Meant:
    """Choose among the tasks of a subject, newest first, those that a verb is meant for; `rule` ""
    means every rule.

    What came, or ended, after the command was given is not meant by it: a command that is attended
    to twice does nothing more the second time, and nobody approves what they cannot have seen.
    """
    named = [task for task in tasks if not rule or task.rule == rule]
    is_meant, is_so = _CHOICES[verb]
    known = _newest(named) if verb is Verb.RETRY else named
    meant = (task for task in known if task.created_at <= asked_at and is_meant(task, asked_at))
    return Meant(tasks=tuple(meant), is_so=any(is_so(task, asked_at) for task in known))


def newest_of_each(tasks: Sequence[Task]) -> tuple[Task, ...]:
    """Give of every rule the newest task, of tasks that are newest first."""
    return tuple(_newest(tasks))


def _newest(tasks: Iterable[Task]) -> list[Task]:
    found: dict[str, Task] = {}
    for task in tasks:
        found.setdefault(task.rule, task)
    return list(found.values())


def _has_failed(task: Task, asked_at: Moment) -> bool:
    is_over = task.state in {TaskState.FAILED, TaskState.CANCELLED}
    return is_over and _ended_at(task) <= asked_at


def _is_tried_again(task: Task, asked_at: Moment) -> bool:
    """A new try has begun, or even ended since."""
    return task.generation > 1 and (task.state in OPEN_TASK or _ended_at(task) > asked_at)


def _is_open(task: Task, asked_at: Moment) -> bool:  # noqa: ARG001
    return task.state in OPEN_TASK


def _is_cancelled(task: Task, asked_at: Moment) -> bool:
    return task.state is TaskState.CANCELLED and _ended_at(task) >= asked_at


def _waits_for_approval(task: Task, asked_at: Moment) -> bool:  # noqa: ARG001
    return task.state is TaskState.RECEIVED and Need.APPROVAL in task.needs


def _is_approved(task: Task, asked_at: Moment) -> bool:
    return task.approved_at is not None and task.approved_at >= asked_at


def _ended_at(task: Task) -> Moment:
    return task.updated_at if task.finished_at is None else task.finished_at


_Question = Callable[[Task, Moment], bool]
_CHOICES: Mapping[Verb, tuple[_Question, _Question]] = {
    Verb.RETRY: (_has_failed, _is_tried_again),
    Verb.CANCEL: (_is_open, _is_cancelled),
    Verb.APPROVE: (_waits_for_approval, _is_approved),
}
"""Of each verb about tasks: is it meant for this one, and is it done there already?"""
