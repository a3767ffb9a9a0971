"""Accept deliveries, many in one transaction; find and list them.

Refuses nothing by itself but a full queue: whether a signature was good and what the rules said was
decided
before, and comes in with the `Arrival`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson
import zstandard

from covend.core import policy as policies
from covend.core.errors import CovendError, QueueFullError
from covend.core.model import Delivery, DeliveryId, Moment, TaskId
from covend.core.rules.record import load_verdicts
from covend.core.settings import Policy
from covend.core.states import DeliveryState
from covend.store.connection import Ask, Batch, Connection, Script, one
from covend.store.packing import First, Packed, compress, pack
from covend.store.protocol import Accepted, Arrival, StoredDelivery
from covend.store.rows import delivery_of

NEWEST = 2**63 - 1
BODY_MAX = 64 << 20
_decompressor = zstandard.ZstdDecompressor()


@dataclass(slots=True)
class _Sorting:
    """What becomes of each arrival of a batch, by its place in it, as it is found out."""

    answers: dict[int, Accepted | CovendError] = field(default_factory=dict)
    repetitions: dict[int, First] = field(default_factory=dict)
    fresh: dict[int, Packed] = field(default_factory=dict)


@dataclass(slots=True)
class _Seen:
    """What the store holds already of a batch; `known` by id, and by event and body."""

    known: dict[object, First] = field(default_factory=dict)
    holders: dict[str, TaskId] = field(default_factory=dict)
    open_count: int = 0


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
    ) -> tuple[Sequence[Delivery], str | None]:
        """See `Deliveries.page`."""
        return await self._connection.read(
            _page(
                limit=limit,
                cursor=int(cursor) if cursor else NEWEST,
                state=state,
                event=event,
                repository=repository,
            )
        )

    async def save_policy(self, policy: Policy, now: Moment) -> None:
        """See `Deliveries.save_policy`."""
        body = policies.dump(policy)
        await self._connection.write(one("save_policy", sha256=policy.sha256, body=body, now=now))

    def _accept_all(self, batch: Sequence[Packed]) -> Script[Sequence[Accepted | CovendError]]:
        """Sort out repetitions, then what there is no room for; keep the rest. One transaction."""
        seen = yield from _look(batch)
        sorting = _sort(batch, seen)
        room = self._queue_max - seen.open_count
        if sum(len(packed.tasks) for packed in sorting.fresh.values()) > room:
            why = f"all {self._queue_max} places of limits.queue_max are taken"
            _refuse_beyond(room, sorting, seen.holders, why)
        yield from _keep(sorting, seen.holders)
        yield from _answer_repetitions(sorting)
        return [sorting.answers[place] for place in range(len(batch))]


def _look(batch: Sequence[Packed]) -> Script[_Seen]:
    """Ask once for everything that decides what becomes of the batch."""
    answer = yield Ask(
        "look_before_keeping", each=[row for packed in batch for row in packed.questions]
    )
    seen = _Seen()
    for row in answer.rows:
        match row["what"]:
            case "known":
                first = First(DeliveryId(row["id"]), DeliveryState(row["state"]), row["reason"])
                seen.known[first.id] = seen.known[row["event"], row["body_sha256"]] = first
            case "holder":
                seen.holders[row["key"]] = TaskId(row["id"])
            case _:
                seen.open_count = row["count"]
    return seen


def _sort(batch: Sequence[Packed], seen: _Seen) -> _Sorting:
    """Tell the fresh from the repeated, also among those that came in the same instant."""
    sorting, known = _Sorting(), seen.known
    for place, packed in enumerate(batch):
        first = known.get(packed.first.id) or known.get(packed.body_key)
        if first is not None:
            sorting.repetitions[place] = first
            continue
        sorting.fresh[place] = packed
        known[packed.first.id] = packed.first
        if packed.body_key:
            known[packed.body_key] = packed.first
    return sorting


def _refuse_beyond(room: int, sorting: _Sorting, holders: Mapping[str, TaskId], why: str) -> None:
    """Refuse, in order, what there is no room for, and whatever repeats it; work that is there
    already needs none.
    """
    refused: set[str] = set()
    taken = set(holders)
    for place, packed in list(sorting.fresh.items()):
        wanted = {task.key for task in packed.tasks} - taken
        if len(wanted) <= room or not wanted:
            room -= len(wanted)
            taken |= wanted
            continue
        refused.add(packed.first.id)
        sorting.answers[place] = QueueFullError(why)
        del sorting.fresh[place]
    for place, first in list(sorting.repetitions.items()):
        if first.id in refused:
            sorting.answers[place] = QueueFullError(why)
            del sorting.repetitions[place]


def _keep(sorting: _Sorting, holders: dict[str, TaskId]) -> Script[None]:
    """Insert deliveries, then their tasks, then the links to tasks that were there already."""
    if not sorting.fresh:
        return
    fresh = sorting.fresh.values()
    bodies = compress([packed.body for packed in fresh])
    rows = [(*packed.row, body) for packed, body in zip(fresh, bodies, strict=True)]
    yield Ask("insert_deliveries", each=rows)
    tasks: list[tuple[object, ...]] = []
    links: list[tuple[str, str, str]] = []
    for place, packed in sorting.fresh.items():
        asked = _asked(packed, holders, tasks)
        links += [(packed.first.id, task, why) for task, why in asked.items() if why != "new"]
        sorting.answers[place] = _accepted(packed.first, asked)
    yield Ask("insert_tasks", each=tasks)
    yield Ask("link_deliveries", each=links)


def _asked(
    packed: Packed, holders: dict[str, TaskId], tasks: list[tuple[object, ...]]
) -> dict[TaskId, str]:
    """Say which task each draft gets: the one that holds its key, else a new one, which holds it
    from now on.
    """
    asked: dict[TaskId, str] = {}
    for wanted in packed.tasks:
        holder = holders.setdefault(wanted.key, wanted.id)
        if holder == wanted.id:
            tasks.append(wanted.row)
        asked[holder] = "new" if holder == wanted.id else "same_work"
    return asked


def _accepted(first: First, asked: Mapping[TaskId, str]) -> Accepted:
    is_all_there = bool(asked) and "new" not in asked.values()
    return Accepted(
        delivery=first.id,
        state=first.state,
        reason="same_work" if is_all_there else first.reason,
        tasks=tuple(asked),
        duplicate=False,
    )


def _answer_repetitions(sorting: _Sorting) -> Script[None]:
    """Count each repetition on its first delivery, and answer with that one's tasks."""
    if not sorting.repetitions:
        return
    tasks = yield from _tasks_of({first.id for first in sorting.repetitions.values()})
    counts = Counter(first.id for first in sorting.repetitions.values())
    for delivery, count in counts.items():
        yield Ask("count_repetitions", {"id": delivery, "count": count})
    for place, first in sorting.repetitions.items():
        sorting.answers[place] = Accepted(
            delivery=first.id,
            state=first.state,
            reason=first.reason,
            tasks=tuple(tasks.get(first.id, ())),
            duplicate=True,
        )


def _tasks_of(deliveries: Iterable[str]) -> Script[Mapping[str, list[TaskId]]]:
    answer = yield Ask("find_delivery_tasks", {"ids": orjson.dumps(list(deliveries)).decode()})
    tasks: dict[str, list[TaskId]] = {}
    for row in answer.rows:
        tasks.setdefault(row["delivery_id"], []).append(TaskId(row["task_id"]))
    return tasks


def _find(delivery: DeliveryId) -> Script[StoredDelivery | None]:
    row = yield from one("find_delivery", id=delivery)
    if row is None:
        return None
    tasks = yield from _tasks_of([delivery])
    return StoredDelivery(
        delivery=delivery_of(row, tuple(tasks.get(delivery, ()))),
        headers=orjson.loads(row["headers"]),
        body=_decompressor.decompress(row["body"], max_output_size=BODY_MAX),
        verdicts=load_verdicts(row["verdicts"]),
    )


def _page(
    *, limit: int, cursor: int, state: str | None, event: str | None, repository: str | None
) -> Script[tuple[Sequence[Delivery], str | None]]:
    answer = yield Ask(
        "list_deliveries",
        {
            "limit": limit + 1,
            "cursor": cursor,
            "state": state,
            "event": event,
            "repository": repository,
        },
    )
    shown = answer.rows[:limit]
    tasks = yield from _tasks_of([row["id"] for row in shown])
    items = [delivery_of(row, tuple(tasks.get(row["id"], ()))) for row in shown]
    is_more = len(answer.rows) > limit
    return items, str(shown[-1]["number"]) if is_more else None
