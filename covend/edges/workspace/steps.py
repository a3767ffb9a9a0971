"""Takes the steps of a preparation one by one, each safely again: what a former try left is cleared
before every try, so that the error that is told is always the last try's own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from covend.core.errors import GitError
from covend.edges.workspace.faults import Fault, fault_of
from covend.telemetry.logs import Log

PAUSES_S = (1.0, 4.0)
"""Between tries: as many more tries as there are pauses."""
log = Log("checkout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`clear` makes it as if `take` had never been tried."""

    name: str
    take: Callable[[], Awaitable[None]]
    clear: Callable[[], Awaitable[None]] | None = None


async def take(step: Step) -> None:
    """Take a step; a passing fault is tried again, any other raised at once, as `GitError`."""
    for pause_s in (*PAUSES_S, None):
        try:
            if step.clear is not None:
                await step.clear()
            return await step.take()
        except GitError as error:
            if pause_s is None or fault_of(error) is not Fault.PASSING:
                raise
            log.warning("a step is tried again", step=step.name, error=str(error))
        except OSError as error:
            # A full disk, most of all: nobody's fault who asked for this.
            raise GitError(f"{step.name} failed: {error}") from error
        await anyio.sleep(pause_s)
    return None
