"""An event loop whose time passes as soon as nobody has anything to do: an hour takes no time."""

# There is no public way to see what a loop waits for.
# ruff: noqa: SLF001

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

_START_S = 1_790_000_000


class TimeLoop(asyncio.SelectorEventLoop):
    """Its clock stands still while anything runs, and jumps to the next timer else."""

    def __init__(self) -> None:
        super().__init__()
        self._elapsed_s = 0.0

    def time(self) -> float:
        return self._elapsed_s

    def now(self) -> int:
        """Give ms UTC by the same clock."""
        return _START_S * 1000 + round(self._elapsed_s * 1000)

    async def let_pass(self, ms: int) -> None:
        """Wait by this clock."""
        passed = asyncio.Event()
        self.call_later(ms / 1000, passed.set)
        await passed.wait()

    def _run_once(self) -> None:
        waiting: Any = self
        if not waiting._ready and waiting._scheduled:
            self._elapsed_s = max(self._elapsed_s, waiting._scheduled[0]._when)
        base: Any = super()
        base._run_once()


def run_in_no_time(loop: TimeLoop, work: Coroutine[Any, Any, None]) -> None:
    """Run to the end on a loop, and close it."""
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(work)
