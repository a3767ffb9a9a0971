"""What a receiver is told of a task's end, how that is signed, and what its answer means.

The body is rendered once, with the end; each try sends the same bytes, under the same id. Nothing
here varies by try but the moment that is signed with it.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import orjson

from covend.core.effects.marker import external_id
from covend.core.effects.texts import clean, cut_bytes
from covend.core.ending import Ending
from covend.core.model import (
    Conclusion,
    EffectDraft,
    EffectId,
    EffectKind,
    Json,
    Moment,
    Subject,
    Task,
)
from covend.core.outside import Callback
from covend.core.secret import Secret
from covend.core.states import TaskState

TYPES: Mapping[TaskState, str] = {
    TaskState.COMPLETED: "task.completed",
    TaskState.FAILED: "task.failed",
}
"""The ends that are told; a task that goes back to the queue has not ended."""

PROSE_MAX = 16 << 10
"""Bytes of a summary, and of a message; the specification asks for bodies of about 20 kB."""

PREFIX = "whsec_"
KEY_BYTES = range(24, 65)
"""What the specification asks of a secret, in bytes."""

Redact: TypeAlias = Callable[[Json], Json]


# --- what is told ---------------------------------------------------------------------------------


def plan_callbacks(
    task: Task,
    ending: Ending,
    *,
    target: TaskState,
    callbacks: Iterable[Callback],
    redact: Redact,
    now: Moment,
) -> tuple[EffectDraft, ...]:
    """Give one draft for each callback that wants to know of this end; none where it is no end.

    `redact` takes the secrets out of what is told, before it is rendered for good.
    """
    event = TYPES.get(target)
    wanted = [each.name for each in callbacks if event in each.events]
    if event is None or not wanted:
        return ()
    told = redact({"type": event, "timestamp": _written(now), "data": _told(task, ending, target)})
    body = orjson.dumps(told).decode()
    version = external_id(task.id, task.generation)
    return tuple(_draft(name, event, body, version) for name in wanted)


def _draft(name: str, event: str, body: str, version: str) -> EffectDraft:
    """The target is named, and found in the settings when it is sent: an address may be a secret,
    and may change.
    """
    slot = f"callback/{name}/{event}/{version}"
    request = {"callback": name, "type": event, "body": body}
    return EffectDraft(
        kind=EffectKind.CALLBACK, slot=slot, subject=slot, target=name, request=request
    )


def _told(task: Task, ending: Ending, target: TaskState) -> Mapping[str, Any]:
    """Tell the task by the names that `GET /api/v1/tasks/{id}` gives its fields."""
    usage = ending.result.usage
    has_failed = target is TaskState.FAILED
    return {
        "id": task.id,
        "state": target.value,
        "conclusion": (Conclusion.FAILURE if has_failed else ending.result.conclusion).value,
        "summary": _prose(ending.result.summary),
        "error": _error(ending),
        "rule": task.rule,
        "agent": task.agent,
        "priority": task.priority,
        "key": task.key,
        "generation": task.generation,
        "policy": task.policy,
        "trust": task.trust.value,
        "event": task.event,
        "installation_id": task.installation_id,
        "repository_id": task.repository_id,
        "repository": task.repository,
        "subject": _subject(task.subject),
        "delivery": task.delivery,
        "parent": task.parent,
        "depth": task.depth,
        "attempts": task.attempts,
        "created_at": _written(task.created_at),
        "cost_usd": (task.cost_usd or 0) + (usage.cost_usd or 0),
        "usage": {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cost_usd": usage.cost_usd,
        },
    }


def _subject(subject: Subject) -> Mapping[str, Any]:
    return {
        "type": subject.type.value,
        "number": subject.number,
        "title": subject.title or None,
        "url": subject.url or None,
        "author": subject.author or None,
        "head_sha": subject.head_sha,
        "base_sha": subject.base_sha,
    }


def _error(ending: Ending) -> Mapping[str, str | None] | None:
    if not ending.error_code:
        return None
    return {"code": ending.error_code, "message": _prose(ending.error_message)}


def _prose(text: str | None) -> str | None:
    return cut_bytes(clean(text), PROSE_MAX) if text else None


def _written(moment: Moment) -> str:
    # Not by a float of seconds, which may fall on the millisecond before.
    seconds, milliseconds = divmod(moment, 1000)
    at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=milliseconds * 1000)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- how it is signed -----------------------------------------------------------------------------


class BadSecretError(ValueError):
    """A secret that begins like one of Standard Webhooks, and is none."""


def key_of(secret: Secret) -> bytes:
    """Give the bytes that sign: of a `whsec_` secret what it encodes, of any other its own.

    Raises BadSecretError, which shows nothing of it.
    """
    text = secret.reveal()
    if text.startswith(("whsk_", "whpk_")):
        raise BadSecretError("is of a key pair; covend signs by a shared secret: whsec_…")
    if not text.startswith(PREFIX):
        return text.encode()
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise BadSecretError("begins with whsec_, and what follows is no base64") from None
    if len(key) not in KEY_BYTES:
        raise BadSecretError(f"begins with whsec_, and has {len(key)} bytes instead of 24 to 64")
    return key


def headers_of(
    effect: EffectId, body: str, secrets: Sequence[Secret], sent_at: Moment
) -> Mapping[str, str]:
    """Give the three headers of one try; each secret signs, so that a receiver may know any of
    them. `sent_at` is the machine's own moment: a receiver compares it with its clock.
    """
    timestamp = str(sent_at // 1000)
    signed = f"{effect}.{timestamp}.{body}".encode()
    signatures = (_signature(key_of(secret), signed) for secret in secrets)
    return {
        "webhook-id": effect,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def _signature(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
