"""What is asked for each delivery stays a seek, however much is stored."""

from __future__ import annotations

import re
from typing import Any

import pytest

from covend.store.queries import for_rows
from tests.store.arrivals import Database
from tests.store.pulls import pushed

NEWS = {
    "delay": 0,
    "newer": '[{"task": "t", "repository_key": "1", "number": 7, "rule": "r", "head_sha": "b"}]',
    "closings": '[{"repository_key": "1", "number": 7, "closed_at": 5, "spared": []}]',
    "forever": 9,
    "not_before_at": 9,
    "now": 1,
    "limit": 5,
    "tasks": "[]",
    "ids": "[]",
    "id": "e",
    "task_id": "t",
    "reason": "r",
    "repository_key": "1",
    "subject_number": 7,
    "busy": "[]",
    "slot": "s",
    "prefix": "s",
    "error": "e",
    "installation_id": 1,
}


def plan(database: Database, name: str) -> list[str]:
    """Say how a query is answered."""
    query = database.connection._queries[name]  # noqa: SLF001  what it is really asked
    writer = database.connection._writer  # noqa: SLF001  plans need no second connection
    if query.columns:
        values: Any = [None] * query.columns * 3
        text = for_rows(query, 3)
    else:
        values, text = NEWS, query.text
    return [row["detail"] for row in writer.execute("EXPLAIN QUERY PLAN " + text, values)]


async def test_the_look_before_keeping_seeks_and_never_scans_what_is_stored(
    database: Database,
) -> None:
    await database.deliveries.accept(pushed("a"))
    steps = plan(database, "look_before_keeping")
    assert not [step for step in steps if re.match(r"SCAN (d|t|n|c|deliveries)\b", step)]
    assert not [step for step in steps if "TEMP B-TREE" in step]
    (newest,) = [step for step in steps if "tasks_by_subject" in step]
    assert "(repository_key=? AND subject_number=? AND rule=?)" in newest


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("supersede_tasks", "tasks_by_subject (repository_key=? AND subject_number=? AND rule=?)"),
        ("overtake_tasks", "tasks_by_subject (repository_key=? AND subject_number=? AND rule=?)"),
        ("close_tasks", "tasks_by_subject (repository_key=? AND subject_number=?)"),
        ("wish_closed", "tasks_by_subject (repository_key=? AND subject_number=?)"),
        ("withdraw_closed", "tasks_by_subject (repository_key=? AND subject_number=?)"),
        ("list_unknown_deliveries", "SEARCH d USING COVERING INDEX delivery_one_per_id (id=?)"),
        ("hasten_checks", "tasks_by_state (state=? AND id=?)"),
        ("list_overdue_tasks", "tasks_overdue"),
        ("list_overdue_tasks", "tasks_by_age (retry_until_at<?)"),
        ("list_due_commands", "commands_open (not_before_at<?)"),
        ("next_command_due_at", "commands_open (not_before_at>?)"),
        ("list_tasks_on_subject", "tasks_by_subject (repository_key=? AND subject_number=?)"),
        ("withhold_findings", "effects_by_task (task_id=?)"),
        ("withhold_rest", "effects_by_task (task_id=?)"),
        ("withhold_overtaken", "effects_open (state=?)"),
        ("list_sendable_effects", "effects_open (state=? AND not_before_at<?)"),
        ("list_unknown_effects", "effects_open (state=? AND not_before_at<?)"),
        ("list_sending_effects", "effects_open (state=?)"),
        ("next_effect_due_at", "effects_open (state=? AND not_before_at>?)"),
        ("doubt_all_sending", "effects_open (state=?)"),
        ("begin_effect", "sqlite_autoindex_effects_1 (id=?)"),
        ("withhold_overtaken_effect", "sqlite_autoindex_effects_1 (id=?)"),
        ("withhold_outdated_comment", "sqlite_autoindex_effects_1 (id=?)"),
        ("withhold_outdated_comment", "effects_by_slot (slot=?)"),
        ("find_newer_in_slot", "effects_by_slot (slot=?)"),
        ("find_slot", "effects_by_slot (slot=?)"),
        ("list_visible_effects", "effects_by_slot (slot>? AND slot<?)"),
        ("postpone_installation", "effects_open_by_installation (installation_id=? AND"),
        ("find_effects_by_prefix", "sqlite_autoindex_effects_1 (id>? AND id<?)"),
    ],
)
async def test_what_ends_pointless_work_finds_it_by_an_index(
    database: Database, name: str, index: str
) -> None:
    assert any(index in step for step in plan(database, name)), plan(database, name)
