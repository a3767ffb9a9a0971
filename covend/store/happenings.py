"""What has happened, in the order in which it was written: the moves of tasks, and deliveries.

Both have numbers that rise with every commit, so whoever has seen one knows what comes next. Of
effects nobody writes down when they change: only `Effects.page` tells how they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from covend.core.model import DeliveryId, Moment, TaskId
from covend.core.states import DeliveryState, TaskState
from covend.store.connection import Connection, Script, one, rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far somebody has come."""

    move: int
    delivery: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A task has moved; of one that is deleted by now, rule and repository are not known."""

    number: int
    task: TaskId
    source: TaskState | None
    target: TaskState
    reason: str
    at: Moment
    rule: str | None
    repository: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A delivery has come in; its state and reason are those of now."""

    number: int
    id: DeliveryId
    event: str
    action: str | None
    repository: str | None
    state: DeliveryState
    reason: str
    at: Moment


class StoredHappenings:
    """`store.protocol.Happenings` over any dialect."""

    def __init__(self, connection: Connection) -> None:
        """Keep the connection; the rest is in the rows."""
        self._connection = connection

    async def newest(self) -> Place:
        """See `Happenings.newest`."""
        return await self._connection.read(_newest())

    async def moves(self, after: int, *, limit: int) -> Sequence[Moved]:
        """See `Happenings.moves`."""
        found = await self._connection.read(rows("list_moves", after=after, limit=limit))
        return [
            Moved(
                number=row["number"],
                task=TaskId(row["task_id"]),
                source=TaskState(row["source"]) if row["source"] else None,
                target=TaskState(row["target"]),
                reason=row["reason"],
                at=row["at"],
                rule=row["rule"],
                repository=row["repository"],
            )
            for row in found
        ]

    async def deliveries(self, after: int, *, limit: int) -> Sequence[Arrived]:
        """See `Happenings.deliveries`."""
        found = await self._connection.read(rows("list_arrivals", after=after, limit=limit))
        return [
            Arrived(
                number=row["number"],
                id=DeliveryId(row["id"]),
                event=row["event"],
                action=row["action"],
                repository=row["repository"],
                state=DeliveryState(row["state"]),
                reason=row["reason"],
                at=row["received_at"],
            )
            for row in found
        ]


def _newest() -> Script[Place]:
    row = yield from one("newest_numbers")
    assert row is not None
    return Place(move=row["move"] or 0, delivery=row["delivery"] or 0)
