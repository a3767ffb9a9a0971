"""Writes down what people ask covend to change: the wish before the change, what came of it after.

A wish that cannot be written is not fulfilled: what nobody could explain later does not happen.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from covend.core.audit import Wish
from covend.core.errors import CovendError, StoreError
from covend.services.clock import Clock
from covend.store.protocol import Audit
from covend.telemetry.logs import Log

OK = "ok"
FAULT = "internal"
log = Log("audit")


class Noted:
    """A wish that is written down; its outcome is `ok` unless it is told otherwise."""

    def __init__(self) -> None:
        """Begin as if all went well."""
        self.outcome = OK


class Auditing:
    """Notes wishes."""

    def __init__(self, *, audit: Audit, clock: Clock) -> None:
        """Write to `audit`."""
        self._audit = audit
        self._clock = clock

    @asynccontextmanager
    async def noting(self, wish: Wish) -> AsyncIterator[Noted]:
        """Write the wish, let it be tried, and write its outcome: an error's code where one passes.

        Raises StoreError, before anything is tried, where it cannot be written. An outcome that
        cannot be written stays unknown, as after a crash: the change has been made all the same.
        What is cancelled in the middle stays unknown as well: it may or may not have been made.
        """
        number = await self._audit.begin(wish, self._clock.now())
        noted = Noted()
        try:
            yield noted
        except CovendError as error:
            noted.outcome = error.code
            await self._end(number, wish, noted.outcome)
            raise
        except Exception:
            noted.outcome = FAULT
            await self._end(number, wish, noted.outcome)
            raise
        await self._end(number, wish, noted.outcome)

    async def _end(self, number: int, wish: Wish, outcome: str) -> None:
        log.info(
            "asked", who=wish.who, way=wish.way, verb=wish.verb, target=wish.target, to=outcome
        )
        try:
            with anyio.CancelScope(shield=True):
                await self._audit.end(number, outcome, self._clock.now())
        except StoreError as error:
            log.error("an outcome was not written", number=number, error=str(error))
