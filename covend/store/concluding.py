"""Checks that were left in progress: found, and concluded once.

Refuses to conclude what somebody is at again by then.
"""

from __future__ import annotations

from collections.abc import Sequence

from covend.core.ids import new_id
from covend.core.model import Effect, EffectDraft, EffectId, Moment
from covend.store.connection import Ask, Connection, Script, one, rows
from covend.store.effects import effect_rows
from covend.store.rows import effect_of, task_of

NO_CHANCE = bytes(10)
"""The least of the ids of a moment."""


class StoredLeftOpen:
    """`store.protocol.LeftOpen` over any dialect."""

    def __init__(self, connection: Connection) -> None:
        """Keep the connection; the rest is in the rows."""
        self._connection = connection

    async def page(
        self,
        *,
        since: Moment,
        after: EffectId | None,
        before: Moment,
        tried_since: Moment,
        tries_max: int,
        limit: int,
    ) -> Sequence[Effect]:
        """See `LeftOpen.page`."""
        found = await self._connection.read(
            rows(
                "list_left_open",
                since=after or new_id(since, NO_CHANCE),
                before=before,
                tried_since=tried_since,
                tries_max=tries_max,
                limit=limit,
            )
        )
        return [effect_of(row) for row in found]

    async def conclude(
        self, left: EffectId, effects: Sequence[tuple[EffectId, EffectDraft]], now: Moment
    ) -> bool:
        """See `LeftOpen.conclude`."""
        return await self._connection.write(_conclude(left, effects, now))


def _conclude(
    left: EffectId, effects: Sequence[tuple[EffectId, EffectDraft]], now: Moment
) -> Script[bool]:
    row = yield from one("is_left_open", id=left)
    if row is None:
        return False
    yield Ask("insert_effects", each=effect_rows(task_of(row), effects, now))
    return True
