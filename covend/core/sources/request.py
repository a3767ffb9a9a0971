"""What the requests of all senders have in common: their headers, their types, the JSON object in
them.

It refuses what INTERFACE promises to refuse, in that order: first the type (415), then, by the
sender's own file, the signature (401), then headers and body (400). Nothing is unpacked before its
signature is good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

Headers = Mapping[str, str]
"""As `fold` gives them: by lower-case name, doubled ones joined."""

BODY_MAX = 25 << 20
"""Bytes; GitHub sends no larger payload. The web layer counts them and answers 413."""

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
_FORM_FIELD = b"payload="


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why a request is not accepted: HTTP status, stable code, a sentence for the sender."""

    status: int
    code: str
    message: str


ENCODED = Refused(
    status=415,
    code="encoded_body",
    message="Content-Encoding is not supported: send the body as it is.",
)
UNSUPPORTED_TYPE = Refused(
    status=415, code="unsupported_type", message=f"Content-Type must be {JSON} or {FORM}."
)
BAD_BODY = Refused(status=400, code="bad_body", message="The body is not a JSON object.")
BAD_FORM = Refused(
    status=400, code="bad_form", message="The form must have exactly one field `payload`."
)


def fold(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Give the headers by lower-case name, doubled ones joined by a comma.

    So says https://www.rfc-editor.org/rfc/rfc9110#section-5.3, and no doubled signature, id or type
    is equal to a good one then.
    """
    folded: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        folded[key] = f"{folded[key]}, {value}" if key in folded else value
    return folded


def refuse_type(headers: Headers) -> Refused | None:
    """Refuse a body that is encoded, or of another type than JSON or a form."""
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        return ENCODED
    return None if media_type(headers) in {JSON, FORM} else UNSUPPORTED_TYPE


def media_type(headers: Headers) -> str:
    """Give the content type in lower case, without its parameters."""
    if headers.get("content-type") == JSON:
        return JSON  # as GitHub writes it, and it is asked for three times
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def text_of(headers: Headers, body: bytes) -> bytes | Refused:
    """Give the JSON text: the body, or what the form's field `payload` holds."""
    if media_type(headers) != FORM:
        return body
    fields = [part for part in body.split(b"&") if part.startswith(_FORM_FIELD)]
    if len(fields) != 1:
        return BAD_FORM
    return unquote_to_bytes(fields[0].removeprefix(_FORM_FIELD).replace(b"+", b" "))


def parse_object(text: bytes) -> dict[str, Any] | Refused:
    """Parse a JSON object, and refuse whatever else it is."""
    # orjson refuses more than 1,024 levels, NaN, lone surrogates and bad UTF-8, all by ValueError.
    try:
        payload = orjson.loads(text)
    except ValueError:
        return BAD_BODY
    return payload if isinstance(payload, dict) else BAD_BODY
