"""What is deleted by its age is found without reading through what is kept."""

from __future__ import annotations

import re

import pytest

from tests.store.arrivals import Database

ASKED = {
    "state": "completed",
    "before": 1,
    "failed_before": 1,
    "places_before": 1,
    "made_before": "01",
    "after": "0",
    "limit": 5,
    "kept": 5,
    "tasks": "[]",
    "ids": "[]",
    "deliveries": "[]",
}
LARGE = (
    r"SCAN (tasks|deliveries|effects|attempts|timeline|delivery_tasks|audit|closings|t|d|e|l|o)\b"
)


def plan(database: Database, name: str) -> list[str]:
    query = database.connection._queries[name]  # noqa: SLF001  what it is really asked
    writer = database.connection._writer  # noqa: SLF001  plans need no second connection
    steps = writer.execute(f"EXPLAIN QUERY PLAN {query.text}", ASKED)
    return [row["detail"] for row in steps]


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("list_old_tasks", "tasks_by_state (state=? AND id>? AND id<?)"),
        ("list_still_old_tasks", "tasks_by_state (state=? AND id=?)"),
        ("keep_places", "effects_by_task (task_id=?)"),
        ("list_old_answers", "effects_by_task (task_id=? AND id>? AND id<?)"),
        ("delete_answers", "effects_by_task (task_id=? AND id=?)"),
        ("list_old_deliveries", "SEARCH d USING INTEGER PRIMARY KEY (rowid>?)"),
        ("delete_deliveries", "delivery_one_per_id (id=?)"),
        ("delete_commands", "commands_done (done_at>? AND done_at<?)"),
        ("delete_reruns", "reruns_done (done_at>? AND done_at<?)"),
        ("delete_closings", "closings_by_age (closed_at<?)"),
        ("delete_audit", "SEARCH audit USING INTEGER PRIMARY KEY (rowid=?)"),
        ("delete_turns", "turns_by_turn (turn<?)"),
        ("list_open_among", "tasks_by_state (state=? AND id=?)"),
        ("forget_effects", "effects_by_task (task_id=?)"),
        ("forget_timelines", "timeline_by_task (task_id=?)"),
        ("forget_tasks", "sqlite_autoindex_tasks_1 (id=?)"),
        ("forget_delivery_links", "PRIMARY KEY (delivery_id=?)"),
    ],
)
async def test_what_is_old_is_found_by_an_index(database: Database, name: str, index: str) -> None:
    steps = plan(database, name)
    assert any(index in step for step in steps), steps
    assert not [step for step in steps if re.search(LARGE, step)], steps
