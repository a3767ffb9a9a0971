"""Verifies a database: that the file is whole, and that what stands in it is what covend keeps.

Reads one snapshot, also of a database in use; refuses to write, to mend, and to go on with a schema
that it does not know.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from time import monotonic

import orjson
import zstandard

from covend.core.errors import StoreError
from covend.core.model import Moment
from covend.core.states import DeliveryState, EffectState, Outcome, TaskState
from covend.store.queries import Query, load_queries
from covend.store.sqlite.migrate import stale_triggers, steps_count
from covend.store.sqlite.reading import is_damage, opened_as_it_stands
from covend.store.sqlite.transaction import translated

SHOWN_MAX = 10
"""Rows of one fault that are named."""
BODY_MAX = 64 << 20
RESTORE = "stop covend, keep a copy of the database, and restore a backup: covend restore BACKUP"
START = "start covend once: each start writes them anew"
_TOLD = 100
"""So many bodies between two words of how far it is."""

Progress = Callable[[str, float], None]
"""Told what is done now, and which part of it is over, 0 to 1."""
_INVARIANTS: Mapping[str, str] = {
    "fault_running_attempt": "a running task is not in exactly one open attempt of its claim",
    "fault_open_attempt": "an attempt is open, and its task does not run",
    "fault_attempt_count": "a task does not have as many attempts as it says",
    "fault_held_key": "two tasks hold one key",
    "fault_running_key": "two tasks of one key run",
    "fault_counts": "a gauge does not say how many there are",
    "fault_states": "a state that there is not",
    "fault_effects": "an effect's state and its moments do not fit",
    "fault_timeline": "a task is not where its story ends",
    "fault_lines": "a story has a gap",
    "fault_stories": "a story has no task",
    "fault_open_delivery": "a task in received has lost its delivery",
}
_STATES: Mapping[str, str] = {
    name: orjson.dumps([str(state) for state in kind]).decode()
    for name, kind in {
        "delivery_states": DeliveryState,
        "task_states": TaskState,
        "effect_states": EffectState,
        "outcomes": Outcome,
    }.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that is not as it must be, where, and what mends it."""

    name: str
    what: str
    where: Sequence[str]
    mend: str = RESTORE


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    """Where the logs of attempts lie, and since when they are kept."""

    folder: Path
    since: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found; with an older schema, which the next start brings up to date, only the file
    was looked at, and not what stands in it.
    """

    schema: int
    faults: Sequence[Fault]
    counts: Mapping[str, Mapping[str, int]]
    is_older: bool = False

    @property
    def is_sound(self) -> bool:
        """Say whether nothing is amiss."""
        return not self.faults


def silent(_what: str, _part: float) -> None:
    """Tell nobody how far it is."""


def verify(path: Path, *, logs: Logs | None = None, progress: Progress = silent) -> Verified:
    """Read a database through; blocks. Raises StoreError where it cannot be read at all."""
    try:
        with opened_as_it_stands(path) as database:
            return _Reading(database, progress).verify(logs)
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return Verified(schema=0, faults=[_damaged([str(error)])], counts={})
        raise translated(error) from error


class _Reading:
    """One look at an open database."""

    def __init__(self, database: sqlite3.Connection, progress: Progress) -> None:
        database.row_factory = sqlite3.Row
        self._database = database
        self._progress = progress
        self._began = monotonic()
        self._queries: Mapping[str, Query] = load_queries(files("covend.store.sqlite") / "queries")

    def verify(self, logs: Logs | None) -> Verified:
        self._database.execute("BEGIN")
        schema = int(self._database.execute("PRAGMA user_version").fetchone()[0])
        known = steps_count()
        if faults := [*self._of_file(), *_of_schema(schema, known)]:
            return Verified(schema=schema, faults=faults, counts={})
        counts = self._counts()
        if schema < known:
            return Verified(schema=schema, faults=[], counts=counts, is_older=True)
        faults = [*self._of_triggers(), *self._of_invariants(), *self._of_bodies()]
        faults += self._of_logs(logs)
        return Verified(schema=schema, faults=faults, counts=counts)

    def _of_file(self) -> Iterator[Fault]:
        self._progress("pages", 0)
        rows = self._database.execute(f"PRAGMA integrity_check({SHOWN_MAX})").fetchall()
        if told := [str(row[0]) for row in rows if row[0] != "ok"]:
            yield _damaged(told)
            return
        self._progress("references", 0)
        rows = self._database.execute("PRAGMA foreign_key_check").fetchmany(SHOWN_MAX)
        if rows:
            where = [f"{row[0]} {row[1]} names no row of {row[2]}" for row in rows]
            yield Fault(name="references", what="a row names another that is missing", where=where)

    def _of_triggers(self) -> Iterator[Fault]:
        if stale := stale_triggers(self._database):
            what = "what refuses impossible moves is missing, or another covend's"
            yield Fault(name="triggers", what=what, where=stale, mend=START)

    def _of_invariants(self) -> Iterator[Fault]:
        for count, (name, what) in enumerate(_INVARIANTS.items()):
            self._progress("invariants", count / len(_INVARIANTS))
            rows = self._ask(name, limit=SHOWN_MAX, **_STATES).fetchall()
            if rows:
                where = [str(row["what"]) for row in rows]
                yield Fault(name=name.removeprefix("fault_"), what=what, where=where)

    def _of_bodies(self) -> Iterator[Fault]:
        """Unpack every body, and hold it against its hash."""
        whole = max(self._ask("count_bodies").fetchone()["count"], 1)
        unpack = zstandard.ZstdDecompressor()
        wrong: list[str] = []
        for count, row in enumerate(self._ask("list_bodies")):
            if count % _TOLD == 0:
                self._progress("bodies", count / whole)
            if not _is_as_it_came(unpack, row):
                wrong.append(f"delivery {row['id']}")
        if wrong:
            what = "a body cannot be unpacked, or is not what came in"
            yield Fault(name="bodies", what=what, where=wrong[:SHOWN_MAX])

    def _of_logs(self, logs: Logs | None) -> Iterator[Fault]:
        if logs is None:
            return
        missing = self._missing_logs(logs)
        if missing:
            # Those that were deleted since this look began, by their age or with their tasks, are
            # not wanted any more.
            self._database.execute("ROLLBACK")
            self._database.execute("BEGIN")
            passed_ms = round(1000 * (monotonic() - self._began))
            missing = self._missing_logs(Logs(folder=logs.folder, since=logs.since + passed_ms))
        if missing:
            what = f"a log of an attempt is not in {logs.folder}"
            mend = "put it back from where it went; covend goes on without it, and shows no output"
            yield Fault(name="logs", what=what, where=missing[:SHOWN_MAX], mend=mend)

    def _missing_logs(self, logs: Logs) -> list[str]:
        names = (
            f"{row['task_id']}-{row['number']}.jsonl"
            for row in self._ask("list_logs", since=logs.since)
        )
        return [name for name in names if not (logs.folder / name).exists()]

    def _counts(self) -> Mapping[str, Mapping[str, int]]:
        counted = {"tasks": "count_tasks_by_state", "effects": "count_effects_by_state"}
        return {
            "deliveries": {"all": self._ask("count_bodies").fetchone()["count"]},
            **{
                noun: {row["state"]: row["count"] for row in self._ask(query)}
                for noun, query in counted.items()
            },
        }

    def _ask(self, name: str, **parameters: object) -> sqlite3.Cursor:
        return self._database.execute(self._queries[name].text, parameters)


def _of_schema(schema: int, known: int) -> Iterator[Fault]:
    if schema == 0:
        what = "this is no database of covend's"
        yield Fault(name="schema", what=what, where=[], mend="name a file that covend made")
    if schema > known:
        what = f"the database has schema {schema}, this covend knows {known}"
        yield Fault(name="schema", what=what, where=[], mend="run a newer covend")


def _damaged(told: Sequence[str]) -> Fault:
    return Fault(name="pages", what="the file is damaged", where=told)


def _is_as_it_came(unpack: zstandard.ZstdDecompressor, row: sqlite3.Row) -> bool:
    try:
        body = unpack.decompress(row["body"], max_output_size=BODY_MAX)
    except zstandard.ZstdError:
        return False
    return bool(hashlib.sha256(body).digest() == row["body_sha256"])


def raise_if_unsound(verified: Verified, path: Path) -> None:
    """Raise StoreError that names the first fault and its mend."""
    for fault in verified.faults:
        where = f" ({', '.join(fault.where)})" if fault.where else ""
        raise StoreError(f"{path}: {fault.what}{where}: {fault.mend}")
