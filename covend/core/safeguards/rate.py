"""Limits how many attempts start within a sliding window, counted from the attempts themselves.

It counts what has started and nothing else: a task that is held uses up nothing. A task that lacks
a value of the limit's scope (one about no subject, where it counts by subject) is not limited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from covend.core.bounds import Rate
from covend.core.model import Moment, Task
from covend.core.safeguards.names import repository_of, subject_of
from covend.core.safeguards.rows import row
from covend.core.safeguards.shapes import Hold, Scope, Waiting

_NAMES: Mapping[str, Callable[[Task], str | None]] = {
    "rule": lambda task: task.rule,
    "subject": subject_of,
    "repository": repository_of,
    "installation": lambda task: (
        None if task.installation_id is None else str(task.installation_id)
    ),
    "actor": lambda task: task.actor,
    "agent": lambda task: task.agent,
}
"""How people write the value of each of `settings.SCOPES`; None where the task has none."""
Question = tuple[Scope, Moment, int]


def questions(task: Task, rates: Sequence[Rate], now: Moment) -> tuple[Question, ...]:
    """Ask of each limit that is about the task: when began the newest start but `max_count` - 1?"""
    return tuple(
        (_scope(rate, task), now - _window_ms(rate), rate.max_count)
        for rate in rates
        if _is_about(rate, task)
    )


def hold(
    task: Task,
    rates: Sequence[Rate],
    starts: Sequence[Moment | None],
    now: Moment,
) -> Hold | None:
    """Hold until all limits have room again; `starts` are the answers to `questions`."""
    limits = [rate for rate in rates if _is_about(rate, task)]
    holds = [
        _hold(rate, task, start, now)
        for rate, start in zip(limits, starts, strict=True)
        if start is not None
    ]
    return max(holds, key=lambda each: each.until, default=None)


def _hold(rate: Rate, task: Task, start: Moment, now: Moment) -> Hold:
    safeguard = _id(rate, task)
    # A start ahead of the clock is none that is yet to come.
    until = min(start, now) + _window_ms(rate)
    shown = row(
        safeguard,
        None,
        state="holding",
        reason=f"{rate.max_count} attempts have started within {rate.window_s:g} s",
        until=until,
        values={"max": rate.max_count, "window_s": rate.window_s},
        now=now,
    )
    return Hold(
        reason=Waiting.RATE_LIMITED,
        until=until,
        scope=_scope(rate, task),
        by=safeguard,
        writes=(shown,),
    )


def _is_about(rate: Rate, task: Task) -> bool:
    return all(_NAMES[each](task) is not None for each in rate.per)


def _id(rate: Rate, task: Task) -> str:
    return "rate/" + ",".join(f"{each}={_NAMES[each](task)}" for each in rate.per)


def _scope(rate: Rate, task: Task) -> Scope:
    by_subject = "subject" in rate.per
    by_repository = by_subject or "repository" in rate.per
    return Scope(
        rule=task.rule if "rule" in rate.per else None,
        agent=task.agent if "agent" in rate.per else None,
        actor=task.actor if "actor" in rate.per else None,
        repository_key=task.repository_key if by_repository else None,
        subject_number=task.subject.number if by_subject else None,
        installation_id=task.installation_id if "installation" in rate.per else None,
    )


def _window_ms(rate: Rate) -> int:
    return round(1000 * rate.window_s)
