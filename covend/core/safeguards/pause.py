"""Holds what somebody has paused: everything, a rule, an agent, a repository; or drains.

Only whoever may resume lifts it; a pause that has a moment ends by itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from covend.core.model import Moment, Task
from covend.core.safeguards.names import (
    DRAIN,
    PAUSE_ALL,
    pause_agent,
    pause_repository,
    pause_rule,
    repository_of,
)
from covend.core.safeguards.shapes import EVERYTHING, FOREVER, Hold, Safeguard, Scope, Waiting


def ids(task: Task) -> tuple[str, ...]:
    """List every pause that could hold the task, the widest first."""
    named = (DRAIN, PAUSE_ALL, pause_rule(task.rule), pause_agent(task.agent))
    return (*named, pause_repository(task.repository)) if task.repository else named


def hold(task: Task, guards: Mapping[str, Safeguard], now: Moment) -> Hold | None:
    """Hold by the widest pause in force, or say None."""
    for safeguard in ids(task):
        guard = guards.get(safeguard)
        if guard is not None and is_paused(guard, now):
            return Hold(
                reason=Waiting.PAUSED,
                until=guard.until or FOREVER,
                scope=_scope(safeguard, task),
                by=safeguard,
            )
    return None


def _scope(safeguard: str, task: Task) -> Scope:
    if safeguard in (DRAIN, PAUSE_ALL):
        return EVERYTHING
    if safeguard == pause_rule(task.rule):
        return Scope(rule=task.rule)
    if safeguard == pause_agent(task.agent):
        return Scope(agent=task.agent)
    return Scope(repository_key=task.repository_key, repository=repository_of(task))


def is_paused(guard: Safeguard | None, now: Moment) -> bool:
    """Say whether a pause is in force."""
    return guard is not None and (guard.until is None or guard.until > now)
