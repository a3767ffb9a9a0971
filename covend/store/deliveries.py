"""Deliveries: the way in, and what is kept of them. How they are accepted stands in `accepting`."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import zstandard

from covend.core import policy as policies
from covend.core.errors import CovendError
from covend.core.model import Delivery, DeliveryId, Moment
from covend.core.reconciling import Hook
from covend.core.rules.record import load_verdicts
from covend.core.settings import Policy
from covend.core.states import DeliveryState
from covend.store.accepting import accept_all, foresee, tasks_of
from covend.store.connection import Batch, Connection, Row, Script, one, rows
from covend.store.packing import Packed, pack
from covend.store.protocol import Accepted, Arrival, Attended, Foreseen, StoredDelivery
from covend.store.rows import delivery_of
from covend.store.searching import DeliverySearch, find_deliveries

NEWEST = 2**63 - 1
BODY_MAX = 64 << 20
HOOKS_LOOKED_AT = 300
"""So many of the newest deliveries tell which webhooks there are."""
_decompressor = zstandard.ZstdDecompressor()


class StoredDeliveries:
    """`store.protocol.Deliveries` over any dialect."""

    def __init__(self, connection: Connection, *, queue_max: int) -> None:
        """Take at most `queue_max` tasks in `received` and `queued` together."""
        self._connection = connection
        self._queue_max = queue_max
        self._accepting: Batch[Packed, Accepted] = Batch(self._accept_all)

    async def accept(self, arrival: Arrival) -> Accepted:
        """See `Deliveries.accept`."""
        packed = pack(arrival)
        del arrival  # its payload is many times the size of its row, and is not needed any more
        return await self._connection.write_batched(self._accepting, packed)

    async def foresee(self, arrival: Arrival) -> Foreseen:
        """See `Deliveries.foresee`."""
        return await self._connection.read(foresee(pack(arrival), self._queue_max))

    async def find(self, delivery: DeliveryId) -> StoredDelivery | None:
        """See `Deliveries.find`."""
        return await self._connection.read(_find(delivery))

    async def page(
        self,
        *,
        limit: int,
        cursor: str | None = None,
        state: DeliveryState | None = None,
        event: str | None = None,
        repository: str | None = None,
        search: DeliverySearch | None = None,
    ) -> tuple[Sequence[Delivery], str | None]:
        """See `Deliveries.page`."""
        return await self._connection.read(
            _page(
                limit=limit,
                cursor=int(cursor) if cursor else NEWEST,
                state=state,
                event=event,
                repository=repository,
                search=search,
            )
        )

    async def unknown(self, ids: Sequence[DeliveryId]) -> frozenset[DeliveryId]:
        """See `Deliveries.unknown`."""
        asked = orjson.dumps(ids).decode()
        found = await self._connection.read(rows("list_unknown_deliveries", ids=asked))
        return frozenset(DeliveryId(row["id"]) for row in found)

    async def hooks(self) -> Sequence[Hook]:
        """See `Deliveries.hooks`."""
        found = await self._connection.read(rows("list_recent_hooks", limit=HOOKS_LOOKED_AT))
        return [Hook(id=int(row["hook"]), repository=row["repository"]) for row in found]

    async def save_policy(self, policy: Policy, now: Moment) -> None:
        """See `Deliveries.save_policy`."""
        body = policies.dump(policy)
        await self._connection.write(one("save_policy", sha256=policy.sha256, body=body, now=now))

    def _accept_all(self, batch: Sequence[Packed]) -> Script[Sequence[Accepted | CovendError]]:
        return accept_all(batch, self._queue_max)


def _find(delivery: DeliveryId) -> Script[StoredDelivery | None]:
    row = yield from one("find_delivery", id=delivery)
    if row is None:
        return None
    tasks = yield from tasks_of([delivery])
    command = yield from one("find_command", id=delivery)
    return StoredDelivery(
        delivery=delivery_of(row, tuple(tasks.get(delivery, ()))),
        headers=orjson.loads(row["headers"]),
        body=_decompressor.decompress(row["body"], max_output_size=BODY_MAX),
        verdicts=load_verdicts(row["verdicts"]),
        command=None if command is None else _attended_of(command),
    )


def _attended_of(row: Row) -> Attended:
    return Attended(verb=row["verb"], state=row["state"], reason=row["reason"])


def _page(
    *, limit: int, cursor: int, search: DeliverySearch | None, **same: object
) -> Script[tuple[Sequence[Delivery], str | None]]:
    if search is not None:
        looked = find_deliveries(search, limit=limit, cursor=cursor, **same)
        shown, following = yield from looked
    else:
        found = yield from rows("list_deliveries", limit=limit + 1, cursor=cursor, **same)
        shown = found[:limit]
        following = str(shown[-1]["number"]) if len(found) > limit else None
    tasks = yield from tasks_of([row["id"] for row in shown])
    return [delivery_of(row, tuple(tasks.get(row["id"], ()))) for row in shown], following
