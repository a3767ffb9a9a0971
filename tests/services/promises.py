"""What has to hold at every moment, whatever has happened: read from the rows and from the forge.

It knows nothing of how covend does it, and remembers only what an earlier look has shown.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from covend.core.model import Moment
from covend.core.safeguards.shapes import FOREVER, Terms
from covend.core.states import TASK_MOVES, TaskState
from tests.services.forge import Forge
from tests.services.happenings import Told

Row = sqlite3.Row
Version = tuple[str, int]
"""A task and its generation."""

MADE = ("check", "comment", "review", "reaction")
"""Kinds of effects that each make one visible thing, or change it."""
ANNOTATED = "covend/gate"
"""The one check here that has findings on it: each version of a task has one of its own."""
HOLDS_KEY = ("received", "queued", "running", "completed")
OPEN = ("received", "queued", "running")
DAY_MS = 86_400_000
WITHOUT_CHECKOUT = "fix"
"""The one rule whose tasks ask nothing of the forge before their agent starts."""
LONGEST_WAIT_MS = 3_600_000 + 60_000
"""Nothing that time alone lets go waits longer here."""
MARKER = re.compile(r"<!-- covend:v1 slot=(\S+) task=(\S+) sig=")
_CAUSES: Mapping[str, tuple[str, ...]] = {
    "paused": ("pause", "drain"),
    "blocked": ("loop",),
    "budget": ("budget",),
    "circuit_open": ("circuit",),
    "suppressed": ("crash_loop",),
}
"""Why something may wait, and which safeguards then have to say so."""
_SHUT_BY = ("circuit_open", "suppressed")
"""Reasons that are over with their safeguard, whatever moment they have told."""


@dataclass(slots=True, kw_only=True)
class Now:
    """Everything that the store holds at a moment."""

    at: Moment
    tasks: dict[str, Row]
    attempts: list[Row]
    timeline: list[Row]
    effects: list[Row]
    guards: dict[str, Row]

    def running(self) -> list[Row]:
        return [task for task in self.tasks.values() if task["state"] == "running"]

    def open_tasks(self) -> list[Row]:
        return [task for task in self.tasks.values() if task["state"] in OPEN]


@dataclass(slots=True, kw_only=True)
class Watch:
    """Looks at the store from outside, and remembers what must not come back."""

    path: Path
    forge: Forge
    told: Sequence[Told]
    superseded: set[Version] = field(default_factory=set)
    cancelled: set[Version] = field(default_factory=set)
    tried: dict[Version, int] = field(default_factory=dict)
    """How many attempts a task had when it was known that it shall not go on."""
    seen: int = 0
    """How much of what the forge shows was looked at."""
    edits_seen: int = 0

    def __post_init__(self) -> None:
        self.store = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, isolation_level=None)
        self.store.row_factory = sqlite3.Row

    store: sqlite3.Connection = field(init=False)

    def close(self) -> None:
        self.store.close()

    def ask(self, statement: str, *values: object) -> list[Row]:
        return self.store.execute(statement, values).fetchall()

    def now(self, at: Moment) -> Now:
        return Now(
            at=at,
            tasks={row["id"]: row for row in self.ask("SELECT * FROM tasks")},
            attempts=self.ask("SELECT * FROM attempts ORDER BY task_id, number"),
            timeline=self.ask("SELECT * FROM timeline ORDER BY number"),
            effects=self.ask("SELECT * FROM effects ORDER BY id"),
            guards={row["id"]: row for row in self.ask("SELECT * FROM safeguards")},
        )

    def look(self, at: Moment, terms: Terms, tokens: Sequence[str]) -> None:
        """Hold every promise against what there is."""
        now = self.now(at)
        self._no_delivery_is_lost()
        _one_task_does_the_work(now)
        _tasks_move_as_they_may(now)
        _attempts_belong_to_claims(now, tokens)
        _limits_hold(now, terms)
        _only_newer_heads_supersede(now, self.forge)
        _nothing_waits_without_a_reason(now)
        self._what_shall_end_does_not_go_on(now)
        self._nothing_is_seen_twice(now)
        self._nothing_is_found_by_what_is_over()
        self._remember(now)

    # --- deliveries -------------------------------------------------------------------------------

    def _no_delivery_is_lost(self) -> None:
        kept = {row["id"]: row for row in self.ask("SELECT id, state, reason FROM deliveries")}
        links = Counter(row[0] for row in self.ask("SELECT delivery_id FROM delivery_tasks"))
        for told in self.told:
            if told.accepted is not None:
                row = kept[told.accepted.delivery]
                assert row["state"] == told.accepted.state, "another answer than was given"
        for delivery, row in kept.items():
            assert row["state"] in ("routed", "ignored")
            assert row["reason"]
            assert (row["state"] == "routed") == (links[delivery] > 0)
        bodies = self.ask("SELECT count(*) AS n FROM deliveries WHERE via = 'webhook'")
        assert bodies[0]["n"] <= len(self.told), "one body was kept twice"

    # --- what shall not go on ---------------------------------------------------------------------

    def _what_shall_end_does_not_go_on(self, now: Now) -> None:
        for version in self.superseded | self.cancelled:
            task = now.tasks[version[0]]
            if task["generation"] == version[1]:
                assert task["state"] != "completed", "what was to end was completed"
                assert task["attempts"] == self.tried[version], "what was to end was tried again"

    def _remember(self, now: Now) -> None:
        for task in now.tasks.values():
            version = (task["id"], task["generation"])
            if version not in self.superseded | self.cancelled:
                self.tried[version] = task["attempts"]
            is_open = task["state"] in OPEN
            if task["state"] == "superseded" or (is_open and task["superseded_by"] is not None):
                self.superseded.add(version)
            is_closed = task["state"] == "queued" and task["reason"] == "closed"
            is_asked = is_open and task["cancel_requested_at"] is not None
            if task["state"] == "cancelled" or is_closed or is_asked:
                self.cancelled.add(version)

    def fresh(self) -> list[tuple[str, str, str | None]]:
        """List the texts that have become visible since the last look, each with its kind and the
        live head that it was put beside.
        """
        written = self.forge.written[self.seen :]
        told = [(each.kind, each.body.get("body") or "", each.head) for each in written]
        edited = self.forge.edited[self.edits_seen :]
        return told + [("comment", each.text, each.head) for each in edited]

    def _nothing_is_found_by_what_is_over(self) -> None:
        """What superseded tasks have found is withheld, and of cancelled ones the review."""
        fresh = self.fresh()
        self.seen, self.edits_seen = len(self.forge.written), len(self.forge.edited)
        for kind, text, _ in fresh:
            found = MARKER.search(text)
            if found is None or found[1].startswith("reply/"):
                continue
            task, _, generation = found[2].rpartition(".")
            version = (task, int(generation))
            assert version not in self.superseded, f"a {kind} of what is superseded"
            assert kind != "review" or version not in self.cancelled, (
                "a review of what is cancelled"
            )

    # --- what the world sees ----------------------------------------------------------------------

    def _nothing_is_seen_twice(self, now: Now) -> None:
        seen = Counter[object]()
        for each in self.forge.written:
            if each.kind == "check":
                seen[each.body["name"], each.body["head_sha"], _version(each.body)] += 1
            elif each.kind in ("comment", "review"):
                found = MARKER.search(each.body["body"])
                assert found is not None, "what has no marker is not found again"
                seen[each.path, found[1]] += 1
            else:
                seen[each.path, each.body["content"]] += 1
        assert not [each for each, count in seen.items() if count > 1], "something is there twice"
        for effect in now.effects:
            if effect["state"] == "done" and effect["kind"] in MADE:
                assert int(effect["remote_id"]) in self.forge.shown

    def does_the_work(self, asked: Sequence[str], at: Moment) -> None:
        """What a delivery was told to have asked for is there, and is not about to end."""
        tasks = self.now(at).tasks
        for task in asked:
            version = (task, tasks[task]["generation"])
            assert tasks[task]["state"] in HOLDS_KEY, "work that was asked for is over"
            assert version not in self.superseded | self.cancelled, "it is to end"


def _version(check: Mapping[str, Any]) -> object:
    return check["external_id"] if check["name"] == ANNOTATED else None


# --- tasks and attempts ---------------------------------------------------------------------------


def _one_task_does_the_work(now: Now) -> None:
    tasks = now.tasks.values()
    held = Counter((t["key"], t["generation"]) for t in tasks if t["state"] in HOLDS_KEY)
    assert all(count == 1 for count in held.values()), "two tasks hold one key"
    keys = Counter(task["key"] for task in now.running())
    assert all(count == 1 for count in keys.values()), "two tasks of one key run"


def _tasks_move_as_they_may(now: Now) -> None:
    stories: dict[str, list[Row]] = {task: [] for task in now.tasks}
    for move in now.timeline:
        stories[move["task_id"]].append(move)
    for task, moves in stories.items():
        assert moves[0]["source"] is None
        for before, move in pairwise(moves):
            assert before["target"] == move["source"], "a move was not told"
            assert before["at"] <= move["at"], "time ran backwards"
            if move["source"] != move["target"]:
                assert (TaskState(move["source"]), TaskState(move["target"])) in TASK_MOVES
        assert moves[-1]["target"] == now.tasks[task]["state"]
        begun = [m for m in moves if m["target"] == "running" and m["source"] != "running"]
        assert len(begun) == now.tasks[task]["attempts"], "an attempt without its move"


def _attempts_belong_to_claims(now: Now, tokens: Sequence[str]) -> None:
    numbers: dict[str, list[int]] = {}
    for attempt in now.attempts:
        numbers.setdefault(attempt["task_id"], []).append(attempt["number"])
    claims = [attempt["claim"] for attempt in now.attempts]
    assert len(claims) == len(set(claims)), "one claim, two attempts"
    assert set(claims) <= set(tokens), "an attempt that nobody has claimed"
    for task in now.tasks.values():
        assert numbers.get(task["id"], []) == list(range(1, task["attempts"] + 1))
        is_open = [a for a in now.attempts if a["task_id"] == task["id"] and a["outcome"] is None]
        assert len(is_open) == (task["state"] == "running"), "an open attempt, and nothing runs"


def _limits_hold(now: Now, terms: Terms) -> None:
    running = now.running()
    assert len(running) <= terms.concurrency
    _at_most(Counter(task["agent"] for task in running), terms.agents)
    for name, most in (
        ("repository_key", terms.per_repository),
        ("installation_id", terms.per_installation),
    ):
        counts = Counter(task[name] for task in running)
        assert most is None or max(counts.values(), default=0) <= most, f"too many of one {name}"


def _at_most(counts: Counter[Any], limits: Mapping[str, int]) -> None:
    for name, most in limits.items():
        assert counts[name] <= most, f"too many of {name} run"


def _only_newer_heads_supersede(now: Now, forge: Forge) -> None:
    for task in now.tasks.values():
        if task["superseded_by"] is None:
            if task["state"] == "superseded":
                place = (task["repository"], task["subject_number"])
                assert forge.heads[place] != task["head_sha"], "its head is there as ever"
            continue
        newer = now.tasks[task["superseded_by"]]
        for name in ("repository_key", "subject_number", "rule"):
            assert newer[name] == task[name]
        assert newer["head_sha"] != task["head_sha"]
        assert task["is_by_head"]
        assert newer["is_by_head"]
        known = (task["subject_updated_at"], newer["subject_updated_at"])
        assert None in known or known[0] <= known[1], "an older head takes the place of a newer"


# --- waiting --------------------------------------------------------------------------------------


def _nothing_waits_without_a_reason(now: Now) -> None:
    busy = {task["key"] for task in now.running()}
    for task in now.open_tasks():
        reason, until = task["reason"], task["not_before_at"]
        assert reason
        if task["state"] == "running" or until <= now.at:
            continue
        if reason == "key_busy":
            assert task["key"] in busy, "it waits for a key that nobody holds"
        if until < FOREVER:
            assert until <= now.at + 24 * LONGEST_WAIT_MS
            is_shut = reason in _SHUT_BY
            assert not is_shut or _is_explained(task, now), f"it waits, {reason}, for nothing"
        elif task["state"] == "received":
            assert reason == "approval"
            assert task["needs"] == "approval"
        elif reason != "closed":
            assert _is_explained(task, now), f"it waits for ever, {reason}, and nothing says why"


def _is_explained(task: Row, now: Now) -> bool:
    kinds = _CAUSES.get(task["reason"], ())
    return any(guard["kind"] in kinds and is_about(guard, task) for guard in now.guards.values())


def is_about(guard: Row, task: Row) -> bool:
    """Say whether a safeguard's scope has the task in it."""
    repository = (task["repository"] or "").lower()
    subject = f"{repository}#{task['subject_number']}"
    if guard["state"] in ("counting", "closed"):
        return False
    if guard["scope"].startswith("host:"):
        return bool(task["rule"] != WITHOUT_CHECKOUT)
    return guard["scope"] in {
        "all",
        f"rule:{task['rule']}",
        f"agent:{task['agent']}",
        f"repository:{repository}",
        subject,
        f"rule:{task['rule']}@{subject}",
        f"agent:{task['agent']}@{subject}",
        f"agent:{task['agent']}@{repository}",
    }
