"""What lists are narrowed by beyond their states, and how far down they look for it.

What no index leads to is looked for among so many rows a page, from the cursor down: such a page
may have few items, or none, and still a cursor that the next one goes on from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from covend.core import ids
from covend.core.model import Moment
from covend.store.connection import Row, Script, one, rows

TASKS_LOOKED_AT = 20_000
DELIVERIES_LOOKED_AT = 5_000
"""Fewer, for each of them lies beside its body."""
EFFECTS_LOOKED_AT = 20_000
_LEEWAY_MS = 3_600_000
"""An id is made a moment before or after its row says that it was."""
_LOWEST = bytes(ids.RANDOM_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSearch:
    """Which tasks are looked for: those that have every one of these that is not None."""

    search: str | None = None
    """Stands in the title, the repository, the rule or the key, or begins the id; in any case."""
    agent: str | None = None
    subject: tuple[str, int] | None = None
    """A repository's name, in any case, and the number of a pull request or issue."""
    since: Moment | None = None
    until: Moment | None = None
    """Made at `since` or later, and before `until`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySearch:
    """Which deliveries are looked for: those that have every one of these that is not None."""

    search: str | None = None
    """Stands in the repository, the sender, the event or the reason, or begins the id; in any
    case.
    """
    sender: str | None = None
    """In any case."""
    since: Moment | None = None


Found = tuple[Sequence[Row], str | None]
"""Rows of a page, and the cursor of the next one."""


def find_tasks(
    search: TaskSearch, *, limit: int, cursor: str, state: str | None, **same: object
) -> Script[Found]:
    """Give a page of tasks from below the cursor."""
    low, high = _ids_between(search.since, search.until)
    suffix = "_in_state" if state else ""
    asked: dict[str, object] = {"cursor": min(cursor, high), "state": state}
    bottom = yield from one(f"floor_of_tasks{suffix}", looked_at=TASKS_LOOKED_AT, **asked)
    floor = _floor(bottom, "id", low)
    asked |= {"floor": floor or low, "limit": limit + 1, **_of_tasks(search), **same}
    found = yield from rows(f"search_tasks{suffix}", **asked)
    return _page(found, "id", limit, floor)


def find_deliveries(
    search: DeliverySearch, *, limit: int, cursor: int, **same: object
) -> Script[Found]:
    """Give a page of deliveries from below the cursor."""
    low = 0 if search.since is None else (yield from _first_since(search.since))
    bottom = yield from one("floor_of_deliveries", cursor=cursor, looked_at=DELIVERIES_LOOKED_AT)
    floor = _floor(bottom, "number", low)
    asked = {"cursor": cursor, "floor": floor or low, "limit": limit + 1, **same}
    found = yield from rows("search_deliveries", **asked, **_of_deliveries(search))
    return _page(found, "number", limit, floor)


def find_effects(kind: str, *, limit: int, cursor: str, **same: object) -> Script[Found]:
    """Give a page of effects of a kind from below the cursor."""
    bottom = yield from one("floor_of_effects", cursor=cursor, looked_at=EFFECTS_LOOKED_AT)
    floor = _floor(bottom, "id", "")
    asked = {"cursor": cursor, "floor": floor or "", "limit": limit + 1, **same}
    found = yield from rows("search_effects", **asked, kind=kind)
    return _page(found, "id", limit, floor)


def _floor(bottom: Row | None, column: str, low: str | int) -> Any:
    """Say where a page stops looking although there may be more below; None where it ends."""
    return bottom[column] if bottom is not None and bottom[column] > low else None


def _page(found: Sequence[Row], column: str, limit: int, floor: object) -> Found:
    if len(found) > limit:
        return found[:limit], str(found[limit - 1][column])
    return found, None if floor is None else str(floor)


def _of_tasks(search: TaskSearch) -> dict[str, object]:
    repository, number = search.subject or (None, None)
    return {
        "search": search.search.lower() if search.search else None,
        "agent": search.agent,
        "subject_repository": repository.lower() if repository else None,
        "subject_number": number,
        "since": search.since,
        "until": search.until,
    }


def _of_deliveries(search: DeliverySearch) -> dict[str, object]:
    return {
        name: value.lower() if isinstance(value, str) else value
        for name, value in asdict(search).items()
    }


def _ids_between(since: Moment | None, until: Moment | None) -> tuple[str, str]:
    """Give a range of ids with room on both sides; moments themselves have no index."""
    low = "" if since is None else _id_at(since - _LEEWAY_MS)
    high = "{" if until is None else _id_at(until + _LEEWAY_MS)
    return low, high


def _first_since(since: Moment) -> Script[int]:
    """Find about the first number that came in at a moment or later, by halving: deliveries are
    numbered as they come in, and their moments have no index.
    """
    newest = yield from one("newest_numbers")
    low, high = 0, (newest["delivery"] or 0) + 1 if newest else 1
    while low < high:
        middle = (low + high) // 2
        row = yield from one("find_delivery_at", number=middle)
        if row is None or row["received_at"] >= since - _LEEWAY_MS:
            high = middle
        else:
            low = row["number"] + 1
    return low


def _id_at(moment: Moment) -> str:
    return ids.new_id(min(max(moment, 0), (1 << 48) - 1), _LOWEST)
