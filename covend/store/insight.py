"""What operators are shown of the last hour, of agents, rules and money: gathered by the database,
so that no look holds the event loop up, and bounded, so that none holds a snapshot for long.

It changes nothing, and nothing decides by it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from covend.core.ids import RANDOM_BYTES, new_id
from covend.core.insight import (
    BUCKET_MS,
    BUCKETS_COUNT,
    AgentFigures,
    Bucket,
    Hour,
    Money,
    OutboxLine,
    RuleFigures,
    Trouble,
)
from covend.core.model import Moment, TaskId
from covend.core.safeguards.names import ALL
from covend.core.safeguards.shapes import Safeguard, Spent
from covend.core.safeguards.spending import DAY_MS, day_of
from covend.core.states import EffectState, Outcome, TaskState
from covend.core.waiting import is_over
from covend.store.connection import Connection, Row, Script, one, rows
from covend.store.guards import safeguard_of

ROWS_MAX = 20_000
"""So many rows, the newest, are counted of each kind."""
REFUSALS_MAX = 500
"""So many of the newest deliveries tell which clauses refuse: of each the verdicts are read."""
REPOSITORIES_MAX = 20
"""So many of the repositories on which most was spent are given."""
ENDS = frozenset(
    {
        TaskState.COMPLETED,
        TaskState.FAILED,
        TaskState.CANCELLED,
        TaskState.SUPERSEDED,
        TaskState.IGNORED,
    }
)
_REPOSITORY = "repository:"


class StoredInsight:
    """`store.protocol.Insight` over any dialect."""

    def __init__(self, connection: Connection) -> None:
        """Keep the connection; the rest is in the rows."""
        self._connection = connection

    async def last_hour(self, now: Moment) -> Hour:
        """See `Insight.last_hour`."""
        return await self._connection.read(_last_hour(now))

    async def agents(self, now: Moment, window_s: float) -> Sequence[AgentFigures]:
        """See `Insight.agents`."""
        return await self._connection.read(_agents(now, _ago(now, window_s)))

    async def rules(self, now: Moment, window_s: float) -> Sequence[RuleFigures]:
        """See `Insight.rules`."""
        return await self._connection.read(_rules(_ago(now, window_s)))

    async def outbox(self, now: Moment, window_s: float) -> Sequence[OutboxLine]:
        """See `Insight.outbox`."""
        return await self._connection.read(_outbox(_ago(now, window_s)))

    async def money(self, now: Moment) -> Money:
        """See `Insight.money`."""
        return await self._connection.read(_money(now))


def _ago(now: Moment, window_s: float) -> Moment:
    return max(now - round(window_s * 1000), 0)


def _first_id(at: Moment) -> str:
    """Give the id that sorts before all that were made at a moment or later."""
    return new_id(at, bytes(RANDOM_BYTES))


# --- the last hour --------------------------------------------------------------------------------


def _last_hour(now: Moment) -> Script[Hour]:
    since = (now // BUCKET_MS - BUCKETS_COUNT + 1) * BUCKET_MS
    asked = {"since": since, "width": BUCKET_MS, "limit": ROWS_MAX}
    newest = yield from one("newest_arrival_and_move")
    assert newest is not None
    first = yield from _first_since("find_arrival_from", newest["delivery"], since)
    arrivals = yield from rows("count_arrivals", first=first, **asked)
    first = yield from _first_since("find_move_from", newest["move"], since)
    moves = yield from rows("count_moves", first=first, **asked)
    attempts = yield from rows("count_outcomes", started_after=since - DAY_MS, **asked)
    ended = _by_bucket(moves, "target")
    outcomes = _by_bucket(attempts, "outcome")
    deliveries = Counter({row["bucket"]: row["count"] for row in arrivals})
    return Hour(
        buckets=tuple(
            Bucket(
                since_at=since + place * BUCKET_MS,
                deliveries=deliveries[place],
                ended={state: ended[place, state] for state in TaskState if state in ENDS},
                outcomes={
                    outcome: outcomes[place, outcome]
                    for outcome in Outcome
                    if outcomes[place, outcome]
                },
            )
            for place in range(BUCKETS_COUNT)
        ),
        is_cut=any(_total(found) >= ROWS_MAX for found in (arrivals, moves, attempts)),
    )


def _first_since(query: str, newest: int | None, since: Moment) -> Script[int]:
    """Find the first number of a moment or later by halving, whatever gaps there are."""
    low, high = 0, (newest or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = yield from one(query, number=middle)
        if row is None or row["at"] >= since:
            high = middle
        else:
            low = row["number"] + 1
    return low


def _by_bucket(found: Iterable[Row], column: str) -> Counter[tuple[Any, Any]]:
    return Counter({(row["bucket"], row[column]): row["count"] for row in found})


def _total(found: Iterable[Row]) -> int:
    return sum(row["count"] for row in found)


# --- agents ---------------------------------------------------------------------------------------


def _agents(now: Moment, since: Moment) -> Script[Sequence[AgentFigures]]:
    asked = {"since": since, "limit": ROWS_MAX}
    sums = {row["agent"]: row for row in (yield from rows("sum_agents", **asked))}
    troubles = {row["agent"]: row for row in (yield from rows("list_troubles", **asked))}
    counted = yield from rows("count_running_by_agent")
    running = Counter({row["agent"]: row["count"] for row in counted})
    guards = _by_agent((yield from rows("list_agents_guards")), now)
    return [
        _agent(
            name,
            sums.get(name),
            troubles.get(name),
            running=running[name],
            guards=tuple(guards.get(name, ())),
        )
        for name in sorted({*sums, *running, *guards})
    ]


def _agent(
    name: str,
    row: Row | None,
    trouble: Row | None,
    *,
    running: int,
    guards: tuple[Safeguard, ...],
) -> AgentFigures:
    if row is None:
        return AgentFigures(agent=name, running=running, guards=guards)
    return AgentFigures(
        agent=name,
        attempts=row["attempts"],
        running=running,
        succeeded=row["succeeded"],
        failed=row["failed"],
        p50_s=_seconds(row["p50_ms"]),
        p95_s=_seconds(row["p95_ms"]),
        cost_usd=row["cost_usd"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        trouble=_trouble(trouble) if trouble else None,
        guards=guards,
    )


def _trouble(row: Row) -> Trouble:
    return Trouble(code=row["error_code"], at=row["at"], task=TaskId(row["task_id"]))


def _by_agent(found: Iterable[Row], now: Moment) -> Mapping[str, Sequence[Safeguard]]:
    guards: dict[str, list[Safeguard]] = defaultdict(list)
    for row in found:
        guard = safeguard_of(row)
        if not is_over(guard, now):
            name = guard.scope.partition(":")[2].partition("@")[0]
            guards[name].append(guard)
    return guards


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


# --- rules ----------------------------------------------------------------------------------------


def _rules(since: Moment) -> Script[Sequence[RuleFigures]]:
    asked = {"first": _first_id(since), "limit": ROWS_MAX}
    hits = yield from rows("count_tasks_by_rule", **asked)
    paces = {
        row["rule"]: row["took_ms"] for row in (yield from rows("list_paces_of_rules", **asked))
    }
    refusals: dict[str, dict[str, int]] = defaultdict(dict)
    for row in (yield from rows("count_refusals", limit=REFUSALS_MAX)):
        refusals[row["rule"]][row["clause"]] = row["count"]
    tasks: dict[str, dict[TaskState, int]] = defaultdict(dict)
    last: dict[str, Moment] = {}
    for row in hits:
        tasks[row["rule"]][TaskState(row["state"])] = row["count"]
        last[row["rule"]] = max(last.get(row["rule"], 0), row["last_at"])
    return [
        RuleFigures(
            rule=name,
            tasks=tasks.get(name, {}),
            last_hit_at=last.get(name),
            refusals=refusals.get(name, {}),
            first_effect_s=_seconds(paces.get(name)),
        )
        for name in sorted({*tasks, *refusals})
    ]


# --- the outbox, and money ------------------------------------------------------------------------


def _outbox(since: Moment) -> Script[Sequence[OutboxLine]]:
    open_ones = yield from rows("count_outbox")
    failed = yield from one("count_failed_effects", first=_first_id(since), limit=ROWS_MAX)
    lines = [(EffectState(row["state"]), row) for row in open_ones]
    if failed is not None and failed["count"]:
        lines.append((EffectState.FAILED, failed))
    return [
        OutboxLine(state=state, count=row["count"], oldest_at=row["oldest_at"])
        for state, row in lines
    ]


def _money(now: Moment) -> Script[Money]:
    today = day_of(now)
    kept = yield from rows("list_spending_of_day", day=today, limit=REPOSITORIES_MAX + 1)
    spent = {row["scope"]: Spent(usd=row["usd"], tokens=row["tokens"]) for row in kept}
    attempts = yield from rows("list_cost_of_attempts", since=today * DAY_MS, limit=ROWS_MAX)
    return Money(
        everything=spent.get(ALL, Spent()),
        repositories={
            scope.removeprefix(_REPOSITORY): each
            for scope, each in spent.items()
            if scope.startswith(_REPOSITORY)
        },
        agents=_summed(attempts, "agent"),
        rules=_summed(attempts, "rule"),
    )


def _summed(found: Sequence[Row], column: str) -> Mapping[str, Spent]:
    sums: dict[str, Spent] = {}
    for row in found:
        before = sums.get(row[column], Spent())
        sums[row[column]] = Spent(usd=before.usd + row["usd"], tokens=before.tokens + row["tokens"])
    return sums
