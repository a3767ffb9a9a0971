"""Safeguards as rows: what they say, what they learn from an end, and what their reset lets go.

A row that is not there is at rest. Nothing here decides: `core.safeguards` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import assert_never

import orjson

from covend.core.model import Moment
from covend.core.safeguards.shapes import (
    EVERYTHING,
    Lesson,
    Release,
    Safeguard,
    SafeguardKind,
    Scope,
    Waiting,
)
from covend.core.safeguards.spending import DAY_MS, day_of, forgiven_by
from covend.store import spending
from covend.store.connection import Ask, Connection, Row, Script, one, rows
from covend.store.protocol import LessonOf

REST_DAYS = 7
"""What holds nothing and has not changed for so long, is at rest."""
SPENDING_DAYS = 90
"""So long the sums of past days are kept."""
TIDIED_MAX = 1_000
"""So many rows of each are removed at a time; others have to write as well."""


class StoredGuards:
    """`store.protocol.Guards` over any dialect."""

    def __init__(self, connection: Connection) -> None:
        """Keep the connection; the rest is in the rows."""
        self._connection = connection

    async def list(self) -> Sequence[Safeguard]:
        """See `Guards.list`."""
        return [safeguard_of(row) for row in await self._connection.read(rows("list_safeguards"))]

    async def find(self, safeguard: str) -> Safeguard | None:
        """See `Guards.find`."""
        found = await self._connection.read(read([safeguard]))
        return found.get(safeguard)

    async def put(self, safeguard: Safeguard, now: Moment) -> Safeguard:
        """See `Guards.put`."""
        (written,) = await self._connection.write(write([safeguard], now))
        return written

    async def reset(self, safeguard: str, now: Moment) -> Safeguard | None:
        """See `Guards.reset`."""
        return await self._connection.write(_reset(safeguard, now))

    async def learn(self, lesson: LessonOf, now: Moment) -> Lesson:
        """See `Guards.learn`."""
        return await self._connection.write(learn(lesson, now))

    async def tidy(self, now: Moment) -> int:
        """See `Guards.tidy`."""
        return await self._connection.write(_tidy(now))


def read(ids: Sequence[str]) -> Script[Mapping[str, Safeguard]]:
    """Give those of some safeguards that are not at rest, by id."""
    if not ids:
        return {}
    found = yield from rows("find_safeguards", ids=orjson.dumps(ids).decode())
    return {row["id"]: safeguard_of(row) for row in found}


def write(safeguards: Iterable[Safeguard], now: Moment) -> Script[Sequence[Safeguard]]:
    """Write what safeguards say now."""
    answer = yield Ask("put_safeguards", each=[_row_of(each, now) for each in safeguards])
    return [safeguard_of(row) for row in answer.rows]


def learn(lesson: LessonOf, now: Moment) -> Script[Lesson]:
    """Read what a lesson asks for, decide, and write all that it teaches."""
    guards = yield from read(lesson.ids)
    learned = lesson.learn(guards)
    yield from write(learned.writes, now)
    if learned.removes:
        yield from rows("remove_safeguards", ids=orjson.dumps(learned.removes).decode())
    for each in learned.releases:
        yield from release(each, now)
    return learned


def release(wanted: Release, now: Moment) -> Script[None]:
    """Let go what waits for a reason."""
    asked = asdict(wanted.scope) | {"reason": wanted.reason}
    yield Ask("release_tasks", asked | {"now": now})


def _tidy(now: Moment) -> Script[int]:
    asked = {"changed_before": now - REST_DAYS * DAY_MS, "now": now, "limit": TIDIED_MAX}
    removed = yield from rows("remove_resting_safeguards", **asked)
    past = yield from spending.forget_past(day_of(now) - SPENDING_DAYS, TIDIED_MAX)
    return len(removed) + past


def safeguard_of(row: Row) -> Safeguard:
    """Make a safeguard of its row."""
    return Safeguard(
        id=row["id"],
        kind=SafeguardKind(row["kind"]),
        scope=row["scope"],
        state=row["state"],
        reason=row["reason"],
        until=row["until_at"],
        values=orjson.loads(row["details"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _row_of(safeguard: Safeguard, now: Moment) -> tuple[object, ...]:
    """In the order of `put_safeguards`."""
    return (
        safeguard.id,
        safeguard.kind,
        safeguard.scope,
        safeguard.state,
        safeguard.reason,
        safeguard.until,
        orjson.dumps(safeguard.values).decode(),
        now,
        now,
    )


def _reset(safeguard: str, now: Moment) -> Script[Safeguard | None]:
    """Remove the row, let go what waits for it, and forget what was spent where it is a budget."""
    row = yield from one("remove_safeguards", ids=orjson.dumps([safeguard]).decode())
    if row is None:
        return None
    budget = forgiven_by(safeguard, now)
    if budget is not None:
        yield from spending.forget(budget)
    removed = safeguard_of(row)
    reason = _reason_of(removed.kind)
    yield from release(Release(reason=reason, scope=_reach(removed)), now)
    return removed


def _reason_of(kind: SafeguardKind) -> Waiting:
    """Say for what reason tasks wait that such a safeguard holds."""
    match kind:
        case SafeguardKind.RATE:
            return Waiting.RATE_LIMITED
        case SafeguardKind.BUDGET:
            return Waiting.BUDGET
        case SafeguardKind.LOOP:
            return Waiting.BLOCKED
        case SafeguardKind.CRASH_LOOP:
            return Waiting.SUPPRESSED
        case SafeguardKind.CIRCUIT:
            return Waiting.CIRCUIT_OPEN
        case SafeguardKind.PAUSE | SafeguardKind.DRAIN:
            return Waiting.PAUSED
        case _:
            assert_never(kind)


def _reach(safeguard: Safeguard) -> Scope:
    """Read whom a safeguard holds out of its scope, as `core.safeguards.names` writes it: what it
    does not name, it holds all of.
    """
    if safeguard.kind is SafeguardKind.RATE:
        return EVERYTHING  # its values stand in the order of the config's `per`
    kind, named, rest = safeguard.scope.partition(":")
    match kind if named else "":
        case "rule":
            name, _, place = rest.partition("@")
            return replace(_place(place), rule=name)
        case "agent":
            name, _, place = rest.partition("@")
            return replace(_place(place), agent=name)
        case "repository":
            return _place(rest)
        case "":
            return _place(safeguard.scope) if safeguard.scope != "all" else EVERYTHING
        case _:
            return EVERYTHING


def _place(text: str) -> Scope:
    """Read `o/r` or `o/r#N`, or nothing at all."""
    repository, _, number = text.partition("#")
    return Scope(
        repository=repository.lower() or None,
        subject_number=int(number) if number.isdecimal() else None,
    )
