"""Keeps work away from a service or host that fails, and tries it with one task after a while.

Closed, it counts failures within a window; open, nothing passes until its moment; then the first
candidate is the probe (half open), and everything else waits for how that one ends. Its success
closes the circuit, its failure opens it again; a probe that is over without a word about the
service lets the next one probe. What was under way before it opened says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from covend.core.bounds import Circuit
from covend.core.model import Moment, TaskId
from covend.core.safeguards.barred import Barred, barred_by
from covend.core.safeguards.rows import failures_in, row
from covend.core.safeguards.shapes import RECHECK_MS, Lesson, Release, Safeguard, Scope, Waiting

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half_open"


class Word(StrEnum):
    """What the end of an attempt says of a service or host."""

    ANSWERED = "answered"
    FAILED = "failed"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What an attempt's end says of a service or host, and whose attempt it was."""

    word: Word
    code: str
    """Of the error, for people."""
    task: TaskId
    scope: Scope
    """What waits while the circuit is open."""


def bar(
    guard: Safeguard | None,
    *,
    running: frozenset[TaskId],
    settings: Circuit,
    now: Moment,
) -> Barred | None:
    """Say whether this circuit lets the task pass, as its probe or because it is closed."""
    if guard is None:
        return None
    if guard.state == OPEN:
        window_ms = round(1000 * settings.open_s)
        return barred_by(Waiting.CIRCUIT_OPEN, guard, window_ms=window_ms, now=now)
    if guard.state == HALF_OPEN and guard.values.get("probe") in running:
        return Barred(reason=Waiting.CIRCUIT_OPEN, by=guard.id, until=now + RECHECK_MS)
    return None


def is_shut(guard: Safeguard | None) -> bool:
    """Say whether it is not known to work: open, or not yet proved by a probe."""
    return guard is not None and guard.state in (OPEN, HALF_OPEN)


def probing(guard: Safeguard | None, *, task: TaskId, now: Moment) -> tuple[Safeguard, ...]:
    """Give what has to be written where a task passes that `bar` has let pass."""
    if guard is None or not is_shut(guard):
        return ()
    values = {**guard.values, "probe": task}
    changed = replace(guard, state=HALF_OPEN, until=None, values=values, updated_at=now)
    return (changed,)


def learn(
    safeguard: str, guard: Safeguard | None, news: News, settings: Circuit, now: Moment
) -> Lesson:
    """Say what the end of an attempt changes."""
    state = guard.state if guard else CLOSED
    if guard is not None and state == HALF_OPEN and guard.values.get("probe") == news.task:
        return _end_probe(guard, news, settings, now)
    if state in (OPEN, HALF_OPEN):
        return Lesson()
    if news.word is not Word.FAILED:
        return _forget(guard, settings, now)
    failures = _failures(guard, settings, now)
    why = f"{len(failures)} failures within {settings.window_s:g} s, the last: {news.code}"
    if len(failures) >= settings.failures:
        return _open(safeguard, guard, why, settings, now)
    values = {"failures": failures}
    closed = row(safeguard, guard, state=CLOSED, reason=why, until=None, values=values, now=now)
    return Lesson(writes=(closed,))


def _end_probe(guard: Safeguard, news: News, settings: Circuit, now: Moment) -> Lesson:
    if news.word is Word.FAILED:
        why = f"the probe has failed: {news.code}"
        return _open(guard.id, guard, why, settings, now)
    released = Release(reason=Waiting.CIRCUIT_OPEN, scope=news.scope)
    removes = (guard.id,) if news.word is Word.ANSWERED else ()
    return Lesson(removes=removes, releases=(released,))


def _open(
    safeguard: str, guard: Safeguard | None, why: str, settings: Circuit, now: Moment
) -> Lesson:
    opened = row(
        safeguard,
        guard,
        state=OPEN,
        reason=why,
        until=now + round(1000 * settings.open_s),
        values={"failures": _failures(guard, settings, now)},
        now=now,
    )
    return Lesson(writes=(opened,), trips=(safeguard,))


def _failures(guard: Safeguard | None, settings: Circuit, now: Moment) -> list[Moment]:
    """Give the failures that count, this one included, and no more than are needed."""
    known = failures_in(guard, round(1000 * settings.window_s), now)
    return [*known, now][-settings.failures :]


def _forget(guard: Safeguard | None, settings: Circuit, now: Moment) -> Lesson:
    """Remove a row whose failures are all too old to count."""
    if guard is None or failures_in(guard, round(1000 * settings.window_s), now):
        return Lesson()
    return Lesson(removes=(guard.id,))
