"""What people have said to covend itself: kept with its delivery, attended to once."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from covend.core.commanding import CommandWish
from covend.core.model import Command, DeliveryId, EffectDraft, EffectId, Moment, SubjectType, Task
from covend.store.connection import Ask, Connection, Row, Script, one, rows
from covend.store.effects import answer_rows
from covend.store.rows import task_of


class StoredCommands:
    """`store.protocol.Commands` over any dialect."""

    def __init__(self, connection: Connection) -> None:
        """Keep the connection; the rest is in the rows."""
        self._connection = connection

    async def due(self, *, now: Moment, limit: int) -> Sequence[CommandWish]:
        """See `Commands.due`."""
        found = await self._connection.read(rows("list_due_commands", now=now, limit=limit))
        return [_wish_of(row) for row in found]

    async def end(
        self,
        delivery: DeliveryId,
        *,
        state: str,
        reason: str,
        effects: Sequence[tuple[EffectId, EffectDraft]],
        now: Moment,
    ) -> bool:
        """See `Commands.end`."""
        return await self._connection.write(_end(delivery, state, reason, effects, now))

    async def postpone(self, delivery: DeliveryId, *, reason: str, until: Moment) -> None:
        """See `Commands.postpone`."""
        await self._connection.write(
            one("postpone_command", id=delivery, reason=reason, not_before_at=until)
        )

    async def next_due_at(self, now: Moment) -> Moment | None:
        """See `Commands.next_due_at`."""
        row = await self._connection.read(one("next_command_due_at", now=now))
        return row["at"] if row else None

    async def tasks_on(self, wish: CommandWish, *, limit: int) -> Sequence[Task]:
        """See `Commands.tasks_on`."""
        if not wish.repository_key:
            return []
        found = await self._connection.read(
            rows(
                "list_tasks_on_subject",
                repository_key=wish.repository_key,
                subject_number=wish.subject_number,
                limit=limit,
            )
        )
        return [task_of(row) for row in found]


def _end(
    delivery: DeliveryId,
    state: str,
    reason: str,
    effects: Sequence[tuple[EffectId, EffectDraft]],
    now: Moment,
) -> Script[bool]:
    """Move first: whoever comes second writes no answer."""
    row = yield from one("end_command", id=delivery, state=state, reason=reason, now=now)
    if row is None:
        return False
    answers = answer_rows(row["installation_id"], row["repository"], effects, now)
    yield Ask("insert_effects", each=answers)
    return True


def _wish_of(row: Row) -> CommandWish:
    return CommandWish(
        delivery=DeliveryId(row["delivery_id"]),
        command=Command(**orjson.loads(row["command"])),
        is_wanted=bool(row["is_wanted"]),
        is_bot=bool(row["is_bot"]),
        installation_id=row["installation_id"],
        repository_id=row["repository_id"],
        repository=row["repository"],
        repository_key=row["repository_key"],
        subject_type=SubjectType(row["subject_type"]),
        subject_number=row["subject_number"],
        reason=row["reason"],
        created_at=row["created_at"],
    )
