"""A renamed repository keeps its key: what is held by its old name waits for that name alone."""

from __future__ import annotations

import pytest
from msgspec import structs

from covend.core.model import Subject, SubjectType, TaskId
from tests.store.arrivals import NOW, Database, arrival, draft
from tests.store.hand_gate import take
from tests.store.test_guards import guard


async def queued_as(database: Database, repository: str, number: int, head: str) -> TaskId:
    """Queue a task on a pull request of the one repository, by the name that it had then."""
    subject = Subject(type=SubjectType.PULL_REQUEST, number=number, head_sha=head * 40)
    asked = arrival(draft(subject=subject))
    event = structs.replace(asked.event, repository=repository)
    (task,) = (await database.deliveries.accept(structs.replace(asked, event=event))).tasks
    return task


async def claimed(database: Database, now: int) -> set[TaskId]:
    """Claim all that may be claimed."""
    found: set[TaskId] = set()
    while (claim := (await take(database, now=now)).claim) is not None:
        found.add(claim.task.id)
    return found


@pytest.mark.parametrize(
    ("safeguard", "state", "number"),
    [("pause/repository:acme/old", "paused", 2), ("loop/acme/old#1", "blocked", 1)],
)
async def test_what_is_held_by_its_old_name_is_let_go_whole_by_that_name(
    database: Database, safeguard: str, state: str, number: int
) -> None:
    old = await queued_as(database, "Acme/Old", 1, "a")
    new = await queued_as(database, "acme/new", number, "b")
    await database.guards.put(guard(safeguard, state=state), NOW)
    before = await claimed(database, NOW)
    await database.guards.reset(safeguard, NOW + 5)
    assert (before, await claimed(database, NOW + 5)) == ({new}, {old})
