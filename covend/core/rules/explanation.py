"""Explains what would become of an event, rule by rule: verdict, gates in order, key and what it
meets, and the end of it in one sentence. It executes nothing and judges nothing anew: verdicts are
routing's own, holds are the safeguards' own.

What nobody could look at (no store, no GitHub) is said to be unknown, and never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec import field as struct_field

from covend.core.model import Event, Moment, Need, TaskId, Trust
from covend.core.rules.drafted import task_of
from covend.core.rules.gates import (
    Gate,
    Slots,
    Stand,
    admission_gates,
    claim_gates,
    unseen_gates,
)
from covend.core.rules.routing import Reason
from covend.core.rules.verdicts import ClauseResult, Routing, TaskDraft, Verdict
from covend.core.safeguards import gate as safeguards
from covend.core.safeguards.shapes import Candidate, Facts, Spent, Terms
from covend.core.settings import Policy
from covend.core.states import TaskState

NEW, SAME_WORK, STALE = "new", "same_work", "stale"


class Collision(Struct, frozen=True, kw_only=True):
    """What a draft's key meets in the store, and what would come of it."""

    reason: str
    """`new`, `same_work`, or `stale` where something newer is known of the subject."""
    task: TaskId | None = None
    state: TaskState | None = None
    generation: int | None = None
    """Of the task that is there, or of the one that would be made."""
    supersedes: tuple[TaskId, ...] = ()
    """Work on older heads that would end for it."""


class Prospect(Struct, frozen=True, kw_only=True):
    """What the store says of one draft."""

    collision: Collision
    facts: Facts
    slots: Slots
    has_room: bool
    """Whether the queue takes what is new."""


class Work(Struct, frozen=True, kw_only=True):
    """The task that a rule asks for, as it would be made."""

    key: str
    collision: Collision | None
    """None where there was no store to look into."""
    trust: Trust
    needs: tuple[Need, ...]
    policy: Policy
    """What it is done by: rule and agents, as the trust makes them."""
    priority: int
    debounce_s: float
    permissions: Mapping[str, str]
    """What covend asks GitHub's tokens to be allowed for it; the agent is given none of them."""
    is_bounded: bool | None
    """Whether any budget bounds it; None where nobody could look."""
    budget: Spent | None
    """What an attempt could spend now; None where nothing bounds it."""


class RuleExplanation(Struct, frozen=True, kw_only=True):
    """What one rule says of an event, and what would come of that."""

    verdict: Verdict
    gates: tuple[Gate, ...] = ()
    work: Work | None = None
    starts: bool
    """Whether a new task would be made."""
    end: str
    """In one clause: "starts …", "nothing: …"."""


class Explanation(Struct, frozen=True, kw_only=True):
    """All of it."""

    event: Event
    state: str
    reason: str
    gates: tuple[Gate, ...]
    """Those of the event as a whole."""
    rules: tuple[RuleExplanation, ...]
    starts: bool
    end: str
    notes: tuple[str, ...] = ()
    """What could not be looked at, and what was supposed."""


class Asked(Struct, frozen=True, kw_only=True):
    """What is to be explained; `prospects` and `permissions` have the drafts' order."""

    event: Event
    routing: Routing
    verdicts: tuple[Verdict, ...]
    """As far as look-ups have made them known: in the routing's order."""
    policy_of: Callable[[str, Trust], Policy | None]
    permissions: tuple[Mapping[str, str], ...]
    terms: Terms
    chain_depth: int
    now: Moment
    refusals: Mapping[str, str] = struct_field(default_factory=dict)
    """By rule: why a look-up has shown that nothing comes of it."""
    prospects: tuple[Prospect, ...] | None = None
    """None where there is no store to look into."""
    notes: tuple[str, ...] = ()


def explain(asked: Asked) -> Explanation:
    """Put it together."""
    drafts = {draft.rule: place for place, draft in enumerate(asked.routing.drafts)}
    rules = tuple(
        _explain_rule(asked, verdict, drafts.get(verdict.rule)) for verdict in asked.verdicts
    )
    started = [each for each in rules if each.starts]
    return Explanation(
        event=asked.event,
        state=asked.routing.state.value,
        reason=str(asked.routing.reason),
        gates=_event_gates(asked),
        rules=rules,
        starts=bool(started),
        end=_end(asked, rules),
        notes=asked.notes,
    )


# --- of the event as a whole ----------------------------------------------------------------------


def _event_gates(asked: Asked) -> tuple[Gate, ...]:
    """Say how the event stands with what holds whatever the rules say; routing stops at the first
    that refuses.
    """
    event, reason = asked.event, asked.routing.reason
    sender = event.sender or "nobody"
    depth = f"{event.depth} tasks lie behind it, {asked.chain_depth} may"
    told = (
        ("ping", Reason.PING, "GitHub's first word to a new hook asks for no work", event.name),
        ("own_event", Reason.OWN_EVENT, "covend's own doing starts no work", f"by {sender}"),
        ("ignored_sender", Reason.IGNORED_SENDER, "github.ignore_senders names it", f"by {sender}"),
        ("commit", Reason.NO_COMMIT, "it tells of a deletion: there is no commit", "there is one"),
        ("chain_depth", Reason.CHAIN_TOO_DEEP, depth, depth),
    )
    gates = []
    for name, refusal, why, passed in told:
        if reason == refusal:
            gates.append(Gate(name=name, stand=Stand.REFUSE, why=f"{why} ({passed})"))
            break
        gates.append(Gate(name=name, stand=Stand.PASS, why=passed))
    return tuple(gates)


def _end(asked: Asked, rules: Sequence[RuleExplanation]) -> str:
    started = [each.end for each in rules if each.starts]
    if started:
        return f"would {'; and '.join(started)}"
    met = [each.end for each in rules if each.work is not None]
    if met:
        return f"starts nothing: {'; '.join(met)}"
    return f"starts nothing: {_why_nothing(asked)}"


def _why_nothing(asked: Asked) -> str:
    reason = asked.routing.reason
    gate = next((each for each in _event_gates(asked) if each.stand is Stand.REFUSE), None)
    if gate is not None:
        return gate.why
    match reason:
        case Reason.NO_RULE:
            return "there is no rule"
        case Reason.COMMAND:
            return "no rule listens to that command; what covend knows itself, it does"
        case Reason.RERUN:
            return "it is GitHub's re-run button, to which covend attends without a rule"
        case Reason.NO_MATCH | Reason.MATCHED:
            return "; ".join(_why_each(asked))
        case _:
            return f"no rule listens to {asked.event.full_name}"


def _why_each(asked: Asked) -> Iterator[str]:
    for verdict in asked.verdicts:
        if verdict.matched is False and _is_heard(verdict):
            yield f"{verdict.rule}: {why_not(verdict)}"
        elif verdict.rule in asked.refusals:
            yield f"{verdict.rule}: {asked.refusals[verdict.rule]}"


def _is_heard(verdict: Verdict) -> bool:
    return verdict.reason not in {Reason.EVENT_NOT_WANTED, Reason.CLOSED}


# --- of one rule ----------------------------------------------------------------------------------


def _explain_rule(asked: Asked, verdict: Verdict, place: int | None) -> RuleExplanation:
    if place is None or verdict.matched is False:
        return RuleExplanation(verdict=verdict, starts=False, end=f"nothing: {why_not(verdict)}")
    if verdict.rule in asked.refusals:
        why = f"nothing of rule {verdict.rule}: {asked.refusals[verdict.rule]}"
        return RuleExplanation(verdict=verdict, starts=False, end=why)
    draft = asked.routing.drafts[place]
    policy = asked.policy_of(draft.rule, draft.trust)
    if policy is None:
        return RuleExplanation(verdict=verdict, starts=False, end="nothing: its rule is gone")
    prospect = asked.prospects[place] if asked.prospects is not None else None
    candidate = Candidate(task=task_of(draft, asked.event, asked.now), policy=policy)
    needs = _needs(verdict, draft)
    gates = (
        *admission_gates(verdict, draft, needs, asked.now),
        *_claim_gates(asked, candidate, prospect),
    )
    left = safeguards.budget_left(candidate, asked.terms, prospect.facts) if prospect else None
    work = Work(
        key=draft.key,
        collision=prospect.collision if prospect else None,
        trust=draft.trust,
        needs=needs,
        policy=policy,
        priority=draft.priority,
        debounce_s=draft.debounce_s,
        permissions=asked.permissions[place],
        is_bounded=None if prospect is None else left is not None,
        budget=left,
    )
    is_new = work.collision is None or work.collision.reason == NEW
    starts = is_new and not any(gate.stand is Stand.REFUSE for gate in gates)
    return RuleExplanation(
        verdict=verdict, gates=gates, work=work, starts=starts, end=_rule_end(work, gates)
    )


def _claim_gates(asked: Asked, candidate: Candidate, prospect: Prospect | None) -> Iterator[Gate]:
    if prospect is None:
        return unseen_gates()
    facts, slots, has_room = prospect.facts, prospect.slots, prospect.has_room
    return claim_gates(candidate, asked.terms, facts, slots, has_room=has_room)


def why_not(verdict: Verdict) -> str:
    """Say why a rule does not want an event, by the clause that refused and what it compared."""
    refusing = next((each for each in verdict.clauses if each.satisfied is False), None)
    if refusing is None:
        return verdict.reason
    return f"{refusing.name} {compared(refusing)}"


def compared(clause: ClauseResult) -> str:
    """Say what a clause compared: `is feature/x, wants main`."""
    values = ", ".join(clause.values) or "is not told"
    wanted = ", ".join(clause.conditions)
    has = f"is {values}" if clause.values else values
    return f"{has}, wants {wanted}" if wanted else has


def _needs(verdict: Verdict, draft: TaskDraft) -> tuple[Need, ...]:
    """List what is still to be looked up, by what is known by now."""
    open_ = {each.need for each in verdict.clauses if each.need is not None}
    of_work = draft.needs & {Need.HEAD, Need.CHECKS}
    return tuple(sorted(open_ | of_work))


def _rule_end(work: Work, gates: Sequence[Gate]) -> str:
    collision, rule = work.collision, work.policy.rule.name
    if collision is not None and collision.reason == SAME_WORK:
        return f"nothing new of rule {rule}: task {collision.task} ({collision.state}) does it"
    if collision is not None and collision.reason == STALE:
        return f"nothing of rule {rule}: something newer is known of its subject"
    refusal = next((each for each in gates if each.stand is Stand.REFUSE), None)
    if refusal is not None:
        return f"nothing of rule {rule}: {refusal.why}"
    made = f"start task of rule {rule} with key {work.key}, by agent {work.policy.agent.name}"
    if collision is not None and collision.supersedes:
        made += f", which supersedes {', '.join(collision.supersedes)}"
    waits = next((each for each in gates if each.stand is Stand.HOLD), None)
    return made if waits is None else f"{made}; it waits first: {waits.why}"
