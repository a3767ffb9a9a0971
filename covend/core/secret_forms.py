"""Finds known secrets, however they are written: as they are, in JSON, in base64, in hex, with any
of their characters percent-encoded, with line breaks where a tool broke a long run of characters.

Not found: what was encrypted, compressed, reversed, or spelled with blanks between. All else is
exact, and takes time in proportion to the text, however many secrets there are: of each form 16
pieces of 8 bytes are known by heart, of which one must stand at a multiple of 16 bytes.
"""

from __future__ import annotations

import base64
import json
import re
import struct
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import compress, islice

import orjson

from covend.core.spans import Span

SECRET_MIN = 6
"""Bytes; a shorter secret would take common words out of every log, and is not looked for."""
FORM_MAX = 1024
"""Bytes of one form; with every character percent-encoded three times as many."""
WRAP_MIN = 60
"""Characters after which a line break may stand within a form: `xxd -p` prints 60, PEM (RFC 7468)
64 and `base64` 76 (RFC 2045).
"""
_FEW = 16
"""Lines with something to decode; where there are more, all are decoded at once."""
_PIECE = 128
_LAP = 16
"""Characters that the pieces of a long secret share, so that their base64 meets."""
_BLOCK = 8
_STRIDE = 16
_SAMPLED_MIN = _STRIDE + _BLOCK - 1
"""Bytes; whatever is shorter need not have a whole block at a multiple of the stride."""

_RUN = rb"[A-Za-z0-9+/_\-]"
_RUN_MAP = bytes(
    ord("a") if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "+/_-") else 0x20
    for byte in range(256)
)
_LONG_RUN = b"a" * WRAP_MIN
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_BREAK_TEXTS = (b"\n", b"\r\n", rb"\n", rb"\r\n")
"""As they are, and as JSON writes them."""
# The break stands first: a search for a byte is fast, and one for what stands before it is not.
_BREAKS = b"|".join(
    re.escape(text) + rb"(?<=%b{%d}%b)" % (_RUN, WRAP_MIN, re.escape(text)) for text in _BREAK_TEXTS
)
_BREAK = re.compile(_BREAKS)
_ENCODING = re.compile(rb"%[0-9A-Fa-f]{2}|" + _BREAKS)
ENDS_WRAPPED = re.compile(rb"(?<=%b{%d}\n)|(?<=%b{%d}\r\n)" % (_RUN, WRAP_MIN, _RUN, WRAP_MIN))
"""Matches after a line break within which a form may stand."""


class Known:
    """The secrets to look for; may be added to and taken from while others look."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Know these from the beginning."""
        self._count: Counter[bytes] = Counter()
        self._blocks: dict[int, tuple[tuple[bytes, int], ...]] = {}
        """8 bytes as a number: the forms they are of, and where in them they stand."""
        self._samples: set[int] = set()
        """The keys of `_blocks`: a set is what can be asked fastest."""
        self._short: tuple[bytes, ...] = ()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Know one more; what is shorter than `SECRET_MIN` changes nothing."""
        for form in forms_of(secret):
            self._count[form] += 1
            if self._count[form] == 1:
                self._learn(form)

    def drop(self, secret: str) -> None:
        """Forget one that was added; as often as it was added."""
        for form in forms_of(secret):
            self._count[form] -= 1
            if self._count[form] <= 0:
                del self._count[form]
                self._forget(form)

    def suspects(self, data: bytes) -> bool:
        """Say, fast, whether to ask for `spans`; never False where there are any."""
        if not self._count:
            return False
        return self._touches(data) or self._touches_decoded(data)

    def spans(self, data: bytes, start: int, end: int) -> Iterator[Span]:
        """Give every place that begins from `start` up to `end`."""
        for begin, size in self._places(data):
            if start <= begin < end:
                yield Span(begin, begin + size)
        if self._touches_decoded(data):
            plain, where = _decoded(data) or data, _Origins(data)
            for begin, size in self._places(plain):
                span = Span(where.begin_of(begin), where.end_of(begin + size - 1))
                if start <= span.start < end:
                    yield span

    def _touches(self, data: bytes) -> bool:
        if not self._samples.isdisjoint(_sampled(data)):
            return True
        for form in self._short:  # noqa: SIM110  every line of the log comes here
            if form in data:
                return True
        return False

    def _touches_decoded(self, data: bytes) -> bool:
        # Every line of the log comes here, and `in` takes twice as long as `find`.
        if data.find(b"%") < 0 and data.find(b"\\") < 0 and data.find(b"\n", 0, -1) < 0:
            return False
        plain = _glimpse(data)
        return plain is not None and self._touches(plain)

    def _places(self, data: bytes) -> Iterator[tuple[int, int]]:
        blocks = _sampled(data)
        for number in compress(range(len(blocks)), map(self._samples.__contains__, blocks)):
            for form, offset in self._blocks.get(blocks[number], ()):
                begin = number * _STRIDE - offset
                if begin >= 0 and data.startswith(form, begin):
                    yield begin, len(form)
        for form in self._short:
            begin = data.find(form)
            while begin >= 0:
                yield begin, len(form)
                begin = data.find(form, begin + 1)

    def _learn(self, form: bytes) -> None:
        if len(form) < _SAMPLED_MIN:
            self._short = (*self._short, form)
            return
        for block, offset in _blocks_of(form):
            self._blocks[block] = (*self._blocks.get(block, ()), (form, offset))
            self._samples.add(block)

    def _forget(self, form: bytes) -> None:
        self._short = tuple(each for each in self._short if each != form)
        for block, offset in _blocks_of(form):
            rest = tuple(each for each in self._blocks.get(block, ()) if each != (form, offset))
            if rest:
                self._blocks[block] = rest
            else:
                self._blocks.pop(block, None)
                self._samples.discard(block)


_BOUNDARY = re.compile(r"-----(?:BEGIN|END) [A-Z0-9 ]+-----")
"""The first and last lines of a PEM, which are no secret: https://www.rfc-editor.org/rfc/rfc7468"""


def forms_of(secret: str) -> frozenset[bytes]:
    """Give every form to look for: of each line of the secret, without a PEM's first and last."""
    lines = (line.strip() for line in secret.splitlines())
    pieces = [piece for line in lines if not _BOUNDARY.fullmatch(line) for piece in _pieces(line)]
    forms = (form[:FORM_MAX] for piece in pieces for form in _written(piece))
    return frozenset(form for form in forms if len(form) >= SECRET_MIN)


def _pieces(line: str) -> Iterator[str]:
    for start in range(0, max(1, len(line) - _LAP), _PIECE - _LAP):
        piece = line[start : start + _PIECE]
        if len(piece.encode("utf-8", "replace")) >= SECRET_MIN:
            yield piece


def _written(piece: str) -> Iterator[bytes]:
    data = piece.encode("utf-8", "replace")
    yield data
    yield from _in_json(data.decode("utf-8"))
    yield data.hex().encode()
    yield data.hex().upper().encode()
    for lead in range(3):
        core = _in_base64(data, lead)
        yield core
        yield core.translate(bytes.maketrans(b"+/", b"-_"))


def _in_json(text: str) -> Iterator[bytes]:
    """As writers of JSON escape it, once, and once more within a text of another JSON."""
    for once in (orjson.dumps(text).decode()[1:-1], json.dumps(text)[1:-1]):
        yield once.encode()
        yield once.replace("/", "\\/").encode()
        yield orjson.dumps(once)[1:-1]


def _in_base64(data: bytes, lead: int) -> bytes:
    """Give the characters that stand for these bytes alone, after `lead` other bytes."""
    encoded = base64.b64encode(bytes(lead) + data)
    return encoded[-(-lead * 8 // 6) : (lead + len(data)) * 8 // 6]


def _blocks_of(form: bytes) -> Iterator[tuple[int, int]]:
    if len(form) >= _SAMPLED_MIN:
        for offset in range(_STRIDE):
            yield struct.unpack_from("=Q", form, offset)[0], offset


def _sampled(data: bytes) -> memoryview[int]:
    """Give 8 bytes of every 16 as numbers, without copying."""
    return memoryview(data)[: len(data) & -_BLOCK].cast("Q")[:: _STRIDE // _BLOCK]


def _decoded(data: bytes) -> bytes | None:
    """Give it without percent-encoding and breaks of long runs; None where it has neither."""
    plain = _BREAK.sub(b"", data) if _LONG_RUN in data.translate(_RUN_MAP) else data
    if b"%" in plain and _PERCENT.search(plain):
        plain = _percent_decoded(plain)
    return plain if len(plain) < len(data) else None


def _glimpse(data: bytes) -> bytes | None:
    """As `_decoded`, where there is little to decode of those lines alone."""
    runs = data.translate(_RUN_MAP)
    lines = [*_wrapped_lines(data, runs)] if _LONG_RUN in runs else []
    if b"%" in data:
        lines += islice(_lines_with_percent(data), _FEW)
    return _decoded(data if len(lines) >= _FEW else b"\n".join(lines)) if lines else None


def _lines_with_percent(data: bytes) -> Iterator[bytes]:
    at = 0
    while found := _PERCENT.search(data, at):
        start = max(at, data.rfind(b"\n", at, found.start()))
        at = _line_end(data, found.end())
        yield data[start:at]


def _wrapped_lines(data: bytes, runs: bytes) -> Iterator[bytes]:
    """Give lines that are broken after a long run of characters, with the line after them; where
    there are many, the rest as a whole.
    """
    at, start, end, count = 0, 0, -1, 0
    while (run := runs.find(_LONG_RUN, at)) >= 0 and (at := runs.find(b" ", run + WRAP_MIN)) >= 0:
        if data.startswith(_BREAK_TEXTS, at):
            begin = data.rfind(b"\n", max(end, 0), run)
            if begin >= 0 and end >= 0:
                yield data[start:end]
            # What begins before the end of the last lines belongs to them.
            start = begin if begin >= 0 else start
            count += 1
            if count == _FEW:
                end = len(data)
                break
            end = _line_end(data, _line_end(data, at) + 1)
    if end >= 0:
        yield data[start:end]


def _line_end(data: bytes, at: int) -> int:
    end = data.find(b"\n", at)
    return len(data) if end < 0 else end


def _percent_decoded(data: bytes) -> bytes:
    parts = _PERCENT.split(data)
    codes = bytes.fromhex(b"".join(parts[1::2]).decode("ascii"))
    parts[1::2] = struct.unpack(f"{len(codes)}c", codes)
    return b"".join(parts)


class _Origins:
    """Where a byte of what `_decoded` gives stood before."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        # After each encoding: how many bytes have been given, and how many were read for them.
        self._given, self._read = [0], [0]
        lost = 0
        for encoding in _ENCODING.finditer(data):
            lost += len(encoding[0]) - (1 if encoding[0].startswith(b"%") else 0)
            self._given.append(encoding.end() - lost)
            self._read.append(encoding.end())

    def begin_of(self, at: int) -> int:
        stretch = bisect_right(self._given, at) - 1
        return self._read[stretch] + at - self._given[stretch]

    def end_of(self, at: int) -> int:
        begin = self.begin_of(at)
        return begin + (3 if _PERCENT.match(self._data, begin) else 1)
