"""The lines before receivers: the oldest of each, found without reading what is done."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from covend.core.model import EffectId
from covend.core.states import EffectState
from covend.store.callbacks import StoredCallbacks
from covend.store.sqlite.connection import SqliteConnection
from tests.store.arrivals import NOW, Database, arrival, draft


def put(database: Database, *rows: tuple[str, str, str, int]) -> None:
    """Put callbacks there by id, target, state and moment; each begins as pending."""
    moving = "UPDATE effects SET state = ? WHERE id = ? AND state <> ?"
    with sqlite3.connect(database.path) as other:
        other.executemany(
            "INSERT INTO effects (id, task_id, kind, slot, subject, target, request, state,"
            " not_before_at, created_at)"
            " VALUES (?1, NULL, 'callback', ?1, ?1, ?2, x'7b7d', 'pending', ?4, 0)",
            rows,
        )
        for identifier, _, state, _ in rows:
            if state != "pending":
                other.execute(moving, ("sending", identifier, "sending"))
                other.execute(moving, (state, identifier, state))
    other.close()


async def due(database: Database) -> list[str]:
    found = await StoredCallbacks(database.connection).due(NOW)
    return [effect.id for effect in found]


async def test_of_each_receiver_the_oldest_that_is_due_is_given(database: Database) -> None:
    put(
        database,
        ("01", "a", "done", 0),
        ("02", "a", "pending", NOW + 1),
        ("03", "a", "pending", NOW),
        ("04", "a", "pending", 0),
        ("05", "b", "pending", 0),
        ("06", "b", "failed", 0),
        ("07", "c", "sending", 0),
    )
    assert await due(database) == ["03", "05"]


async def test_a_long_line_hides_no_other_receiver(database: Database) -> None:
    put(database, *((f"01{n:04}", "a", "pending", 0) for n in range(500)))
    put(database, ("02", "b", "pending", 0))
    assert await due(database) == ["010000", "02"]


async def test_the_next_moment_is_that_of_callbacks_alone(database: Database) -> None:
    callbacks = StoredCallbacks(database.connection)
    assert await callbacks.next_due_at(NOW) is None
    put(database, ("01", "a", "pending", NOW), ("02", "b", "pending", NOW + 7))
    put(database, ("03", "b", "pending", NOW + 9), ("04", "b", "unknown", NOW + 1))
    assert await callbacks.next_due_at(NOW) == NOW + 7


async def test_what_nobody_is_at_goes_back_and_nothing_else(database: Database) -> None:
    put(database, *((each, each, "sending", 0) for each in ("01", "02")))
    put(database, ("03", "c", "unknown", NOW + 8_000), ("04", "d", "done", 0))
    callbacks = StoredCallbacks(database.connection)
    returned = await callbacks.return_forgotten(under_way=[EffectId("01")], error="why", now=NOW)
    assert returned == 2
    found, _ = await database.effects.page(limit=10)
    assert {each.id: each.state for each in found} == {
        "01": EffectState.SENDING,
        "02": EffectState.PENDING,
        "03": EffectState.PENDING,
        "04": EffectState.DONE,
    }
    assert await due(database) == ["02", "03"]


@pytest.mark.parametrize("name", ["list_due_callbacks", "next_callback_due_at"])
async def test_what_is_asked_for_each_round_reads_the_lines_alone(
    database: Database, name: str
) -> None:
    await database.deliveries.accept(arrival(draft()))
    steps = plan(database.connection, name)
    assert any("effects_callbacks" in step for step in steps), steps
    assert not [step for step in steps if step.startswith("SCAN effects ") and "INDEX" not in step]
    assert not [step for step in steps if "FOR GROUP BY" in step]


def plan(connection: SqliteConnection, name: str) -> list[str]:
    """Say how a query is answered."""
    query = connection._queries[name]  # noqa: SLF001  what it is really asked
    writer = connection._writer  # noqa: SLF001  plans need no second connection
    values: dict[str, Any] = {"now": NOW}
    found = writer.execute("EXPLAIN QUERY PLAN " + query.text, values)
    return [row["detail"] for row in found]
