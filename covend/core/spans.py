"""Places in bytes that must not be shown, and how what is around them is given."""

from __future__ import annotations

import re
from typing import NamedTuple


class Span(NamedTuple):
    """From `start` up to `end`; with `run`, and as far on as its pattern matches."""

    start: int
    end: int
    run: re.Pattern[bytes] | None = None

    def grown(self, data: bytes) -> Span:
        """Take in what follows in these bytes."""
        if self.run is None:
            return self
        more = self.run.match(data, self.end)
        return self if more is None else self._replace(end=more.end())

    def moved(self, by: int) -> Span:
        return self._replace(start=self.start - by, end=self.end - by)
