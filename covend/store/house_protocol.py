"""What the operator's house asks of the store, in words of the domain; one method is one
transaction. `protocol` gives it on, with what it promises of errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from covend.core.audit import AuditRow, Wish
from covend.core.model import Moment


class Audit(Protocol):
    """Who has asked for which change, and what came of it."""

    async def begin(self, wish: Wish, now: Moment) -> int:
        """Keep a wish before anything is changed; give its number."""
        ...

    async def end(self, number: int, outcome: str, now: Moment) -> None:
        """Say what came of it: the first word counts."""
        ...

    async def page(
        self,
        *,
        limit: int,
        cursor: str | None = None,
        verb: str | None = None,
        target: str | None = None,
    ) -> tuple[Sequence[AuditRow], str | None]:
        """List wishes, newest first, and the cursor of the next page."""
        ...
