"""A clock that only a test turns."""

from __future__ import annotations

from datetime import UTC, datetime

from covend.services.clock import Clock

NOON = 1_790_000_000_000


class HandClock(Clock):
    """Stands still until it is turned."""

    def __init__(self, at: int = NOON) -> None:
        super().__init__()
        self.at = self._start = at

    def now(self) -> int:
        return self.at

    def moment(self) -> datetime:
        """The same moment as the stand-in tells it."""
        return datetime.fromtimestamp(self.at / 1000, UTC)

    def turn(self, *, s: float) -> None:
        self.at += round(s * 1000)
