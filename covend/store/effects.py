"""The outbox: what is to be sent next, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from covend.core.model import Effect, EffectDraft, EffectId, Moment, Task, TaskId
from covend.core.states import EffectState
from covend.store.connection import Connection, one, rows
from covend.store.rows import effect_of

AFTER_ALL_IDS = "~"
"""Sorts behind every id, so that the first page needs no query of its own."""


def effect_rows(
    task: Task, effects: Sequence[tuple[EffectId, EffectDraft]], now: Moment
) -> list[tuple[object, ...]]:
    """Make the rows of new effects, for the transaction that changes their task."""
    return _rows(task.id, task.installation_id, task.repository, effects, now)


def answer_rows(
    installation_id: int | None,
    repository: str | None,
    effects: Sequence[tuple[EffectId, EffectDraft]],
    now: Moment,
) -> list[tuple[object, ...]]:
    """Make the rows of effects that belong to no task: answers to a command."""
    return _rows(None, installation_id, repository, effects, now)


def _rows(
    task: TaskId | None,
    installation_id: int | None,
    repository: str | None,
    effects: Sequence[tuple[EffectId, EffectDraft]],
    now: Moment,
) -> list[tuple[object, ...]]:
    return [
        (
            identifier,
            task,
            draft.kind,
            draft.slot,
            draft.subject,
            draft.target,
            installation_id,
            repository,
            orjson.dumps(draft.request),
            EffectState.PENDING,
            now,
            now,
        )
        for identifier, draft in effects
    ]


class StoredEffects:
    """`store.protocol.Effects` over any dialect."""

    def __init__(self, connection: Connection) -> None:
        """Keep the connection; the rest is in the rows."""
        self._connection = connection

    async def sendable(self, *, now: Moment, limit: int) -> Sequence[Effect]:
        """See `Effects.sendable`."""
        return await self._list("list_sendable_effects", now=now, limit=limit)

    async def doubtful(self, *, now: Moment, limit: int) -> Sequence[Effect]:
        """See `Effects.doubtful`."""
        return await self._list("list_unknown_effects", now=now, limit=limit)

    async def sending(self, *, limit: int) -> Sequence[Effect]:
        """See `Effects.sending`."""
        return await self._list("list_sending_effects", limit=limit)

    async def begin(self, effect: EffectId, now: Moment) -> Effect | None:
        """See `Effects.begin`."""
        row = await self._connection.write(one("begin_effect", id=effect, now=now))
        return effect_of(row) if row else None

    async def slot(self, slot: str) -> tuple[str, str | None] | None:
        """See `Effects.slot`."""
        row = await self._connection.read(one("find_slot", slot=slot))
        return (row["remote_id"], row["remote_url"]) if row else None

    async def finish(
        self, effect: EffectId, *, remote_id: str | None, remote_url: str | None, now: Moment
    ) -> None:
        """See `Effects.finish`."""
        await self._connection.write(
            one("finish_effect", id=effect, remote_id=remote_id, remote_url=remote_url, now=now)
        )

    async def fail(self, effect: EffectId, *, error: str, now: Moment) -> None:
        """See `Effects.fail`."""
        await self._connection.write(one("fail_effect", id=effect, error=error, now=now))

    async def retry(self, effect: EffectId, *, error: str, until: Moment) -> None:
        """See `Effects.retry`."""
        await self._wait("retry_effect", effect, error, until)

    async def postpone(self, effect: EffectId, *, error: str, until: Moment) -> None:
        """See `Effects.postpone`."""
        await self._wait("postpone_effect", effect, error, until)

    async def doubt(self, effect: EffectId, *, error: str, until: Moment) -> bool:
        """See `Effects.doubt`."""
        return await self._wait("doubt_effect", effect, error, until)

    async def look_again(self, effect: EffectId, *, error: str, until: Moment) -> None:
        """See `Effects.look_again`."""
        await self._wait("postpone_look_up", effect, error, until)

    async def doubt_all_sending(self, until: Moment) -> int:
        """See `Effects.doubt_all_sending`."""
        return len(await self._connection.write(rows("doubt_all_sending", not_before_at=until)))

    async def withhold_overtaken(self, now: Moment) -> int:
        """See `Effects.withhold_overtaken`."""
        return len(await self._connection.write(rows("withhold_overtaken", now=now)))

    async def next_due_at(self, now: Moment) -> Moment | None:
        """See `Effects.next_due_at`."""
        row = await self._connection.read(one("next_effect_due_at", now=now))
        return row["at"] if row else None

    async def page(
        self,
        *,
        limit: int,
        cursor: str | None = None,
        state: EffectState | None = None,
        task: str | None = None,
    ) -> tuple[Sequence[Effect], str | None]:
        """See `Effects.page`."""
        items = await self._list(
            "list_effects",
            limit=limit + 1,
            cursor=cursor or AFTER_ALL_IDS,
            state=state,
            task_id=task,
        )
        shown = items[:limit]
        return shown, shown[-1].id if len(items) > limit else None

    async def _list(self, query: str, **parameters: object) -> Sequence[Effect]:
        return [effect_of(row) for row in await self._connection.read(rows(query, **parameters))]

    async def _wait(self, query: str, effect: EffectId, error: str, until: Moment) -> bool:
        moved = one(query, id=effect, error=error, not_before_at=until)
        return await self._connection.write(moved) is not None
