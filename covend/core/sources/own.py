"""Covend's own source: what it tells itself when a task has ended, so that rules can follow it.

Nothing comes in by this source: a request in its name is refused, whoever signs it. What it writes
is stored like any delivery, and read again as it was.

The payload of `task.completed` and `task.failed`; every value may be null but those of `task`:

    action        "completed" | "failed"
    task          id, generation, rule, agent, state, conclusion, summary, error{code, message},
                  key, depth (tasks that lie behind it), parent (the task that it followed)
    repository    id, full_name, default_branch, clone_url
    installation  id
    subject       type, number, title, url, author, head_sha, base_sha, head_ref, base_ref,
                  head_repository, updated_at
    sender        login: whoever caused the task
    trust         how far that one was trusted
    ended_at      when the task ended

In a rule's `when`, `conclusion` is the task's and `body` its summary; `title`, `author`, `head` and
`base` are the subject's, and `payload = { "task.rule" = ["review"] }` picks whom to follow. Labels
are not told: a rule that asks for some follows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID, uuid5

import orjson
from msgspec.structs import asdict

from covend.core.ending import Ending
from covend.core.model import (
    Conclusion,
    DeliveryId,
    Envelope,
    Event,
    Json,
    Moment,
    Subject,
    SubjectType,
    Task,
    TaskId,
    Trust,
)
from covend.core.rules import facts
from covend.core.secret import Secret
from covend.core.sources.kept import headers_of, read_again
from covend.core.sources.request import Headers, Refused
from covend.core.states import TaskState

NAME = "covend"
EVENT = "task"
ENDS = frozenset({TaskState.COMPLETED, TaskState.FAILED})
"""The ends that are told; each is the event's action."""

PROSE_MAX = 16 << 10
"""Characters of a summary or a message that are told; the whole stands in the task."""

_SPACE = UUID("8f0c4b53-6d0e-5a36-9c1a-0d2c61e2f7aa")
"""Covend's own name space of delivery ids: no other source has it."""

NOT_YOURS = Refused(
    status=401, code="own_source", message="Nobody but covend itself sends in its own name."
)
BAD_RECORD = Refused(
    status=400, code="bad_record", message="This is not what covend has written of a task's end."
)
_Member = TypeVar("_Member", bound=str)


def delivery_of(task: TaskId, generation: int) -> DeliveryId:
    """Give the id of what tells a task's end: one for each generation, whoever asks and when."""
    return delivery_named(f"{task}:{generation}")


def delivery_named(name: str) -> DeliveryId:
    """Give the id of a delivery that covend itself makes: for the same name always the same."""
    return DeliveryId(str(uuid5(_SPACE, name)))


def ended_event(
    task: Task, ending: Ending, target: TaskState, now: Moment
) -> tuple[Envelope, Event]:
    """Tell that a task has ended as `target`, which is `completed` or `failed`."""
    assert target in ENDS
    body = orjson.dumps(_payload_of(task, ending, target, now))
    delivery = delivery_of(task.id, task.generation)
    headers = headers_of(EVENT, delivery)
    opened = reopen(headers, body)
    assert not isinstance(opened, Refused)
    return opened, read_event(opened, None)


def check_head(headers: Headers) -> Refused | None:  # noqa: ARG001
    """Refuse every request."""
    return NOT_YOURS


def verify(
    headers: Headers,  # noqa: ARG001
    body: bytes,  # noqa: ARG001
    secrets: Sequence[Secret],  # noqa: ARG001
) -> Envelope | Refused:
    """Refuse every request."""
    return NOT_YOURS


def reopen(headers: Headers, body: bytes) -> Envelope | Refused:
    """Read again what was stored."""
    return read_again(headers, body, source=NAME, event=EVENT, otherwise=BAD_RECORD)


def read_event(envelope: Envelope, mention: str | None) -> Event:  # noqa: ARG001
    """Read what rules ask about; it commands nothing, so `mention` is not listened to."""
    payload = facts.mapping(envelope.payload)
    task, told = facts.mapping(payload.get("task")), facts.mapping(payload.get("subject"))
    repository = facts.mapping(payload.get("repository"))
    parent = facts.name(task.get("id"))
    full_name, subject = facts.repository(repository.get("full_name")), _read_subject(told)
    trust = _member(Trust, payload.get("trust"), Trust.NONE)
    return Event(
        source=NAME,
        delivery=envelope.delivery,
        name=envelope.event,
        action=facts.name(payload.get("action")),
        installation_id=facts.number(facts.mapping(payload.get("installation")).get("id")),
        repository_id=facts.number(repository.get("id")),
        repository=full_name,
        default_branch=facts.name(repository.get("default_branch")),
        clone_url=facts.name(repository.get("clone_url")),
        depth=(facts.number(task.get("depth")) or 0) + 1,
        parent=TaskId(parent) if parent else None,
        subject_updated_at=facts.moment(told.get("updated_at")),
        sender=facts.name(facts.mapping(payload.get("sender")).get("login")),
        sender_type="Bot" if trust is Trust.BOT else None,
        author=subject.author or None,
        trust=trust,
        subject=subject,
        fork=_is_fork(subject, full_name, trust),
        title=subject.title or None,
        body=facts.text(task.get("summary")),
        conclusion=facts.name(task.get("conclusion")),
        payload=envelope.whole,
    )


# --- what is written ------------------------------------------------------------------------------


def _payload_of(task: Task, ending: Ending, target: TaskState, now: Moment) -> Json:
    return {
        "action": target.value,
        "task": _told_task(task, ending, target),
        "repository": {
            "id": task.repository_id,
            "full_name": task.repository,
            "default_branch": task.default_branch,
            "clone_url": task.clone_url,
        },
        "installation": {"id": task.installation_id},
        "subject": {**asdict(task.subject), "updated_at": _written(task.subject_updated_at)},
        "sender": {"login": task.actor},
        "trust": task.trust.value,
        "ended_at": _written(now),
    }


def _told_task(task: Task, ending: Ending, target: TaskState) -> Mapping[str, Any]:
    """Say how it ended; a task that failed has no verdict of an agent to show for it."""
    has_failed = target is TaskState.FAILED
    return {
        "id": task.id,
        "generation": task.generation,
        "rule": task.rule,
        "agent": task.agent,
        "state": target.value,
        "conclusion": (Conclusion.FAILURE if has_failed else ending.result.conclusion).value,
        "summary": _told(ending.result.summary),
        "error": {"code": ending.error_code, "message": _told(ending.error_message)},
        "key": task.key,
        "depth": task.depth,
        "parent": task.parent,
    }


def _told(prose: str | None) -> str | None:
    return facts.text(prose, PROSE_MAX)


def _written(moment: Moment | None) -> str | None:
    if moment is None:
        return None
    # Not by a float of seconds, which may fall on the millisecond before.
    seconds, milliseconds = divmod(moment, 1000)
    at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=milliseconds * 1000)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- what is read ---------------------------------------------------------------------------------


def _read_subject(told: Json) -> Subject:
    return Subject(
        type=_member(SubjectType, told.get("type"), SubjectType.NONE),
        number=facts.number(told.get("number")),
        title=facts.text(told.get("title"), facts.TITLE_MAX) or "",
        url=facts.name(told.get("url")) or "",
        author=facts.name(told.get("author")) or "",
        head_sha=facts.sha(told.get("head_sha")),
        base_sha=facts.sha(told.get("base_sha")),
        head_ref=facts.name(told.get("head_ref")),
        base_ref=facts.name(told.get("base_ref")),
        head_repository=facts.repository(told.get("head_repository")),
    )


def _is_fork(subject: Subject, repository: str | None, trust: Trust) -> bool | None:
    """Say whether the head lies in another repository; None where that has to be looked up."""
    if trust is Trust.FORK:
        return True
    if subject.head_repository is None or repository is None:
        return None
    return subject.head_repository.casefold() != repository.casefold()


def _member(kind: type[_Member], value: object, otherwise: _Member) -> _Member:
    """Give the member of that name; a record of a newer covend may have one that is not known."""
    try:
        return kind(value)
    except ValueError:
        return otherwise
