"""The one clock, and the ids that are made by it.

The wall time at start is carried on by the monotonic clock, and never begins behind the newest
moment that
the store knows: a clock that is set back or forth while covend runs moves no lease and no timeout.
"""

from __future__ import annotations

import os
import time

from covend.core import ids
from covend.core.model import Moment


class Clock:
    """Moments in milliseconds UTC that never go back."""

    def __init__(self, *, not_before: Moment = 0) -> None:
        """Start at the wall time, or at `not_before` where that is later."""
        self._start = max(self.wall(), not_before)
        self._started = time.monotonic_ns()
        self._id_at: Moment = -1
        self._id_number = 0

    @property
    def started_at(self) -> Moment:
        """Give the moment at which this clock began. How far earlier moments lie back, nobody
        knows: another clock has told them.
        """
        return self._start

    def now(self) -> Moment:
        """Give the moment."""
        return self._start + (time.monotonic_ns() - self._started) // 1_000_000

    @staticmethod
    def wall() -> Moment:
        """Give the machine's own moment, which may jump: for what is told to others as a time."""
        return time.time_ns() // 1_000_000

    def new_id(self) -> str:
        """Make an id that sorts by now, and after every one that this clock has made before.

        Within a millisecond the random part is counted up: effects of one plan keep its order.
        """
        now = self.now()
        if now > self._id_at:
            # Half of the numbers at most, so that counting up never runs over.
            self._id_at, self._id_number = now, int.from_bytes(os.urandom(ids.RANDOM_BYTES)) >> 1
        else:
            self._id_number += 1
        return ids.new_id(self._id_at, self._id_number.to_bytes(ids.RANDOM_BYTES))
