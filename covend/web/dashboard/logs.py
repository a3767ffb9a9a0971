"""What an attempt has printed, as pieces that a page may show: colours by name, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from covend.core.ansi import PLAIN, Segment, read_line, read_lines
from covend.edges.agents.output import Line, Stream

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


class Shown:
    """What a page is given of a followed log, line by line: its stream and its segments, as
    `["stdout", [["class", "text"], …]]`. Colours go on from one line to the next.
    """

    def __init__(self) -> None:
        """Begin without a colour."""
        self._look = PLAIN

    def line(self, line: Line) -> object:
        """Give the next one."""
        segments, self._look = read_line(_cut(line), self._look)
        return [STREAMS[line.stream], [[each.classes, each.text] for each in segments]]
