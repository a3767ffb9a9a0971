"""Keeps what an agent prints: bounded lines, and one ordered log file that others can follow.

The log is JSON lines `[ms, stream, text]` (ms UTC; `o` standard output, `e` standard error, `m` a
mark of covend's own), written in whole lines, so that a byte offset after any line is a place to go
on from. What is over the limit is cut with a mark, and the attempt goes on.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import orjson

from covend.core.contract.outcome import SUMMARY_MAX
from covend.core.model import Moment

LINE_MAX = 1 << 20
"""Bytes of one line; the rest of a longer one is dropped."""
CUT_LINE = " …[line cut]"
BATCH_MAX = 1 << 18
"""Bytes that wait for the end of a turn of the event loop; more are written at once."""
READ_MAX = 1 << 20
LOG_LINE_MAX = 8 * LINE_MAX
"""Bytes of one line of the log: JSON writes a control character as six."""


class Stream(StrEnum):
    """Where a line of the log comes from."""

    OUT = "o"
    ERROR = "e"
    MARK = "m"


class Lines:
    """Cuts chunks into lines of at most `limit` bytes, without their newlines; keeps no more than
    one.
    """

    def __init__(self, limit: int = LINE_MAX) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Take a chunk and give every line that it ends."""
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            self._keep(part)
            yield self._line()
        self._keep(rest)

    def finish(self) -> Iterator[str]:
        """Give the last line, if it had no newline."""
        if self._size:
            yield self._line()

    def _keep(self, part: bytes) -> None:
        room = self._limit - self._size
        if room > 0 and part:
            self._parts.append(part[:room])
        self._size += len(part)

    def _line(self) -> str:
        text = b"".join(self._parts).decode("utf-8", "replace").removesuffix("\r")
        was_cut = self._size > self._limit
        self._parts, self._size = [], 0
        return text + CUT_LINE if was_cut else text


class Tail:
    """Keeps the last characters of what it is given, line by line."""

    def __init__(self, limit: int = SUMMARY_MAX) -> None:
        self._limit = limit
        self._lines: deque[str] = deque()
        self._size = 0
        """With a newline after each, of which `str` shows one less."""

    def add(self, line: str) -> None:
        kept = line[-self._limit :]
        self._lines.append(kept)
        self._size += len(kept) + 1
        while self._size - 1 - len(self._lines[0]) - 1 >= self._limit:
            self._size -= len(self._lines.popleft()) + 1

    def __str__(self) -> str:
        return "\n".join(self._lines)[-self._limit :]


class Log:
    """The log file of one attempt; `limit` bytes at most, and a mark where it was cut.

    Lines of one turn of the event loop leave in one system call, without a loop each at once.
    A disk that is full ends the log (`size` tells how far it got), not the attempt.
    """

    def __init__(
        self,
        path: Path,
        *,
        limit: int,
        clock: Callable[[], Moment],
        on_written: Callable[[], None] = lambda: None,
    ) -> None:
        """Open the file for appending, made with mode 0600; follows no link, raises OSError.

        `on_written` is called whenever there is more to read.
        """
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)
        self._limit = limit
        self._clock = clock
        self._on_written = on_written
        self._is_cut = False
        self._tail = Tail()
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self._is_due = False
        self._written = os.fstat(self._file).st_size
        self._end_broken_line()

    @property
    def size(self) -> int:
        """The bytes of the log, also of what is yet to be written."""
        return self._written + self._waiting_size

    @property
    def tail(self) -> str:
        """The last 16 KiB of standard output, also of what the file has no room for."""
        return str(self._tail)

    def forget_tail(self) -> None:
        """Begin the tail anew: what comes now is another run's."""
        self._tail = Tail()

    def write(self, stream: Stream, text: str) -> None:
        """Append one line; it must have no secrets any more."""
        if stream is Stream.OUT:
            self._tail.add(text)
        if self._is_cut:
            return
        line = _encode(self._clock(), stream, text)
        if self.size + len(line) > self._limit:
            self._is_cut = True
            told = f"output cut here: it is over {self._limit} bytes"
            line = _encode(self._clock(), Stream.MARK, told)
        self._append(line)

    def flush(self) -> None:
        """Write what waits; whoever looks at the file sees it then."""
        data = b"".join(self._waiting)
        self._waiting, self._waiting_size = [], 0
        if not data:
            return
        try:
            written = os.write(self._file, data)
        except OSError:
            written = 0
        self._written += written
        # A short write means a full disk: whoever reads passes over the broken line.
        self._is_cut = self._is_cut or written < len(data)
        if written:
            self._on_written()

    def close(self) -> None:
        """Write what waits; after this nothing can be written."""
        self.flush()
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _append(self, line: bytes) -> None:
        self._waiting.append(line)
        self._waiting_size += len(line)
        if self._waiting_size >= BATCH_MAX or not self._is_written_soon():
            self.flush()

    def _is_written_soon(self) -> bool:
        """Let the event loop write after its present turn; False where there is none."""
        if not self._is_due:
            try:
                asyncio.get_running_loop().call_soon(self._write_due)
            except RuntimeError:
                return False
            self._is_due = True
        return True

    def _write_due(self) -> None:
        self._is_due = False
        self.flush()

    def _end_broken_line(self) -> None:
        """Let nothing be appended to a line that a crash or a full disk broke off."""
        if self._written and os.pread(self._file, 1, self._written - 1) != b"\n":
            self._append(b"\n")
            self.flush()


def _encode(at: Moment, stream: Stream, text: str) -> bytes:
    try:
        return orjson.dumps([at, stream.value, text], option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        # A lone surrogate, which no decoding with "replace" makes, but a caller may hold.
        return _encode(at, stream, text.encode("utf-8", "replace").decode())


def read_log(path: Path, offset: int = 0, limit: int = READ_MAX) -> tuple[bytes, int]:
    """Give whole lines from a byte offset on, and the offset to go on from; nothing where there is
    nothing.

    At least one line where there is one, so a reader always gets on; `limit` bounds the rest.
    """
    try:
        with path.open("rb") as file:
            # No file system goes to every offset that somebody may think of.
            if offset > os.fstat(file.fileno()).st_size:
                return b"", offset
            file.seek(offset)
            data = file.read(limit)
            if b"\n" not in data:
                data += file.readline(LOG_LINE_MAX)
    except FileNotFoundError:
        return b"", offset
    whole = data[: data.rfind(b"\n") + 1]
    return whole, offset + len(whole)


class Line(NamedTuple):
    """One line of a log."""

    at: Moment
    stream: Stream
    text: str
    next_offset: int
    """The byte at which the log goes on after it."""


def read_lines(path: Path, offset: int = 0, limit: int = READ_MAX) -> tuple[Sequence[Line], int]:
    """Give lines from a byte offset on, and the offset to go on from, as `read_log` does.

    What is no line is passed over: one that a crash or a full disk broke off, or the rest of one
    where `offset` lies in its middle.
    """
    data, following = read_log(path, offset, limit)
    return list(_lines(data, offset)), following


def _lines(data: bytes, offset: int) -> Iterator[Line]:
    for line in data.splitlines(keepends=True):
        offset += len(line)
        try:
            at, stream, text = orjson.loads(line)
            yield Line(int(at), Stream(stream), str(text), offset)
        except (ValueError, TypeError):
            continue
