"""A text that must not be seen, and the one way to look at it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that never shows itself in `repr`, logs or errors."""

    _text: str = field(repr=False)

    def reveal(self) -> str:
        """Give the text; call it only where it leaves for its one purpose."""
        return self._text

    def __repr__(self) -> str:
        """Show nothing."""
        return "Secret(…)"

    __str__ = __repr__
