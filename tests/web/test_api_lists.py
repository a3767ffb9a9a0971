"""Lists are narrowed by what people look for, page by page, and never read the whole of a table."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

import pytest

from covend.core.model import TaskId
from covend.store import searching
from covend.store.queries import load_queries
from tests.store.arrivals import NOW
from tests.store.test_queries import FOLDER
from tests.web.desk import Desk

MINUTE = 60_000


async def ids(desk: Desk, path: str) -> list[str]:
    """All items of a list, over all of its pages."""
    found: list[str] = []
    sign = "&" if "?" in path else "?"
    cursor = ""
    while True:
        page: Any = await desk.get(f"{path}{sign}cursor={cursor}")
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            return found
        cursor = page["next_cursor"]


@pytest.fixture
async def three(desk: Desk) -> list[TaskId]:
    """Tasks a minute apart from each other, oldest first."""
    titles = ("Fix the door", "Mend the WINDOW", "Paint")
    return [
        await desk.arrive(title=title, now=NOW - (3 - number) * MINUTE)
        for number, title in enumerate(titles)
    ]


# --- tasks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("search", "found"),
    [("the", [1, 0]), ("window", [1]), ("DOOR", [0]), ("acme/R1", [2, 1, 0]), ("nothing", [])],
)
async def test_tasks_are_found_by_their_words_in_any_case(
    desk: Desk, three: list[TaskId], search: str, found: list[int]
) -> None:
    assert await ids(desk, f"tasks?search={search}") == [three[number] for number in found]


async def test_tasks_are_found_by_the_beginning_of_an_id_and_by_no_sign_of_a_pattern(
    desk: Desk, three: list[TaskId]
) -> None:
    assert await ids(desk, f"tasks?search={three[1].upper()}") == [three[1]]
    assert three[1] in await ids(desk, f"tasks?search={three[1][:20]}")
    for sign in ("%25", "_", "*", "?"):
        assert await ids(desk, f"tasks?search=%E2%98%83{sign}") == []


async def test_tasks_are_found_by_their_agent_and_subject(desk: Desk, three: list[TaskId]) -> None:
    task = await desk.get(f"tasks/{three[0]}")
    where = f"{task['repository'].upper()}%23{task['subject']['number']}"
    assert await ids(desk, f"tasks?subject={where}") == [three[0]]
    assert await ids(desk, f"tasks?agent={task['agent']}") == three[::-1]
    assert await ids(desk, "tasks?agent=nobody") == []
    assert await ids(desk, f"tasks?agent={task['agent']}&state=queued&search=door") == [three[0]]
    assert await ids(desk, f"tasks?agent={task['agent']}&state=running") == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("since=2026-09-21T14:11:20Z", [2, 1]),
        ("since=2026-09-21T14:11:20.001Z", [2]),
        ("until=2026-09-21T14:11:20Z", [0]),
        ("since=2026-09-21T14:11:20%2B00:00&until=2026-09-21T14:12:20Z", [1]),
        ("since=2026-09-21T16:11:20.000%2B02:00", [2, 1]),
        ("since=1970-01-01T00:00:00Z&until=9999-12-31T23:59:59Z", [2, 1, 0]),
    ],
)
async def test_tasks_are_found_by_when_they_were_made(
    desk: Desk, three: list[TaskId], query: str, found: list[int]
) -> None:
    assert await ids(desk, f"tasks?{query}") == [three[number] for number in found]
    assert await ids(desk, f"tasks?{query}&limit=1") == [three[number] for number in found]


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday",
        "since=2026-09-21",
        "since=2026-09-21T14:11:20",
        "since=2026-13-21T14:11:20Z",
        "until=20260921T141120Z",
        "subject=acme/r1",
        "subject=acme%2357",
        "search=" + "x" * 201,
    ],
)
async def test_what_cannot_be_looked_for_is_refused_with_its_name(desk: Desk, query: str) -> None:
    answer = await desk.ask(f"/api/v1/tasks?{query}")
    assert answer.status == 400
    assert answer.data["error"]["details"]["name"] == query.partition("=")[0]


async def test_a_page_that_has_looked_far_enough_goes_on_where_it_stopped(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "TASKS_LOOKED_AT", 2)
    first = await desk.arrive(title="the needle")
    for _ in range(6):
        await desk.arrive(title="hay")
    page = await desk.get("tasks?search=needle")
    assert page["items"] == []
    assert page["next_cursor"] is not None
    for query in ("search=needle", "search=needle&state=queued", "search=needle&limit=1"):
        assert await ids(desk, f"tasks?{query}") == [first]
    assert len(await ids(desk, "tasks?search=hay&limit=1")) == 6


# --- deliveries and effects -----------------------------------------------------------------------


async def test_deliveries_are_found_by_words_sender_and_moment(
    desk: Desk, three: list[TaskId], monkeypatch: pytest.MonkeyPatch
) -> None:
    every = await ids(desk, "deliveries")
    one = await desk.get(f"deliveries/{every[0]}")
    assert len(every) == 3
    assert await ids(desk, "deliveries?search=PULL_REQ") == every
    assert await ids(desk, f"deliveries?search={every[1]}") == [every[1]]
    assert await ids(desk, "deliveries?search=nothing") == []
    assert await ids(desk, f"deliveries?sender={(one['sender'] or 'nobody').upper()}") == (
        every if one["sender"] else []
    )
    assert await ids(desk, "deliveries?since=2026-09-21T14:11:20Z") == every[:2]
    assert await ids(desk, "deliveries?since=2026-09-21T14:11:20Z&limit=1") == every[:2]
    assert await ids(desk, "deliveries?since=2030-01-01T00:00:00Z") == []
    monkeypatch.setattr(searching, "DELIVERIES_LOOKED_AT", 1)
    assert await ids(desk, f"deliveries?search={every[2]}") == [every[2]]


async def test_since_looks_only_where_it_may_be(
    desk: Desk, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moments have no index: the first number is found by halving, with room for disorder."""
    monkeypatch.setattr(searching, "_LEEWAY_MS", 0)
    for minute in range(40):
        await desk.arrive(now=NOW + minute * MINUTE)
    database.execute("DELETE FROM deliveries WHERE number % 3 = 0")
    kept = database.execute("SELECT number, received_at FROM deliveries").fetchall()
    for minute in (-5, 0, 7, 20, 39, 99):
        at = NOW + minute * MINUTE
        first = await desk.connection.read(searching._first_since(at))  # noqa: SLF001
        assert [number for number, moment in kept if moment >= at] == [
            number for number, _ in kept if number >= first
        ]


async def test_effects_are_found_by_their_kind(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.arrive()
    await desk.complete(await desk.claim())
    (effect,) = await ids(desk, "effects")
    assert await ids(desk, "effects?kind=comment") == [effect]
    assert await ids(desk, "effects?kind=comment&state=done") == []
    assert await ids(desk, "effects?kind=review") == []
    assert (await desk.ask("/api/v1/effects?kind=none")).status == 400


# --- how much is read -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "search_tasks",
        "search_tasks_in_state",
        "floor_of_tasks",
        "floor_of_tasks_in_state",
        "search_deliveries",
        "floor_of_deliveries",
        "find_delivery_at",
        "search_effects",
        "floor_of_effects",
        "list_audit",
        "list_audit_of_target",
        "newest_numbers",
        "list_moves",
        "list_arrivals",
        "find_command",
    ],
)
async def test_no_query_of_these_reads_a_whole_table(
    desk: Desk, database: sqlite3.Connection, name: str
) -> None:
    text = load_queries(FOLDER)[name].text
    asked = dict.fromkeys(re.findall(r":([a-z_]+)", text))
    plan = database.execute(f"EXPLAIN QUERY PLAN {text}", asked).fetchall()
    steps = [step for *_, step in plan]
    assert steps
    scans = [step for step in steps if step.startswith("SCAN")]
    assert scans in ([], ["SCAN CONSTANT ROW"]), steps
    assert not any("TEMP B-TREE" in step for step in steps), steps
