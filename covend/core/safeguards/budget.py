"""Holds work whose budget is spent, and says how much an attempt may still spend.

Spent is what ended attempts have reported: what is running is not counted until it ends, so that a
budget is overshot by at most what the running attempts may spend. A day's budget is anew at
midnight UTC, a subject's only when an operator resets it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from covend.core.bounds import Budgets
from covend.core.model import Moment, Task
from covend.core.safeguards import spending
from covend.core.safeguards.rows import row
from covend.core.safeguards.shapes import (
    EVERYTHING,
    FOREVER,
    Hold,
    Scope,
    SpendingId,
    Spent,
    Terms,
    Waiting,
)
from covend.core.settings import Agent, Policy

UNBOUND_TOKENS = 2**63 - 1
UNBOUND = Spent(usd=inf, tokens=UNBOUND_TOKENS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """One bound on what may be spent, and for whom it holds."""

    of: SpendingId
    bound: Spent
    until: Moment
    scope: Scope
    """What waits when it is spent."""


def budgets(task: Task, policy: Policy, terms: Terms, now: Moment) -> tuple[Budget, ...]:
    """List what bounds the task: the day's budgets, and those of its rule and agent for good."""
    found = (
        _of_day(spending.everything(now), EVERYTHING, _of_all(terms), now),
        _of_day(
            spending.of_repository(task, now),
            Scope(repository_key=task.repository_key),
            _of_repository(terms),
            now,
        ),
        _for_good(spending.of_rule(task), policy.rule.budgets, Scope(key=task.key)),
        of_subject(task, policy.agent),
    )
    return tuple(each for each in found if each is not None)


def of_subject(task: Task, agent: Agent) -> Budget | None:
    """Give the bound on what an agent may spend on the task's subject; None without one."""
    scope = Scope(key=task.key, agent=agent.name)
    return _for_good(spending.of_agent(task, agent.name), agent.budgets, scope)


def hold(
    found: tuple[Budget, ...],
    spent: Mapping[SpendingId, Spent],
    now: Moment,
) -> Hold | None:
    """Hold by the budget that is spent for the longest, or say None."""
    over = [each for each in found if is_spent(each, spent)]
    holds = [_hold(each, spent.get(each.of, Spent()), now) for each in over]
    return max(holds, key=lambda each: each.until, default=None)


def is_spent(budget: Budget, spent: Mapping[SpendingId, Spent]) -> bool:
    """Say whether nothing is left of it."""
    so_far = spent.get(budget.of, Spent())
    return so_far.usd >= budget.bound.usd or so_far.tokens >= budget.bound.tokens


def left(
    found: tuple[Budget, ...], policy: Policy, spent: Mapping[SpendingId, Spent]
) -> Spent | None:
    """Say how much an attempt may spend: the least of its own bounds and of what is left of all
    others; None where nothing bounds it.
    """
    bounds = [_of_attempt(policy.rule.budgets), _of_attempt(policy.agent.budgets)]
    for each in found:
        so_far = spent.get(each.of, Spent())
        usd, tokens = each.bound.usd - so_far.usd, each.bound.tokens
        bounds.append(Spent(usd=usd, tokens=_less(tokens, so_far.tokens)))
    least = Spent(usd=min(each.usd for each in bounds), tokens=min(each.tokens for each in bounds))
    return None if least == UNBOUND else least


def _less(bound: int, spent: int) -> int:
    return bound if bound == UNBOUND_TOKENS else bound - spent


def _of_day(of: SpendingId | None, scope: Scope, bound: Spent, now: Moment) -> Budget | None:
    if of is None or bound is UNBOUND:
        return None
    return Budget(of=of, bound=bound, until=spending.next_day_at(now), scope=scope)


def _for_good(of: SpendingId | None, budgets: Budgets, scope: Scope) -> Budget | None:
    """Bound what is spent on a subject.

    `scope` is the one piece of work alone: other tasks of the rule may have been given more, by the
    trust of who asked, or by newer settings. It is no more than what a reset lets go.
    """
    bound = _bound(budgets.usd_per_subject, budgets.tokens_per_subject)
    if of is None or bound is UNBOUND:
        return None
    return Budget(of=of, bound=bound, until=FOREVER, scope=scope)


def _hold(budget: Budget, so_far: Spent, now: Moment) -> Hold:
    safeguard = spending.safeguard_of(budget.of)
    shown = row(
        safeguard,
        None,
        state="holding",
        reason=_why(budget, so_far),
        until=None if budget.until == FOREVER else budget.until,
        values=_values(budget.bound, so_far),
        now=now,
    )
    return Hold(
        reason=Waiting.BUDGET,
        until=budget.until,
        scope=budget.scope,
        by=safeguard,
        writes=(shown,),
    )


def _why(budget: Budget, so_far: Spent) -> str:
    bound = budget.bound
    if so_far.usd >= bound.usd:
        what = f"{so_far.usd:.2f} of {bound.usd:.2f} USD are spent"
    else:
        what = f"{so_far.tokens} of {bound.tokens} tokens are spent"
    return what if budget.until == FOREVER else f"{what} today"


def _values(bound: Spent, so_far: Spent) -> dict[str, float | int]:
    values: dict[str, float | int] = {"usd": so_far.usd, "tokens": so_far.tokens}
    if bound.usd != inf:
        values["usd_max"] = bound.usd
    if bound.tokens != UNBOUND_TOKENS:
        values["tokens_max"] = bound.tokens
    return values


def _of_all(terms: Terms) -> Spent:
    return _bound(terms.usd_per_day, terms.tokens_per_day)


def _of_repository(terms: Terms) -> Spent:
    return _bound(terms.usd_per_repository_per_day, terms.tokens_per_repository_per_day)


def _of_attempt(bounds: Budgets) -> Spent:
    return _bound(bounds.usd_per_attempt, bounds.tokens_per_attempt)


def _bound(usd: float | None, tokens: int | None) -> Spent:
    if usd is None and tokens is None:
        return UNBOUND
    return Spent(
        usd=inf if usd is None else usd, tokens=UNBOUND_TOKENS if tokens is None else tokens
    )
