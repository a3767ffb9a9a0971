"""Judges the webhooks of Gitea and Forgejo, and reads their payloads as events; it trusts no shape.

Both sign the JSON by HMAC-SHA-256 in hexadecimal digits, also where they send it within a form; and
both write most payloads as GitHub does, which is how they are read here.

https://docs.gitea.com/usage/repository/webhooks
https://forgejo.org/docs/latest/user/webhooks/
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping

from msgspec.structs import replace

from covend.core.model import Envelope, Event, Json
from covend.core.outside import Source
from covend.core.rules import facts
from covend.core.sources import github_event
from covend.core.sources.request import Headers, Refused, text_of

_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_REVIEW, _COMMENT = "pull_request_review", "issue_comment"
_READ_AS: Mapping[str, str] = {
    "pull_request_approved": _REVIEW,
    "pull_request_rejected": _REVIEW,
    "pull_request_review_approved": _REVIEW,
    "pull_request_review_rejected": _REVIEW,
    "pull_request_comment": _COMMENT,
}
"""What GitHub calls the same; every other event has GitHub's name, or none there."""

BAD_SIGNATURE = Refused(
    status=401,
    code="bad_signature",
    message="X-Gitea-Signature is missing, doubled, or made with another secret.",
)
BAD_DELIVERY = Refused(
    status=400, code="bad_delivery_id", message="X-Gitea-Delivery must be one id."
)


def check_head(headers: Headers) -> Refused | None:
    """Refuse what cannot be signed, by the headers alone."""
    return None if _SIGNATURE.fullmatch(_told(headers, "signature")) else BAD_SIGNATURE


def refuse(source: Source, headers: Headers, body: bytes) -> Refused | None:
    """Refuse what none of the secrets has signed; None where it is good."""
    if refused := check_head(headers):
        return refused
    signed = text_of(headers, body)
    if isinstance(signed, Refused):
        return BAD_SIGNATURE  # there is nothing that could be signed
    given = _told(headers, "signature").encode()
    # An empty secret would let anyone sign; odd bytes of the environment come back as they were.
    texts = [secret.reveal() for secret in source.secrets]
    keys = [text.encode(errors="surrogateescape") for text in texts if text]
    signatures = [hmac.digest(key, signed, "sha256").hex().encode() for key in keys]
    return None if any(hmac.compare_digest(each, given) for each in signatures) else BAD_SIGNATURE


def name_of(headers: Headers) -> str:
    """Give the event's name; empty where none is told."""
    return _told(headers, "event")


def id_of(headers: Headers) -> str | Refused:
    """Give the id that the sender gave; a redelivery by hand gets a new one."""
    return _told(headers, "delivery") or BAD_DELIVERY


def read_event(envelope: Envelope, name: str) -> Event:
    """Read what rules ask about; ids and permissions are the sender's own, and nobody else's."""
    payload = facts.mapping(envelope.payload)
    review = facts.mapping(payload.get("review"))
    known_as = _REVIEW if "review" in payload else _READ_AS.get(name, name)
    event = github_event.read_event(replace(envelope, event=known_as), None)
    return replace(
        event,
        installation_id=None,
        repository_id=None,
        sender_type=None,
        association=None,
        body=facts.text(review.get("content")) if known_as == _REVIEW else event.body,
        command=None,
        paths=event.paths if _is_whole(payload) else None,
    )


def _told(headers: Headers, what: str) -> str:
    """Give a header of Forgejo's; where there is none, Gitea's."""
    return headers.get(f"x-forgejo-{what}", headers.get(f"x-gitea-{what}", ""))


def _is_whole(push: Json) -> bool:
    """Say whether a push lists all of its commits."""
    return facts.number(push.get("total_commits")) == len(facts.items(push.get("commits"), 2_048))
