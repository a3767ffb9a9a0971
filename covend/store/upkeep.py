"""Sizes and moments of the store itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from covend.core.model import Moment
from covend.core.safeguards.shapes import SpendingId, Spent
from covend.core.states import EffectState, TaskState
from covend.store import spending
from covend.store.connection import Connection, Row, Script, one, rows
from covend.store.protocol import Gauges


class StoredUpkeep:
    """`store.protocol.Upkeep` over any dialect; `wal` is the file whose size is watched."""

    def __init__(self, connection: Connection, wal: Path) -> None:
        """Keep the connection and the file's name."""
        self._connection = connection
        self._wal = wal

    async def gauges(self, now: Moment) -> Gauges:
        """See `Upkeep.gauges`."""
        return await self._connection.read(self._measure(now))

    async def spent(self, budget: SpendingId) -> Spent:
        """See `Upkeep.spent`."""
        return (await self._connection.read(spending.read([budget]))).get(budget, Spent())

    async def newest_moment(self) -> Moment:
        """See `Upkeep.newest_moment`."""
        row = await self._connection.read(one("newest_moment"))
        return row["at"] if row else 0

    async def ping(self) -> None:
        """See `Upkeep.ping`."""
        await self._connection.read(one("newest_moment"))

    def _measure(self, now: Moment) -> Script[Gauges]:
        counts = yield from rows("list_counts")
        oldest = yield from one("oldest_waiting", now=now)
        return Gauges(
            tasks={TaskState(state): count for state, count in _of("task", counts)},
            effects={EffectState(state): count for state, count in _of("effect", counts)},
            oldest_queued_at=oldest["queued_at"] if oldest else None,
            oldest_effect_at=oldest["effect_at"] if oldest else None,
            wal_bytes=self._wal.stat().st_size if self._wal.exists() else 0,
        )


def _of(noun: str, counts: Sequence[Row]) -> Iterator[tuple[str, int]]:
    return ((row["state"], row["count"]) for row in counts if row["noun"] == noun)
