"""Suppresses an agent in a repository where it keeps falling over, for a while.

It counts attempts that ended badly by themselves: a bad exit, a signal, a start that failed, a
limit of memory or processes. A verdict, a wish to be tried again, a failure of the outside and an
attempt that was lost with covend itself do not count; a success clears.
"""

from __future__ import annotations

from covend.core.bounds import CrashLoop
from covend.core.ending import Ending
from covend.core.errors import AgentArgumentsError, AgentError, AgentNotFoundError
from covend.core.model import Moment, Task
from covend.core.presets.stream import Failure
from covend.core.safeguards import names
from covend.core.safeguards.barred import Barred, barred_by
from covend.core.safeguards.rows import failures_in, row
from covend.core.safeguards.shapes import Lesson, Release, Safeguard, Scope, Waiting
from covend.core.states import Outcome
from covend.core.units import print_duration

CRASHES = frozenset(
    {
        "exit_code",
        "signal",
        "memory_limit",
        "pids_limit",
        Failure.INCOMPLETE.value,
        AgentError.code,
        AgentNotFoundError.code,
        AgentArgumentsError.code,
    },
)
"""Codes of a failed attempt that fell over."""
_SUPPRESSED = "suppressed"


def bar(guard: Safeguard | None, settings: CrashLoop, now: Moment) -> Barred | None:
    """Say whether the agent of this row is suppressed."""
    if guard is None or guard.state != _SUPPRESSED:
        return None
    window_ms = round(1000 * settings.suppress_s)
    return barred_by(Waiting.SUPPRESSED, guard, window_ms=window_ms, now=now)


def learn(
    task: Task, ending: Ending, guard: Safeguard | None, settings: CrashLoop, now: Moment
) -> Lesson:
    """Count a crash of the task's agent, or clear after a success."""
    safeguard = names.crash_loop(task.agent, task)
    if safeguard is None:
        return Lesson()
    scope = Scope(agent=task.agent, repository_key=task.repository_key)
    if ending.outcome is Outcome.SUCCEEDED:
        return _cleared(guard, scope)
    if not has_crashed(ending) or bar(guard, settings, now) is not None:
        return Lesson()
    failures = (*_counted(guard, settings, now), now)[-settings.failures :]
    is_over = len(failures) >= settings.failures
    code = ending.error_code or ending.outcome
    told = f"{_count(len(failures))} within {print_duration(settings.window_s)}"
    written = row(
        safeguard,
        guard,
        state=_SUPPRESSED if is_over else "counting",
        reason=f"{told}, the last: {code}",
        until=now + round(1000 * settings.suppress_s) if is_over else None,
        values={"failures": list(failures)},
        now=now,
    )
    return Lesson(writes=(written,), trips=(safeguard,) if is_over else ())


def has_crashed(ending: Ending) -> bool:
    """Say whether the attempt ended badly by itself."""
    return (
        ending.outcome is Outcome.FAILED and not ending.retryable and ending.error_code in CRASHES
    )


def _counted(guard: Safeguard | None, settings: CrashLoop, now: Moment) -> tuple[Moment, ...]:
    """Give the crashes that count; those that have led to a suppression have been paid for."""
    if guard is not None and guard.state == _SUPPRESSED:
        return ()
    return failures_in(guard, round(1000 * settings.window_s), now)


def _cleared(guard: Safeguard | None, scope: Scope) -> Lesson:
    if guard is None:
        return Lesson()
    releases: tuple[Release, ...] = ()
    if guard.state == _SUPPRESSED:
        releases = (Release(reason=Waiting.SUPPRESSED, scope=scope),)
    return Lesson(removes=(guard.id,), releases=releases)


def _count(crashes: int) -> str:
    return "1 crash" if crashes == 1 else f"{crashes} crashes"
