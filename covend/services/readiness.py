"""What this process says of itself to whoever watches it: starting, ready or draining."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True)
class Readiness:
    """Written by the one who starts and stops the process, read by `/readyz`.

    `notes` are facts worth knowing, such as SQLite's version; they are shown without a token.
    """

    state: Literal["starting", "ready", "draining"] = "starting"
    notes: dict[str, str] = field(default_factory=dict)

    def is_open(self) -> bool:
        """Say whether work is taken in."""
        return self.state == "ready"
