"""Says to which budgets the cost of an attempt counts; what has been spent of them is the store's.

A day is a calendar day in UTC. A budget's safeguard is `budget/` and its scope.
"""

from __future__ import annotations

from covend.core.model import Moment, Task
from covend.core.safeguards.names import ALL, repository_of, subject_of
from covend.core.safeguards.shapes import SpendingId

DAY_MS = 86_400_000
FOR_GOOD = 0
"""The day of a budget that no day gives anew."""
_PREFIX = "budget/"


def ids_at(task: Task, now: Moment) -> tuple[SpendingId, ...]:
    """List the budgets that an attempt of the task which ends now has spent of."""
    found = (
        everything(now),
        of_repository(task, now),
        of_rule(task),
        of_agent(task, task.agent),
    )
    return tuple(each for each in found if each is not None)


def everything(now: Moment) -> SpendingId:
    """Give today's budget of the whole daemon."""
    return SpendingId(scope=ALL, day=day_of(now))


def of_repository(task: Task, now: Moment) -> SpendingId | None:
    """Give today's budget of the task's repository; None without one."""
    name = repository_of(task)
    return None if name is None else SpendingId(scope=f"repository:{name}", day=day_of(now))


def of_rule(task: Task) -> SpendingId | None:
    """Give the budget of the task's rule on its subject; None without one."""
    subject = subject_of(task)
    return None if subject is None else SpendingId(scope=f"rule:{task.rule}@{subject}")


def of_agent(task: Task, agent: str) -> SpendingId | None:
    """Give the budget of an agent on the task's subject; None without one."""
    subject = subject_of(task)
    return None if subject is None else SpendingId(scope=f"agent:{agent}@{subject}")


def day_of(now: Moment) -> int:
    """Give the days since 1970 in UTC, as `SpendingId.day` counts them."""
    return now // DAY_MS


def next_day_at(now: Moment) -> Moment:
    """Give the next midnight in UTC."""
    return (day_of(now) + 1) * DAY_MS


def safeguard_of(spending: SpendingId) -> str:
    """Name the safeguard that shows a budget."""
    return f"{_PREFIX}{spending.scope}"


def forgiven_by(safeguard: str, now: Moment) -> SpendingId | None:
    """Say which row of spending a reset of this safeguard removes; None where it is no budget."""
    if not safeguard.startswith(_PREFIX):
        return None
    scope = safeguard.removeprefix(_PREFIX)
    is_daily = scope == ALL or scope.startswith("repository:")
    return SpendingId(scope=scope, day=day_of(now) if is_daily else FOR_GOOD)
