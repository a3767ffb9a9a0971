"""Judges requests of any sender that signs by HMAC in a header of its own; which header, and how it
is written, the configuration says.

Refuses SHA-1, and whatever is not written exactly so. With a header for the moment of signing,
`MOMENT.BODY` is what is signed, else the body alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from functools import lru_cache

from covend.core.model import Moment
from covend.core.outside import Source
from covend.core.secret import Secret
from covend.core.sources.request import Headers, Refused
from covend.core.sources.standard import BAD_TIMESTAMP, read_seconds, refuse_moment

ALGORITHMS = ("sha256", "sha512")
ENCODINGS = ("hex", "base64")

BAD_SIGNATURE = Refused(
    status=401,
    code="bad_signature",
    message="The signature is missing, doubled, or made with another secret.",
)


def check_head(source: Source, headers: Headers) -> Refused | None:
    """Refuse what cannot be signed, by the headers alone."""
    form = _form(source.algorithm, source.encoding, source.prefix)
    if not form.fullmatch(headers.get(source.header or "", "")):
        return BAD_SIGNATURE
    stamp = source.timestamp_header
    if stamp is not None and read_seconds(headers.get(stamp)) is None:
        return BAD_TIMESTAMP
    return None


def refuse(source: Source, headers: Headers, body: bytes, now: Moment) -> Refused | None:
    """Refuse what none of the secrets has signed, or what was signed too long before or after now;
    None where it is good.
    """
    if refused := check_head(source, headers):
        return refused
    assert source.header is not None, "check_head has found it"
    stamp = None if source.timestamp_header is None else headers[source.timestamp_header]
    signed = body if stamp is None else stamp.encode() + b"." + body
    given = headers[source.header].removeprefix(source.prefix)
    if source.encoding == "hex":
        given = given.lower()
    # An empty secret would let anyone sign.
    keys = [secret for secret in source.secrets if secret.reveal()]
    wanted = [_sign(source, secret, signed) for secret in keys]
    if not any(hmac.compare_digest(each, given.encode()) for each in wanted):
        return BAD_SIGNATURE
    return None if stamp is None else refuse_moment(stamp, now, source.tolerance_s)


def _sign(source: Source, secret: Secret, signed: bytes) -> bytes:
    # Odd bytes of the environment come back as they were.
    key = secret.reveal().encode(errors="surrogateescape")
    digest = hmac.digest(key, signed, source.algorithm)
    return digest.hex().encode() if source.encoding == "hex" else base64.b64encode(digest)


@lru_cache
def _form(algorithm: str, encoding: str, prefix: str) -> re.Pattern[str]:
    size = hashlib.new(algorithm).digest_size
    if encoding == "hex":
        return re.compile(f"{re.escape(prefix)}[0-9A-Fa-f]{{{2 * size}}}")
    padding = -size % 3
    length = -(-size // 3) * 4 - padding
    return re.compile(f"{re.escape(prefix)}[A-Za-z0-9+/]{{{length}}}={{{padding}}}")
