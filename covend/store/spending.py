"""What attempts have cost, by budget: read, added to with the end of each attempt, and forgotten.

It decides nothing: to which budgets a cost counts, `core.safeguards.spending` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from covend.core.model import Usage
from covend.core.safeguards.shapes import SpendingId, Spent
from covend.store.connection import Ask, Script, one, rows


def read(budgets: Sequence[SpendingId]) -> Script[Mapping[SpendingId, Spent]]:
    """Give what was spent of those budgets of which something was."""
    answer = yield Ask("find_spending", each=[(each.scope, each.day) for each in budgets])
    return {
        SpendingId(scope=row["scope"], day=row["day"]): Spent(usd=row["usd"], tokens=row["tokens"])
        for row in answer.rows
    }


def add(budgets: Sequence[SpendingId], usage: Usage) -> Script[None]:
    """Count what an attempt has used up; of one that tells nothing, nothing is written."""
    usd = max(usage.cost_usd or 0.0, 0.0)
    tokens = max(usage.input_tokens or 0, 0) + max(usage.output_tokens or 0, 0)
    if usd or tokens:
        yield Ask("add_spending", each=[(each.scope, each.day, usd, tokens) for each in budgets])


def forget(budget: SpendingId) -> Script[None]:
    """Begin a budget anew."""
    yield from one("forget_spending", scope=budget.scope, day=budget.day)


def forget_past(day: int, limit: int) -> Script[int]:
    """Remove some of what was spent before a day; say how many rows."""
    return len((yield from rows("forget_past_days", day=day, limit=limit)))
