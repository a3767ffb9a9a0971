"""Takes secrets out of text and out of streams: those that are known, and whatever has a secret's
shape.

Known secrets are found wherever they stand, also where two chunks meet; shapes within one line.
What an agent encodes on purpose gets through: this keeps accidents out of logs, it is no boundary.

Shapes: https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github
and RFC 7468 for private keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import orjson

MARK = b"[redacted]"
SECRET_MIN = 6
"""Bytes; a shorter secret would take common words out of every log."""
HELD_MAX = 4096
"""Bytes of an unfinished line that wait for their rest, so that a shape is seen whole."""
_SHAPES: tuple[tuple[bytes, re.Pattern[bytes]], ...] = (
    # Classic tokens are 40 characters; `ghs_APPID_JWT` has dots and dashes and about 520.
    (b"gh", re.compile(rb"\bgh[pousr]_[A-Za-z0-9_.\-]{20,}")),
    (b"github_pat_", re.compile(rb"\bgithub_pat_[A-Za-z0-9_]{20,}")),
    (b"sk-", re.compile(rb"\bsk-[A-Za-z0-9_\-]{20,}")),
    (b"earer ", re.compile(rb"(?<=[Bb]earer )[A-Za-z0-9._~+/\-]{8,}=*")),
    (b"asic ", re.compile(rb"(?<=[Bb]asic )[A-Za-z0-9+/]{16,}=*")),
)
"""(what must stand there for the search to be worth it, the shape)"""

_KEY_BEGIN = re.compile(rb"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----")
# Lines of base64, parted by line ends as they are or as JSON writes them. Anything else (a quote, a
# sentence) ends the key, so that whoever only speaks of one is not silenced.
_KEY_BODY = re.compile(
    rb"(?:\s|\\[nr]|[A-Za-z0-9+/=]{16,}|[A-Za-z0-9+/=]{1,15}(?=[\r\n]|\\[nr]|-----END))*"
)
_KEY_WORD = re.compile(rb"(\s+|\\[nr])|[A-Za-z0-9+/=]+")
_TOKEN_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.~+/=-\\"


def redact(text: str) -> str:
    """Take out what has the shape of a secret."""
    return Redactor().text(text)


class Redactor:
    """Takes out the given secrets and all shapes; `text` has no memory, `feed` and `finish` are one
    stream.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known = _forms(secrets)
        self._held = b""
        self._is_in_key = False

    def text(self, text: str) -> str:
        """Give one text without its secrets."""
        return self.clean(text.encode("utf-8", "replace")).decode("utf-8", "replace")

    def clean(self, data: bytes) -> bytes:
        """Give one whole piece of bytes without its secrets."""
        for secret in self._known:
            data = data.replace(secret, MARK)
        return _keys_out(_shapes_out(data), is_in_key=False)[0]

    def feed(self, chunk: bytes) -> bytes:
        """Take the stream's next chunk and give what is sure by now: whole lines at once."""
        data = self._held + chunk
        for secret in self._known:
            data = data.replace(secret, MARK)
        cut = len(data) - self._unsure(data)
        self._held = data[cut:]
        return self._emit(data[:cut])

    def finish(self) -> bytes:
        """Give the rest of the stream."""
        rest, self._held = self._held, b""
        return self._emit(rest)

    def _unsure(self, data: bytes) -> int:
        """Count the bytes at the end that may yet turn out to be part of a secret."""
        begun = max((_overlap(data, secret) for secret in self._known), default=0)
        line = len(data) - data.rfind(b"\n") - 1
        if line <= HELD_MAX:
            return max(begun, line)
        tail = data[-HELD_MAX:]
        return max(begun, len(tail) - len(tail.rstrip(_TOKEN_LETTERS)))

    def _emit(self, data: bytes) -> bytes:
        clean = _shapes_out(data)
        sure, self._is_in_key = _keys_out(clean, is_in_key=self._is_in_key)
        return sure


def _keys_out(data: bytes, *, is_in_key: bool) -> tuple[bytes, bool]:
    """Take out the inside of private keys, and say whether the data ends within one."""
    kept: list[bytes] = []
    at = 0
    while at < len(data):
        if not is_in_key:
            begin = _KEY_BEGIN.search(data, at)
            end = begin.end() if begin else len(data)
            kept.append(data[at:end])
            at, is_in_key = end, begin is not None
        body = _KEY_BODY.match(data, at) if is_in_key else None
        if body is not None:
            kept.append(_KEY_WORD.sub(lambda word: word[1] or MARK, body[0]))
            at, is_in_key = body.end(), body.end() == len(data)
    return b"".join(kept), is_in_key


def _shapes_out(data: bytes) -> bytes:
    for hint, shape in _SHAPES:
        if hint in data:
            data = shape.sub(MARK, data)
    return data


def _forms(secrets: Iterable[str]) -> tuple[bytes, ...]:
    """Give every form to look for, longest first: each line of a secret, plain and as in JSON."""
    lines = {line.strip() for secret in secrets for line in secret.splitlines()}
    plain = {line for line in lines if not line.startswith("-----")}
    quoted = {orjson.dumps(line).decode()[1:-1] for line in plain}
    encoded = {form.encode() for form in plain | quoted}
    return tuple(
        sorted((form for form in encoded if len(form) >= SECRET_MIN), key=len, reverse=True)
    )


def _overlap(data: bytes, secret: bytes) -> int:
    """Give the length of the longest beginning of `secret` that `data` ends with, short of the
    whole.
    """
    tail = data[-(len(secret) - 1) :]
    at = tail.find(secret[:1])
    while at >= 0:
        if secret.startswith(tail[at:]):
            return len(tail) - at
        at = tail.find(secret[:1], at + 1)
    return 0
