"""The gates that stand between a rule's yes and an attempt, in the order in which work meets them:
how each stands, and why. It tells what was decided elsewhere, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import StrEnum

from msgspec import Struct

from covend.core.model import Moment, Need, Task, Trust
from covend.core.rules.verdicts import ClauseResult, TaskDraft, Verdict
from covend.core.safeguards import gate as safeguards
from covend.core.safeguards.shapes import Candidate, Facts, Hold, Switch, Terms
from covend.core.states import TaskState
from covend.core.waiting import explain_waiting


class Stand(StrEnum):
    """How a gate stands."""

    PASS = "pass"  # noqa: S105 - a word
    HOLD = "hold"
    REFUSE = "refuse"
    UNKNOWN = "unknown"


class Gate(Struct, frozen=True, kw_only=True):
    """One gate, in the order in which work meets them."""

    name: str
    stand: Stand
    why: str
    until: Moment | None = None
    by: str | None = None
    """The id of the safeguard that holds."""


class Slots(Struct, frozen=True, kw_only=True):
    """How many attempts run now: all of them, and of those that a limit counts with this one."""

    running: int = 0
    of_agent: int = 0
    of_repository: int = 0
    of_installation: int = 0


LOOKED_UP = {
    Need.PATHS: "the changed paths",
    Need.HEAD: "the head commit",
    Need.PERMISSION: "the permission of who asks",
    Need.CHECKS: "all checks of the commit",
}
_OPEN = {
    "pause": "nothing that concerns it is paused",
    "key": "no other task of its key runs",
    "loop": "its subject is not blocked",
    "agent": "its agent is not suppressed, and its circuit is closed",
    "host": "the circuit of GitHub's host is closed",
    "budget": "no budget is spent",
    "rate": "no rate limit is reached",
}


def admission_gates(
    verdict: Verdict, draft: TaskDraft, needs: Sequence[Need], now: Moment
) -> Iterator[Gate]:
    """Give the gates before the queue, as the verdict's clauses have them."""
    clauses = {each.name: each for each in verdict.clauses}
    yield _trust_gate(clauses.get("trust"), draft.trust)
    yield _permission_gate(clauses.get("allow"))
    yield _look_up_gate(needs)
    if draft.debounce_s:
        yield Gate(
            name="debounce",
            stand=Stand.HOLD,
            why=f"further events are gathered for {draft.debounce_s:g} s",
            until=now + round(draft.debounce_s * 1000),
        )


def claim_gates(
    candidate: Candidate, terms: Terms, facts: Facts, slots: Slots, *, has_room: bool
) -> Iterator[Gate]:
    """Give the gates from the queue to a slot, each as it stands now."""
    yield _queue_gate(has_room=has_room)
    for name, decision in safeguards.judge_each(candidate, terms, facts):
        yield _safeguard_gate(name, decision, candidate.task, facts)
    yield _slot_gate(candidate, terms, slots)


def unseen_gates() -> Iterator[Gate]:
    """Give the same, where nobody could look."""
    for name in ("queue", *safeguards.GATES, "concurrency"):
        yield Gate(name=name, stand=Stand.UNKNOWN, why="there was no store to look into")


def _trust_gate(clause: ClauseResult | None, trust: Trust) -> Gate:
    if clause is None:
        return Gate(name="trust", stand=Stand.PASS, why=f"work of {trust} runs")
    if clause.need is Need.APPROVAL:
        why = f"work of {trust} waits until somebody who may write approves it"
        return Gate(name="trust", stand=Stand.HOLD, why=why)
    if clause.satisfied is None:
        why = f"it is {trust} as far as the payload tells; a permission may change that"
        return Gate(name="trust", stand=Stand.UNKNOWN, why=why)
    return Gate(name="trust", stand=Stand.PASS, why=f"work of {trust} runs")


def _permission_gate(clause: ClauseResult | None) -> Gate:
    if clause is None:
        return Gate(name="permission", stand=Stand.PASS, why="the rule asks for none")
    wanted = ", ".join(clause.conditions)
    if clause.satisfied is None:
        why = f"{wanted} may; what the sender may is looked up at the time"
        return Gate(name="permission", stand=Stand.UNKNOWN, why=why)
    return Gate(name="permission", stand=Stand.PASS, why=f"{', '.join(clause.values)} may")


def _look_up_gate(needs: Sequence[Need]) -> Gate:
    wanted = [LOOKED_UP[each] for each in needs if each in LOOKED_UP]
    if not wanted:
        return Gate(name="look_up", stand=Stand.PASS, why="nothing is missing")
    why = f"GitHub is asked for {' and '.join(wanted)} first"
    return Gate(name="look_up", stand=Stand.HOLD, why=why)


def _queue_gate(*, has_room: bool) -> Gate:
    if has_room:
        return Gate(name="queue", stand=Stand.PASS, why="the queue has room")
    return Gate(name="queue", stand=Stand.REFUSE, why="the queue is full: 503 with Retry-After")


def _safeguard_gate(name: str, decision: Hold | Switch | None, task: Task, facts: Facts) -> Gate:
    match decision:
        case None:
            return Gate(name=name, stand=Stand.PASS, why=_OPEN[name])
        case Switch():
            why = f"agent {task.agent} rests ({decision.reason}): {decision.agent} takes its place"
            return Gate(name=name, stand=Stand.PASS, why=why)
        case Hold():
            held = replace(
                task,
                state=TaskState.QUEUED,
                reason=decision.reason.value,
                not_before_at=decision.until,
            )
            guards = (*facts.guards.values(), *decision.writes)
            return Gate(
                name=name,
                stand=Stand.HOLD,
                why=explain_waiting(held, facts.now, guards),
                until=decision.until,
                by=decision.by,
            )


def _slot_gate(candidate: Candidate, terms: Terms, slots: Slots) -> Gate:
    agent = candidate.policy.agent.name
    limits = (
        ("attempts", slots.running, terms.concurrency),
        (f"attempts of agent {agent}", slots.of_agent, terms.agents.get(agent)),
        ("attempts in the repository", slots.of_repository, terms.per_repository),
        ("attempts of the installation", slots.of_installation, terms.per_installation),
    )
    told = [(what, count, most) for what, count, most in limits if most is not None]
    full = next((each for each in told if each[1] >= each[2]), None)
    what, count, most = full or told[0]
    why = f"{count} of {most} {what} run"
    if full is None:
        return Gate(name="concurrency", stand=Stand.PASS, why=why)
    return Gate(name="concurrency", stand=Stand.HOLD, why=f"{why}: it begins when a slot is free")
