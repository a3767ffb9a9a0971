"""What becomes of work by trust, as a whole: the verdict, the draft and what it needs."""

from __future__ import annotations

from typing import Any

import pytest

from covend.core.model import Command, Event, Need, Subject, SubjectType, Trust
from covend.core.rules.admission import admission_of
from covend.core.rules.routing import Router, judge_again, needs_of, prepare
from covend.core.rules.verdicts import ClauseResult, Known
from covend.core.settings import Admission, Agent, Policy, Rule, Sandbox, Terms
from covend.core.states import DeliveryState
from tests.core.github_samples import pull_request, router, rule

RUN, HOLD, REFUSE = Admission.RUN, Admission.HOLD, Admission.REFUSE
FIX = Command(verb="fix", text="it", actor="octocat", comment_id=9, place="issue_comment")


def treating(*on: str, **admissions: Admission) -> Rule:
    """A rule with these admissions by trust."""
    terms = {Trust(name): Terms(admission=each) for name, each in admissions.items()}
    return rule("review", *on, trust=terms)


def commanded(trust: Trust, **changed: Any) -> Event:
    return pull_request(
        **{"name": "issue_comment", "action": "created", "trust": trust, "command": FIX} | changed
    )


def clause_of(rule: Rule, event: Event, known: Known | None = None) -> ClauseResult | None:
    verdict = judge_again(rule, event, known or Known())
    return next((clause for clause in verdict.clauses if clause.name == "trust"), None)


@pytest.mark.parametrize("trust", list(Trust))
def test_strangers_and_forks_are_held_unless_the_rule_says_otherwise(trust: Trust) -> None:
    is_strange = trust in {Trust.FORK, Trust.FIRST_TIME, Trust.NONE}
    assert admission_of(rule(), trust) is (HOLD if is_strange else RUN)
    (draft,) = router(rule()).route(pull_request(trust=trust)).drafts
    assert draft.needs == ({Need.APPROVAL} if is_strange else frozenset())


def test_a_hold_is_shown_as_a_clause_that_is_satisfied_and_needs_a_yes() -> None:
    routed = router(rule()).route(pull_request(trust=Trust.FORK))
    (verdict,) = routed.verdicts
    assert (verdict.matched, verdict.reason) == (True, "matched")
    assert verdict.clauses[-1] == ClauseResult(
        name="trust", satisfied=True, values=("fork",), conditions=("hold",), need=Need.APPROVAL
    )


def test_a_refusal_is_a_verdict_of_its_own() -> None:
    routed = router(treating(fork=REFUSE)).route(pull_request(trust=Trust.FORK))
    assert (routed.state, routed.reason, routed.drafts) == (DeliveryState.IGNORED, "no_match", ())
    (verdict,) = routed.verdicts
    assert (verdict.matched, verdict.reason) == (False, "trust")
    refusal = verdict.clauses[-1]
    assert (refusal.satisfied, refusal.values, refusal.conditions) == (
        False,
        ("fork",),
        ("refuse",),
    )


def test_a_rule_that_lets_strangers_in_holds_none_of_them() -> None:
    (draft,) = router(treating(none=RUN)).route(pull_request(trust=Trust.NONE)).drafts
    assert draft.needs == frozenset()


def test_a_rule_says_nothing_of_a_trust_that_it_does_not_name() -> None:
    assert clause_of(treating(fork=REFUSE), pull_request(trust=Trust.MEMBER)) is None
    named = clause_of(treating(member=RUN), pull_request(trust=Trust.MEMBER))
    assert named is not None
    assert (named.satisfied, named.conditions) == (True, ("run",))


@pytest.mark.parametrize("name", ["admin", "maintain", "write"])
def test_a_rule_that_names_a_permission_waits_for_it_before_it_decides(name: str) -> None:
    by_permission = treating(**{name: RUN, "none": REFUSE})
    event = pull_request(trust=Trust.NONE)
    (draft,) = router(by_permission).route(event).drafts
    assert draft.needs == {Need.PERMISSION}
    let_in = judge_again(by_permission, event, Known(permission=name))
    assert (let_in.matched, needs_of(let_in)) == (True, frozenset())
    refused = judge_again(by_permission, event, Known(permission="read"))
    assert (refused.matched, refused.reason) == (False, "trust")


@pytest.mark.parametrize("trust", [Trust.FORK, Trust.BOT])
def test_no_permission_makes_anything_else_of_a_fork_or_a_bot(trust: Trust) -> None:
    event = pull_request(trust=trust)
    (draft,) = router(treating(write=RUN)).route(event).drafts
    assert Need.PERMISSION not in draft.needs
    (draft,) = router(rule()).route(event, Known(permission="admin")).drafts
    assert draft.trust is trust
    assert (Need.APPROVAL in draft.needs) is (trust is Trust.FORK)


def test_an_event_of_nobody_has_no_permission_to_wait_for() -> None:
    event = pull_request(trust=Trust.NONE, sender=None)
    (draft,) = router(treating(write=RUN)).route(event).drafts
    assert draft.needs == {Need.APPROVAL}


@pytest.mark.parametrize(
    ("trust", "permission", "needs", "settled"),
    [
        (Trust.NONE, "write", set(), Trust.WRITE),
        (Trust.NONE, "maintain", set(), Trust.MAINTAIN),
        (Trust.MEMBER, "admin", set(), Trust.ADMIN),
        (Trust.NONE, "read", {Need.APPROVAL}, Trust.NONE),
        (Trust.NONE, "", {Need.APPROVAL}, Trust.NONE),
        (Trust.FORK, "write", set(), Trust.FORK),
        (Trust.FORK, "triage", {Need.APPROVAL}, Trust.FORK),
    ],
)
def test_a_command_passes_without_approval_where_its_actor_may_write(
    trust: Trust, permission: str, needs: set[Need], settled: Trust
) -> None:
    (draft,) = (
        router(rule("fix", "command.fix"))
        .route(commanded(trust), Known(permission=permission))
        .drafts
    )
    assert draft.needs == needs
    assert draft.trust is settled


@pytest.mark.parametrize("trust", [Trust.NONE, Trust.FORK])
def test_a_strangers_command_is_asked_about_before_it_is_held(trust: Trust) -> None:
    (draft,) = router(rule("fix", "command.fix")).route(commanded(trust)).drafts
    assert draft.needs == {Need.PERMISSION}


def test_a_permission_opens_no_rule_that_refuses_forks() -> None:
    refusing = rule("fix", "command.fix", trust={Trust.FORK: Terms(admission=REFUSE)})
    assert router(refusing).route(commanded(Trust.FORK)).drafts == ()
    known = Known(permission="admin")
    assert judge_again(refusing, commanded(Trust.FORK), known).reason == "trust"


def test_what_turns_out_to_be_a_fork_is_treated_as_one() -> None:
    event = pull_request(name="issue_comment", action="created", trust=Trust.MEMBER)
    (draft,) = router(rule("r", "issue_comment")).route(event, Known(fork=True)).drafts
    assert draft.trust is Trust.FORK
    assert draft.needs == {Need.APPROVAL}


def by_trust() -> Router:
    plain, strict = Agent(name="claude", command=("c",)), Agent(name="codex", command=("x",))
    review = treating(fork=RUN)
    caged = Agent(name="claude", command=("c",), sandbox=Sandbox.BUBBLEWRAP)
    return prepare(
        [review],
        {"review": Policy(sha256="plain", rule=review, agent=plain, fallbacks=(strict,))},
        (),
        (),
        policies_by_trust={
            ("review", Trust.FORK): Policy(sha256="caged", rule=review, agent=caged),
            ("review", Trust.BOT): Policy(sha256="other", rule=review, agent=strict),
        },
    )


@pytest.mark.parametrize(
    ("trust", "policy", "agent", "fallbacks"),
    [
        (Trust.MEMBER, "plain", "claude", ("codex",)),
        (Trust.FORK, "caged", "claude", ()),
        (Trust.BOT, "other", "codex", ()),
    ],
)
def test_policy_agent_and_fallbacks_are_those_of_the_trust(
    trust: Trust, policy: str, agent: str, fallbacks: tuple[str, ...]
) -> None:
    (draft,) = by_trust().route(pull_request(trust=trust)).drafts
    assert (draft.policy, draft.agent, draft.fallbacks) == (policy, agent, fallbacks)


def test_a_subject_without_a_pull_request_is_treated_by_its_trust_as_well() -> None:
    issue = Subject(type=SubjectType.ISSUE, number=3)
    event = pull_request(name="issues", trust=Trust.FIRST_TIME, subject=issue)
    (draft,) = router(rule("triage", "issues.opened")).route(event).drafts
    assert draft.needs == {Need.APPROVAL}
    assert not draft.is_by_head
