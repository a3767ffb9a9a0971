"""Safeguards that hold nothing are forgotten in the end; what holds anything never is."""

from __future__ import annotations

import pytest

from covend.core.safeguards.spending import DAY_MS, day_of
from covend.store import guards
from covend.store.guards import REST_DAYS, SPENDING_DAYS
from tests.store.arrivals import NOW, Database
from tests.store.test_guards import guard

LONG_AGO = NOW - REST_DAYS * DAY_MS
AT_REST = (
    guard("loop/o/r#1", state="counting"),
    guard("crash_loop/agent:a@o/r", state="counting"),
    guard("crash_loop/agent:b@o/r", state="suppressed", until=NOW),
    guard("circuit/agent:a", state="closed"),
    guard("rate/rule=r", state="holding", until=NOW),
    guard("budget/all", state="holding", until=NOW),
)
HOLDING = (
    guard("pause/all", state="paused"),
    guard("pause/rule:r", state="paused", until=NOW),
    guard("drain/all", state="draining"),
    guard("loop/o/r#2", state="blocked"),
    guard("crash_loop/agent:c@o/r", state="suppressed", until=NOW + 1),
    guard("circuit/agent:b", state="half_open"),
    guard("circuit/agent:c", state="open", until=NOW),
    guard("rate/rule=s", state="holding", until=NOW + 1),
    guard("budget/rule:r@o/r#1", state="holding"),
)


async def put(database: Database, at: int) -> None:
    for each in (*AT_REST, *HOLDING):
        await database.guards.put(each, at)


async def kept(database: Database) -> set[str]:
    return {each.id for each in await database.guards.list()}


async def test_what_holds_nothing_and_has_not_changed_for_long_is_removed(
    database: Database,
) -> None:
    await put(database, LONG_AGO)
    assert await database.guards.tidy(NOW) == len(AT_REST)
    assert await kept(database) == {each.id for each in HOLDING}


async def test_what_has_changed_lately_is_kept(database: Database) -> None:
    await put(database, LONG_AGO + 1)
    assert await database.guards.tidy(NOW) == 0


async def test_only_some_are_removed_at_a_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "TIDIED_MAX", 4)
    await put(database, LONG_AGO)
    assert [await database.guards.tidy(NOW) for _ in range(3)] == [4, len(AT_REST) - 4, 0]


async def test_what_was_spent_on_a_day_long_past_is_forgotten_and_nothing_that_is_for_good(
    database: Database,
) -> None:
    writer = database.connection._writer  # noqa: SLF001  by hand, past every query
    last = day_of(NOW) - SPENDING_DAYS
    for scope, day in (("all", last - 1), ("all", last), ("rule:r@o/r#1", 0)):
        writer.execute("INSERT INTO spending (scope, day, usd) VALUES (?, ?, 1)", (scope, day))
    assert await database.guards.tidy(NOW) == 1
    left = writer.execute("SELECT scope, day FROM spending ORDER BY day").fetchall()
    assert [tuple(row) for row in left] == [("rule:r@o/r#1", 0), ("all", last)]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("remove_resting_safeguards", "safeguards_by_change (updated_at<?)"),
        ("forget_past_days", "spending_by_day (day>? AND day<?)"),
    ],
)
async def test_what_is_removed_is_found_by_an_index(
    database: Database, query: str, index: str
) -> None:
    text = database.connection._queries[query].text  # noqa: SLF001  what it is really asked
    asked = {"changed_before": 1, "now": 1, "limit": 1, "day": 1}
    plan = database.connection._writer.execute("EXPLAIN QUERY PLAN " + text, asked)  # noqa: SLF001
    assert any(index in row["detail"] for row in plan)
