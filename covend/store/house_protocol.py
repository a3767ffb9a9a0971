"""What the operator's house asks of the store, in words of the domain; one method is one
transaction. `protocol` gives it on, with what it promises of errors.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from covend.core.audit import AuditRow, Wish
from covend.core.insight import AgentFigures, Hour, Money, OutboxLine, RuleFigures
from covend.core.model import Moment, TaskId
from covend.core.retention import KeptSince, Kind, Passed
from covend.core.rules.explanation import Prospect
from covend.store.happenings import Arrived, Moved, Place
from covend.store.records import PastDelivery, Wanted


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
        who: str | None = None,
    ) -> tuple[Sequence[AuditRow], str | None]:
        """List wishes, newest first, and the cursor of the next page."""
        ...


class Happenings(Protocol):
    """What has happened, for those who follow the whole daemon."""

    async def newest(self) -> Place:
        """Say how far everything has come."""
        ...

    async def moves(self, after: int, *, limit: int) -> Sequence[Moved]:
        """List what tasks have done behind a number, in the order of its writing."""
        ...

    async def deliveries(self, after: int, *, limit: int) -> Sequence[Arrived]:
        """List what has come in behind a number, in the order of its writing."""
        ...


class Insight(Protocol):
    """What has been going on, counted: of the newest rows alone where there are very many.

    A window is so many seconds up to `now`.
    """

    async def last_hour(self, now: Moment) -> Hour:
        """Count what came and what ended, by five minutes."""
        ...

    async def agents(self, now: Moment, window_s: float) -> Sequence[AgentFigures]:
        """Sum up the attempts that began in a window, by agent, with what holds each agent now."""
        ...

    async def rules(self, now: Moment, window_s: float) -> Sequence[RuleFigures]:
        """Sum up the tasks that were made in a window, by rule, with the newest refusals."""
        ...

    async def outbox(self, now: Moment, window_s: float) -> Sequence[OutboxLine]:
        """Count the effects that are open, by state, and those of a window that have failed."""
        ...

    async def money(self, now: Moment) -> Money:
        """Say what was spent today."""
        ...


class Retention(Protocol):
    """What has been kept long enough."""

    async def delete_some(self, kind: Kind, since: KeptSince, *, after: str, limit: int) -> Passed:
        """Look at `limit` things of a kind from behind `after` on ("" is the beginning), and delete
        those that are old and that nothing needs.
        """
        ...

    async def open_among(self, tasks: Collection[TaskId]) -> frozenset[TaskId]:
        """Say which of some tasks have not ended."""
        ...


class Outlook(Protocol):
    """What a draft would meet now, and what past deliveries came to."""

    async def prospect(self, wanted: Wanted, now: Moment, *, has_room: bool) -> Prospect:
        """Read what its key meets, what its safeguards say and how many attempts run."""
        ...

    async def first_since(self, since: Moment) -> int | None:
        """Give the number of the first delivery that came in since; None where none did."""
        ...

    async def past(self, number: int, *, limit: int) -> tuple[Sequence[PastDelivery], int]:
        """List deliveries from behind a number on, oldest first, and the number of the last."""
        ...
