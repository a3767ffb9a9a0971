"""A commit here wakes a loop there. A wake-up carries no data and may be lost: loops also look by
themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from covend.core.model import TaskId


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


class Bells:
    """A bell for each who follows a task; they ring when it prints, begins or ends."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._hung: dict[TaskId, list[Wakeup]] = {}

    def wake(self, task: TaskId) -> None:
        """Ring for all who follow this task."""
        for bell in self._hung.get(task, ()):
            bell.wake()

    @contextmanager
    def hung(self, task: TaskId) -> Iterator[Wakeup]:
        """Hang up one more bell, for as long as somebody follows."""
        bell = Wakeup()
        self._hung.setdefault(task, []).append(bell)
        try:
            yield bell
        finally:
            self._hung[task].remove(bell)
            if not self._hung[task]:
                del self._hung[task]


class Wakeups:
    """The bells of the daemon's loops, and of those who follow tasks."""

    def __init__(self) -> None:
        """Hang them up."""
        self.queued = Wakeup()
        self.received = Wakeup()
        self.effects = Wakeup()
        self.commands = Wakeup()
        self.overdue = Wakeup()
        self.callbacks = Wakeup()
        self.installations = Wakeup()
        self.reconcile = Wakeup()
        self.reruns = Wakeup()
        self.followers = Bells()
