"""How a claim and an end find what they need: by an index each, however long the queue is."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.store.arrivals import Database


def plan_of(database: Database, query: str) -> list[str]:
    """Ask how a query would be run."""
    connection = database.connection
    text = connection._queries[query].text.replace("VALUES :each", "VALUES (?, ?)")  # noqa: SLF001
    names = set(re.findall(r":(\w+)", text))
    values: Any = dict.fromkeys(names, "{}") if names else ("a", 1)
    rows = connection._writer.execute("EXPLAIN QUERY PLAN " + text, values).fetchall()  # noqa: SLF001
    return [row["detail"] for row in rows]


async def test_a_claim_seeks_to_the_head_of_each_line_and_sorts_nothing_but_heads(
    database: Database,
) -> None:
    lines = plan_of(database, "find_claimable")
    of_tasks = [line for line in lines if re.match(r"(SEARCH|SCAN) [a-z] ", line)]
    seeks = [
        "tasks_queued ((repository_key,agent,priority,not_before_at)>(?,?,?,?))",
        "tasks_queued (repository_key=? AND agent=? AND priority=? AND not_before_at<?)",
        "task_one_running_per_key (key=?)",
    ]
    for seek in seeks:
        assert any(seek in line for line in of_tasks), (seek, lines)
    scanned = [line for line in lines if line.startswith("SCAN") and "USING" in line]
    # What runs is read once, and the first line is begun at.
    assert sorted(scanned) == [
        "SCAN o USING INDEX tasks_running",
        "SCAN t USING INDEX tasks_queued",
    ]
    sorts = [line for line in lines if "TEMP B-TREE" in line]
    assert sorts == ["USE TEMP B-TREE FOR ORDER BY"], lines
    assert lines[-1] == sorts[0]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("hold_tasks", "tasks USING INDEX tasks_due (not_before_at<?)"),
        ("hold_tasks_in_repository", "tasks USING INDEX tasks_queued (repository_key=?)"),
        ("release_tasks", "tasks USING INDEX tasks_due (not_before_at>?)"),
        ("release_key", "tasks USING INDEX task_one_per_key (key=?)"),
        ("claim_task", "tasks USING INDEX sqlite_autoindex_tasks_1 (id=?)"),
        ("switch_agent", "tasks USING INDEX sqlite_autoindex_tasks_1 (id=?)"),
        ("next_queued_due_at", "tasks USING INDEX tasks_due (not_before_at>?"),
        ("next_received_due_at", "tasks USING INDEX tasks_received (not_before_at>?"),
        ("nth_start", "a USING INDEX attempts_by_start (started_at>?)"),
        ("nth_start", "t USING INDEX sqlite_autoindex_tasks_1 (id=?)"),
        ("find_safeguards", "safeguards USING PRIMARY KEY (id=?)"),
        ("find_spending", "s USING PRIMARY KEY (scope=? AND day=?)"),
        ("forget_spending", "spending USING PRIMARY KEY (scope=? AND day=?)"),
        ("list_expired_tasks", "tasks USING INDEX tasks_running (lease_until_at<?)"),
        ("list_ripe_tasks", "tasks USING INDEX tasks_received (not_before_at<?)"),
        ("retry_ended_task", "o USING INDEX task_one_per_key (key=?)"),
        ("find_wishes", "tasks USING INDEX sqlite_autoindex_tasks_1 (id=?)"),
        ("settle_task", "tasks USING INDEX sqlite_autoindex_tasks_1 (id=?)"),
    ],
)
async def test_each_part_is_found_by_its_index(database: Database, query: str, index: str) -> None:
    lines = plan_of(database, query)
    assert any(line.startswith(f"SEARCH {index}") for line in lines), lines
    assert not any("TEMP B-TREE" in line or line.startswith("SCAN tasks") for line in lines), lines
