"""Where in a pull request's diff a comment may stand; refuses every line that GitHub does not show.

The files API gives each file's hunks in unified format, without the headers that git prints before
them.
https://docs.github.com/en/rest/pulls/pulls#list-pull-requests-files
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

LEFT = "LEFT"
RIGHT = "RIGHT"

_HEADER = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_SIDES: Mapping[str, tuple[str, ...]] = {" ": (LEFT, RIGHT), "-": (LEFT,), "+": (RIGHT,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedFile:
    """One file of a pull request; `patch` is None where GitHub shows none (binary, too large)."""

    path: str
    previous: str | None = None
    status: str = "modified"
    patch: str | None = None


Places = Mapping[tuple[str, int], int]
"""(side, line) that can carry a comment, and the number of its hunk."""


def places(patch: str) -> Places:
    """Read a file's patch: the shown lines of both sides, unchanged ones on either."""
    return dict(_walk(patch.split("\n")))


def places_by_path(files: Iterable[ChangedFile]) -> Mapping[str, Places]:
    """Read the patches of many files, by their present paths."""
    return {file.path: places(file.patch) for file in files if file.patch is not None}


@dataclass(slots=True)
class _Hunk:
    """How far a hunk has been read: the next line of each side, and how many are still to come."""

    number: int
    next_line: dict[str, int]
    left_over: dict[str, int]

    @property
    def is_open(self) -> bool:
        return any(self.left_over.values())

    def take(self, side: str) -> tuple[tuple[str, int], int]:
        """Consume a line of one side and give its place."""
        line = self.next_line[side]
        self.next_line[side] += 1
        self.left_over[side] -= 1
        return (side, line), self.number


def _walk(lines: Iterable[str]) -> Iterator[tuple[tuple[str, int], int]]:
    """Follow the hunks; the counts in a header, not the looks of a line, say where a hunk ends."""
    hunk = _Hunk(0, {}, {})
    for text in lines:
        if hunk.is_open:
            for side in _SIDES.get(text[:1] or " ", ()):
                yield hunk.take(side)
        elif header := _HEADER.match(text):
            hunk = _opened(hunk.number + 1, header)


def _opened(number: int, header: re.Match[str]) -> _Hunk:
    left, left_count, right, right_count = header.groups()
    return _Hunk(
        number,
        {LEFT: int(left), RIGHT: int(right)},
        {LEFT: int(left_count or 1), RIGHT: int(right_count or 1)},
    )
