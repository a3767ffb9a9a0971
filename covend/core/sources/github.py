"""Judges GitHub's webhook requests: it lets through what GitHub has signed, and looks into no
payload.

What is in a payload is `github_event`'s affair.

https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

from covend.core.model import DeliveryId, Envelope
from covend.core.rules import facts
from covend.core.secret import Secret
from covend.core.sources.request import (
    Headers,
    Refused,
    parse_object,
    refuse_type,
    text_of,
)
from covend.core.sources.slim import SLIM_EVENTS, Whole, slim

NAME = "github"
KEPT_HEADERS = (
    "x-github-event",
    "x-github-delivery",
    "x-github-hook-id",
    "x-github-hook-installation-target-id",
    "x-github-hook-installation-target-type",
    "x-github-enterprise-host",
    "x-github-enterprise-version",
    "user-agent",
    "content-type",
)
"""What is stored of a request's headers; the signature is not."""

HEADER_MAX = 256

_SIGNATURE = re.compile(r"sha256=[0-9a-f]{64}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# The signature does not cover this header: an event called `command` would answer to `command.fix`
# though nobody has commanded anything.
_EVENT = re.compile(r"(?!command\Z)[a-z_]{1,64}")

BAD_SIGNATURE = Refused(
    status=401,
    code="bad_signature",
    message="X-Hub-Signature-256 is missing, doubled, or made with another secret.",
)
BAD_DELIVERY = Refused(
    status=400, code="bad_delivery_id", message="X-GitHub-Delivery must be one UUID."
)
BAD_EVENT = Refused(
    status=400, code="bad_event_name", message="X-GitHub-Event must be one name of an event."
)


def check_head(headers: Headers) -> Refused | None:
    """Refuse before any of the body has to be read: by type (415), or because what stands for a
    signature cannot be one (401).
    """
    if refused := refuse_type(headers):
        return refused
    is_signature = _SIGNATURE.fullmatch(headers.get("x-hub-signature-256", ""))
    return None if is_signature else BAD_SIGNATURE


def verify(headers: Headers, body: bytes, secrets: Sequence[Secret]) -> Envelope | Refused:
    """Check type, signature (by any of the secrets; without one all is bad), headers and body."""
    if refused := refuse_type(headers):
        return refused
    if not _is_signed(headers.get("x-hub-signature-256", ""), body, secrets):
        return BAD_SIGNATURE
    return _open(headers, body)


def reopen(headers: Headers, body: bytes) -> Envelope | Refused:
    """Read again what needs no signature: a stored delivery, or one that GitHub's API has given."""
    return _open(headers, body)


def _is_signed(signature: str, body: bytes, secrets: Sequence[Secret]) -> bool:
    if not signature.isascii():
        return False
    given = signature.encode()
    # An empty secret would let anyone sign.
    keys = [key for key in (secret.reveal() for secret in secrets) if key]
    return any(hmac.compare_digest(given, _sign(key, body)) for key in keys)


def _sign(secret: str, body: bytes) -> bytes:
    # Odd bytes of the environment come back as they were.
    digest = hmac.digest(secret.encode(errors="surrogateescape"), body, "sha256")
    return b"sha256=" + digest.hex().encode()


def _open(headers: Mapping[str, str], body: bytes) -> Envelope | Refused:
    delivery = headers.get("x-github-delivery", "").lower()
    event = headers.get("x-github-event", "")
    if not _UUID.fullmatch(delivery):
        return BAD_DELIVERY
    if not _EVENT.fullmatch(event):
        return BAD_EVENT
    text = text_of(headers, body)
    if isinstance(text, Refused):
        return text
    payload = (slim(text) if event in SLIM_EVENTS else None) or parse_object(text)
    if isinstance(payload, Refused):
        return payload
    return Envelope(
        source=NAME,
        delivery=DeliveryId(delivery),
        event=event,
        body=body,
        body_sha256=hashlib.sha256(body).hexdigest(),
        headers=_worth_storing(headers),
        payload=payload,
        whole=Whole(text) if event in SLIM_EVENTS else payload,
    )


def _worth_storing(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name: facts.clean(headers[name][:HEADER_MAX]) for name in KEPT_HEADERS if name in headers
    }
