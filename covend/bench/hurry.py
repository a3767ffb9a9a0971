"""Time that passes faster than it does, for a whole daemon and for all that it talks to.

No constant of covend is touched by it: what waits for 8 seconds waits for 8 seconds, and these pass
sooner. Only its clock and its event loop are hurried; threads and other programs are not.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from covend.core.model import Moment
from covend.services.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """From which moment on time passes how many times as fast; processes of one machine share it.

    It relies on Linux, where the monotonic clock is the same in all of them.
    """

    speed: int
    begun_at: Moment
    begun_ns: int

    @classmethod
    def begin(cls, speed: int) -> Self:
        """Begin now."""
        begun_at = time.time_ns() // 1_000_000
        return cls(speed=speed, begun_at=begun_at, begun_ns=time.monotonic_ns())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` has written."""
        speed, begun_at, begun_ns = map(int, text.split(":"))
        return cls(speed=speed, begun_at=begun_at, begun_ns=begun_ns)

    def __str__(self) -> str:
        return f"{self.speed}:{self.begun_at}:{self.begun_ns}"

    def moment(self) -> Moment:
        """Give the moment, in ms UTC."""
        passed_ns = (time.monotonic_ns() - self.begun_ns) * self.speed
        return self.begun_at + passed_ns // 1_000_000

    def datetime(self) -> datetime:
        """Give the same as the stand-in wants it."""
        return datetime.fromtimestamp(self.moment() / 1000, UTC)


class HurriedClock(Clock):
    """The clock of a daemon that lives at a pace."""

    def __init__(self, pace: Pace, not_before: Moment) -> None:
        """As a clock that begins now; one that began before has gone on meanwhile."""
        self._pace = pace
        self._ahead_ms = max(0, not_before - pace.moment())
        super().__init__(not_before=not_before)

    def now(self) -> Moment:
        """Give the moment; it never goes back, as the pace does not."""
        return self._pace.moment() + self._ahead_ms

    def wall(self) -> Moment:  # type: ignore[override]  # the machine's own needs no instance
        """Give the moment that all who share the pace agree on."""
        return self._pace.moment()


class HurriedLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers ring so many times as soon."""

    def __init__(self, speed: int) -> None:
        """Begin with nothing to do."""
        self._speed = speed
        super().__init__(_HurriedSelector(speed))

    def time(self) -> float:
        """Give the loop's own seconds."""
        return super().time() * self._speed


class _HurriedSelector(selectors.EpollSelector):
    def __init__(self, speed: int) -> None:
        super().__init__()
        self._speed = speed

    def select(self, timeout: float | None = None) -> Any:
        return super().select(None if timeout is None else timeout / self._speed)
