"""Asks to make checks again: kept with the delivery that tells them, attended to once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from covend.core.model import DeliveryId, EffectDraft, EffectId, Moment, Task
from covend.core.rerunning import RerunAsk, RerunWish
from covend.store.connection import Ask, Connection, Row, Script, one, rows
from covend.store.effects import effect_rows
from covend.store.rows import task_of

Shown = tuple[Task, Sequence[tuple[EffectId, EffectDraft]]]
"""A task, and what is to be seen of it."""


def keep_asks(
    asks: Iterable[tuple[DeliveryId, str, RerunAsk | None, Moment]],
) -> Script[None]:
    """Keep those that there are, each with its delivery, its repository and its moment."""
    found = [
        (delivery, repository, ask.head_sha, ask.external_id, ask.actor, now, now)
        for delivery, repository, ask, now in asks
        if ask is not None and repository
    ]
    if found:
        yield Ask("insert_reruns", each=found)


class StoredReruns:
    """`store.protocol.Reruns` over any dialect."""

    def __init__(self, connection: Connection) -> None:
        """Keep the connection; the rest is in the rows."""
        self._connection = connection

    async def due(self, *, now: Moment, limit: int) -> Sequence[RerunWish]:
        """See `Reruns.due`."""
        found = await self._connection.read(rows("list_due_reruns", now=now, limit=limit))
        return [_wish_of(row) for row in found]

    async def tasks_of(self, wish: RerunWish, *, limit: int) -> Sequence[Task]:
        """See `Reruns.tasks_of`."""
        asked = rows(
            "list_tasks_on_head",
            repository_key=wish.repository_key,
            head_sha=wish.head_sha,
            limit=limit,
        )
        return [task_of(row) for row in await self._connection.read(asked)]

    async def end(
        self,
        delivery: DeliveryId,
        *,
        state: str,
        reason: str,
        shown: Sequence[Shown],
        now: Moment,
    ) -> bool:
        """See `Reruns.end`."""
        return await self._connection.write(_end(delivery, state, reason, shown, now))

    async def postpone(self, delivery: DeliveryId, *, reason: str, until: Moment) -> None:
        """See `Reruns.postpone`."""
        await self._connection.write(
            one("postpone_rerun", id=delivery, reason=reason, not_before_at=until)
        )

    async def next_due_at(self, now: Moment) -> Moment | None:
        """See `Reruns.next_due_at`."""
        row = await self._connection.read(one("next_rerun_due_at", now=now))
        return row["at"] if row else None


def _end(
    delivery: DeliveryId, state: str, reason: str, shown: Sequence[Shown], now: Moment
) -> Script[bool]:
    """Move first: whoever comes second shows nothing."""
    row = yield from one("end_rerun", id=delivery, state=state, reason=reason, now=now)
    if row is None:
        return False
    for task, effects in shown:
        yield Ask("insert_effects", each=effect_rows(task, effects, now))
    return True


def _wish_of(row: Row) -> RerunWish:
    return RerunWish(
        delivery=DeliveryId(row["delivery_id"]),
        repository_key=row["repository_key"],
        head_sha=row["head_sha"],
        external_id=row["external_id"],
        actor=row["actor"],
        created_at=row["created_at"],
    )
