"""A sound database is told to be sound; each promise that is broken by hand is named."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from covend.core.errors import StoreError
from covend.core.model import DeliveryId
from covend.store.sqlite.connection import WRITER_PRAGMAS, connect
from covend.store.sqlite.migrate import steps_count
from covend.store.sqlite.verify import Fault, Logs, verify
from tests.store.arrivals import NOW, Database, arrival, draft
from tests.store.test_claim import claimed


def names(faults: list[Fault] | tuple[Fault, ...]) -> list[str]:
    return [fault.name for fault in faults]


@pytest.fixture
async def full(database: Database) -> Database:
    """One task waits, one runs, one delivery is ignored."""
    await claimed(database)
    await database.deliveries.accept(arrival(draft(key="k2"), delivery=DeliveryId("two")))
    await database.deliveries.accept(arrival(delivery=DeliveryId("three")))
    return database


def break_it(database: Database, *statements: str) -> None:
    """Past every guard of the schema."""
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("PRAGMA ignore_check_constraints = ON")
        for statement in statements:
            other.execute(statement)


async def test_what_covend_wrote_is_sound_while_it_is_in_use(full: Database) -> None:
    verified = verify(full.path)
    assert verified.faults == []
    assert verified.schema == steps_count()
    assert verified.counts["tasks"] == {"queued": 1, "running": 1}
    assert verified.counts["deliveries"] == {"all": 3}


DROP = "DROP TRIGGER tasks_state_moves"
STOPPED = "UPDATE tasks SET state = 'queued', claim = NULL, lease_until_at = NULL"
EFFECT = (
    "INSERT INTO effects (id, kind, slot, subject, target, request, state, not_before_at,"
    " created_at) VALUES ('e', 'check', 's', 's', 't', x'7b7d', 'pending', 0, 0)"
)
WAITS = "UPDATE tasks SET state = 'received', delivery_id = 'gone' WHERE state = 'queued'"


@pytest.mark.parametrize(
    ("statements", "name"),
    [
        (("UPDATE attempts SET claim = 'another'",), "running_attempt"),
        (("UPDATE attempts SET outcome = 'lost', ended_at = 1",), "running_attempt"),
        (
            (f"{STOPPED} WHERE state = 'running'",),
            "open_attempt",
        ),
        (("UPDATE tasks SET attempts = 7",), "attempt_count"),
        (
            ("DROP INDEX task_one_per_key", "UPDATE tasks SET key = 'same'"),
            "held_key",
        ),
        ((DROP, "UPDATE tasks SET state = 'odd' WHERE state = 'queued'"), "states"),
        (("DELETE FROM timeline WHERE target = 'queued'",), "timeline"),
        (("UPDATE timeline SET source = 'failed' WHERE target = 'running'",), "lines"),
        ((DROP, WAITS), "open_delivery"),
        (("INSERT INTO timeline VALUES (99, 'nobody', 1, NULL, 'queued', 'r')",), "stories"),
        (("UPDATE deliveries SET body = x'00' WHERE id = 'three'",), "bodies"),
        (("UPDATE deliveries SET body_sha256 = zeroblob(32) WHERE id = 'three'",), "bodies"),
        ((DROP,), "triggers"),
        (("UPDATE tasks SET policy = 'none'",), "references"),
        (
            (
                EFFECT,
                "UPDATE effects SET state = 'sending'",
            ),
            "effects",
        ),
        (("UPDATE counts SET count = count + 1 WHERE state = 'running'",), "counts"),
        (("PRAGMA user_version = 99",), "schema"),
        (("PRAGMA user_version = 0",), "schema"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_broken_promise_is_named(
    full: Database, statements: tuple[str, ...], name: str
) -> None:
    break_it(full, *statements)
    verified = verify(full.path)
    assert name in names(list(verified.faults))
    assert all(fault.mend for fault in verified.faults)


async def test_a_damaged_page_is_told(full: Database, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(full.path)) as database:
        database.execute("VACUUM INTO ?", (str(copy),))
    with copy.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 8192)
    assert names(list(verify(copy).faults)) == ["pages"]


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "covend.db"
    path.write_bytes(b"no database at all" * 1000)
    assert names(list(verify(path).faults)) == ["pages"]


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        verify(tmp_path / "none.db")


async def test_an_older_schema_is_no_fault(full: Database) -> None:
    break_it(full, "PRAGMA user_version = 3")
    verified = verify(full.path)
    assert verified.is_sound
    assert verified.is_older


async def test_a_log_that_is_kept_must_be_there(full: Database, tmp_path: Path) -> None:
    break_it(
        full,
        f"UPDATE attempts SET log_bytes = 5, outcome = 'lost', started_at = {NOW},"
        f" ended_at = {NOW}",
    )
    logs = tmp_path / "logs"
    logs.mkdir()
    since = NOW - 60_000
    told = verify(full.path, logs=Logs(folder=logs, since=since)).faults
    assert "logs" in names(list(told))
    assert "logs" not in names(list(verify(full.path, logs=Logs(folder=logs, since=NOW)).faults))
    (name,) = next(fault for fault in told if fault.name == "logs").where
    (logs / name).touch()
    assert "logs" not in names(list(verify(full.path, logs=Logs(folder=logs, since=since)).faults))


async def test_a_log_that_goes_with_its_task_meanwhile_is_no_fault(
    full: Database, tmp_path: Path
) -> None:
    break_it(
        full,
        f"UPDATE attempts SET log_bytes = 5, outcome = 'lost', started_at = {NOW},"
        f" ended_at = {NOW}",
    )
    is_deleted = False

    def delete(what: str, _part: float) -> None:
        nonlocal is_deleted
        if what == "bodies" and not is_deleted:
            is_deleted = True
            break_it(full, "DELETE FROM attempts")

    logs = Logs(folder=tmp_path / "logs", since=NOW - 60_000)
    told = names(list(verify(full.path, logs=logs, progress=delete).faults))
    assert is_deleted
    assert "logs" not in told


async def test_logs_from_before_a_restore_need_not_be_there(full: Database, tmp_path: Path) -> None:
    """A backup has them only where that was asked for."""
    break_it(
        full,
        f"UPDATE attempts SET log_bytes = 5, outcome = 'lost', started_at = {NOW},"
        f" ended_at = {NOW}",
        f"INSERT INTO cursors (name, value, updated_at) VALUES ('restored', '{{}}', {NOW})",
    )
    logs = Logs(folder=tmp_path / "logs", since=NOW - 60_000)
    assert "logs" not in names(list(verify(full.path, logs=logs).faults))


async def test_a_database_that_a_covend_opens_meanwhile_is_not_judged(
    full: Database, tmp_path: Path
) -> None:
    """It lay still, so it was read without regard to any log."""
    copy = tmp_path / "still.db"
    with closing(sqlite3.connect(full.path)) as database:
        database.execute("VACUUM INTO ?", (str(copy),))
    with closing(connect(copy, WRITER_PRAGMAS)):
        pass
    opened: list[sqlite3.Connection] = []

    def begin(_what: str, _part: float) -> None:
        if not opened:
            opened.append(connect(copy, WRITER_PRAGMAS))
            opened[0].execute("UPDATE deliveries SET duplicates = 1")

    with pytest.raises(StoreError, match="try again"):
        verify(copy, progress=begin)
    opened[0].close()
