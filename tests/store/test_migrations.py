"""A database of an older covend is brought up to date whole: no row is lost, changed or stuck."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path

import pytest

from covend.core.model import ClaimToken, Mode, TaskId
from covend.core.states import Outcome, TaskState
from covend.store.connection import Row
from covend.store.queries import load_queries
from covend.store.sqlite.connection import open_sqlite
from covend.store.sqlite.migrate import migrate
from tests.store.arrivals import NOW, POLICY, Database

PACKAGE = files("covend.store.sqlite")
FIRST = (PACKAGE / "migrations" / "0001_first.sql").read_text(encoding="utf-8")
STALE = """
CREATE TRIGGER tasks_state_moves BEFORE UPDATE OF state ON tasks
BEGIN SELECT raise(ABORT, 'no move at all is in the table of an older covend'); END
"""
TASK = """
INSERT INTO tasks (
    id, state, reason, not_before_at, rule, agent, priority, key, generation, policy, trust, event,
    repository_id, repository, repository_key, subject_type, subject_number, subject_title,
    subject_url, subject_author, needs, attempts, claim, lease_until_at, created_at, updated_at,
    finished_at, conclusion, summary
) VALUES (
    :id, :state, 'r', 0, 'review', 'echo', 0, :id, 1, :policy, 'member', 'pull_request.opened',
    1, 'acme/r1', '1', 'pull_request', 7, 'T', '', '', '', 1, :claim, :lease, 1, 1,
    :finished, :conclusion, :summary
)
"""
ATTEMPT = """
INSERT INTO attempts (
    task_id, number, claim, agent, node, mode, phase, outcome, pid, pid_started, boot_id,
    started_at, ended_at, session, input_tokens, output_tokens, cost_usd
) VALUES (
    :task, 1, :claim, 'echo', 'n', 'fresh', 'executor', :outcome, 11, 12, 'boot',
    2, :ended, :session, :tokens, :tokens, 0.5
)
"""


@contextmanager
def by_hand(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file as no covend does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Make a database of the first schema: one task runs, one has ended."""
    path = tmp_path / "covend.db"
    running = {"id": "t1", "state": "running", "claim": "c1", "lease": NOW}
    ended = {"id": "t2", "state": "completed", "finished": 9, "conclusion": "neutral"}
    blank = dict.fromkeys(("claim", "lease", "finished", "conclusion", "summary"))
    with by_hand(path) as database:
        database.executescript(FIRST)
        database.execute("PRAGMA user_version = 1")
        database.execute("INSERT INTO policies VALUES (?, x'7b7d', 1)", (POLICY.sha256,))
        for task in (running, ended | {"summary": "Fine."}):
            database.execute(TASK, blank | task | {"policy": POLICY.sha256})
        still = {"task": "t1", "claim": "c1"} | dict.fromkeys(
            ("outcome", "ended", "session", "tokens")
        )
        database.execute(ATTEMPT, still)
        done = {"outcome": "succeeded", "ended": 9, "session": "s1", "tokens": 7}
        database.execute(ATTEMPT, {"task": "t2", "claim": "c2"} | done)
        database.execute(STALE)
    return path


@pytest.fixture
async def migrated(old: Path) -> AsyncIterator[Database]:
    """Open it with this covend."""
    queries = load_queries(PACKAGE / "queries")
    async with open_sqlite(old, queries, migrate) as connection:
        yield Database(old, connection)


def kept(path: Path) -> list[dict[str, object]]:
    """Give all rows of the first schema's tables with the columns they had then."""
    rows: list[dict[str, object]] = []
    with by_hand(path) as database, closing(sqlite3.connect(":memory:")) as first:
        first.executescript(FIRST)
        for table in ("policies", "tasks", "attempts", "timeline"):
            columns = [row[1] for row in first.execute(f"PRAGMA table_info({table})")]
            found = database.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1")
            rows += [dict(zip(columns, row, strict=True)) for row in found]
    return rows


async def test_every_row_is_as_it_was(old: Path) -> None:
    before = kept(old)
    async with open_sqlite(old, load_queries(PACKAGE / "queries"), migrate):
        pass
    assert kept(old) == before
    assert len(before) == 7


async def test_what_ran_is_found_running_and_has_nothing_that_it_could_not_have(
    migrated: Database,
) -> None:
    ((task, token, attempt),) = await migrated.tasks.running()
    assert (task.id, token) == ("t1", "c1")
    assert (attempt.pid, attempt.pid_started, attempt.boot_id) == (11, 12, "boot")
    assert (attempt.cgroup, attempt.workspace, attempt.resumes) == (None, None, None)


async def test_what_had_ended_keeps_its_session_which_nobody_can_find_again(
    migrated: Database,
) -> None:
    story = await migrated.tasks.story("t2")
    assert story is not None
    (attempt,) = story.attempts
    assert (attempt.outcome, attempt.session, attempt.mode) == (
        Outcome.SUCCEEDED,
        "s1",
        Mode.FRESH,
    )
    assert (attempt.usage.input_tokens, attempt.usage.cost_usd) == (7, 0.5)
    ((task, _, _),) = await migrated.tasks.running()
    assert await migrated.tasks.last_session(task, NOW) is None


async def test_a_task_of_before_can_go_on(migrated: Database) -> None:
    renewed = await migrated.tasks.renew({ClaimToken("c1"): TaskId("t1")}, now=NOW, lease_s=9.0)
    assert renewed.held == {"c1"}
    writer = migrated.connection._writer  # noqa: SLF001  by hand, past every query
    writer.execute(
        "UPDATE tasks SET state = 'queued', claim = NULL, lease_until_at = NULL WHERE id = 't1'"
    )
    story = await migrated.tasks.story("t1")
    assert story is not None
    assert story.task.state is TaskState.QUEUED


def triggers(rows: list[Row]) -> dict[str, str]:
    return {row["name"]: row["sql"] for row in rows}


async def test_the_triggers_are_those_of_a_new_database(migrated: Database, tmp_path: Path) -> None:
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    ours = migrated.connection._writer.execute(query).fetchall()  # noqa: SLF001  looked at
    queries = load_queries(PACKAGE / "queries")
    async with open_sqlite(tmp_path / "new.db", queries, migrate) as connection:
        new = connection._writer.execute(query).fetchall()  # noqa: SLF001  looked at
    assert triggers(ours) == triggers(new)
    with pytest.raises(sqlite3.IntegrityError, match="not in the table of states"):
        migrated.connection._writer.execute(  # noqa: SLF001  by hand, past every query
            "UPDATE tasks SET state = 'received', finished_at = NULL WHERE id = 't2'"
        )
