"""Puts a backup back: checked before anything is touched, with what was there kept aside.

What has happened since the backup is not known in it, and some of it is visible on GitHub. So all
that was waiting to be sent is marked as what may have left, and so will be what older tasks show
from now on (the trigger effect_may_be_visible): it is looked for by its marker before it is sent.
What ran is recovered by the next start, as after a crash.

Refuses to touch a state directory that a covend holds, and to replace what it was not told to.
Where it is cut off, no covend starts on what it left: that one would begin with nothing, or with
the keys of another, and do once more what was done.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from covend.core.errors import ConflictError, StoreError
from covend.core.model import Moment
from covend.core.restoring import Lost, dump_lost
from covend.store.queries import load_queries
from covend.store.sqlite.backup import (
    ADMIN_TOKEN,
    DATABASE,
    IDENTITY,
    LOGS,
    MARKER_KEY,
    PRIVATE_FOLDER,
    Manifest,
    check_parts,
    copy_private,
    load_manifest,
    sync_folder,
)
from covend.store.sqlite.connection import connect
from covend.store.sqlite.lock import hold_state_directory, make_state_directory
from covend.store.sqlite.migrate import migrate
from covend.store.sqlite.reading import has_log, wal_of
from covend.store.sqlite.transaction import translated
from covend.store.sqlite.verify import Progress, Verified, raise_if_unsound, silent, verify

_SECRETS = (MARKER_KEY, ADMIN_TOKEN)
_PRAGMAS = ("PRAGMA foreign_keys = ON", "PRAGMA synchronous = FULL", "PRAGMA busy_timeout = 4000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a backup is put back to, and when."""

    state_dir: Path
    database: Path
    now: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was put back, and what the next start makes of it."""

    made_at: Moment | None
    """None where that is not known: a plain copy of a database does not say."""
    verified: Verified
    aside: tuple[Path, ...]
    """Where what was there is now."""
    tasks_to_recover: int
    effects_in_doubt: int
    has_marker_key: bool


def restore(
    backup: Path, place: Place, *, replace: bool = False, progress: Progress = silent
) -> Restored:
    """Put a backup back: the directory that `covend backup` has made, or a database alone; blocks.

    Raises StoreError for what is damaged or of a newer covend, StateDirectoryInUseError where a
    covend runs on it, and ConflictError where something is there and `replace` was not said.
    """
    manifest = _manifest_of(backup, progress)
    source = backup / DATABASE if manifest else backup
    verified = verify(source, progress=progress)
    raise_if_unsound(verified, source)
    make_state_directory(place.state_dir)
    with hold_state_directory(place.state_dir):
        return _put_back(backup, source, place, manifest, verified, replace=replace)


def _manifest_of(backup: Path, progress: Progress) -> Manifest | None:
    if backup.is_file():
        if has_log(backup):
            raise StoreError(
                f"{backup} has a log (-wal) beside it, so it is in use, or was cut off, and not"
                " whole by itself: make a backup of it, and restore that"
            )
        return None
    manifest = load_manifest(backup)
    check_parts(backup, manifest, progress)
    return manifest


def _put_back(
    backup: Path,
    source: Path,
    place: Place,
    manifest: Manifest | None,
    verified: Verified,
    *,
    replace: bool,
) -> Restored:
    secrets = [name for name in _SECRETS if manifest and _differs(backup, place.state_dir, name)]
    standing = [place.state_dir / name for name in secrets if (place.state_dir / name).exists()]
    if os.path.lexists(place.database):
        standing.append(place.database)
    if standing and not replace:
        named = ", ".join(map(str, standing))
        raise ConflictError(
            f"{named}: there already; --replace puts the backup in its place, and keeps it aside"
        )
    names = _names_aside(standing, place)
    fresh = place.database.with_name(f".{place.database.name}.restoring")
    _clear(fresh)  # a journal of another copy would be rolled back into this one
    try:
        copy_private(source, fresh)
        tasks, effects = _prepare(fresh, place.now, manifest)
    except BaseException:
        _clear(fresh)  # the room that it took may be what was missing
        raise
    ready = fresh.rename(_ready(place.database))
    sync_folder(ready.parent)  # from here on nobody starts
    _set_aside(names, place)
    for name in secrets:
        copy_private(backup / name, place.state_dir / name)
    if manifest:
        _add_missing(backup, place.state_dir)
    ready.rename(place.database)
    sync_folder(place.database.parent)
    return Restored(
        made_at=manifest.made_at if manifest else None,
        verified=verified,
        aside=tuple(names.values()),
        tasks_to_recover=tasks,
        effects_in_doubt=effects,
        has_marker_key=(place.state_dir / MARKER_KEY).exists(),
    )


def _clear(database: Path) -> None:
    """Remove a database, and what SQLite keeps beside it."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        database.with_name(f"{database.name}{suffix}").unlink(missing_ok=True)


def _differs(backup: Path, state_dir: Path, name: str) -> bool:
    """Say whether a backup has a file that the state directory has not, or not like that."""
    if not (backup / name).exists():
        return False
    with suppress(FileNotFoundError):
        return (state_dir / name).read_bytes() != (backup / name).read_bytes()
    return True


def _prepare(database: Path, now: Moment, manifest: Manifest | None) -> tuple[int, int]:
    """Bring a copy up to date, and doubt what may have been sent since; say how many tasks are to
    be recovered, and how many effects to be looked for.
    """
    queries = load_queries(files("covend.store.sqlite") / "queries")
    try:
        with closing(connect(database, _PRAGMAS)) as writer:
            migrate(writer)
            newest = writer.execute(queries["newest_moment"].text).fetchone()["at"]
            at = max(now, newest)  # a clock that went back leaves nothing out
            writer.execute("BEGIN IMMEDIATE")
            doubted = writer.execute(queries["doubt_all_pending"].text, {"now": at}).fetchall()
            lost = dump_lost(Lost(manifest.made_at if manifest else 0, at))
            writer.execute(queries["note_restore"].text, {"lost": lost, "now": at})
            left = writer.execute(queries["count_to_recover"].text).fetchone()
            writer.execute("COMMIT")
    except sqlite3.Error as error:
        raise translated(error) from error
    return left["tasks"], len(doubted) + left["effects"]


def _names_aside(standing: list[Path], place: Place) -> Mapping[Path, Path]:
    """Say how what is there will be called; ConflictError where such a name is taken."""
    names = {path: path.with_name(f"{path.name}{_aside(place)}") for path in standing}
    for taken in names.values():
        if os.path.lexists(taken):
            raise ConflictError(f"{taken} is there already: try again in a second")
    return names


def _aside(place: Place) -> str:
    moment = datetime.fromtimestamp(place.now / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    return f".replaced-{moment}"


def _set_aside(names: Mapping[Path, Path], place: Place) -> None:
    """Rename what is there; the database with its log, which is written into it first where that
    is possible.
    """
    if place.database in names:
        _fold_log(place.database)
    # A log that stayed would be read as that of the new database.
    for suffix in ("-wal", "-shm"):
        beside = place.database.with_name(f"{place.database.name}{suffix}")
        if beside.exists():
            beside.rename(beside.with_name(f"{place.database.name}{_aside(place)}{suffix}"))
    for path, aside in names.items():
        path.rename(aside)


def _fold_log(database: Path) -> None:
    """Write the log into a database that nobody else has open; one that is damaged keeps it."""
    if not wal_of(database).exists():
        return
    with suppress(sqlite3.Error), closing(sqlite3.connect(database)) as writer:
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _add_missing(backup: Path, state_dir: Path) -> None:
    """Add who covend is, and what attempts have printed, where that is not there."""
    if (backup / IDENTITY).exists() and not (state_dir / IDENTITY).exists():
        copy_private(backup / IDENTITY, state_dir / IDENTITY)
    logs = state_dir / LOGS
    for path in sorted((backup / LOGS).glob("*.jsonl")):
        logs.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        if not (logs / path.name).exists():
            copy_private(path, logs / path.name)


def refuse_half_restored(database: Path) -> None:
    """Raise StoreError where a restore was cut off after it had begun to change what is there."""
    if (ready := _ready(database)).exists():
        raise StoreError(
            f"a restore was cut off ({ready} is there): run covend restore BACKUP --replace again;"
            " or put back what it has renamed to *.replaced-*, and remove that file"
        )


def _ready(database: Path) -> Path:
    """Name what is ready to become the database."""
    return database.with_name(f".{database.name}.restored")


def database_of(backup: Path) -> Path:
    """Name the database of a backup, or the one that was named itself; raises StoreError."""
    if backup.is_dir():
        load_manifest(backup)
        return backup / DATABASE
    if not backup.exists():
        raise StoreError(f"{backup} is not there")
    return backup
