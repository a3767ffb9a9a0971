"""Decides what becomes of a callback after a try: it is done, is sent again later, or is given up.

The receiver's answer is not trusted: of its words only a short, clean piece is kept, for people.
Whatever it answered, the same body is never sent to another address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

import orjson

from covend.core.effects.texts import one_line
from covend.core.model import Json, Moment
from covend.core.safeguards.circuit import Word

SCHEDULE_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 36_000)
"""Seconds from one try to the next: 27 hours and a half in all."""

SPREAD = 0.2
"""Each wait is longer or shorter by up to this part, so that many do not come back at once."""

TRIES_MAX: Mapping[str, int] = {
    "task.completed": len(SCHEDULE_S) + 1,
    "task.failed": len(SCHEDULE_S) + 1,
}
"""How often each kind of event is sent; one kind uses up nothing of another's."""

RETRY_AFTER_MAX_S = 24 * 3600.0
"""No receiver holds its callbacks for longer at a time."""

MESSAGE_MAX = 200
"""Characters of a receiver's own words in an error."""


class Code(StrEnum):
    """What came of a try, for metrics and people."""

    NONE = "none"
    DUPLICATE = "duplicate"
    """The receiver had it already."""
    REDIRECT = "redirect"
    REFUSED = "refused"
    CONFLICT = "conflict"
    GONE = "gone"
    RATE_LIMITED = "rate_limited"
    TOO_EARLY = "too_early"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    NO_ANSWER = "no_answer"
    TLS = "tls"
    ADDRESS = "address_refused"
    REMOVED = "callback_removed"
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A receiver's answer."""

    status: int
    retry_after_s: float | None = None
    is_replayed: bool = False
    """Its header says `Idempotent-Replayed: true`."""
    body: bytes = b""
    """The beginning of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unheard:
    """No answer, and why; `is_final` where nothing was sent and nothing will be."""

    code: Code
    message: str
    is_final: bool = False


Reply: TypeAlias = Heard | Unheard


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The receiver has it."""

    code: Code = Code.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """It is sent once more at a moment."""

    at: Moment
    code: Code
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """It is not sent again by itself; `is_exhausted` where only its tries have run out."""

    code: Code
    message: str
    is_exhausted: bool = False


Verdict: TypeAlias = Done | Again | GivenUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One try as it is judged."""

    webhook_id: str
    event: str
    tries: int
    """So many were made, this one included."""
    now: Moment
    jitter: float = field(default=0.5)
    """A random number from 0 to 1."""


_PASSING: Mapping[int, Code] = {
    408: Code.TIMEOUT,
    425: Code.TOO_EARLY,
    429: Code.RATE_LIMITED,
}
_FINAL: Mapping[int, tuple[Code, str]] = {
    409: (Code.CONFLICT, "it does not say that it has this already"),
    410: (Code.GONE, "it wants no more of these: remove the callback, or mend its url"),
}
_MAY_ASK_TO_WAIT = frozenset({429, 503})
_OK, _REDIRECTS, _FAULTS, _SERVER = range(200, 300), range(300, 400), range(400, 500), 500


def judge(reply: Reply, made: Try) -> Verdict:
    """Say what becomes of a callback after one try."""
    if isinstance(reply, Unheard):
        if reply.is_final:
            return GivenUp(code=reply.code, message=reply.message)
        return _again_or_given_up(reply.code, reply.message, made, at_least_s=0)
    if reply.status in _OK:
        return Done()
    if reply.status == 409 and has_it_already(reply, made.webhook_id):  # noqa: PLR2004
        return Done(code=Code.DUPLICATE)
    if (passing := _passing(reply.status)) is not None:
        wait_s = (reply.retry_after_s or 0) if reply.status in _MAY_ASK_TO_WAIT else 0
        return _again_or_given_up(passing, _said(reply), made, at_least_s=wait_s)
    code, why = _final(reply.status)
    return GivenUp(code=code, message=_said(reply, why))


def word_of(reply: Reply) -> Word:
    """Say what a try tells of its target: whatever is tried again, its circuit counts."""
    if isinstance(reply, Unheard):
        return Word.NOTHING if reply.is_final else Word.FAILED
    return Word.ANSWERED if _passing(reply.status) is None else Word.FAILED


def wait_ms(tries: int, jitter: float) -> int:
    """Give the wait after so many tries; `jitter` is a random number from 0 to 1."""
    assert 0 <= jitter <= 1
    step = SCHEDULE_S[min(max(tries, 1), len(SCHEDULE_S)) - 1]
    return round(1000 * step * (1 - SPREAD + 2 * SPREAD * jitter))


def has_it_already(reply: Heard, webhook_id: str) -> bool:
    """Say whether a receiver that answers 409 has taken this callback before: by the header
    `Idempotent-Replayed: true`, or by a body that says `{"error": {"code": "duplicate"}}`,
    `{"id": ID}` or `{"webhook_id": ID}` with the id that was sent.
    """
    if reply.is_replayed:
        return True
    said = _object(reply.body)
    if webhook_id in (said.get("id"), said.get("webhook_id")):
        return True
    error = said.get("error")
    return isinstance(error, dict) and error.get("code") == "duplicate"


def _again_or_given_up(code: Code, message: str, made: Try, *, at_least_s: float) -> Verdict:
    if made.tries >= TRIES_MAX.get(made.event, len(SCHEDULE_S) + 1):
        told = f"{message}; given up after {made.tries} tries"
        return GivenUp(code=code, message=told, is_exhausted=True)
    asked = round(1000 * min(max(at_least_s, 0), RETRY_AFTER_MAX_S))
    at = made.now + max(wait_ms(made.tries, made.jitter), asked)
    return Again(at=at, code=code, message=message)


def _passing(status: int) -> Code | None:
    return Code.SERVER_ERROR if status >= _SERVER else _PASSING.get(status)


def _final(status: int) -> tuple[Code, str]:
    if status in _REDIRECTS:
        return Code.REDIRECT, "a redirect is not followed: write where it leads as the url"
    if status in _FAULTS:
        return _FINAL.get(status, (Code.REFUSED, ""))
    return Code.UNUSABLE, "which is no answer"


def _said(reply: Heard, why: str = "") -> str:
    words = one_line(reply.body.decode("utf-8", "replace"), MESSAGE_MAX)
    return "; ".join(part for part in (f"the receiver answered {reply.status}", why, words) if part)


def _object(body: bytes) -> Json:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
