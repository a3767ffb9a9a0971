"""Tasks that nobody is at and that are to end are found, also by the next daemon, and end once."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from covend.core.model import TaskId
from covend.core.states import TaskState
from covend.store.protocol import Overdue
from covend.store.queries import load_queries
from covend.store.sqlite.connection import open_sqlite
from covend.store.sqlite.migrate import migrate
from tests.store.arrivals import NOW, POLICY, Database
from tests.store.pulls import (
    CHECK,
    REVIEW,
    SECOND,
    claim,
    closed,
    named,
    pushed,
    queued,
    settled,
    states,
    task,
    tried,
)

FOUND = tuple[TaskId, TaskState, str]


async def overdue(database: Database, now: int = NOW) -> list[Overdue]:
    return list(await database.tasks.overdue(now, limit=9))


def shown(found: list[Overdue]) -> list[FOUND]:
    return [(each.task.id, each.target, each.reason) for each in found]


async def test_nothing_is_overdue_that_runs_waits_or_is_done_as_it_should(
    database: Database,
) -> None:
    await queued(database, pushed("a"))
    await claim(database)
    await queued(database, pushed("a", number=8))
    await queued(database, pushed("a", number=9, debounce_s=5.0))
    assert await overdue(database, NOW + 10**9) == []


async def test_what_is_overdue_survives_the_end_of_the_daemon(tmp_path: Path) -> None:
    """Between the delivery and the loop that ends the old work lies a crash."""
    queries = load_queries(files("covend.store.sqlite") / "queries")
    path = tmp_path / "covend.db"
    async with open_sqlite(path, queries, migrate) as connection:
        former = Database(path, connection)
        await former.deliveries.save_policy(POLICY, NOW)
        waiting = await tried(former, pushed("a"))
        shut = await tried(former, pushed("a", number=8))
        done = await queued(former, pushed("a", number=9))
        await settled(former, await claim(former), TaskState.COMPLETED, REVIEW)
        await former.deliveries.accept(pushed("b"))
        await former.deliveries.accept(closed(at=NOW, number=8))
        await former.deliveries.accept(pushed("b", number=9))
    async with open_sqlite(path, queries, migrate) as connection:
        found = shown(await overdue(Database(path, connection)))
    assert sorted(found) == sorted(
        [
            (waiting, TaskState.SUPERSEDED, "superseded"),
            (shut, TaskState.CANCELLED, "closed"),
            (done, TaskState.SUPERSEDED, "superseded"),
        ]
    )


async def test_an_overdue_task_ends_once_and_shows_its_end_instead_of_the_rest(
    database: Database,
) -> None:
    done = await queued(database, pushed("a"))
    await settled(database, await claim(database), TaskState.COMPLETED, REVIEW, CHECK)
    await queued(database, pushed("b"))
    (found,) = await overdue(database)
    for expected in (TaskState.SUPERSEDED, None):
        ended = await database.tasks.end(found, effects=named(CHECK), now=NOW + SECOND)
        assert (ended.state if ended else None) == expected
    effects = list(reversed((await database.effects.page(limit=9))[0]))
    assert [effect.state for effect in effects] == ["withheld", "withheld", "pending"]
    assert await overdue(database) == []
    story = await database.tasks.story(done)
    assert story is not None
    assert [move.target for move in story.timeline][-1] == "superseded"


async def test_a_closed_task_can_be_retried_by_an_operator_and_is_not_closed_again(
    database: Database,
) -> None:
    waiting = await tried(database, pushed("a", at=NOW))
    await database.deliveries.accept(closed(at=NOW))
    (found,) = await overdue(database)
    ended = await database.tasks.end(found, effects=(), now=NOW)
    assert ended is not None
    assert (ended.state, ended.reason) == (TaskState.CANCELLED, "closed")
    assert await database.tasks.retry(waiting, reason="operator", now=NOW) is not None
    assert await overdue(database) == []
    assert (await claim(database)).task.id == waiting


async def test_a_task_that_waits_longer_than_it_may_be_tried_fails_with_its_last_error(
    database: Database,
) -> None:
    waiting = await tried(database, pushed("a"), retry_until_at=NOW + 5 * SECOND)
    assert await overdue(database, NOW + 5 * SECOND - 1) == []
    (found,) = await overdue(database, NOW + 5 * SECOND)
    assert (found.target, found.reason) == (TaskState.FAILED, "too_old")
    ended = await database.tasks.end(found, effects=named(CHECK), now=NOW + 5 * SECOND)
    assert ended is not None
    assert await states(database, waiting) == ["failed"]


async def test_what_is_too_old_and_superseded_is_listed_once(database: Database) -> None:
    waiting = await tried(database, pushed("a"), retry_until_at=NOW)
    await queued(database, pushed("b"))
    assert shown(await overdue(database)) == [(waiting, TaskState.SUPERSEDED, "superseded")]


@pytest.mark.parametrize("target", [TaskState.SUPERSEDED, TaskState.CANCELLED, TaskState.FAILED])
async def test_no_task_ends_as_overdue_that_is_not(database: Database, target: TaskState) -> None:
    waiting = await tried(database, pushed("a"))
    claimed = Overdue(task=await task(database, waiting), target=target, reason="why")
    assert await database.tasks.end(claimed, effects=named(CHECK), now=NOW) is None
    assert (await database.effects.page(limit=9))[0] == []


async def test_a_running_task_does_not_end_as_overdue(database: Database) -> None:
    running = await queued(database, pushed("a"))
    await claim(database)
    await queued(database, pushed("b"))
    claimed = Overdue(
        task=await task(database, running), target=TaskState.SUPERSEDED, reason="superseded"
    )
    assert await overdue(database) == []
    assert await database.tasks.end(claimed, effects=(), now=NOW) is None


async def test_a_task_that_is_still_open_cannot_be_a_target(database: Database) -> None:
    waiting = await tried(database, pushed("a"))
    claimed = Overdue(task=await task(database, waiting), target=TaskState.RUNNING, reason="why")
    with pytest.raises(ValueError, match="cannot end as running"):
        await database.tasks.end(claimed, effects=(), now=NOW)


async def test_only_so_many_are_listed_at_a_time(database: Database) -> None:
    for number in range(4):
        await tried(database, pushed("a", number=number), retry_until_at=NOW)
        await queued(database, pushed("b", number=number, rule="other"))
        await claim(database)
    await database.deliveries.accept(pushed("b", number=0))
    assert len(await database.tasks.overdue(NOW, limit=3)) == 3
