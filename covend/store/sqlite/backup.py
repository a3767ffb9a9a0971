"""Makes backups: a directory of its own for each, with the database, and what its rows are worth
nothing without.

The copy is made by `VACUUM INTO` on a connection that is opened to read only. It neither writes to
the database nor checkpoints it, so the daemon's one writing connection stays the only one (SQLite
before 3.51.3 can lose what was written otherwise: https://sqlite.org/wal.html). It is one snapshot,
however much is written meanwhile, where the backup API begins anew with each write of another
process; and it leaves out what was deleted. Refuses to overwrite anything.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from covend.core.errors import ConflictError, StoreError
from covend.core.model import Moment
from covend.store.sqlite.reading import opened_as_it_stands
from covend.store.sqlite.transaction import translated
from covend.store.sqlite.verify import Progress, Verified, raise_if_unsound, silent, verify

DATABASE = "covend.db"
"""Its name within a backup, whatever it is called in the state directory."""
MANIFEST = "backup.json"
FORMAT = 1
MARKER_KEY, ADMIN_TOKEN, IDENTITY = "marker.key", "admin.token", "identity.json"
KEPT_FILES = (MARKER_KEY, ADMIN_TOKEN, IDENTITY)
"""What signs markers, without which covend does not find what it has published; what operators and
their programs call it with; and who it is on GitHub.
"""
LOGS = "logs"
PRIVATE, PRIVATE_FOLDER = 0o600, 0o700
_READ = 1 << 20
_STEPS = 20_000
"""Of SQLite's machine between two looks at how far the copy is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file of a backup."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup says of itself."""

    made_at: Moment
    version: str
    schema: int
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup that was made, and what is in it."""

    path: Path
    manifest: Manifest
    verified: Verified


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is backed up, by whom and when."""

    state_dir: Path
    database: Path
    version: str
    now: Moment


def back_up(
    source: Source, target: Path, *, with_logs: bool = False, progress: Progress = silent
) -> Backup:
    """Make a backup under a new name, on disk when this returns; blocks.

    Raises ConflictError where the name is taken, StoreError where the database cannot be copied or
    its copy is not sound, and OSError.
    """
    if os.path.lexists(target):
        raise ConflictError(f"{target} is there already: name another, or remove it")
    if not source.database.exists():
        raise StoreError(f"{source.database} is not there: nothing has been stored yet")
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        backup = _fill(source, folder, target, with_logs=with_logs, progress=progress)
        sync_folder(folder)
        target.mkdir(mode=PRIVATE_FOLDER)  # fails where somebody was faster
        folder.rename(target)
        sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return backup


def load_manifest(backup: Path) -> Manifest:
    """Read what a backup says of itself; raises StoreError where it does not."""
    path = backup / MANIFEST
    try:
        told = orjson.loads(path.read_bytes())
        if told["format"] > FORMAT:
            raise StoreError(f"{path} is of a newer covend, {told['version']}: restore with that")
        return Manifest(
            made_at=int(told["made_at"]),
            version=str(told["version"]),
            schema=int(told["schema"]),
            parts=[Part(**part) for part in told["files"]],
        )
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(f"{backup} is no backup of covend's{_hint(backup)}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} cannot be read ({error!r}): take another backup") from error


def _hint(backup: Path) -> str:
    """Name the newest backup in a folder of them."""
    if not backup.exists():
        return ": there is no such directory"
    within = sorted(backup.glob(f"*/{MANIFEST}"), key=lambda path: path.stat().st_mtime)
    return f"; did you mean {within[-1].parent}?" if within else f": it has no {MANIFEST}"


def check_parts(backup: Path, manifest: Manifest, progress: Progress = silent) -> None:
    """Hold every file against its hash; raises StoreError that names the one that is not as it
    was.
    """
    for count, part in enumerate(manifest.parts):
        progress("files", count / len(manifest.parts))
        path = backup / part.name
        if not path.is_file():
            raise StoreError(f"{path} is missing: take another backup")
        if _hashed(path) != part.sha256:
            raise StoreError(f"{path} is not as it was when the backup was made: take another")


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_private(source: Path, target: Path) -> None:
    """Copy a file to a new one that nobody else may read, and have it on disk."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
    with os.fdopen(descriptor, "wb") as written, source.open("rb") as read:
        shutil.copyfileobj(read, written, _READ)
        written.flush()
        os.fsync(descriptor)


def _fill(
    source: Source, folder: Path, target: Path, *, with_logs: bool, progress: Progress
) -> Backup:
    database = folder / DATABASE
    _copy_database(source.database, database, progress)
    for name in KEPT_FILES:
        if (source.state_dir / name).exists():
            copy_private(source.state_dir / name, folder / name)
    if with_logs:
        _copy_logs(source.state_dir / LOGS, folder / LOGS, progress)
    verified = verify(database, progress=progress)
    raise_if_unsound(verified, source.database)
    manifest = Manifest(
        made_at=source.now,
        version=source.version,
        schema=verified.schema,
        parts=list(_parts(folder)),
    )
    _write_manifest(folder / MANIFEST, manifest, verified.counts)
    return Backup(path=target, manifest=manifest, verified=verified)


def _copy_database(database: Path, copy: Path, progress: Progress) -> None:
    try:
        with opened_as_it_stands(database) as reader:
            whole = max(_bytes_in_use(reader), 1)

            def look() -> None:
                done = copy.stat().st_size if copy.exists() else 0
                progress("copy", min(done / whole, 1.0))

            reader.set_progress_handler(look, _STEPS)
            # It writes to the copy; the database itself was opened so that nobody can.
            reader.execute("PRAGMA query_only = OFF")
            reader.execute("VACUUM INTO ?", (str(copy),))
    except sqlite3.Error as error:
        raise translated(error) from error
    copy.chmod(PRIVATE)
    descriptor = os.open(copy, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _bytes_in_use(reader: sqlite3.Connection) -> int:
    def ask(pragma: str) -> int:
        return int(reader.execute(f"PRAGMA {pragma}").fetchone()[0])

    return (ask("page_count") - ask("freelist_count")) * ask("page_size")


def _copy_logs(logs: Path, folder: Path, progress: Progress) -> None:
    """Copy what attempts have printed; one that goes meanwhile was too old to be kept."""
    folder.mkdir(mode=PRIVATE_FOLDER)
    paths = sorted(logs.glob("*.jsonl")) if logs.is_dir() else []
    for count, path in enumerate(paths):
        progress("logs", count / len(paths))
        try:
            copy_private(path, folder / path.name)
        except FileNotFoundError:
            (folder / path.name).unlink(missing_ok=True)
    sync_folder(folder)


def _parts(folder: Path) -> Iterator[Part]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = str(path.relative_to(folder))
            yield Part(name=name, bytes=path.stat().st_size, sha256=_hashed(path))


def _write_manifest(
    path: Path, manifest: Manifest, counts: Mapping[str, Mapping[str, int]]
) -> None:
    told = {
        "format": FORMAT,
        "made_at": manifest.made_at,
        "version": manifest.version,
        "schema": manifest.schema,
        "counts": counts,
        "files": [
            {"name": part.name, "bytes": part.bytes, "sha256": part.sha256}
            for part in manifest.parts
        ],
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps(told, option=orjson.OPT_INDENT_2) + b"\n")
        file.flush()
        os.fsync(descriptor)


def _hashed(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
