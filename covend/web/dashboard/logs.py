"""What an attempt has printed, as pieces that a page may show: colours by name, nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from covend.core.ansi import PLAIN, Segment, read_line, read_lines
from covend.edges.agents.output import Line, Stream
from covend.services.live import Ended, Follower, Printed
from covend.web.streams import Batch, Frame

TAIL_BYTES = 1 << 16
"""So much of the end of a log stands on a page before any script runs."""
LINE_SHOWN_MAX = 1 << 14
"""Characters of one line that a page shows: in a longer one each may have a colour of its own."""
STREAMS = {Stream.OUT: "stdout", Stream.ERROR: "stderr", Stream.MARK: "covend"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownLine:
    """One line of a log."""

    stream: str
    segments: tuple[Segment, ...]


def show(lines: Sequence[Line]) -> list[ShownLine]:
    """Make lines harmless that follow each other."""
    return [
        ShownLine(stream=STREAMS[line.stream], segments=segments)
        for line, segments in zip(lines, read_lines([_cut(line) for line in lines]), strict=True)
    ]


def _cut(line: Line) -> str:
    left_out = len(line.text) - LINE_SHOWN_MAX
    if left_out <= 0:
        return line.text
    return f"{line.text[:LINE_SHOWN_MAX]} … {left_out:,} more characters are left out"


class LogFeed:
    """A followed log as events: `line` for each, then `end`.

    The data of a line is its stream and its segments, as `["stdout", [["class", "text"], …]]`.
    """

    def __init__(self, follower: Follower) -> None:
        """Read by `follower`."""
        self._follower = follower
        self._look = PLAIN

    async def next(self) -> Batch | None:
        """See `streams.Feed.next`."""
        news = await self._follower.next()
        match news:
            case None:
                return None
            case Printed():
                return Batch(make=lambda: self._frames(news))
            case Ended():
                end = Frame(event="end", id=news.next_offset, data=news.progress.outcome)
                return Batch(make=lambda: [end], is_last=True)

    def _frames(self, printed: Printed) -> Iterator[Frame]:
        for line in printed.lines:
            segments, self._look = read_line(_cut(line), self._look)
            pieces = [[each.classes, each.text] for each in segments]
            yield Frame(event="line", id=line.next_offset, data=[STREAMS[line.stream], pieces])
