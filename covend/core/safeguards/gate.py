"""Decides whether a queued task may be claimed now, waits, or goes to another agent.

The gates stand in one order, and the first that is shut answers: drain and pauses, a running task
of the same key, a blocked subject, the agent, the host, budgets, rates. It reads no clock and no
store: `questions` says what to read, and nothing is used up by a task that does not pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from covend.core.model import Moment, Task
from covend.core.safeguards import budget, circuit, crash_loop, loop, names, pause, rate
from covend.core.safeguards.barred import Barred
from covend.core.safeguards.shapes import (
    RECHECK_MS,
    Candidate,
    Decision,
    Facts,
    Hold,
    Pass,
    Questions,
    Safeguard,
    Scope,
    SpendingId,
    Spent,
    Switch,
    Terms,
    Waiting,
)
from covend.core.settings import Agent, Checkout

_Thing = TypeVar("_Thing")


def questions(candidate: Candidate, terms: Terms, now: Moment) -> Questions:
    """Say what has to be read to judge the candidate."""
    return Questions(
        guards=_unique(_guards(candidate, terms)),
        rates=rate.questions(candidate.task, terms.safeguards.rate, now),
        spending=_unique(_spending(candidate, terms, now)),
    )


def judge(candidate: Candidate, terms: Terms, facts: Facts) -> Decision:
    """Say whether it may run; `facts` are the answers to `questions` of the same candidate."""
    for gate in GATES.values():
        decision = gate(candidate, terms, facts)
        if decision is not None:
            return decision
    return _passed(candidate, terms, facts)


def judge_each(
    candidate: Candidate, terms: Terms, facts: Facts
) -> tuple[tuple[str, Hold | Switch | None], ...]:
    """Let every gate answer, in their order and whatever the others say; None where it is open."""
    return tuple((name, gate(candidate, terms, facts)) for name, gate in GATES.items())


def budget_left(candidate: Candidate, terms: Terms, facts: Facts) -> Spent | None:
    """Say what it may spend, were it claimed now; None where nothing bounds it."""
    found = budget.budgets(candidate.task, candidate.policy, terms, facts.now)
    return budget.left(found, candidate.policy, facts.spent)


# --- what is asked ---


def _guards(candidate: Candidate, terms: Terms) -> Iterator[str | None]:
    task = candidate.task
    yield from pause.ids(task)
    yield names.loop(task)
    for agent in (candidate.policy.agent, *_fallbacks(candidate)):
        yield names.pause_agent(agent.name)
        yield names.crash_loop(agent.name, task)
        yield names.agent_circuit(agent.name)
    yield _host_circuit(candidate, terms)


def _spending(candidate: Candidate, terms: Terms, now: Moment) -> Iterator[SpendingId]:
    task = candidate.task
    for each in budget.budgets(task, candidate.policy, terms, now):
        yield each.of
    for agent in _fallbacks(candidate):
        found = budget.of_subject(task, agent)
        if found is not None:
            yield found.of


def _unique(found: Iterable[_Thing | None]) -> tuple[_Thing, ...]:
    return tuple(dict.fromkeys(each for each in found if each is not None))


# --- the gates ---


def _hold_paused(candidate: Candidate, _terms: Terms, facts: Facts) -> Hold | None:
    return pause.hold(candidate.task, facts.guards, facts.now)


def _hold_key(candidate: Candidate, _terms: Terms, facts: Facts) -> Hold | None:
    if not facts.is_key_busy:
        return None
    return Hold(
        reason=Waiting.KEY_BUSY,
        until=facts.now + RECHECK_MS,
        scope=Scope(key=candidate.task.key),
        by=f"key/{candidate.task.key}",
    )


def _hold_subject(candidate: Candidate, _terms: Terms, facts: Facts) -> Hold | None:
    task = candidate.task
    barred = loop.bar(task, facts.guards)
    if barred is None:
        return None
    return barred.holding(
        Scope(
            repository_key=task.repository_key,
            repository=names.repository_of(task),
            subject_number=task.subject.number,
        )
    )


def _judge_agent(candidate: Candidate, terms: Terms, facts: Facts) -> Hold | Switch | None:
    """Hold what its agent cannot do now, or give it to the first fallback that can.

    Where there are fallbacks, another repository may have one that can.
    """
    task = candidate.task
    barred = _bar_agent(task, candidate.policy.agent.name, terms, facts)
    if barred is None:
        return None
    fallbacks = _fallbacks(candidate)
    healthy = next((each for each in fallbacks if _is_healthy(task, each, terms, facts)), None)
    if healthy is not None:
        return Switch(agent=healthy.name, reason=barred.reason)
    if not fallbacks and barred.reason is Waiting.CIRCUIT_OPEN:
        return barred.holding(Scope(rule=task.rule, agent=task.agent))
    others = (_bar_agent(task, each.name, terms, facts) for each in fallbacks)
    until = min([barred.until, *(other.until for other in others if other is not None)])
    scope = Scope(rule=task.rule, agent=task.agent, repository_key=task.repository_key)
    return replace(barred, until=until).holding(scope)


def _bar_agent(task: Task, agent: str, terms: Terms, facts: Facts) -> Barred | None:
    guards, settings = facts.guards, terms.safeguards
    suppression = guards.get(names.crash_loop(agent, task) or "")
    return crash_loop.bar(suppression, settings.crash_loop, facts.now) or circuit.bar(
        guards.get(names.agent_circuit(agent)),
        running=facts.running,
        settings=settings.circuit,
        now=facts.now,
    )


def _is_healthy(task: Task, agent: Agent, terms: Terms, facts: Facts) -> bool:
    """Say whether a fallback is known to work, and may be asked for this task."""
    if pause.is_paused(facts.guards.get(names.pause_agent(agent.name)), facts.now):
        return False
    if circuit.is_shut(facts.guards.get(names.agent_circuit(agent.name))):
        return False
    found = budget.of_subject(task, agent)
    if found is not None and budget.is_spent(found, facts.spent):
        return False
    return _bar_agent(task, agent.name, terms, facts) is None


def _hold_host(candidate: Candidate, terms: Terms, facts: Facts) -> Hold | None:
    """Hold what would ask the host; work of the same repository that checks nothing out goes on."""
    guard = _host_guard(candidate, terms, facts)
    barred = circuit.bar(
        guard,
        running=facts.running,
        settings=terms.safeguards.circuit,
        now=facts.now,
    )
    return None if barred is None else barred.holding(_host_scope(candidate.task))


def _hold_budget(candidate: Candidate, terms: Terms, facts: Facts) -> Hold | None:
    found = budget.budgets(candidate.task, candidate.policy, terms, facts.now)
    return budget.hold(found, facts.spent, facts.now)


def _hold_rate(candidate: Candidate, terms: Terms, facts: Facts) -> Hold | None:
    return rate.hold(candidate.task, terms.safeguards.rate, facts.rates, facts.now)


def _passed(candidate: Candidate, terms: Terms, facts: Facts) -> Pass:
    task, policy = candidate.task, candidate.policy
    agent = facts.guards.get(names.agent_circuit(policy.agent.name))
    host = _host_guard(candidate, terms, facts)
    return Pass(
        writes=(
            *circuit.probing(agent, task=task.id, now=facts.now),
            *circuit.probing(host, task=task.id, now=facts.now),
        ),
        budget=budget_left(candidate, terms, facts),
    )


# --- what they share ---


def _fallbacks(candidate: Candidate) -> tuple[Agent, ...]:
    """List the agents that the task has still to try, in order."""
    known = {agent.name: agent for agent in candidate.policy.fallbacks}
    return tuple(known[name] for name in candidate.task.fallbacks if name in known)


def _host_circuit(candidate: Candidate, terms: Terms) -> str | None:
    """Name the circuit of the host, where the task asks it for anything before its agent starts."""
    needs_none = candidate.policy.rule.checkout is Checkout.NONE or not candidate.task.repository
    return None if needs_none or terms.host is None else names.host_circuit(terms.host)


def _host_guard(candidate: Candidate, terms: Terms, facts: Facts) -> Safeguard | None:
    return facts.guards.get(_host_circuit(candidate, terms) or "")


def _host_scope(task: Task) -> Scope:
    return Scope(rule=task.rule, repository_key=task.repository_key)


# --- the table ---

Gate = Callable[[Candidate, Terms, Facts], Hold | Switch | None]

GATES: Mapping[str, Gate] = MappingProxyType(
    {
        "pause": _hold_paused,
        "key": _hold_key,
        "loop": _hold_subject,
        "agent": _judge_agent,
        "host": _hold_host,
        "budget": _hold_budget,
        "rate": _hold_rate,
    }
)
"""Every gate by its name, in the order in which they are met."""
