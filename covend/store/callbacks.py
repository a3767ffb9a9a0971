"""The lines of callbacks before their receivers; all else of them is in the outbox."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import orjson

from covend.core.model import Effect, EffectId, Moment
from covend.store.connection import Connection, one, rows
from covend.store.rows import effect_of


class StoredCallbacks:
    """`store.protocol.Callbacks` over any dialect."""

    def __init__(self, connection: Connection) -> None:
        """Keep the connection; the rest is in the rows."""
        self._connection = connection

    async def due(self, now: Moment) -> Sequence[Effect]:
        """See `Callbacks.due`."""
        found = await self._connection.read(rows("list_due_callbacks", now=now))
        return [effect_of(row) for row in found]

    async def next_due_at(self, now: Moment) -> Moment | None:
        """See `Callbacks.next_due_at`."""
        row = await self._connection.read(one("next_callback_due_at", now=now))
        return row["at"] if row else None

    async def return_forgotten(
        self, *, under_way: Iterable[EffectId], error: str, now: Moment
    ) -> int:
        """See `Callbacks.return_forgotten`."""
        spared = orjson.dumps(sorted(under_way)).decode()
        asked = rows("return_callbacks", under_way=spared, error=error, now=now)
        return len(await self._connection.write(asked))
