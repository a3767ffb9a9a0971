"""Makes the rows that keep an arrival: the event loop's work, so that the writing thread writes.

What is packed has let go of the parsed payload, which is many times the size of its text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import orjson
import zstandard

from covend.core.model import DeliveryId, TaskId, Via
from covend.core.rules.record import dump_verdicts
from covend.core.rules.verdicts import TaskDraft
from covend.core.states import DeliveryState, TaskState
from covend.store.protocol import Arrival

_COMPRESSION_LEVEL = 1
_compressor = zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL)

BodyKey = tuple[str, bytes]
"""What makes two bodies the same delivery: the event's name and the SHA-256."""


class First(NamedTuple):
    """A delivery as it is answered: itself, or the one that it repeats."""

    id: DeliveryId
    state: DeliveryState
    reason: str


class WantedTask(NamedTuple):
    """A task that is made if nobody holds its key."""

    key: str
    id: TaskId
    row: tuple[object, ...]


class Packed(NamedTuple):
    """An arrival as rows; `body_key` is None where only the id tells a repetition."""

    first: First
    row: tuple[object, ...]
    body: bytes
    body_key: BodyKey | None
    questions: tuple[tuple[object, ...], ...]
    tasks: tuple[WantedTask, ...]


def compress(bodies: Sequence[bytes]) -> list[bytes]:
    """Compress the bodies of a batch in one go, which leaves the interpreter to the event loop."""
    packed = _compressor.multi_compress_to_buffer(list(bodies))
    return [packed[place].tobytes() for place in range(len(packed))]


def pack(arrival: Arrival) -> Packed:
    """Make the rows, all but the compressed body."""
    envelope, routing = arrival.envelope, arrival.routing
    sha256 = bytes.fromhex(envelope.body_sha256)
    is_by_body = arrival.via is Via.WEBHOOK and envelope.source == "github"
    asked_sha256 = sha256 if is_by_body else None
    keys: list[str | None] = [draft.key for draft in routing.drafts] or [None]
    return Packed(
        first=First(envelope.delivery, routing.state, str(routing.reason)),
        row=_delivery_row(arrival, sha256),
        body=envelope.body,
        body_key=(envelope.event, sha256) if is_by_body else None,
        questions=tuple((envelope.delivery, envelope.event, asked_sha256, key) for key in keys),
        tasks=tuple(
            WantedTask(draft.key, task, _task_row(arrival, draft, task))
            for draft, task in zip(routing.drafts, arrival.task_ids, strict=True)
        ),
    )


def _delivery_row(arrival: Arrival, sha256: bytes) -> tuple[object, ...]:
    """In the order of `insert_deliveries`, but for the body, which comes last; plain texts, because
    the driver takes those fastest.
    """
    envelope, event, routing = arrival.envelope, arrival.event, arrival.routing
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
        routing.state.value,
        str(routing.reason),
        arrival.received_at,
        sha256,
        orjson.dumps(envelope.headers),
        dump_verdicts(routing.verdicts),
    )


def _task_row(arrival: Arrival, draft: TaskDraft, task: TaskId) -> tuple[object, ...]:
    """In the order of `insert_tasks`."""
    event, subject, now = arrival.event, draft.subject, arrival.received_at
    waits = draft.needs or draft.debounce_s > 0
    return (
        task,
        (TaskState.RECEIVED if waits else TaskState.QUEUED).value,
        _why_it_waits(draft) if waits else "new",
        now + round(draft.debounce_s * 1000),
        draft.rule,
        draft.agent,
        draft.priority,
        draft.key,
        1,
        draft.policy,
        draft.trust.value,
        draft.event,
        event.installation_id,
        event.repository_id,
        event.repository,
        str(event.repository_id or event.repository or ""),
        event.default_branch,
        event.clone_url,
        subject.type.value,
        subject.number,
        subject.title,
        subject.url,
        subject.author,
        subject.head_sha,
        subject.base_sha,
        subject.head_ref,
        subject.base_ref,
        subject.head_repository,
        orjson.dumps(draft.command).decode() if draft.command else None,
        " ".join(sorted(draft.needs)),
        arrival.envelope.delivery,
        now,
        now,
    )


def _why_it_waits(draft: TaskDraft) -> str:
    return "look_up" if draft.needs else "debounce"
