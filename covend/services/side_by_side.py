"""Several pieces of work at once, none of them twice: a slow one holds up nobody else.

What goes wrong in a piece ends neither the others nor the daemon: it is logged, and the piece is
put off where it is kept, so that its place is free for the next.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskGroup

from covend.core.errors import StoreError
from covend.services.wakeups import Wakeup
from covend.telemetry.logs import Log

STORE_WAIT_S = 1.0
FAULT_WAIT_S = 60.0
"""What covend itself does wrong, it does wrong again: not in a hot loop."""

Step = Callable[[], Awaitable[None]]

log = Log("side_by_side")


class SideBySide:
    """At most `at_once` pieces in a task group; `bell` rings when one has ended."""

    def __init__(self, group: TaskGroup, *, at_once: int, bell: Wakeup) -> None:
        """Begin with none."""
        assert at_once > 0
        self._group = group
        self._at_once = at_once
        self._bell = bell
        self._busy: set[str] = set()

    @property
    def is_busy(self) -> bool:
        """Say whether anything is under way."""
        return bool(self._busy)

    @property
    def limit(self) -> int:
        """How many to list, so that what is under way cannot hide what is not."""
        return self._at_once + len(self._busy)

    def has(self, key: str) -> bool:
        """Say whether the piece of that key is under way."""
        return key in self._busy

    def start(self, key: str, piece: Step, put_off: Step) -> bool:
        """Start a piece, unless the one of that key is under way or there is no room; where covend
        itself fails at it, `put_off` keeps it from being due again at once.
        """
        if key in self._busy or len(self._busy) >= self._at_once:
            return False
        self._busy.add(key)
        self._group.start_soon(self._attend, key, piece, put_off)
        return True

    async def _attend(self, key: str, piece: Step, put_off: Step) -> None:
        try:
            await piece()
        except StoreError as error:
            log.error("put off: the store", piece=key, code=error.code, error=str(error))
            await anyio.sleep(STORE_WAIT_S)
        except Exception:
            log.exception("put off: a fault of covend", piece=key)
            await _put_off(key, put_off)
        finally:
            self._busy.discard(key)
            self._bell.wake()


async def _put_off(key: str, put_off: Step) -> None:
    try:
        await put_off()
    except Exception:
        log.exception("cannot be put off", piece=key)
        await anyio.sleep(FAULT_WAIT_S)
