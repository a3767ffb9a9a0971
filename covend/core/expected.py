"""What a configuration expects of a payload (`[[tests]]`); `rules.expecting` judges by it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What must come of it; None where that does not matter."""

    rule: str | None = None
    key: str | None = None
    tasks: int | None = None
    """How many rules ask for work."""
    nothing: bool = False
    """No rule asks for work."""
    reason: str | None = None
    """Of the rule where there is one, else of the delivery."""
    held: bool | None = None
    """Whether it waits for an approval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One test of a configuration."""

    payload: str
    """The file's name, as it is written."""
    event: str
    expected: Expected
    body: bytes = field(repr=False)
