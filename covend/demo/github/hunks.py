"""Where in a patch an inline comment may stand.

GitHub takes a comment on a line that the diff shows: added or unchanged on the right, removed or
unchanged on the left.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One line that a patch shows; `position` counts from the first hunk's header."""

    hunk: int
    position: int
    side: str
    line: int


def spots(patch: str) -> Iterator[Spot]:
    """List every place of a patch that can carry a comment."""
    left = right = hunk = 0
    for position, text in enumerate(patch.splitlines()):
        found = _HUNK.match(text)
        if found:
            hunk += 1
            left, right = int(found[1]), int(found[2])
            continue
        if text.startswith(("-", " ")) or not text:
            yield Spot(hunk=hunk, position=position, side="LEFT", line=left)
            left += 1
        if text.startswith(("+", " ")) or not text:
            yield Spot(hunk=hunk, position=position, side="RIGHT", line=right)
            right += 1


def hunk_until(patch: str, spot: Spot) -> str:
    """Cut out the part of a hunk that GitHub shows above a comment."""
    lines = patch.splitlines()[: spot.position + 1]
    start = max(at for at, text in enumerate(lines) if _HUNK.match(text))
    return "\n".join(lines[start:])
