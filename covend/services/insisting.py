"""Writes what must not be forgotten: a store that is busy or full is asked again, for a while.

Meant for what has already happened (an agent has ended, a request has left); what merely could be
done later is left to the next round of its loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

import anyio

from covend.core.errors import StoreError
from covend.telemetry.logs import Log

PATIENCE_S = 120.0
"""After this the store's error is raised; the next start finds out what became of it."""

STORE_WAIT_S = 1.0
Result = TypeVar("Result")
log = Log("insisting")


async def insist(
    write: Callable[[], Awaitable[Result]],
    *,
    patience_s: float = PATIENCE_S,
    wait_s: float = STORE_WAIT_S,
) -> Result:
    """Write, and give the answer; any error but the store's own is raised at once."""
    given_up_at = monotonic() + patience_s
    while True:
        try:
            return await write()
        except StoreError as error:
            if monotonic() >= given_up_at:
                raise
            log.error("the store is asked again", code=error.code, error=str(error))
        await anyio.sleep(wait_s)
