"""Deletes what has been kept long enough, a little at a time: what may go is looked for by readers,
and each transaction is short.

Refuses to delete what is open, what is still to be shown, and what open work was asked for by.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import orjson

from covend.core.ids import new_id
from covend.core.model import Moment, TaskId
from covend.core.retention import TASKS, KeptSince, Kind, Passed
from covend.store.connection import Ask, Connection, Row, Script, rows

TURNS_MAX = 10_000
"""Repositories whose turn is remembered: the others have waited longest."""
_NO_CHANCE = bytes(10)
"""The least of the ids of a moment."""


class _Plain(NamedTuple):
    """A query that finds what it deletes, and since when that is kept."""

    query: str
    since: str


_PLAIN: Mapping[Kind, _Plain] = {
    Kind.COMMANDS: _Plain("delete_commands", "wishes"),
    Kind.RERUNS: _Plain("delete_reruns", "wishes"),
    Kind.CLOSINGS: _Plain("delete_closings", "wishes"),
    Kind.AUDIT: _Plain("delete_audit", "failed"),
    Kind.CURSORS: _Plain("delete_cursors", "cursors"),
}


class StoredRetention:
    """`store.protocol.Retention` over any dialect."""

    def __init__(self, connection: Connection) -> None:
        """Keep the connection; the rest is in the rows."""
        self._connection = connection

    async def delete_some(self, kind: Kind, since: KeptSince, *, after: str, limit: int) -> Passed:
        """See `Retention.delete_some`."""
        if kind in TASKS:
            return await self._delete_tasks(kind, since, after, limit)
        if kind is Kind.ANSWERS:
            return await self._delete_answers(since, after, limit)
        if kind is Kind.DELIVERIES:
            return await self._delete_deliveries(since, after, limit)
        if kind is Kind.TURNS:
            return await self._delete_plain("delete_turns", limit, kept=TURNS_MAX)
        plain = _PLAIN[kind]
        return await self._delete_plain(plain.query, limit, before=getattr(since, plain.since))

    async def open_among(self, tasks: Collection[TaskId]) -> frozenset[TaskId]:
        """See `Retention.open_among`."""
        asked = rows("list_open_among", tasks=_listed(tasks))
        return frozenset(TaskId(row["id"]) for row in await self._connection.read(asked))

    async def _delete_tasks(self, kind: Kind, since: KeptSince, after: str, limit: int) -> Passed:
        before = since.failed if kind is Kind.FAILED else since.completed
        state = str(TASKS[kind])
        found = await self._read(
            "list_old_tasks",
            state=state,
            before=before,
            failed_before=since.failed,
            made_before=_first_id(before),
            after=after,
            limit=limit,
        )
        old = [row["id"] for row in found if row["is_old"]]
        attempts: Mapping[TaskId, int] = {}
        if old:
            attempts = await self._connection.write(_delete_tasks(old, state, before))
        following = found[-1]["id"] if len(found) == limit else None
        return Passed(count=len(attempts), following=following, attempts=attempts)

    async def _delete_answers(self, since: KeptSince, after: str, limit: int) -> Passed:
        found = await self._read(
            "list_old_answers",
            before=since.failed,
            places_before=since.places,
            made_before=_first_id(since.failed),
            after=after,
            limit=limit,
        )
        old = [row["id"] for row in found if row["is_old"]]
        gone: Sequence[Row] = ()
        if old:
            gone = await self._connection.write(rows("delete_answers", ids=_listed(old)))
        following = found[-1]["id"] if len(found) == limit else None
        return Passed(count=len(gone), following=following)

    async def _delete_deliveries(self, since: KeptSince, after: str, limit: int) -> Passed:
        number = int(after or 0)
        found = await self._read(
            "list_old_deliveries", before=since.deliveries, after=number, limit=limit
        )
        old = [row["id"] for row in found if row["is_old"]]
        count = await self._connection.write(_delete_deliveries(old)) if old else 0
        # They come in the order of their moments: behind the first that is not past, none is.
        is_more = len(found) == limit and bool(found[-1]["is_past"])
        return Passed(count=count, following=str(found[-1]["number"]) if is_more else None)

    async def _delete_plain(self, query: str, limit: int, **parameters: Moment) -> Passed:
        gone = await self._connection.write(rows(query, limit=limit, **parameters))
        return Passed(count=len(gone), following="" if len(gone) == limit else None)

    async def _read(self, query: str, **parameters: object) -> Sequence[Row]:
        return await self._connection.read(rows(query, **parameters))


def _delete_tasks(
    tasks: Collection[str], state: str, before: Moment
) -> Script[Mapping[TaskId, int]]:
    still = yield from rows(
        "list_still_old_tasks", tasks=_listed(tasks), state=state, before=before
    )
    named = {"tasks": _listed([row["id"] for row in still])}
    for query in ("keep_places", "forget_effects", "forget_timelines", "forget_tasks"):
        yield Ask(query, named)
    return {TaskId(row["id"]): row["attempts"] for row in still}


def _delete_deliveries(deliveries: Collection[str]) -> Script[int]:
    gone = yield from rows("delete_deliveries", ids=_listed(deliveries))
    yield Ask("forget_delivery_links", {"deliveries": _listed([row["id"] for row in gone])})
    return len(gone)


def _listed(ids: Collection[str]) -> str:
    return orjson.dumps(list(ids)).decode()


def _first_id(moment: Moment) -> str:
    """Give what all ids that were made before a moment sort before."""
    return new_id(max(moment, 0), _NO_CHANCE)
