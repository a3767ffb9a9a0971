"""Commands that keep what covend knows: `backup`, `restore` and `verify`. They read and write the
state directory themselves; only `restore` needs covend to be stopped.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from covend import __version__
from covend.cli.exits import CONFIG, NOT_FOUND, NOT_PERMITTED, TRY_LATER, Failure
from covend.cli.options import config_option, json_option
from covend.cli.reading import read_unsecret_settings
from covend.cli.render import Cell, print_json, safe
from covend.cli.screens import open_screen, tolerate_any_text
from covend.core.amounts import duration, size
from covend.core.errors import ConflictError, StateDirectoryInUseError, StoreError
from covend.core.reconciling import LOG_KEPT_S
from covend.core.settings import Settings
from covend.services.clock import Clock
from covend.store.sqlite.backup import (
    DATABASE,
    LOGS,
    MANIFEST,
    Backup,
    Source,
    back_up,
    check_parts,
    load_manifest,
)
from covend.store.sqlite.restore import Place, Restored, database_of
from covend.store.sqlite.restore import restore as put_back
from covend.store.sqlite.verify import Fault, Logs, Progress, Verified, silent
from covend.store.sqlite.verify import verify as read_through

_TOLD_EVERY_S = 0.1
_FAR_BACK_MEND = (
    "older than the three days that GitHub's log reaches back: what was sent between the backup and"
    " three days ago does not come back"
)


@click.command()
@click.argument("target", required=False, type=click.Path(path_type=Path), metavar="[DIR]")
@click.option("--logs", "with_logs", is_flag=True, help="Take along what attempts have printed.")
@config_option
@json_option
def backup(*, target: Path | None, with_logs: bool, config: Path | None, as_json: bool) -> None:
    """Copy the store, also while covend runs, to a new directory: DIR, or within it where it is
    there already.
    """
    settings = read_unsecret_settings(config)
    now = Clock.wall()
    source = Source(
        state_dir=settings.state_dir, database=_database(settings), version=__version__, now=now
    )
    with _explained(), _progress(as_json=as_json) as progress:
        made = back_up(source, _name(target, now), with_logs=with_logs, progress=progress)
    if as_json:
        print_json(_backup_as_json(made))
    else:
        _print_backup(made)


@click.command()
@click.argument("backup", type=click.Path(path_type=Path), metavar="BACKUP")
@click.option("--replace", is_flag=True, help="Replace what is there; it is kept aside.")
@config_option
@json_option
def restore(*, backup: Path, replace: bool, config: Path | None, as_json: bool) -> None:
    """Put a backup back, with covend stopped. What was published since is looked for on GitHub
    before anything is published again.
    """
    settings = read_unsecret_settings(config)
    place = Place(state_dir=settings.state_dir, database=_database(settings), now=Clock.wall())
    _refuse_another_user(settings.state_dir)
    with _explained(), _progress(as_json=as_json) as progress:
        done = put_back(backup, place, replace=replace, progress=progress)
    if as_json:
        print_json(_restored_as_json(done, place))
    else:
        _print_restored(done, place)


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path), metavar="[FILE]")
@config_option
@json_option
@click.pass_context
def verify(
    context: click.Context, *, file: Path | None, config: Path | None, as_json: bool
) -> None:
    """Read the store through, also while covend runs, or a backup; exit 1 if anything is not as it
    must be.
    """
    with _explained(), _progress(as_json=as_json) as progress:
        if file is None:
            settings = read_unsecret_settings(config)
            path, logs = _database(settings), _logs_of(settings)
        else:
            path, logs = database_of(file), None
            if (file / MANIFEST).is_file():
                check_parts(file, load_manifest(file), progress)
        found = read_through(path, logs=logs, progress=progress)
    if as_json:
        tolerate_any_text()
        print_json({"ok": found.is_sound, "database": str(path), **_verified_as_json(found)})
    else:
        _print_verified(path, found)
    context.exit(0 if found.is_sound else NOT_FOUND)


# --- what they are about --------------------------------------------------------------------------


def _database(settings: Settings) -> Path:
    scheme, _, name = settings.store.url.partition(":")
    if scheme != "sqlite":
        raise Failure(CONFIG, f"store.url: {scheme}: this is for sqlite")
    return settings.state_dir / name


def _refuse_another_user(state_dir: Path) -> None:
    """Write nothing that covend could not open then."""
    if not state_dir.exists() or state_dir.stat().st_uid == os.geteuid():
        return
    try:
        owner = state_dir.owner()
    except KeyError:
        owner = str(state_dir.stat().st_uid)
    told = f"{state_dir} belongs to {owner}, and what is restored would not"
    raise Failure(NOT_PERMITTED, safe(f"{told}: runuser -u {owner} -- covend restore ..."))


def _logs_of(settings: Settings) -> Logs:
    kept_ms = round(1000 * settings.store.retention.logs_s)
    return Logs(folder=settings.state_dir / LOGS, since=Clock.wall() - kept_ms)


def _name(target: Path | None, now: int) -> Path:
    moment = datetime.fromtimestamp(now / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    name = f"covend-backup-{moment}"
    if target is None:
        return Path.cwd() / name
    return target.absolute() / name if target.is_dir() else target.absolute()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except StateDirectoryInUseError as error:
        raise Failure(TRY_LATER, f"{safe(str(error))} (systemctl stop covend)") from error
    except (ConflictError, StoreError) as error:
        raise Failure(NOT_FOUND, safe(str(error))) from error
    except PermissionError as error:
        told = f"{error.filename}: {error.strerror}: run this as covend's user"
        raise Failure(NOT_PERMITTED, safe(told)) from error
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        raise Failure(NOT_FOUND, safe(f"{what}{error.strerror or error}")) from error


@contextmanager
def _progress(*, as_json: bool) -> Iterator[Progress]:
    """Tell on a terminal how far it is, on one line that is gone at the end."""
    if as_json or not sys.stderr.isatty():
        yield silent
        return
    told_at = 0.0

    def tell(what: str, part: float) -> None:
        nonlocal told_at
        if time.monotonic() - told_at < _TOLD_EVERY_S:
            return
        told_at = time.monotonic()
        click.echo(f"\r\033[K{what} {part:4.0%}", nl=False, err=True)

    try:
        yield tell
    finally:
        click.echo("\r\033[K", nl=False, err=True)


# --- for people -----------------------------------------------------------------------------------


def _print_backup(made: Backup) -> None:
    screen = open_screen()
    screen.title([Cell("backup", "bold"), Cell(str(made.path))])
    (database,) = (part for part in made.manifest.parts if part.name == DATABASE)
    others = [part.name for part in made.manifest.parts if part.name != DATABASE]
    logs = [name for name in others if name.startswith(f"{LOGS}/")]
    screen.fields(
        [
            ("size", Cell(size(sum(part.bytes for part in made.manifest.parts)))),
            ("database", Cell(f"{size(database.bytes)}, sha256 {database.sha256}")),
            ("beside", Cell(", ".join(name for name in others if name not in logs) or "nothing")),
            *([("logs", Cell(str(len(logs))))] if logs else []),
            *_fields_of(made.verified),
        ]
    )


def _print_restored(done: Restored, place: Place) -> None:
    screen = open_screen()
    screen.title([Cell("restored", "bold"), Cell(str(place.database))])
    screen.fields(
        [
            *([("age", Cell(_age(done, place)))] if done.made_at else []),
            *_fields_of(done.verified),
            ("to recover", Cell(f"{done.tasks_to_recover} tasks that ran")),
            ("to look for", Cell(f"{done.effects_in_doubt} effects that may have been sent since")),
            *(("kept aside", Cell(str(path))) for path in done.aside),
        ]
    )
    for told in _advice(done, place):
        screen.section([Cell(told, "yellow")])


def _print_verified(path: Path, found: Verified) -> None:
    screen = open_screen()
    is_well = found.is_sound
    screen.title([Cell("sound" if is_well else "NOT SOUND", "green" if is_well else "bold red")])
    screen.fields([("database", Cell(str(path))), *_fields_of(found)])
    if found.is_older:
        screen.section([Cell("only the file was looked at: the next start brings it up to date")])
    for fault in found.faults:
        screen.section([Cell(fault.name, "bold red"), Cell(fault.what)])
        screen.fields([*(("", Cell(where)) for where in fault.where), ("mend", Cell(fault.mend))])


def _fields_of(verified: Verified) -> list[tuple[str, Cell]]:
    return [
        ("schema", Cell(str(verified.schema))),
        *((noun, Cell(_counted(counts))) for noun, counts in verified.counts.items()),
    ]


def _counted(counts: Any) -> str:
    if "all" in counts:
        return str(counts["all"])
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none"


def _age(done: Restored, place: Place) -> str:
    assert done.made_at is not None
    return duration(max(0, place.now - done.made_at) / 1000)


def _advice(done: Restored, place: Place) -> Iterator[str]:
    if not done.has_marker_key:
        yield (
            "There is no marker.key: what covend has published before is not found again, and may"
            " appear twice. Put that file back before the next start."
        )
    if done.made_at is not None and place.now - done.made_at > 1000 * LOG_KEPT_S:
        yield f"This backup is {_FAR_BACK_MEND}."


# --- for programs ---------------------------------------------------------------------------------


def _backup_as_json(made: Backup) -> dict[str, Any]:
    return {
        "path": str(made.path),
        "made_at": _moment(made.manifest.made_at),
        "version": made.manifest.version,
        "bytes": sum(part.bytes for part in made.manifest.parts),
        "files": [asdict(part) for part in made.manifest.parts],
        **_verified_as_json(made.verified),
    }


def _restored_as_json(done: Restored, place: Place) -> dict[str, Any]:
    return {
        "database": str(place.database),
        "made_at": _moment(done.made_at) if done.made_at else None,
        "aside": [str(path) for path in done.aside],
        "tasks_to_recover": done.tasks_to_recover,
        "effects_in_doubt": done.effects_in_doubt,
        "warnings": list(_advice(done, place)),
        **_verified_as_json(done.verified),
    }


def _verified_as_json(verified: Verified) -> dict[str, Any]:
    return {
        "schema": verified.schema,
        "is_older": verified.is_older,
        "counts": verified.counts,
        "faults": [_fault_as_json(fault) for fault in verified.faults],
    }


def _fault_as_json(fault: Fault) -> dict[str, Any]:
    return {
        "name": fault.name,
        "what": fault.what,
        "where": list(fault.where),
        "mend": fault.mend,
    }


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")
