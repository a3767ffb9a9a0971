"""Ends what a newer head or the closing of its subject has made pointless, in the transaction that
keeps the news.

What has never run ends at once. What runs, waits to be tried again, or is done and not yet
published is marked, for good: whoever is at it, or `store.overdue`, ends it, and no late write
passes the mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import orjson

from covend.core.model import Moment, TaskId
from covend.core.safeguards.shapes import FOREVER
from covend.core.states import TaskState
from covend.store.connection import Ask, Row, Script
from covend.store.packing import SubjectKey
from covend.store.records import EndedTask

DELAY_MS = 60_000
"""So long after it happened something may be told that does not say when: it then belongs before a
closing that came in between.
"""


class Newer(NamedTuple):
    """A task on a newer head: all others of its rule and subject make room for it."""

    task: TaskId
    subject: SubjectKey
    rule: str
    head_sha: str | None
    now: Moment


class Closing(NamedTuple):
    """A subject that was closed, and the tasks that its closing itself asks for."""

    subject: SubjectKey
    closed_at: Moment
    spared: tuple[TaskId, ...]
    now: Moment


Cause: TypeAlias = TaskId | SubjectKey
"""What has marked a task: the newer one, or the subject that was closed."""


@dataclass(slots=True)
class Marked:
    """What has ended and what is still to end, by its cause."""

    running: dict[Cause, list[TaskId]] = field(default_factory=dict)
    waiting: set[Cause] = field(default_factory=set)
    """Causes for which something ends that nobody is at."""
    ended: dict[Cause, list[EndedTask]] = field(default_factory=dict)
    """What has ended by it at once."""


def end_pointless(newer: Sequence[Newer], closings: Sequence[Closing]) -> Script[Marked]:
    """End or mark; not a word to the database where there is no news."""
    marked = Marked()
    if closings:
        yield from _close(closings, marked)
    if newer:
        yield from _overtake(newer, marked)
    return marked


def _overtake(newer: Sequence[Newer], marked: Marked) -> Script[None]:
    wishes = _json(
        {
            "task": each.task,
            "repository_key": each.subject[0],
            "number": each.subject[1],
            "rule": each.rule,
            "head_sha": each.head_sha,
            "now": each.now,
        }
        for each in newer
    )
    ended = yield Ask("supersede_tasks", {"newer": wishes})
    for row in ended.rows:
        marked.ended.setdefault(TaskId(row["superseded_by"]), []).append(_ended(row))
    answer = yield Ask("overtake_tasks", {"newer": wishes})
    done: list[TaskId] = []
    for row in answer.rows:
        task, cause = TaskId(row["id"]), TaskId(row["superseded_by"])
        if row["state"] == TaskState.RUNNING:
            marked.running.setdefault(cause, []).append(task)
            continue
        marked.waiting.add(cause)
        if row["state"] == TaskState.COMPLETED:
            done.append(task)
    if done:
        yield Ask("withhold_findings", {"tasks": _json(done), "now": newer[0].now})


def _close(closings: Sequence[Closing], marked: Marked) -> Script[None]:
    yield Ask("keep_closings", each=[(*each.subject, each.closed_at) for each in closings])
    wishes = _json(
        {
            "repository_key": each.subject[0],
            "number": each.subject[1],
            "closed_at": each.closed_at,
            "spared": each.spared,
            "now": each.now,
        }
        for each in closings
    )
    asked: dict[str, object] = {"closings": wishes, "delay": DELAY_MS}
    ended = yield Ask("close_tasks", asked)
    for row in ended.rows:
        cause = (row["repository_key"], row["subject_number"])
        marked.ended.setdefault(cause, []).append(_ended(row))
    running = yield Ask("wish_closed", asked)
    for row in running.rows:
        cause = (row["repository_key"], row["subject_number"])
        marked.running.setdefault(cause, []).append(TaskId(row["id"]))
    waiting = yield Ask("withdraw_closed", asked | {"forever": FOREVER})
    marked.waiting |= {(row["repository_key"], row["subject_number"]) for row in waiting.rows}


def _ended(row: Row) -> EndedTask:
    return EndedTask(TaskId(row["id"]), row["rule"], row["repository"], TaskState(row["state"]))


def _json(values: Iterable[object]) -> str:
    return orjson.dumps(list(values)).decode()
