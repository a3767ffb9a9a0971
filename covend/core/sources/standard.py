"""Judges requests by Standard Webhooks: the signature over id, moment and body, and a moment that
is near; it looks into no payload but for the type of the event.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Sequence

from covend.core.model import Moment
from covend.core.outside import Source
from covend.core.secret import Secret
from covend.core.sources.request import Headers, Refused

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"
SECRET_PREFIX = "whsec_"  # noqa: S105 (it is written before every secret)

KEY_MIN = 24
"""Bytes that the specification asks for."""

# Versions that are not known here (`v1a` is asymmetric) are passed over. Two headers of that name
# come joined by a comma, which is no part of this.
_SIGNATURES = re.compile(r"(?:[a-z0-9]{1,8},[A-Za-z0-9+/]{1,512}={0,2}(?: |\Z)){1,20}(?<! )")
_SECONDS = re.compile(r"[0-9]{1,12}")

BAD_SIGNATURE = Refused(
    status=401,
    code="bad_signature",
    message=f"{SIGNATURE} is missing, doubled, or made with another secret.",
)
BAD_TIMESTAMP = Refused(
    status=401,
    code="bad_timestamp",
    message="The moment of signing is missing, no number of seconds, or too far from now.",
)


def check_head(headers: Headers) -> Refused | None:
    """Refuse what cannot be signed, by the headers alone."""
    if not _SIGNATURES.fullmatch(headers.get(SIGNATURE, "")):
        return BAD_SIGNATURE
    return None if read_seconds(headers.get(TIMESTAMP)) is not None else BAD_TIMESTAMP


def refuse(source: Source, headers: Headers, body: bytes, now: Moment) -> Refused | None:
    """Refuse what none of the secrets has signed, or what was signed too long before or after now;
    None where it is good.
    """
    if refused := check_head(headers):
        return refused
    if not _is_signed(headers, body, source.secrets):
        return BAD_SIGNATURE
    return refuse_moment(headers[TIMESTAMP], now, source.tolerance_s)


def keys_of(secret: Secret) -> tuple[bytes, ...]:
    """Give the keys that a secret may stand for; none where it is empty, or is not what it says.

    After `whsec_` stands base64. Without that, it is the key itself, or base64 all the same: some
    senders show it without what should stand before it.
    """
    text = secret.reveal()
    decoded = _decoded(text.removeprefix(SECRET_PREFIX))
    if text.startswith(SECRET_PREFIX):
        return (decoded,) if decoded else ()
    # Odd bytes of the environment come back as they were.
    own = text.encode(errors="surrogateescape")
    return tuple(key for key in (own, decoded if len(decoded) >= KEY_MIN else b"") if key)


def _decoded(text: str) -> bytes:
    """Give what base64 stands for; nothing where it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""


def sign(key: bytes, delivery: str, seconds: str, body: bytes) -> str:
    """Give one signature as the header lists it."""
    digest = hmac.digest(key, f"{delivery}.{seconds}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def read_seconds(text: str | None) -> int | None:
    """Give the whole seconds since 1970 that a header tells."""
    return int(text) if text is not None and _SECONDS.fullmatch(text) else None


def refuse_moment(text: str, now: Moment, tolerance_s: float) -> Refused | None:
    """Refuse a moment of signing that is further from now, before or after, than is tolerated."""
    seconds = read_seconds(text)
    is_near = seconds is not None and abs(now / 1000 - seconds) <= tolerance_s
    return None if is_near else BAD_TIMESTAMP


def _is_signed(headers: Headers, body: bytes, secrets: Iterable[Secret]) -> bool:
    delivery, seconds = headers.get(ID, ""), headers[TIMESTAMP]
    if not delivery.isascii():
        return False
    given = headers[SIGNATURE].split(" ")
    # An empty secret would let anyone sign.
    keys = [key for secret in secrets for key in keys_of(secret)]
    return any(_is_among(sign(key, delivery, seconds, body), given) for key in keys)


def _is_among(signature: str, given: Sequence[str]) -> bool:
    wanted = signature.encode()
    return any(hmac.compare_digest(wanted, each.encode()) for each in given)
