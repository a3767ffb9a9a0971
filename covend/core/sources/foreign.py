"""Takes in what senders beside GitHub have signed, each in its own way, and gives all of it one
form; refuses as GitHub's is refused, in the same order.

Everything of a sender carries its name, so that nobody's things are taken for another's: its events
are `NAME:event`, its repositories `NAME:owner/name`, and its ids are made anew from name and id.
What is kept stands under covend's own headers, so that it can be read again whatever the
configuration says by then.
"""

from __future__ import annotations

import hashlib
from typing import assert_never

from msgspec.structs import replace

from covend.core.model import DeliveryId, Envelope, Event, Json, Moment, Trust
from covend.core.outside import Source, SourceKind
from covend.core.rules import facts
from covend.core.sources import gitea, gitlab, gitlab_event, signed, standard
from covend.core.sources.kept import DELIVERY_HEADER, EVENT_HEADER
from covend.core.sources.own import delivery_named
from covend.core.sources.request import (
    JSON,
    UNSUPPORTED_TYPE,
    Headers,
    Refused,
    media_type,
    parse_object,
    refuse_type,
    text_of,
)

NAME_MAX = 128
ID_MAX = 255
UNNAMED = "webhook"
"""What an event is called where its sender does not say."""

_KIND_HEADER = "x-covend-kind"
_TRUST_HEADER = "x-covend-trust"
_GIVEN_HEADER = "x-covend-sender-id"
"""The id as its sender writes it, for whoever looks there."""

BAD_EVENT = Refused(
    status=400, code="bad_event_name", message="The header with the event must name one."
)
BAD_DELIVERY = Refused(
    status=400,
    code="bad_delivery_id",
    message=f"The header with the id must be one text, of {ID_MAX} characters at most.",
)
BAD_RECORD = Refused(
    status=400, code="bad_record", message="This is not what covend has kept of a sender."
)


def check_head(source: Source, headers: Headers) -> Refused | None:
    """Refuse before any of the body has to be read: by type (415), or because what stands for a
    signature cannot be one (401).
    """
    if refused := _refuse_type(source, headers):
        return refused
    match source.kind:
        case SourceKind.STANDARD_WEBHOOKS:
            return standard.check_head(headers)
        case SourceKind.HMAC:
            return signed.check_head(source, headers)
        case SourceKind.GITEA:
            return gitea.check_head(headers)
        case SourceKind.GITLAB:
            return gitlab.check_head(headers)
    assert_never(source.kind)


def verify(source: Source, headers: Headers, body: bytes, now: Moment) -> Envelope | Refused:
    """Check type, signature (by any of the secrets; without one all is bad), headers and body; now
    is the wall's time, which a signed moment must be near.
    """
    if refused := _refuse_type(source, headers) or _refuse_signature(source, headers, body, now):
        return refused
    text = text_of(headers, body)
    payload = text if isinstance(text, Refused) else parse_object(text)
    if isinstance(payload, Refused):
        return payload
    sha256 = hashlib.sha256(body).hexdigest()
    name = _name_of(source, headers, payload)
    given = _id_of(source, headers, sha256)
    if isinstance(name, Refused):
        return name
    if isinstance(given, Refused):
        return given
    kept = _kept(source, headers, name, given, sha256)
    return _envelope(source.name, kept, body, payload, sha256)


def reopen(name: str, headers: Headers, body: bytes) -> Envelope | Refused:
    """Read again what was stored of the sender of that name."""
    if not _is_record(headers):
        return BAD_RECORD
    text = text_of(headers, body)
    payload = text if isinstance(text, Refused) else parse_object(text)
    if isinstance(payload, Refused):
        return payload
    return _envelope(name, headers, body, payload, hashlib.sha256(body).hexdigest())


def read_event(envelope: Envelope, mention: str | None) -> Event:  # noqa: ARG001
    """Read what rules ask about; it commands nothing, so `mention` is not listened to."""
    headers = envelope.headers
    name, _, told = headers[EVENT_HEADER].partition(".")
    event = _read(SourceKind(headers[_KIND_HEADER]), envelope, name)
    return replace(
        event,
        name=envelope.event,
        action=told or event.action,
        repository=_owned(envelope.source, event.repository) if event.repository else None,
        trust=Trust(headers[_TRUST_HEADER]),
    )


# --- whether it is let in -------------------------------------------------------------------------


def _refuse_type(source: Source, headers: Headers) -> Refused | None:
    """Only Gitea knows GitHub's other content type."""
    if refused := refuse_type(headers):
        return refused
    is_read = media_type(headers) == JSON or source.kind is SourceKind.GITEA
    return None if is_read else UNSUPPORTED_TYPE


def _refuse_signature(source: Source, headers: Headers, body: bytes, now: Moment) -> Refused | None:
    match source.kind:
        case SourceKind.STANDARD_WEBHOOKS:
            return standard.refuse(source, headers, body, now)
        case SourceKind.HMAC:
            return signed.refuse(source, headers, body, now)
        case SourceKind.GITEA:
            return gitea.refuse(source, headers, body)
        case SourceKind.GITLAB:
            return gitlab.refuse(source, headers, body, now)
    assert_never(source.kind)


# --- what it is called ----------------------------------------------------------------------------


def _name_of(source: Source, headers: Headers, payload: Json) -> str | Refused:
    """Name the event, with its action where the name has one; a header that must tell it does."""
    match source.kind:
        case SourceKind.GITEA:
            return _in_header(gitea.name_of(headers))
        case SourceKind.GITLAB:
            return _in_body(gitlab_event.name_of(payload)) or UNNAMED
        case SourceKind.STANDARD_WEBHOOKS | SourceKind.HMAC:
            if source.event_header is not None:
                return _in_header(headers.get(source.event_header, ""))
            told = _in_body(payload.get("type")) or _in_body(payload.get("event"))
            return told or UNNAMED
    assert_never(source.kind)


def _in_header(text: str) -> str | Refused:
    return _in_body(text) or BAD_EVENT


def _in_body(value: object) -> str | None:
    """Give a name that begins with something before its first full stop."""
    name = facts.name(value, NAME_MAX)
    return name if name is not None and not name.startswith(".") else None


def _id_of(source: Source, headers: Headers, body_sha256: str) -> str | Refused | None:
    """Give the id by which a repetition is known; None where only the body tells it."""
    match source.kind:
        case SourceKind.STANDARD_WEBHOOKS:
            given: str | Refused = headers.get(standard.ID, "")
        case SourceKind.GITEA:
            given = gitea.id_of(headers)
        case SourceKind.GITLAB:
            given = gitlab.id_of(headers, body_sha256)
        case SourceKind.HMAC:
            if source.id_header is None:
                return None
            given = headers.get(source.id_header, "")
        case _:
            assert_never(source.kind)
    if isinstance(given, Refused):
        return given
    return given if facts.name(given, ID_MAX) and given.isascii() else BAD_DELIVERY


def _kept(
    source: Source, headers: Headers, name: str, given: str | None, body_sha256: str
) -> dict[str, str]:
    """Give the headers under which it is kept: the signature is not among them."""
    known = f"body:{source.name}:{body_sha256}" if given is None else f"{source.name}:{given}"
    return {
        EVENT_HEADER: name,
        DELIVERY_HEADER: delivery_named(f"source:{known}"),
        _KIND_HEADER: source.kind.value,
        _TRUST_HEADER: source.trust.value,
        "content-type": media_type(headers),
        **({} if given is None else {_GIVEN_HEADER: given}),
    }


def _envelope(source: str, kept: Headers, body: bytes, payload: Json, sha256: str) -> Envelope:
    return Envelope(
        source=source,
        delivery=DeliveryId(kept[DELIVERY_HEADER]),
        event=_owned(source, kept[EVENT_HEADER].partition(".")[0]),
        body=body,
        body_sha256=sha256,
        headers=dict(kept),
        payload=payload,
        whole=payload,
    )


# --- what is kept and read ------------------------------------------------------------------------


def _is_record(headers: Headers) -> bool:
    """Say whether covend has written these headers."""
    return (
        headers.get(_KIND_HEADER) in tuple(SourceKind)
        and headers.get(_TRUST_HEADER) in tuple(Trust)
        and bool(headers.get(DELIVERY_HEADER))
        and _in_body(headers.get(EVENT_HEADER)) is not None
    )


def _read(kind: SourceKind, envelope: Envelope, name: str) -> Event:
    match kind:
        case SourceKind.GITEA:
            return gitea.read_event(envelope, name)
        case SourceKind.GITLAB:
            return gitlab_event.read_event(envelope, name)
        case SourceKind.STANDARD_WEBHOOKS | SourceKind.HMAC:
            return _read_plain(envelope)
    assert_never(kind)


def _read_plain(envelope: Envelope) -> Event:
    """Read a payload of which nothing is known but that it may tell an action."""
    return Event(
        source=envelope.source,
        delivery=envelope.delivery,
        name=envelope.event,
        action=facts.name(envelope.payload.get("action")),
        payload=envelope.whole,
    )


def _owned(source: str, name: str) -> str:
    """Write whose thing it is."""
    return f"{source}:{name}"
