"""A backup is whole, private and checked, whatever is written meanwhile; it goes back only where
nobody is, and what may have been seen since is looked for.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import stat
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
import pytest

from covend.core.errors import ConflictError, StateDirectoryInUseError, StoreError
from covend.core.states import EffectState
from covend.store.queries import load_queries
from covend.store.sqlite import restore as restore_module
from covend.store.sqlite.backup import Backup, Source, back_up
from covend.store.sqlite.connection import open_sqlite
from covend.store.sqlite.lock import hold_state_directory
from covend.store.sqlite.migrate import migrate
from covend.store.sqlite.restore import Place, refuse_half_restored, restore
from covend.store.sqlite.verify import verify
from tests.store.arrivals import NOW, Database, arrival, draft
from tests.store.test_claim import claimed

LATER = NOW + 3_600_000


@pytest.fixture
async def house(database: Database) -> Database:
    """A state directory with all that is kept; one task runs, one effect waits."""
    folder = database.path.parent
    for name in ("marker.key", "admin.token", "identity.json"):
        (folder / name).write_text(f"of {name}")
    (folder / "logs").mkdir()
    (folder / "logs" / "x-1.jsonl").write_text("[]")
    await claimed(database)
    put(database.path, "e1", "pending")
    return database


def put(path: Path, effect: str, state: str, kind: str = "check", **changes: Any) -> None:
    """Write an effect by hand, through the states that it may go."""
    row = {"task_id": None, "created_at": NOW, **changes}
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(
            "INSERT INTO effects (id, task_id, kind, slot, subject, target, request, state,"
            " not_before_at, created_at) VALUES (:id, :task_id, :kind, 's', 's', 't', x'7b7d',"
            " 'pending', 0, :created_at)",
            {"id": effect, "kind": kind, **row},
        )
        for step in {"pending": (), "unknown": ("sending", "unknown")}.get(state, (state,)):
            other.execute("UPDATE effects SET state = ?, sent_at = 5 WHERE id = ?", (step, effect))


def ask(path: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as other:
        return other.execute(statement).fetchall()


def a_backup(database: Database, name: str = "backup", *, with_logs: bool = False) -> Backup:
    folder = database.path.parent
    source = Source(state_dir=folder, database=database.path, version="1", now=NOW)
    return back_up(source, folder.parent / name, with_logs=with_logs)


def a_place(tmp_path: Path) -> Place:
    folder = tmp_path / "other"
    return Place(state_dir=folder, database=folder / "covend.db", now=LATER)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """The state directory is one of several."""
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


# --- making ---------------------------------------------------------------------------------------


async def test_it_has_all_that_a_restore_needs_and_nobody_else_may_read_it(
    house: Database,
) -> None:
    before = os.umask(0o022)
    made = a_backup(house)
    os.umask(before)
    names = {path.name for path in made.path.iterdir()}
    assert names == {"covend.db", "marker.key", "admin.token", "identity.json", "backup.json"}
    assert mode_of(made.path) == 0o700
    assert {mode_of(path) for path in made.path.iterdir()} == {0o600}
    assert made.verified.counts["tasks"] == {"running": 1}
    told = orjson.loads((made.path / "backup.json").read_bytes())
    assert [part["name"] for part in told["files"]] == sorted(names - {"backup.json"})


async def test_logs_come_along_where_they_are_asked_for(house: Database) -> None:
    made = a_backup(house, with_logs=True)
    assert (made.path / "logs" / "x-1.jsonl").read_text() == "[]"


async def test_the_database_is_neither_written_to_nor_checkpointed(house: Database) -> None:
    wal = house.path.with_name("covend.db-wal")
    before = (house.path.read_bytes(), wal.read_bytes())
    a_backup(house)
    assert (house.path.read_bytes(), wal.read_bytes()) == before


async def test_it_is_one_moment_however_much_is_written_meanwhile(house: Database) -> None:
    async def write() -> None:
        while not done.is_set():
            await house.deliveries.accept(arrival(draft()))

    done = asyncio.Event()
    writing = [asyncio.create_task(write()) for _ in range(4)]
    try:
        for _ in range(20):
            await house.deliveries.accept(arrival(draft()))
        made = await asyncio.to_thread(a_backup, house)
    finally:
        done.set()
        await asyncio.gather(*writing, return_exceptions=True)
    assert made.verified.is_sound
    copy = made.path / "covend.db"
    linked = ask(copy, "SELECT count(*) FROM delivery_tasks")
    assert linked == ask(copy, "SELECT count(*) FROM tasks")


async def test_what_the_log_has_comes_along_where_the_database_is_a_link(house: Database) -> None:
    """SQLite keeps the log beside the file itself: on another disk, say."""
    link = house.path.parent.parent / "link.db"
    link.symlink_to(house.path)
    source = Source(state_dir=house.path.parent, database=link, version="1", now=NOW)
    made = back_up(source, house.path.parent.parent / "backup")
    assert made.verified.counts["tasks"] == {"running": 1}


async def test_nothing_is_overwritten(house: Database) -> None:
    made = a_backup(house)
    before = (made.path / "backup.json").read_bytes()
    with pytest.raises(ConflictError, match="is there already"):
        a_backup(house)
    assert (made.path / "backup.json").read_bytes() == before


async def test_what_is_not_sound_is_no_backup_and_leaves_nothing(house: Database) -> None:
    with closing(sqlite3.connect(house.path, isolation_level=None)) as other:
        other.execute("UPDATE tasks SET attempts = 9")
    with pytest.raises(StoreError, match="as many attempts"):
        a_backup(house)
    assert [path.name for path in house.path.parent.parent.iterdir()] == ["state"]


# --- restoring ------------------------------------------------------------------------------------


async def test_it_goes_back_with_its_keys(house: Database, tmp_path: Path) -> None:
    made, place = a_backup(house, with_logs=True), a_place(tmp_path)
    done = restore(made.path, place)
    assert done.aside == ()
    assert done.has_marker_key
    assert (place.state_dir / "marker.key").read_text() == "of marker.key"
    assert (place.state_dir / "logs" / "x-1.jsonl").exists()
    assert mode_of(place.database) == 0o600
    assert mode_of(place.state_dir) == 0o700
    assert verify(place.database).is_sound


async def test_what_ran_is_recovered_and_what_waited_is_looked_for(
    house: Database, tmp_path: Path
) -> None:
    put(house.path, "e2", "unknown")
    put(house.path, "c1", "pending", kind="callback")
    made, place = a_backup(house), a_place(tmp_path)
    done = restore(made.path, place)
    assert (done.tasks_to_recover, done.effects_in_doubt) == (1, 2)
    found = ask(place.database, "SELECT id, state, sent_at FROM effects ORDER BY id")
    assert found == [("c1", "pending", None), ("e1", "pending", LATER), ("e2", "unknown", 5)]


async def test_what_older_tasks_show_from_now_on_is_looked_for_first(
    house: Database, tmp_path: Path
) -> None:
    made, place = a_backup(house), a_place(tmp_path)
    restore(made.path, place)
    queries = load_queries(files("covend.store.sqlite") / "queries")
    async with open_sqlite(place.database, queries, migrate) as connection:
        restored = Database(place.database, connection)
        ((older,),) = ask(place.database, "SELECT id FROM tasks")
        await restored.deliveries.accept(arrival(draft(), now=LATER + 1))
        ((newer,),) = ask(place.database, f"SELECT id FROM tasks WHERE id <> '{older}'")
        put(place.database, "of-older", "pending", task_id=older, created_at=LATER + 9)
        put(place.database, "of-newer", "pending", task_id=newer, created_at=LATER + 9)
        put(place.database, "answer", "pending", created_at=LATER + 9)
        put(place.database, "late-answer", "pending", created_at=LATER + 86_400_001)
        put(place.database, "told", "pending", kind="callback", task_id=older)
        effects = {
            name: effect.sent_at
            for name in ("of-older", "of-newer", "answer", "late-answer", "told")
            if (effect := await restored.effects.find(name))
        }
    assert effects == {
        "of-older": LATER + 9,
        "of-newer": None,
        "answer": LATER + 9,
        "late-answer": None,
        "told": None,
    }


async def test_without_a_restore_nothing_is_looked_for_first(house: Database) -> None:
    effect = await house.effects.find("e1")
    assert effect is not None
    assert (effect.state, effect.sent_at) == (EffectState.PENDING, None)


async def test_where_a_covend_runs_nothing_is_touched(house: Database, tmp_path: Path) -> None:
    made = a_backup(house)
    before = house.path.read_bytes()
    place = Place(state_dir=house.path.parent, database=house.path, now=LATER)
    with hold_state_directory(place.state_dir), pytest.raises(StateDirectoryInUseError):
        restore(made.path, place, replace=True)
    assert house.path.read_bytes() == before


async def test_what_is_there_is_replaced_only_where_that_is_said_and_is_kept(
    house: Database, tmp_path: Path
) -> None:
    made, place = a_backup(house), a_place(tmp_path)
    restore(made.path, place)
    (place.state_dir / "admin.token").write_text("newer")
    with closing(sqlite3.connect(place.database)) as other:
        other.execute("UPDATE deliveries SET duplicates = 7")
        other.commit()
    with pytest.raises(ConflictError, match="--replace"):
        restore(made.path, place)
    done = restore(made.path, place, replace=True)
    names = sorted(path.name.partition(".replaced-")[0] for path in done.aside)
    assert names == ["admin.token", "covend.db"]
    kept = next(path for path in done.aside if path.name.startswith("covend.db"))
    assert ask(kept, "SELECT duplicates FROM deliveries") == [(7,)]
    assert ask(place.database, "SELECT duplicates FROM deliveries") == [(0,)]
    assert (place.state_dir / "admin.token").read_text() == "of admin.token"


async def test_the_log_of_what_was_there_goes_with_it(house: Database, tmp_path: Path) -> None:
    """A killed covend leaves one; read as that of the backup, it would ruin it."""
    made, place = a_backup(house), a_place(tmp_path)
    place.state_dir.mkdir()
    for suffix in ("", "-wal", "-shm"):
        source = house.path.with_name(f"covend.db{suffix}")
        (place.state_dir / source.name).write_bytes(source.read_bytes())
    done = restore(made.path, place, replace=True)
    assert not place.database.with_name("covend.db-wal").exists()
    assert verify(done.aside[-1]).is_sound
    assert ask(done.aside[-1], "SELECT count(*) FROM tasks") == [(1,)]


async def test_no_covend_starts_on_a_restore_that_was_cut_off(
    house: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would begin with an empty store, and do once more what was done."""
    made, place = a_backup(house), a_place(tmp_path)
    restore(made.path, place)
    (place.state_dir / "marker.key").write_text("newer")

    def cut_off(_backup: Path, _state_dir: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(restore_module, "_add_missing", cut_off)
        with pytest.raises(KeyboardInterrupt):
            restore(made.path, place, replace=True)
    with pytest.raises(StoreError, match="a restore was cut off"):
        refuse_half_restored(place.database)
    again = Place(state_dir=place.state_dir, database=place.database, now=LATER + 1000)
    restore(made.path, again, replace=True)
    refuse_half_restored(place.database)
    assert (place.state_dir / "marker.key").read_text() == "of marker.key"
    assert verify(place.database).is_sound


async def test_a_restore_without_room_leaves_all_as_it_was(house: Database, tmp_path: Path) -> None:
    made, place = a_backup(house), a_place(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            restore(made.path, place)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in place.state_dir.iterdir() if "covend.db" in path.name] == []


async def test_the_journal_of_a_restore_that_was_cut_off_is_not_rolled_back_into_the_next(
    house: Database, tmp_path: Path
) -> None:
    made, place = a_backup(house), a_place(tmp_path)
    place.state_dir.mkdir()
    journal = place.state_dir / ".covend.db.restoring-journal"
    other = tmp_path.parent / "other.db"
    with closing(sqlite3.connect(other, isolation_level=None)) as database:
        database.executescript("PRAGMA cache_size = 1; CREATE TABLE t (x)")
        database.execute(
            "INSERT INTO t SELECT randomblob(3000) FROM json_each(?)", (str([0] * 99),)
        )
        database.execute("BEGIN")
        database.execute("UPDATE t SET x = randomblob(3000)")
        journal.write_bytes(other.with_name("other.db-journal").read_bytes())
    restore(made.path, place)
    assert verify(place.database).is_sound


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
async def test_a_log_without_its_database_is_set_aside(
    house: Database, tmp_path: Path, suffix: str
) -> None:
    made, place = a_backup(house), a_place(tmp_path)
    place.state_dir.mkdir()
    stray = place.database.with_name(f"covend.db{suffix}")
    stray.write_bytes(b"of another")
    restore(made.path, place)
    assert not stray.exists()
    assert verify(place.database).is_sound


@pytest.mark.parametrize("name", ["covend.db", "marker.key"])
async def test_a_backup_that_is_not_as_it_was_is_refused(
    house: Database, tmp_path: Path, name: str
) -> None:
    made, place = a_backup(house), a_place(tmp_path)
    with (made.path / name).open("r+b") as file:
        file.seek(3)
        file.write(b"X")
    with pytest.raises(StoreError, match="not as it was"):
        restore(made.path, place)
    assert not place.database.exists()


async def test_a_backup_without_one_of_its_files_is_refused(
    house: Database, tmp_path: Path
) -> None:
    made, place = a_backup(house), a_place(tmp_path)
    (made.path / "marker.key").unlink()
    with pytest.raises(StoreError, match="missing"):
        restore(made.path, place)


@pytest.mark.parametrize("told", [b"{", b"[]", b'{"format": 1}'])
async def test_a_manifest_that_says_nothing_is_refused(
    house: Database, tmp_path: Path, told: bytes
) -> None:
    made, place = a_backup(house), a_place(tmp_path)
    (made.path / "backup.json").write_bytes(told)
    with pytest.raises(StoreError, match="cannot be read"):
        restore(made.path, place)


async def test_a_newer_schema_is_refused(house: Database, tmp_path: Path) -> None:
    copy = tmp_path.parent / "plain.db"
    with closing(sqlite3.connect(house.path)) as database:
        database.execute("VACUUM INTO ?", (str(copy),))
    with closing(sqlite3.connect(copy)) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="run a newer covend"):
        restore(copy, a_place(tmp_path))


async def test_a_plain_copy_of_a_database_goes_back_too(house: Database, tmp_path: Path) -> None:
    copy, place = tmp_path.parent / "plain.db", a_place(tmp_path)
    with closing(sqlite3.connect(house.path)) as database:
        database.execute("VACUUM INTO ?", (str(copy),))
    done = restore(copy, place)
    assert (done.made_at, done.has_marker_key) == (None, False)
    assert verify(place.database).is_sound


async def test_a_database_with_its_log_beside_it_is_no_backup(
    house: Database, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match="make a backup of it"):
        restore(house.path, a_place(tmp_path))


async def test_of_a_folder_of_backups_the_newest_is_named(house: Database, tmp_path: Path) -> None:
    made = a_backup(house)
    with pytest.raises(StoreError, match=f"did you mean {made.path}"):
        restore(made.path.parent, a_place(tmp_path))
