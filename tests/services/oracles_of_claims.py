"""What a claim has to respect: whatever is held, how much may start and be spent, and what comes
first; and what a look that has claimed nothing says of all that waits.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from math import inf
from typing import Any

from covend.core.bounds import Rate
from covend.core.model import Moment
from covend.core.safeguards.shapes import Terms
from tests.services.ground import PER_SUBJECT
from tests.services.oracles_of_work import turns_of
from tests.services.promises import DAY_MS, Now, Row, is_about


def may_run(before: Now, after: Now, task: str, terms: Terms, budgets: Sequence[Budget]) -> None:
    """Hold a claim against everything that could have kept it back."""
    claimed = after.tasks[task]
    for guard in before.guards.values():
        is_shut = _is_shut(guard, before.at, {each["id"] for each in before.running()})
        assert not (is_shut and is_about(guard, claimed)), f"{guard['id']} let something pass"
    for rate in terms.safeguards.rate:
        assert _started(rate, claimed, after) <= rate.max_count, "more started than may"
    for budget in budgets:
        assert _spent(budget.per, claimed, before) < budget.usd, f"{budget} was spent before"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent on all that has the same values; `day`: on one day."""

    per: tuple[str, ...]
    usd: float


def budgets_of(task: Row, terms: Terms) -> list[Budget]:
    """List what bounds a claim, unless somebody has let budgets begin anew."""
    bounds = (
        Budget(per=("day",), usd=terms.usd_per_day or inf),
        Budget(per=("repository", "day"), usd=terms.usd_per_repository_per_day or inf),
        Budget(per=("rule", "subject"), usd=PER_SUBJECT[task["rule"]]),
        Budget(per=("agent", "subject"), usd=PER_SUBJECT[task["agent"]]),
    )
    return [each for each in bounds if each.usd != inf]


def _spent(per: tuple[str, ...], claimed: Row, now: Now) -> float:
    kind = _values(per, claimed, claimed["agent"], now.at)
    return sum(
        each["cost_usd"] or 0
        for each in now.attempts
        if _values(per, now.tasks[each["task_id"]], each["agent"], each["ended_at"] or 0) == kind
    )


def _is_shut(guard: Row, at: Moment, running: AbstractSet[str]) -> bool:
    match guard["state"]:
        case "paused" | "draining" | "blocked":
            return True
        case "suppressed" | "open":
            return bool(guard["until_at"] > at)
        case "half_open":
            return json.loads(guard["details"]).get("probe") in running
        case _:
            return False


def _started(rate: Rate, claimed: Row, now: Now) -> int:
    """Count the starts of the claimed one's kind within the window."""
    kind = _values(rate.per, claimed, claimed["agent"], now.at)
    if None in kind:
        return 0
    return sum(
        now.at - round(1000 * rate.window_s) < each["started_at"]
        and _values(rate.per, now.tasks[each["task_id"]], each["agent"], now.at) == kind
        for each in now.attempts
    )


def _values(per: tuple[str, ...], task: Row, agent: str, at: Moment) -> tuple[Any, ...]:
    values: Mapping[str, tuple[Any, ...]] = {
        "rule": (task["rule"],),
        "subject": (task["repository_key"], task["subject_number"]),
        "repository": (task["repository_key"],),
        "installation": (task["installation_id"],),
        "actor": (task["actor"],),
        "agent": (agent,),
        "day": (at // DAY_MS,),
    }
    return tuple(value for each in per for value in values[each])


def nothing_was_left(now: Now, terms: Terms) -> None:
    """After a look for work that found none: what is due has no place to run in."""
    running = now.running()
    if len(running) >= terms.concurrency:
        return
    agents = Counter(task["agent"] for task in running)
    repositories = Counter(task["repository_key"] for task in running)
    installations = Counter(task["installation_id"] for task in running)
    for task in now.tasks.values():
        if task["state"] != "queued" or task["not_before_at"] > now.at or task["superseded_by"]:
            continue
        is_full = (
            agents[task["agent"]] >= terms.agents.get(task["agent"], terms.concurrency),
            repositories[task["repository_key"]] >= (terms.per_repository or terms.concurrency),
            installations[task["installation_id"]] >= (terms.per_installation or terms.concurrency),
        )
        assert any(is_full), "something is due, has a place, and was not taken"


def nothing_unwanted_runs(now: Now, tasks: AbstractSet[str]) -> None:
    """After a heartbeat: what somebody wants to end has been stopped."""
    for task in now.running():
        is_wanted = task["cancel_requested_at"] is None and task["superseded_by"] is None
        assert is_wanted or task["id"] not in tasks, "it is not wanted, and goes on"


# --- what comes first -----------------------------------------------------------------------------


def comes_first(before: Now, after: Now, claimed: str, terms: Terms) -> None:
    """Of all that could have been claimed as well, what was claimed is the first: by priority,
    then by whose repository has waited longest.
    """
    turns = {
        turn.task["repository_key"]: turn.number for turn in turns_of(before) if not turn.is_end
    }
    mine = before.tasks[claimed]
    for task in after.tasks.values():
        former = before.tasks.get(task["id"])
        if former is None:
            continue
        could = task["state"] == "queued" and former["agent"] == task["agent"]
        if (
            could
            and _is_due(former, after)
            and _is_due(task, after)
            and _has_room(task, before, terms)
        ):
            assert _rank(mine, turns) < _rank(former, turns), "something else came first"


def _is_due(task: Row, now: Now) -> bool:
    return bool(task["not_before_at"] <= now.at and not task["superseded_by"])


def _has_room(task: Row, now: Now, terms: Terms) -> bool:
    running = now.running()
    alike = {
        name: sum(each[name] == task[name] for each in running)
        for name in ("agent", "repository_key", "installation_id")
    }
    return bool(
        alike["agent"] < terms.agents.get(task["agent"], terms.concurrency)
        and alike["repository_key"] < (terms.per_repository or terms.concurrency)
        and alike["installation_id"] < (terms.per_installation or terms.concurrency)
    )


def _rank(task: Row, turns: dict[str, int]) -> tuple[int, int, Moment, Moment, str]:
    turn = turns.get(task["repository_key"], 0)
    return -task["priority"], turn, task["not_before_at"], task["created_at"], task["id"]
