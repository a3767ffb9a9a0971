"""Takes secrets out of text and out of streams: those that are known, and whatever has a secret's
shape.

What comes out of a stream does not depend on where its chunks end, and takes time and memory in
proportion to them, whatever they hold. An agent that hides a secret on purpose gets it through:
this keeps accidents out of logs, it is no boundary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any

import orjson

from covend.core import private_keys, secret_shapes
from covend.core.private_keys import KeyReader
from covend.core.secret_forms import ENDS_WRAPPED, FORM_MAX, SECRET_MIN, Known
from covend.core.spans import Span

__all__ = ["HELD_MAX", "MARK", "SECRET_MIN", "Known", "Redactor", "redact"]

MARK = b"[redacted]"
HELD_MAX = 4096
"""Bytes of what is not ended yet that wait for their rest, to be seen whole; twice as many while
they come in drops.
"""
_SEEN_MAX = 128
"""Bytes before a secret that tell whether it is one."""
assert 3 * FORM_MAX + _SEEN_MAX < HELD_MAX


def redact(text: str) -> str:
    """Take out what has the shape of a secret."""
    return Redactor().text(text)


class Redactor:
    """Takes out the given secrets and all shapes; `text` has no memory, `feed` and `finish` are one
    stream.
    """

    def __init__(self, secrets: Iterable[str] | Known = ()) -> None:
        """What is `Known` is shared: what it learns later is looked for from then on."""
        self._known = secrets if isinstance(secrets, Known) else Known(secrets)
        self._data = b""
        """What waits, and before it a little of what was given already."""
        self._at = 0
        """Where in it begins what waits."""
        self._spans: list[Span] = []
        """Places found that do not end before it."""
        self._marked = -1
        """The end of the place that the last mark stands for."""
        self._keys = KeyReader()

    def text(self, text: str) -> str:
        """Give one text without its secrets."""
        data = text.encode("utf-8", "replace")
        return self.clean(data).decode("utf-8", "replace") if self._suspects(data) else text

    def clean(self, data: bytes) -> bytes:
        """Give one whole piece of bytes without its secrets: what `feed` and `finish` give."""
        if not self._suspects(data):
            return data
        stream = Redactor(self._known)
        return stream.feed(data) + stream.finish()

    def json(self, data: bytes) -> bytes:
        """Give a JSON text without its secrets, however their characters were escaped; what is no
        JSON is cleaned as any bytes.
        """
        try:
            plain = orjson.dumps(orjson.loads(data))
        except orjson.JSONDecodeError:
            plain = data
        return self.clean(plain)

    def values(self, value: Any) -> Any:
        """Give JSON values, nested a few hundred deep at most, without secrets in their texts."""
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {self.text(name): self.values(each) for name, each in value.items()}
            case list() | tuple():
                return [self.values(each) for each in value]
            case _:
                return value

    def feed(self, chunk: bytes) -> bytes:
        """Take the stream's next chunk and give what is sure by now: whole lines at once."""
        data = self._data + chunk
        if len(data) - self._at < 2 * HELD_MAX and b"\n" not in chunk:
            self._data = data
            return b""
        return self._give(data, self._sure(data))

    def finish(self) -> bytes:
        """Give the rest of the stream."""
        return self._give(self._data, len(self._data))

    def _suspects(self, data: bytes) -> bool:
        return (
            private_keys.suspects(data)
            or secret_shapes.suspects(data)
            or self._known.suspects(data)
        )

    def _sure(self, data: bytes) -> int:
        """Say up to where nothing begins that what is to come could complete."""
        enough = len(data) - HELD_MAX
        at = data.rfind(b"\n", self._at) + 1
        while at > max(enough, self._at) and ENDS_WRAPPED.match(data, at):
            at = data.rfind(b"\n", self._at, at - 1) + 1
        return max(at, enough, self._at)

    def _give(self, data: bytes, end: int) -> bytes:
        """Give what waits, up to `end`."""
        start, self._at = self._at, end
        found = [span.grown(data) for span in self._spans]
        found += self._known.spans(data, start, end)
        found += secret_shapes.spans(data, start, end)
        if self._keys.is_within or private_keys.suspects(data):
            found += self._keys.spans(data, start, end)
        self._spans = [span for span in found if span.end > end or span.end == len(data)]
        given = self._around(sorted(found, key=itemgetter(0)), data, start, end)
        self._forget(data, max(0, end - _SEEN_MAX))
        return given

    def _around(self, spans: list[Span], data: bytes, start: int, end: int) -> bytes:
        """Give what no span covers, and one mark for all that touch each other."""
        kept: list[bytes] = []
        at = max(start, self._marked)
        for span in spans:
            if span.start >= end:
                break
            if span.start > self._marked:
                kept += (data[at : span.start], MARK)
            self._marked = max(self._marked, span.end)
            at = max(at, self._marked)
        kept.append(data[at:end])
        return b"".join(kept)

    def _forget(self, data: bytes, count: int) -> None:
        """Drop bytes that were given, and count from there."""
        self._data = data[count:]
        self._at -= count
        self._marked -= count
        self._spans = [span.moved(count) for span in self._spans]
        self._keys.move(count)
