"""What a claim asks of the past: when attempts have started, and whether the same work runs."""

from __future__ import annotations

import pytest

from covend.core.bounds import Rate, Safeguards
from covend.core.errors import StoreError
from covend.core.model import Claim, Moment, TaskId
from covend.core.safeguards.shapes import (
    EVERYTHING,
    RECHECK_MS,
    Questions,
    Scope,
)
from tests.store.arrivals import NOW, Database
from tests.store.hand_gate import DONE, HandGate, held, queued, take, taken, waiting

# --- rates ----------------------------------------------------------------------------------------


async def starts(
    database: Database, scope: Scope, after: Moment, *counts: int
) -> tuple[Moment | None, ...]:
    """Ask for the newest starts but so many."""
    gate = HandGate(
        lambda _c, _f: held(EVERYTHING, NOW + 999_999),
        asked=Questions(rates=tuple((scope, after, count) for count in counts)),
    )
    await queued(database, repository_id=99)
    await take(database, gate, now=NOW + 900)
    return gate.seen[0][1].rates


async def test_a_rate_is_counted_from_the_attempts_that_have_started(database: Database) -> None:
    for at in (10, 20, 30):
        await queued(database, repository_id=7)
        await taken(database, HandGate(), now=NOW + at)
    scope = Scope(repository_key="7")
    assert await starts(database, scope, NOW, 1, 2, 3, 4) == (NOW + 30, NOW + 20, NOW + 10, None)


async def test_only_starts_of_the_scope_and_the_window_count(database: Database) -> None:
    for at, rule, agent in ((10, "a", "x"), (20, "b", "x"), (30, "a", "y"), (40, "a", "x")):
        await queued(database, rule=rule, agent=agent)
        await taken(database, HandGate(), now=NOW + at)
    scope = Scope(rule="a", agent="x")
    assert await starts(database, scope, NOW, 1, 2, 3) == (NOW + 40, NOW + 10, None)


async def test_starts_before_the_window_do_not_count(database: Database) -> None:
    for at in (10, 20):
        await queued(database)
        await taken(database, HandGate(), now=NOW + at)
    assert await starts(database, EVERYTHING, NOW + 10, 1, 2) == (NOW + 20, None)


async def test_a_rate_holds_by_the_attempts_alone_and_lets_go_when_they_are_old(
    database: Database,
) -> None:
    rate = Safeguards(rate=(Rate(per=("repository",), max_count=2, window_s=1.0),))
    tasks = [await queued(database) for _ in range(4)]
    for at in (0, 400):
        await taken(database, now=NOW + at, safeguards=rate)
    found = await take(database, now=NOW + 500, safeguards=rate)
    assert found.claim is None
    assert await waiting(database, tasks[3]) == ("rate_limited", NOW + 1000)
    await taken(database, now=NOW + 1000, safeguards=rate)
    assert (await take(database, now=NOW + 1001, safeguards=rate)).claim is None
    await taken(database, now=NOW + 1400, safeguards=rate)


# --- keys -----------------------------------------------------------------------------------------


async def two_generations(database: Database) -> tuple[Claim, TaskId]:
    """Have one piece of work running, and asked for once more."""
    await queued(database)
    first = await taken(database)
    second = await queued(database)
    writer = database.connection._writer  # noqa: SLF001  by hand, past every query
    writer.execute(
        "UPDATE tasks SET key = ?, generation = 2 WHERE id = ?", (first.task.key, second)
    )
    return first, second


async def test_work_whose_key_runs_waits_for_it_and_begins_when_it_ends(
    database: Database,
) -> None:
    first, second = await two_generations(database)
    assert (await take(database)).claim is None
    assert await waiting(database, second) == ("key_busy", NOW + RECHECK_MS)
    await database.tasks.settle(first, DONE, NOW + 5)
    assert await waiting(database, second) == ("released", NOW + 5)
    assert (await taken(database, now=NOW + 5)).task.id == second


async def test_a_missed_end_of_a_key_is_looked_for_again(database: Database) -> None:
    _, second = await two_generations(database)
    await take(database)
    assert (await take(database, now=NOW + RECHECK_MS)).claim is None
    assert await waiting(database, second) == ("key_busy", NOW + 2 * RECHECK_MS)


async def test_the_database_itself_never_lets_one_key_run_twice(database: Database) -> None:
    await two_generations(database)
    with pytest.raises(StoreError, match=r"UNIQUE constraint failed: tasks\.key"):
        await take(database, HandGate())
