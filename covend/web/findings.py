"""What is found out about the real world, as far as pages show it; who finds it out stands above,
and is handed down by the composition root.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias


class Finding(Protocol):
    """One thing that was looked at."""

    @property
    def name(self) -> str:
        """Give its stable name."""
        ...

    @property
    def level(self) -> str:
        """Give `ok`, `warning` or `failed`."""
        ...

    @property
    def what(self) -> str:
        """Say what was seen."""
        ...

    @property
    def fix(self) -> str:
        """Say what to do; "" where nothing is to do."""
        ...


Examine: TypeAlias = Callable[[Mapping[str, str]], Sequence[Finding]]
"""Looks at everything, given what the process says of itself (`Readiness.notes`); blocks, so it is
called in a thread.
"""
