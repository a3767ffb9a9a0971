"""Whether deliveries are taken in: not while an operator has drained covend, nor once it stops.

Refuses to open again what a stop has closed.
"""

from __future__ import annotations

from collections.abc import Callable

from covend.services.readiness import Readiness

Close = Callable[[bool], None]
"""Answer every webhook with 503 from now on; or, with False, take them again."""

_CLOSED = True


class Doors:
    """The public listener's, and what `/readyz` says of them."""

    def __init__(
        self, *, readiness: Readiness, close: Close, on_open: Callable[[], None] = lambda: None
    ) -> None:
        """Begin as `readiness` has it; `close` is the listener's, and `on_open` is told when they
        are opened: somebody may have stood before them.
        """
        self._readiness = readiness
        self._close = close
        self._on_open = on_open
        self._is_stopping = False

    def drain(self, is_drained: bool) -> None:  # noqa: FBT001 - a state, told as one
        """Follow the operator's drain, which is a row in the store."""
        if not self._is_stopping:
            self._readiness.state = "draining" if is_drained else "ready"
            self._close(is_drained)
            if not is_drained:
                self._on_open()

    def stop(self) -> None:
        """Close for good."""
        self._is_stopping = True
        self._readiness.state = "draining"
        self._close(_CLOSED)
