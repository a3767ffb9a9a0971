"""A request to end an attempt from outside: an operator's, a newer head's, a lost lease's, or that
of covend's own end.

Whatever the attempt is at, checkout, run or publish, is cancelled by the one scope; how it then
ends is the business of whoever is in it.
"""

from __future__ import annotations

import anyio

from covend.core.contract.outcome import StopReason


class Stop:
    """One attempt's; the first reason counts, a later one changes nothing."""

    def __init__(self) -> None:
        self.reason: StopReason | None = None
        self.scope = anyio.CancelScope()
        """What an attempt runs in, once."""

    def request(self, reason: StopReason) -> None:
        """Cancel the attempt's scope; one that is over by then goes its way."""
        if self.reason is None:
            self.reason = reason
            self.scope.cancel()
