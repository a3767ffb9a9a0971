"""Blocks a subject on which agents go round in circles, until an operator unblocks it.

It counts turns: tasks on the subject that ended, completed or failed, whatever number of attempts
they took. A completed one that concludes with success clears the count; only an operator lifts a
block. What the outside is to blame for, and what was cancelled, superseded, interrupted, lost or
put off, does not count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from covend.core.bounds import FailureKind, Loop
from covend.core.ending import Ending
from covend.core.failures import Source, kind_of, source_of
from covend.core.model import Conclusion, Moment, Task
from covend.core.presets.stream import MESSAGE_MAX
from covend.core.safeguards import names
from covend.core.safeguards.barred import Barred
from covend.core.safeguards.rows import row
from covend.core.safeguards.shapes import Lesson, Safeguard, Waiting
from covend.core.states import Outcome, TaskState

SIGNATURE_MAX = 200
"""Characters of a failure by which it is known again."""
RULES_MAX = 50
"""Rules of one subject whose failures are remembered."""
_NUMBER = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b\w*\d\w*|\b[a-f]{7,}\b", re.IGNORECASE
)
"""UUIDs, words with a digit, and what else may be an id in hexadecimal."""
_BLOCKED = "blocked"


class _Turn(StrEnum):
    SUCCESS = "success"
    VERDICT = "verdict"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """How often a rule's task has failed in the same way, one after the other."""

    signature: str
    count: int


def bar(task: Task, guards: Mapping[str, Safeguard]) -> Barred | None:
    """Say whether the task's subject is blocked."""
    safeguard = names.loop(task)
    guard = guards.get(safeguard) if safeguard else None
    if guard is None or guard.state != _BLOCKED:
        return None
    return Barred(reason=Waiting.BLOCKED, by=guard.id)


def learn(
    task: Task,
    ending: Ending,
    target: TaskState,
    guard: Safeguard | None,
    settings: Loop,
    now: Moment,
) -> Lesson:
    """Count the turn, if it is one."""
    safeguard, turn = names.loop(task), _turn(ending, target)
    is_blocked = guard is not None and guard.state == _BLOCKED
    if safeguard is None or turn is None or is_blocked:
        return Lesson()
    if turn is _Turn.SUCCESS:
        return Lesson(removes=(safeguard,)) if guard else Lesson()
    turns, runs = _turns(guard) + 1, _counted(guard, task.rule, ending, turn)
    why = _why_blocked(turns, runs.get(task.rule), ending, settings)
    written = row(
        safeguard,
        guard,
        state=_BLOCKED if why else "counting",
        reason=why or _told_of(turns),
        until=None,
        values={"turns": turns, "failures": _told(runs)},
        now=now,
    )
    return Lesson(writes=(written,), trips=(safeguard,) if why else ())


def signature_of(ending: Ending) -> str:
    """Give what two failures of the same kind share: the code, and the message without its numbers
    and ids.
    """
    return _NUMBER.sub("#", _words_of(ending))[:SIGNATURE_MAX]


def _words_of(ending: Ending) -> str:
    message = (ending.error_message or "")[:MESSAGE_MAX]
    return f"{ending.error_code or ending.outcome}: {message}"


def _turn(ending: Ending, target: TaskState) -> _Turn | None:
    if target is TaskState.COMPLETED:
        is_success = ending.result.conclusion is Conclusion.SUCCESS
        return _Turn.SUCCESS if is_success else _Turn.VERDICT
    if target is not TaskState.FAILED or ending.outcome is Outcome.SUCCEEDED:
        return None
    if kind_of(ending) in (FailureKind.OUTSIDE, FailureKind.INFRASTRUCTURE):
        return None
    is_outside = source_of(ending) in (Source.SERVICE, Source.HOST, Source.FORGE)
    return None if is_outside else _Turn.FAILURE


def _counted(guard: Safeguard | None, rule: str, ending: Ending, turn: _Turn) -> dict[str, _Run]:
    """Give the failures of each rule in a row; of one push, several rules may fail alike."""
    runs = _runs(guard)
    former = runs.pop(rule, None)
    if turn is _Turn.FAILURE:
        signature = signature_of(ending)
        repeats = former.count if former and former.signature == signature else 0
        runs[rule] = _Run(signature=signature, count=repeats + 1)
    return runs


def _why_blocked(turns: int, run: _Run | None, ending: Ending, settings: Loop) -> str | None:
    if run is not None and run.count >= settings.identical_failures:
        return f"{run.count} identical failures: {_words_of(ending)[:SIGNATURE_MAX]}"
    if turns >= settings.no_progress:
        return _told_of(turns)
    return None


def _told_of(turns: int) -> str:
    return f"{turns} {'turn' if turns == 1 else 'turns'} without progress"


def _turns(guard: Safeguard | None) -> int:
    turns: Any = guard.values.get("turns") if guard else None
    return turns if isinstance(turns, int) else 0


def _runs(guard: Safeguard | None) -> dict[str, _Run]:
    kept: Any = guard.values.get("failures") if guard else None
    if not isinstance(kept, dict):
        return {}
    runs = {rule: _run(told) for rule, told in kept.items()}
    return {rule: run for rule, run in runs.items() if run is not None}


def _run(told: Any) -> _Run | None:
    match told:
        case {"signature": str(signature), "count": int(count)}:
            return _Run(signature=signature, count=count)
        case _:
            return None


def _told(runs: Mapping[str, _Run]) -> dict[str, dict[str, str | int]]:
    latest = list(runs.items())[-RULES_MAX:]
    return {rule: {"signature": run.signature, "count": run.count} for rule, run in latest}
