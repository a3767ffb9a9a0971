"""Whoever asks for a rule by its name gets that rule, whatever it listens to; only forks count."""

from __future__ import annotations

from typing import Any

import pytest

from covend.core.model import Event, Need, Subject, SubjectType, Trust
from covend.core.rules.routing import judge_again
from covend.core.rules.verdicts import Known
from covend.core.settings import Admission, Rule, Terms, When
from covend.core.states import DeliveryState
from tests.core.github_samples import DELIVERY, HEAD, pull_request, router, rule

PULL = Subject(type=SubjectType.PULL_REQUEST, number=7)
ON_ANYTHING = rule("any", "*")
REVIEW = rule(
    when=When(draft=False, paths=("docs/**",), repository=("other/*",)),
    allow=("admin",),
    debounce_s=5.0,
)


def submission(**changed: Any) -> Event:
    fields: dict[str, Any] = {
        "source": "api",
        "name": "submission",
        "action": None,
        "sender": None,
        "author": None,
        "rule": "review",
        "trust": Trust.ADMIN,
        "subject": PULL,
    }
    return pull_request(**fields | changed)


def verdict(one: Rule, **known: Any) -> tuple[bool | None, str]:
    judged = judge_again(one, submission(), Known(**known))
    return judged.matched, judged.reason


def test_only_the_rule_that_is_named_is_asked() -> None:
    routed = router(ON_ANYTHING, REVIEW).route(submission())
    (draft,) = routed.drafts
    assert (draft.rule, draft.trust, draft.event) == ("review", Trust.ADMIN, "submission")
    other, own = routed.verdicts
    assert (other.matched, other.reason) == (False, "event_not_wanted")
    assert (own.matched, own.reason) == (True, "matched")
    (clause,) = own.clauses
    assert (clause.name, clause.values, clause.conditions) == ("rule", ("review",), ("review",))


def test_one_that_listens_to_everything_hears_of_no_submission() -> None:
    routed = router(ON_ANYTHING).route(submission())
    assert (routed.state, routed.reason) == (DeliveryState.IGNORED, "no_rule")
    assert routed.drafts == ()


def test_who_is_named_by_the_same_event_next_is_not_mistaken_for_the_first() -> None:
    routes = router(REVIEW, rule("fix", "push"))
    for name in ("review", "fix", "review"):
        (draft,) = routes.route(submission(rule=name)).drafts
        assert draft.rule == name


def test_a_number_is_looked_up_even_where_the_head_is_named() -> None:
    routes = router(REVIEW)
    named = Subject(type=SubjectType.PULL_REQUEST, number=7, head_sha=HEAD)
    for subject in (PULL, named):
        (draft,) = routes.route(submission(subject=subject)).drafts
        assert draft.needs == {Need.HEAD}
        assert not draft.is_by_head
        assert draft.debounce_s == 0.0


def test_without_a_number_there_is_nothing_to_look_up() -> None:
    for subject in (Subject(), Subject(type=SubjectType.COMMIT, head_sha=HEAD)):
        (draft,) = router(REVIEW).route(submission(subject=subject)).drafts
        assert draft.needs == frozenset()


@pytest.mark.parametrize("key", [None, "{{ number }}"])
def test_each_submission_is_work_of_its_own(key: str | None) -> None:
    routes = router(rule(key=key))
    named = Subject(type=SubjectType.PULL_REQUEST, number=7, head_sha=HEAD)
    keys = {
        routes.route(submission(subject=named, delivery=delivery)).drafts[0].key
        for delivery in (DELIVERY, "another")
    }
    assert len(keys) == 2
    assert all(each.startswith("review:42:") for each in keys)


def test_the_work_of_a_fork_needs_no_second_yes() -> None:
    assert verdict(REVIEW, fork=True) == (True, "matched")


def test_a_rule_that_refuses_forks_refuses_them_to_the_operator_too() -> None:
    strict = rule(trust={Trust.FORK: Terms(admission=Admission.REFUSE)})
    assert verdict(strict, fork=True) == (False, "trust")
    assert verdict(strict, fork=False) == (True, "matched")


def test_a_rule_that_refuses_admins_refuses_what_is_submitted() -> None:
    odd = rule(trust={Trust.ADMIN: Terms(admission=Admission.REFUSE)})
    routed = router(odd).route(submission())
    assert (routed.drafts, routed.verdicts[0].reason) == ((), "trust")
