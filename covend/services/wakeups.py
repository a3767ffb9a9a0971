"""A commit here wakes a loop there. A wake-up carries no data and may be lost: loops also look by
themselves.
"""

from __future__ import annotations

import anyio


class Wakeup:
    """One loop's bell: ringing it many times before it is heard is ringing it once."""

    def __init__(self) -> None:
        """Begin unheard and unrung."""
        self._bell = anyio.Event()

    def wake(self) -> None:
        """Ring."""
        self._bell.set()

    async def wait(self, seconds: float) -> None:
        """Return when it rings, or after so many seconds; what rang before this call counts."""
        with anyio.move_on_after(seconds):
            await self._bell.wait()
        self._bell = anyio.Event()


class Wakeups:
    """The bells of the daemon's loops."""

    def __init__(self) -> None:
        """Hang them up."""
        self.queued = Wakeup()
        self.received = Wakeup()
        self.effects = Wakeup()
