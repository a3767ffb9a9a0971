"""What a claim is held back by without anybody's word: limits that are counted from rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from msgspec import structs

from covend.store.queries import load_queries
from covend.store.sqlite.connection import open_sqlite
from covend.store.sqlite.migrate import migrate
from tests.store.arrivals import NOW, POLICY, Database, arrival, draft
from tests.store.hand_gate import DONE, fill, take, taken


async def test_ten_thousand_tasks_of_which_one_repository_has_half_starve_nobody(
    database: Database,
) -> None:
    greedy = [("greedy", "echo", 0, NOW)] * 5_000
    modest = [(f"r{n % 49}", "echo", 0, NOW) for n in range(5_000)]
    fill(database, greedy + modest)
    turns = [(await taken(database)).task.repository_key for _ in range(200)]
    assert set(turns) == {"greedy", *(f"r{n}" for n in range(49))}
    assert set(Counter(turns).values()) == {4}


async def test_within_one_priority_repositories_take_turns_and_a_larger_one_goes_first(
    database: Database,
) -> None:
    fill(database, [("a", "echo", 0, NOW)] * 3 + [("b", "echo", 0, NOW)] * 3)
    fill(database, [("c", "echo", 0, NOW)] * 2 + [("a", "other", 7, NOW)] * 2)
    turns = [(await taken(database)).task for _ in range(8)]
    assert [task.priority for task in turns] == [7, 7, 0, 0, 0, 0, 0, 0]
    assert [task.repository_key for task in turns[2:]] == ["b", "c", "a", "b", "c", "a"]


async def test_in_a_repository_the_order_is_the_same_whoever_the_agents_are(
    database: Database,
) -> None:
    rows = [("a", f"agent{n % 3}", 0, NOW - n) for n in range(9)]
    ids = fill(database, rows)
    assert [(await taken(database)).task.id for _ in ids] == ids[::-1]


async def test_no_more_run_than_all_together_may(database: Database) -> None:
    fill(database, [(f"r{n}", "echo", 0, NOW) for n in range(3)])
    claims = [await taken(database, concurrency=2) for _ in range(2)]
    assert (await take(database, concurrency=2)).claim is None
    await database.tasks.settle(claims[0], DONE, NOW)
    await taken(database, concurrency=2)


async def test_a_repository_at_its_limit_leaves_the_slot_to_another(database: Database) -> None:
    fill(database, [("a", "echo", 9, NOW)] * 3 + [("b", "echo", 0, NOW)] * 3)
    found = [await take(database, per_repository=1) for _ in range(3)]
    assert [each.claim and each.claim.task.repository_key for each in found] == ["a", "b", None]


async def test_an_installation_at_its_limit_leaves_the_slot_to_another(database: Database) -> None:
    for number, installation in enumerate((5, 5, 6, None, None)):
        asked = arrival(draft(), repository_id=number + 1)
        event = structs.replace(asked.event, installation_id=installation)
        await database.deliveries.accept(structs.replace(asked, event=event))
    found = [await take(database, per_installation=1) for _ in range(5)]
    ran = [each.claim.task.installation_id if each.claim else "none" for each in found]
    assert Counter(map(str, ran)) == Counter({"5": 1, "6": 1, "None": 2, "none": 1})


async def test_limits_outlive_the_process_because_they_are_counted_from_rows(
    tmp_path: Path,
) -> None:
    bounds: dict[str, Any] = {"agents": {"echo": 1}, "per_repository": 1}
    async with opened(tmp_path) as before:
        await before.deliveries.save_policy(POLICY, NOW)
        fill(before, [("a", "echo", 0, NOW)] * 2 + [("b", "other", 0, NOW)] * 2)
        fill(before, [("c", "echo", 0, NOW)])
        assert (await taken(before, **bounds)).task.repository_key == "a"
    async with opened(tmp_path) as after:
        assert (await taken(after, **bounds)).task.repository_key == "b"
        assert (await take(after, **bounds)).claim is None


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Database]:
    """Open a store as a new process does."""
    queries = load_queries(files("covend.store.sqlite") / "queries")
    async with open_sqlite(folder / "covend.db", queries, migrate) as connection:
        yield Database(folder / "covend.db", connection)
