"""Takes the next task that may run, in one transaction: the head of the queue is found, judged, and
claimed, held or given to another agent.

Nothing is held by a counter: what runs, what has started and what was spent is read where it was
written, each time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol, assert_never

import orjson

from covend.core.errors import CovendError
from covend.core.model import Claim, ClaimToken, Mode, Moment, Phase, Task, TaskId
from covend.core.safeguards.shapes import (
    Candidate,
    Decision,
    Facts,
    Hold,
    Pass,
    Questions,
    Safeguard,
    Scope,
    Switch,
    Terms,
)
from covend.core.settings import Agent, Policy, Rule
from covend.store import guards, spending
from covend.store.connection import Ask, Row, Script, one, rows
from covend.store.installing import end_gone, find_gone
from covend.store.kept_policies import KeptPolicies
from covend.store.protocol import Taken
from covend.store.rows import task_of

ROUNDS_MAX = 64
"""So many candidates are judged in one transaction; then others have their turn to write."""


class Gate(Protocol):
    """What decides whether a task may run: `core.safeguards.gate`."""

    def questions(self, candidate: Candidate, terms: Terms, now: Moment) -> Questions:
        """Say what has to be read to judge the candidate."""
        ...

    def judge(self, candidate: Candidate, terms: Terms, facts: Facts) -> Decision:
        """Say whether it may run; `facts` are the answers to `questions` of the same three."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Who wants a task, when, for how long at first, and on which terms."""

    node: str
    token: ClaimToken
    now: Moment
    lease_s: float
    terms: Terms


@dataclass(slots=True)
class _Way:
    """What was held, switched and ended on the way to a task."""

    held: list[Hold] = field(default_factory=list)
    switched: list[tuple[TaskId, str, Switch]] = field(default_factory=list)
    ended: list[Task] = field(default_factory=list)

    def taken(self, found: tuple[Claim, Pass] | None, *, is_more: bool = False) -> Taken:
        return Taken(
            claim=found[0] if found else None,
            budget=found[1].budget if found else None,
            held=tuple(self.held),
            switched=tuple(self.switched),
            ended=tuple(self.ended),
            is_more=is_more,
        )


def claim(wish: Wish, policies: KeptPolicies, gate: Gate) -> Script[Taken]:
    """See `Tasks.claim`."""
    way = _Way()
    for _ in range(ROUNDS_MAX):
        row = yield from _find(wish)
        if row is None:
            return way.taken(None)
        task = task_of(row)
        if (gone := (yield from find_gone(task))) is not None:
            way.ended.append((yield from end_gone(gone, wish.now)) or task)
            continue
        decision = yield from _judge(wish, row, task, policies, gate)
        match decision:
            case Pass():
                yield from guards.write(decision.writes, wish.now)
                taken = yield from _take(wish, task)
                return way.taken((taken, decision))
            case Hold():
                yield from _hold(decision, task, wish.now)
                way.held.append(decision)
            case Switch():
                yield from _switch(decision, task, wish.now)
                way.switched.append((task.id, task.agent, decision))
            case _:
                assert_never(decision)
    return way.taken(None, is_more=True)


def _find(wish: Wish) -> Script[Row | None]:
    """Give the head of the total order, among what no limit keeps back."""
    terms = wish.terms
    return (
        yield from one(
            "find_claimable",
            now=wish.now,
            concurrency=terms.concurrency,
            agent_limits=orjson.dumps(dict(terms.agents)).decode(),
            per_repository=terms.per_repository,
            per_installation=terms.per_installation,
        )
    )


def _judge(
    wish: Wish, row: Row, task: Task, policies: KeptPolicies, gate: Gate
) -> Script[Decision]:
    """Ask the gate, with the answers to what it asks for."""
    policy = yield from _policy(task, policies)
    candidate = Candidate(task=task, policy=policy)
    asked = gate.questions(candidate, wish.terms, wish.now)
    facts = yield from facts_of(asked, wish.now, is_key_busy=bool(row["is_key_busy"]))
    return gate.judge(candidate, wish.terms, facts)


def facts_of(asked: Questions, now: Moment, *, is_key_busy: bool) -> Script[Facts]:
    """Answer what the gate asks; reads alone."""
    found = yield from guards.read(asked.guards)
    return Facts(
        now=now,
        is_key_busy=is_key_busy,
        running=(yield from _running(found.values())),
        guards=found,
        rates=(yield from _starts(asked.rates)),
        spent=(yield from spending.read(asked.spending)),
    )


def _policy(task: Task, policies: KeptPolicies) -> Script[Policy]:
    """Give the task's settings, its present agent at work.

    Where they cannot be read, the task is judged by defaults: pauses hold it all the same, and its
    attempt then fails by what is wrong, instead of all other tasks with it.
    """
    try:
        policy = yield from policies.find(task.policy)
        return policy.by(task.agent)
    except (CovendError, KeyError):
        rule = Rule(name=task.rule, on=(), agent=task.agent, prompt="")
        return Policy(sha256=task.policy, rule=rule, agent=Agent(name=task.agent, command=()))


def _running(found: Collection[Safeguard]) -> Script[frozenset[TaskId]]:
    """Say who runs; only a safeguard that has something to say can ask for one of them."""
    if not found:
        return frozenset()
    running = yield from rows("list_running_ids")
    return frozenset(TaskId(row["id"]) for row in running)


def _starts(rates: Sequence[tuple[Scope, Moment, int]]) -> Script[tuple[Moment | None, ...]]:
    """Answer each question about a rate, in order."""
    starts: list[Moment | None] = []
    for scope, after, count in rates:
        row = yield from one("nth_start", **asdict(scope), after=after, skip=count - 1)
        starts.append(row["at"] if row else None)
    return tuple(starts)


def _take(wish: Wish, task: Task) -> Script[Claim]:
    """Move the task, write its attempt, and send its repository to the end of the line."""
    lease_until = wish.now + round(wish.lease_s * 1000)
    row = yield from one(
        "claim_task", id=task.id, claim=wish.token, lease_until_at=lease_until, now=wish.now
    )
    assert row is not None, "what this transaction has found, nobody else moves"
    claimed = task_of(row)
    yield Ask(
        "insert_attempt",
        {
            "task_id": claimed.id,
            "number": claimed.attempts,
            "claim": wish.token,
            "agent": claimed.agent,
            "node": wish.node,
            "mode": Mode.FRESH,
            "phase": Phase.CHECKOUT,
            "now": wish.now,
        },
    )
    yield Ask("take_turn", {"repository_key": claimed.repository_key})
    return Claim(
        task=claimed,
        attempt=claimed.attempts,
        token=wish.token,
        lease_until=lease_until,
        started_at=wish.now,
    )


def _hold(hold: Hold, task: Task, now: Moment) -> Script[None]:
    """Hold all that is due in the scope by one statement, and the task that met it in any case: it
    must not be found again in the next round.
    """
    yield from guards.write(hold.writes, now)
    asked = asdict(hold.scope) | {"id": task.id, "reason": hold.reason, "now": now}
    asked["not_before_at"] = max(hold.until, now + 1)
    if hold.scope.repository_key is None and hold.scope.key is None:
        yield Ask("hold_tasks", asked)
    else:
        yield Ask("hold_tasks_in_repository", asked | {"repository_key": task.repository_key})


def _switch(switch: Switch, task: Task, now: Moment) -> Script[None]:
    yield Ask(
        "switch_agent",
        {
            "id": task.id,
            "former": task.agent,
            "agent": switch.agent,
            "fallbacks": orjson.dumps(after(switch.agent, task.fallbacks)).decode(),
            "reason": switch.reason,
            "now": now,
        },
    )


def after(agent: str, fallbacks: Sequence[str]) -> Sequence[str]:
    """Give the agents that are left to be tried after one of them."""
    return fallbacks[fallbacks.index(agent) + 1 :] if agent in fallbacks else ()
