"""Makes the rows that keep an arrival: the event loop's work, so that the writing thread writes.

What is packed has let go of the parsed payload, which is many times the size of its text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import orjson
import zstandard

from covend.core.installing import News, read_news
from covend.core.model import DeliveryId, Event, Moment, Need, Subject, TaskId, Trust, Via
from covend.core.rerunning import RerunAsk, read_ask
from covend.core.rules.record import dump_verdicts
from covend.core.rules.routing import Reason
from covend.core.rules.verdicts import TaskDraft
from covend.core.safeguards.shapes import FOREVER
from covend.core.states import DeliveryState, TaskState
from covend.core.succession import Head
from covend.store.protocol import Arrival

_COMPRESSION_LEVEL = 1
_compressor = zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL)

UNHEARD = frozenset({Reason.OWN_EVENT, Reason.IGNORED_SENDER})
"""Deliveries whose commands nobody attends to, so that covend never answers itself."""
_APPROVAL_ALONE = frozenset({Need.APPROVAL})

BodyKey = tuple[str, bytes]
"""What makes two bodies the same delivery: the event's name and the SHA-256."""
SubjectKey = tuple[str, int]
"""What makes two events tell of one subject: the repository's key and the number."""


class First(NamedTuple):
    """A delivery as it is answered: itself, or the one that it repeats."""

    id: DeliveryId
    state: DeliveryState
    reason: str


class WantedTask(NamedTuple):
    """A task that is made if nobody holds its key."""

    key: str
    id: TaskId
    rule: str
    head: Head | None
    """None where no head takes the place of another."""
    row: tuple[object, ...]
    """In the order of `insert_tasks`, but for its last two columns."""


class Packed(NamedTuple):
    """An arrival as rows; `body_key` is None where only the id tells a repetition."""

    first: First
    row: tuple[object, ...]
    body: bytes
    body_key: BodyKey | None
    questions: tuple[tuple[object, ...], ...]
    tasks: tuple[WantedTask, ...]
    command_row: tuple[object, ...] | None
    subject: SubjectKey | None
    updated_at: Moment | None
    closed_at: Moment | None
    """When its subject was closed, where that is what it tells."""
    is_opening: bool
    is_of_checks: bool
    """Whether it may be news of all checks of a head."""
    is_anew: bool
    news: News | None
    """Of where covend is installed."""
    rerun: RerunAsk | None
    repository_key: str
    now: Moment


def compress(bodies: Sequence[bytes]) -> list[bytes]:
    """Compress the bodies of a batch in one go, which leaves the interpreter to the event loop."""
    packed = _compressor.multi_compress_to_buffer(list(bodies))
    return [packed[place].tobytes() for place in range(len(packed))]


def pack(arrival: Arrival) -> Packed:
    """Make the rows, all but the compressed body."""
    envelope, event, routing = arrival.envelope, arrival.event, arrival.routing
    sha256 = bytes.fromhex(envelope.body_sha256)
    is_by_body = arrival.via is Via.WEBHOOK and envelope.source == "github"
    repository_key = _repository_key(event)
    subject = _subject_key(
        repository_key, routing.drafts[0].subject if routing.drafts else event.subject
    )
    return Packed(
        first=First(envelope.delivery, routing.state, str(routing.reason)),
        row=_delivery_row(arrival, sha256),
        body=envelope.body,
        body_key=(envelope.event, sha256) if is_by_body else None,
        questions=_questions(arrival, sha256 if is_by_body else None, subject),
        tasks=tuple(
            WantedTask(
                draft.key, task, draft.rule, _head(event, draft), _task_row(arrival, draft, task)
            )
            for draft, task in zip(routing.drafts, arrival.task_ids, strict=True)
        ),
        command_row=_command_row(arrival) if event.command is not None else None,
        subject=subject,
        updated_at=event.subject_updated_at,
        closed_at=event.closed_at,
        is_opening=event.action == "opened",
        is_of_checks=any(Need.CHECKS in draft.needs for draft in routing.drafts),
        is_anew=arrival.is_anew,
        news=read_news(event),
        rerun=None if routing.reason in UNHEARD else read_ask(event),
        repository_key=repository_key,
        now=arrival.received_at,
    )


def _repository_key(event: Event) -> str:
    """Name the repository by what never changes about it, as far as that is told."""
    return str(event.repository_id or event.repository or "")


def _subject_key(repository_key: str, subject: Subject) -> SubjectKey | None:
    if not repository_key or subject.number is None:
        return None
    return repository_key, subject.number


def _head(event: Event, draft: TaskDraft) -> Head | None:
    if not draft.is_by_head:
        return None
    return Head(draft.subject.head_sha, event.subject_updated_at, event.before_sha)


def _questions(
    arrival: Arrival, sha256: bytes | None, subject: SubjectKey | None
) -> tuple[tuple[object, ...], ...]:
    """In the order of `look_before_keeping`; a rule only where a head counts, and a subject only
    where the event says when it was so, or that it has ended.
    """
    envelope, event, drafts = arrival.envelope, arrival.event, arrival.routing.drafts
    known = (envelope.delivery, envelope.event, sha256)
    repository_key, number = subject or (None, None)
    is_dated = event.subject_updated_at is not None or event.closed_at is not None
    if not drafts:
        return ((*known, None, repository_key, number if is_dated else None, None),)
    return tuple(
        (
            *known,
            draft.key,
            repository_key,
            number if is_dated or draft.is_by_head else None,
            draft.rule if draft.is_by_head else None,
        )
        for draft in drafts
    )


def _delivery_row(arrival: Arrival, sha256: bytes) -> tuple[object, ...]:
    """In the order of `insert_deliveries`, but for its last three columns, which come later; plain
    texts, because the driver takes those fastest.
    """
    envelope, event = arrival.envelope, arrival.event
    return (
        envelope.delivery,
        envelope.source,
        arrival.via.value,
        envelope.event,
        event.action,
        event.installation_id,
        event.repository_id,
        event.repository,
        event.sender,
        arrival.received_at,
        sha256,
        orjson.dumps(envelope.headers),
        dump_verdicts(arrival.routing.verdicts),
    )


def _task_row(arrival: Arrival, draft: TaskDraft, task: TaskId) -> tuple[object, ...]:
    """In the order of `insert_tasks`, but for its last two columns, which the store decides."""
    event, subject, now = arrival.event, draft.subject, arrival.received_at
    state, reason, not_before_at = _beginning(draft, now)
    return (
        task,
        state.value,
        reason,
        not_before_at,
        draft.rule,
        draft.agent,
        orjson.dumps(draft.fallbacks).decode() if draft.fallbacks else "[]",
        draft.priority,
        draft.key,
        draft.policy,
        draft.trust.value,
        draft.event,
        event.sender,
        event.installation_id,
        event.repository_id,
        event.repository,
        _repository_key(event),
        event.default_branch,
        event.clone_url,
        subject.type.value,
        subject.number,
        subject.title,
        subject.url,
        subject.author,
        event.subject_updated_at,
        event.before_sha,
        subject.head_sha,
        subject.base_sha,
        subject.head_ref,
        subject.base_ref,
        subject.head_repository,
        orjson.dumps(draft.command).decode() if draft.command else None,
        " ".join(sorted(draft.needs)),
        arrival.envelope.delivery,
        event.parent,
        event.depth,
        orjson.dumps(event.inputs).decode() if event.inputs else "{}",
        now,
        now,
    )


def _beginning(draft: TaskDraft, now: Moment) -> tuple[TaskState, str, Moment]:
    """Say where a task begins, why, and from when on it is looked at."""
    if draft.needs == _APPROVAL_ALONE:
        return TaskState.RECEIVED, "approval", FOREVER
    later = now + round(draft.debounce_s * 1000)
    if draft.needs:
        return TaskState.RECEIVED, "look_up", later
    if draft.debounce_s > 0:
        return TaskState.RECEIVED, "debounce", later
    return TaskState.QUEUED, "new", now


def _command_row(arrival: Arrival) -> tuple[object, ...] | None:
    """In the order of `insert_commands`; None where nobody listens to whoever has said it."""
    event, routing = arrival.event, arrival.routing
    command = event.command
    if command is None or routing.reason in UNHEARD:
        return None
    return (
        arrival.envelope.delivery,
        command.verb,
        orjson.dumps(command).decode(),
        any(draft.command for draft in routing.drafts),
        event.installation_id,
        event.repository_id,
        event.repository,
        _repository_key(event),
        event.subject.type.value,
        event.subject.number,
        event.trust is Trust.BOT or event.sender_type == "Bot",
        arrival.received_at,
        arrival.received_at,
        command.place,
        command.comment_id,
    )
