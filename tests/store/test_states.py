"""Every pair of states: what the table allows works in the database, everything else is refused by
it.
"""

from __future__ import annotations

import sqlite3
from itertools import product

import pytest

from covend.core.states import (
    DELIVERY_MOVES,
    DELIVERY_STARTS,
    EFFECT_MOVES,
    EFFECT_STARTS,
    TASK_MOVES,
    TASK_STARTS,
    DeliveryState,
    EffectState,
    TaskState,
    task_may_move,
)
from tests.store.arrivals import NOW, POLICY, Database

ENDED = {
    TaskState.COMPLETED,
    TaskState.FAILED,
    TaskState.CANCELLED,
    TaskState.SUPERSEDED,
    TaskState.IGNORED,
}


def put_task(writer: sqlite3.Connection, state: TaskState) -> None:
    """Write a task by hand, in any state that a row may begin in."""
    writer.execute(
        "INSERT INTO tasks (id, state, reason, not_before_at, rule, agent, priority, key,"
        " generation, policy, trust, event, repository_key, subject_type, subject_title,"
        " subject_url, subject_author, needs, claim, lease_until_at, created_at, updated_at,"
        " finished_at) VALUES ('t', ?, '', 0, 'r', 'a', 0, 'k', 1, ?, 'none', 'e', '', 'none',"
        " '', '', '', '', ?, ?, 0, 0, ?)",
        (state, POLICY.sha256, *shape(state)),
    )


def shape(state: TaskState) -> tuple[str | None, int | None, int | None]:
    """Give claim, lease and end as the state demands them."""
    is_running = state is TaskState.RUNNING
    return (
        "c" if is_running else None,
        NOW if is_running else None,
        NOW if state in ENDED else None,
    )


def force(writer: sqlite3.Connection, state: TaskState) -> None:
    """Put the task into a state whatever the trigger says."""
    (trigger,) = writer.execute(
        "SELECT sql FROM sqlite_master WHERE name = 'tasks_state_moves'"
    ).fetchone()
    writer.execute("DROP TRIGGER tasks_state_moves")
    move(writer, state)
    writer.execute(trigger)


def move(writer: sqlite3.Connection, state: TaskState) -> None:
    """Change the state by plain SQL, as no query of covend's does."""
    writer.execute(
        "UPDATE tasks SET state = ?, claim = ?, lease_until_at = ?, finished_at = ?",
        (state, *shape(state)),
    )


@pytest.mark.parametrize(("source", "target"), [*product(TaskState, TaskState)])
async def test_the_database_lets_a_task_move_as_the_table_says_and_not_otherwise(
    database: Database, source: TaskState, target: TaskState
) -> None:
    writer = database.connection._writer  # noqa: SLF001  by hand, past every query
    put_task(writer, TaskState.QUEUED)
    force(writer, source)
    if source is target or task_may_move(source, target):
        move(writer, target)
    else:
        with pytest.raises(sqlite3.IntegrityError, match="not in the table of states"):
            move(writer, target)


@pytest.mark.parametrize("state", [*TaskState])
async def test_a_task_begins_only_where_the_table_says(
    database: Database, state: TaskState
) -> None:
    writer = database.connection._writer  # noqa: SLF001  by hand, past every query
    if state in TASK_STARTS:
        put_task(writer, state)
    else:
        with pytest.raises(sqlite3.IntegrityError, match="no row begins in this state"):
            put_task(writer, state)


@pytest.mark.parametrize(("source", "target"), [*product(EffectState, EffectState)])
async def test_the_database_lets_an_effect_move_as_the_table_says_and_not_otherwise(
    database: Database, source: EffectState, target: EffectState
) -> None:
    writer = database.connection._writer  # noqa: SLF001  by hand, past every query
    put_task(writer, TaskState.QUEUED)
    writer.execute(
        "INSERT INTO effects (id, task_id, kind, slot, subject, target, request, state,"
        " not_before_at, created_at) VALUES ('e', 't', 'check', 's', 's', 't', x'7b7d',"
        " 'pending', 0, 0)"
    )
    assert {EffectState.PENDING} == EFFECT_STARTS
    (trigger,) = writer.execute(
        "SELECT sql FROM sqlite_master WHERE name = 'effects_state_moves'"
    ).fetchone()
    writer.execute("DROP TRIGGER effects_state_moves")
    writer.execute("UPDATE effects SET state = ?", (source,))
    writer.execute(trigger)
    if source is target or (source, target) in EFFECT_MOVES:
        writer.execute("UPDATE effects SET state = ?", (target,))
    else:
        with pytest.raises(sqlite3.IntegrityError, match="not in the table of states"):
            writer.execute("UPDATE effects SET state = ?", (target,))


def test_nothing_leaves_an_ignored_or_a_superseded_task() -> None:
    assert not [pair for pair in TASK_MOVES if pair[0] in (TaskState.IGNORED, TaskState.SUPERSEDED)]


@pytest.mark.parametrize(("source", "target"), [*product(DeliveryState, DeliveryState)])
async def test_the_database_lets_a_delivery_move_as_the_table_says_and_not_otherwise(
    database: Database, source: DeliveryState, target: DeliveryState
) -> None:
    writer = database.connection._writer  # noqa: SLF001  by hand, past every query
    assert set(DeliveryState) == DELIVERY_STARTS
    writer.execute(
        "INSERT INTO deliveries (id, source, via, event, state, reason, received_at, body_sha256,"
        " body, headers, verdicts) VALUES ('d', 's', 'api', 'e', ?, '', 0, zeroblob(32), x'',"
        " x'', x'')",
        (source,),
    )
    if source is target or (source, target) in DELIVERY_MOVES:
        writer.execute("UPDATE deliveries SET state = ?", (target,))
    else:
        with pytest.raises(sqlite3.IntegrityError, match="not in the table of states"):
            writer.execute("UPDATE deliveries SET state = ?", (target,))
