"""Safeguards as rows: kept, listed, reset, and what their reset lets go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from covend.core.model import Subject, SubjectType, TaskId
from covend.core.safeguards.shapes import (
    FOREVER,
    Lesson,
    Release,
    Safeguard,
    SafeguardKind,
    Scope,
    Waiting,
)
from covend.core.safeguards.spending import DAY_MS
from covend.store.protocol import LessonOf
from tests.store.arrivals import NOW, Database, arrival, draft
from tests.store.hand_gate import take

PAUSE = Safeguard(
    id="pause/all",
    kind=SafeguardKind.PAUSE,
    scope="all",
    state="paused",
    reason="operator: lunch",
    until=None,
    values={"by": "operator"},
)


def guard(identifier: str, **changes: Any) -> Safeguard:
    """Give a safeguard by its id."""
    kind, _, scope = identifier.partition("/")
    plain = replace(PAUSE, id=identifier, kind=SafeguardKind(kind), scope=scope, state="holding")
    return replace(plain, **changes)


async def waits(
    database: Database,
    reason: str,
    *,
    repository: str = "Acme/Till",
    rule: str = "review",
    agent: str = "claude",
    number: int = 7,
) -> TaskId:
    """Queue a task that waits for a reason until it is released."""
    subject = Subject(type=SubjectType.PULL_REQUEST, number=number, head_sha="a" * 40)
    asked = arrival(draft(subject=subject, rule=rule, agent=agent), repository_id=len(repository))
    event = structs.replace(asked.event, repository=repository)
    accepted = await database.deliveries.accept(structs.replace(asked, event=event))
    database.connection._writer.execute(  # noqa: SLF001  by hand, past every query
        "UPDATE tasks SET reason = ?, not_before_at = ? WHERE id = ?",
        (reason, FOREVER, accepted.tasks[0]),
    )
    return accepted.tasks[0]


async def released(database: Database, tasks: Mapping[str, TaskId]) -> set[str]:
    """Say which of some tasks do not wait any more."""
    found = {name: await database.tasks.story(task) for name, task in tasks.items()}
    return {name for name, story in found.items() if story and story.task.reason == "released"}


async def test_a_safeguard_is_kept_as_it_is_and_since_when(database: Database) -> None:
    first = await database.guards.put(PAUSE, NOW)
    assert first == replace(PAUSE, created_at=NOW, updated_at=NOW)
    later = await database.guards.put(replace(PAUSE, reason="operator: tea", until=9), NOW + 5)
    assert (later.created_at, later.updated_at, later.until) == (NOW, NOW + 5, 9)
    assert await database.guards.find("pause/all") == later
    assert await database.guards.list() == [later]


async def test_what_has_no_row_is_at_rest(database: Database) -> None:
    assert await database.guards.find("pause/all") is None
    assert await database.guards.reset("pause/all", NOW) is None
    assert await database.guards.list() == []


async def test_they_are_listed_by_their_ids(database: Database) -> None:
    for identifier in ("pause/rule:b", "loop/o/r#1", "circuit/agent:a"):
        await database.guards.put(guard(identifier), NOW)
    assert [each.id for each in await database.guards.list()] == [
        "circuit/agent:a",
        "loop/o/r#1",
        "pause/rule:b",
    ]


@pytest.mark.parametrize(
    ("identifier", "reason", "goes_on"),
    [
        ("pause/all", "paused", {"mine", "number", "place", "rule", "agent"}),
        ("drain/all", "paused", {"mine", "number", "place", "rule", "agent"}),
        ("pause/rule:review", "paused", {"mine", "number", "place", "agent"}),
        ("pause/agent:claude", "paused", {"mine", "number", "place", "rule"}),
        ("pause/repository:acme/till", "paused", {"mine", "number", "rule", "agent"}),
        ("circuit/agent:claude", "circuit_open", {"mine", "number", "place", "rule"}),
        ("circuit/host:h", "circuit_open", {"mine", "number", "place", "rule", "agent"}),
        ("crash_loop/agent:claude@acme/till", "suppressed", {"mine", "number", "rule"}),
        ("loop/acme/till#7", "blocked", {"mine", "rule", "agent"}),
        ("budget/rule:review@acme/till#7", "budget", {"mine", "agent"}),
        ("budget/agent:claude@acme/till#7", "budget", {"mine", "rule"}),
        ("budget/repository:acme/till", "budget", {"mine", "number", "rule", "agent"}),
        ("budget/all", "budget", {"mine", "number", "place", "rule", "agent"}),
        ("rate/rule=review", "rate_limited", {"mine", "number", "place", "rule", "agent"}),
    ],
)
async def test_a_reset_lets_go_what_waits_for_it_and_nothing_else(
    database: Database, identifier: str, reason: str, goes_on: set[str]
) -> None:
    tasks = {
        "mine": await waits(database, reason),
        "number": await waits(database, reason, number=8),
        "place": await waits(database, reason, repository="acme/other-place"),
        "rule": await waits(database, reason, rule="fix"),
        "agent": await waits(database, reason, agent="codex"),
        "reason": await waits(database, "key_busy"),
    }
    await database.guards.put(guard(identifier), NOW)
    removed = await database.guards.reset(identifier, NOW + 5)
    assert removed is not None
    assert removed.id == identifier
    assert await released(database, tasks) == goes_on
    assert await database.guards.find(identifier) is None


async def test_a_reset_of_a_budget_begins_it_anew_and_leaves_other_days(
    database: Database,
) -> None:
    writer = database.connection._writer  # noqa: SLF001  by hand, past every query
    today = NOW // DAY_MS
    for scope, day in (("all", today), ("all", today - 1), ("rule:review@o/r#1", 0)):
        writer.execute("INSERT INTO spending (scope, day, usd) VALUES (?, ?, 1)", (scope, day))
    for identifier in ("budget/all", "budget/rule:review@o/r#1"):
        await database.guards.put(guard(identifier), NOW)
        await database.guards.reset(identifier, NOW)
    left = writer.execute("SELECT scope, day FROM spending").fetchall()
    assert [tuple(row) for row in left] == [("all", today - 1)]


async def test_a_budget_that_holds_nothing_is_not_begun_anew_by_mistake(database: Database) -> None:
    writer = database.connection._writer  # noqa: SLF001  by hand, past every query
    writer.execute("INSERT INTO spending (scope, day, usd) VALUES ('all', ?, 1)", (NOW // DAY_MS,))
    assert await database.guards.reset("budget/all", NOW) is None
    assert writer.execute("SELECT count(*) FROM spending").fetchone()[0] == 1


async def test_a_pause_holds_until_it_is_lifted_also_after_another_start(
    database: Database,
) -> None:
    task = (await database.deliveries.accept(arrival(draft()))).tasks[0]
    await database.guards.put(PAUSE, NOW)
    first = await take(database)
    assert (first.claim, [hold.reason for hold in first.held]) == (None, [Waiting.PAUSED])
    assert (await take(database, now=NOW + 10**10)).claim is None
    await database.guards.reset("pause/all", NOW + 10**10)
    found = await take(database, now=NOW + 10**10)
    assert found.claim is not None
    assert found.claim.task.id == task


async def test_a_lesson_outside_of_any_end_is_one_transaction(database: Database) -> None:
    old, new = guard("circuit/host:old"), guard("circuit/host:new")
    await database.guards.put(old, NOW)
    task = await waits(database, "circuit_open")
    lesson = Lesson(
        writes=(new,),
        removes=(old.id,),
        releases=(Release(reason=Waiting.CIRCUIT_OPEN, scope=Scope(rule="review")),),
        trips=(new.id,),
    )
    learned = await database.guards.learn(LessonOf(ids=(old.id,), learn=lambda _: lesson), NOW)
    assert learned == lesson
    assert [each.id for each in await database.guards.list()] == [new.id]
    assert await released(database, {"task": task}) == {"task"}
