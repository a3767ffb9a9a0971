"""Finds the inside of private keys in PEM (RFC 7468) and of PGP, also as JSON writes their line
ends, with line numbers before them, and without their end.

What only speaks of a key, and goes on in sentences, is no key.
"""

from __future__ import annotations

import re

from covend.core.spans import Span

_HINT = b"PRIVATE KEY"
_BEGIN = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
# Parts of at most 1 KiB, each of which can be told from a little of what follows: so a key may come
# in pieces.
_GAP = re.compile(
    rb"[ \t\r\n]++|\\{1,4}[nrt]|[>|] "
    # What numbers lines.
    rb"|[0-9]{1,6}(?:\t|\\{1,4}t|:|\||\xe2\x86\x92|\\{1,4}u2192)"
)
_ARMOUR = re.compile(rb"[A-Z][A-Za-z\-]{1,30}: [^\r\n\\\"]{1,200}(?=[\r\n\\])")
_LONG = re.compile(rb"[A-Za-z0-9+/=]{16,1024}+|(?<=[A-Za-z0-9+/=]{16})[A-Za-z0-9+/=]{1,1024}+")
_LAST = re.compile(rb"[A-Za-z0-9+/=]{1,15}+(?=[ \t]{0,2}(?:[\r\n]|\\{1,4}[nr]|-----END|\Z))")


class KeyReader:
    """Reads one stream, and remembers between two pieces whether it is within a key."""

    def __init__(self) -> None:
        self.is_within = False
        self._has_long = False
        self._at = 0
        """Where to go on within a key."""

    def move(self, by: int) -> None:
        """Count places from `by` bytes later on."""
        self._at -= by

    def spans(self, data: bytes, start: int, end: int) -> list[Span]:
        """Give what must not be shown of keys, part by part, of parts that begin before `end`."""
        found: list[Span] = []
        at = self._at if self.is_within else start
        while at < end:
            if self.is_within:
                at = self._read_part(data, at, found)
                continue
            begin = _BEGIN.search(data, at)
            if begin is None or begin.start() >= end:
                break
            self.is_within, self._has_long, at = True, False, begin.end()
        self._at = at
        return found

    def _read_part(self, data: bytes, at: int, found: list[Span]) -> int:
        part = _GAP.match(data, at) or (None if self._has_long else _ARMOUR.match(data, at))
        if part is not None:
            return part.end()
        word = _LONG.match(data, at)
        if word is None and self._has_long:
            word = _LAST.match(data, at)
        if word is None:
            self.is_within = False
            return at
        self._has_long = True
        found.append(Span(at, word.end()))
        return word.end()


def suspects(data: bytes) -> bool:
    """Say, fast, whether to ask for `spans`."""
    return data.find(_HINT) >= 0
