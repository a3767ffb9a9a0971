"""What a test of the configuration expects is held against the routing, and told by clause."""

from __future__ import annotations

from typing import Any

import pytest

from covend.core.expected import Expected
from covend.core.model import DeliveryId, Event, Subject, SubjectType, Trust
from covend.core.policy import policy_of
from covend.core.rules.expecting import compare
from covend.core.rules.routing import prepare
from covend.core.rules.verdicts import Routing
from covend.core.settings import Agent, Rule, When

AGENT = Agent(name="sh", command=("true",))
KEY = f"review:acme/till:pull_request:7:{'a' * 40}"


def routing(trust: Trust = Trust.MEMBER, **changes: Any) -> Routing:
    rules = (
        Rule(name="review", on=("pull_request.opened",), agent="sh", prompt="Review."),
        Rule(name="push", on=("push",), agent="sh", prompt="Look."),
        Rule(
            name="drafts",
            on=("pull_request.opened",),
            when=When(draft=True),
            agent="sh",
            prompt="Look.",
        ),
    )
    router = prepare(rules, {rule.name: policy_of(rule, AGENT) for rule in rules}, (), ())
    plain: dict[str, Any] = {
        "source": "github",
        "delivery": DeliveryId("d"),
        "name": "pull_request",
        "action": "opened",
        "repository": "acme/till",
        "sender": "ada",
        "trust": trust,
        "draft": False,
        "subject": Subject(type=SubjectType.PULL_REQUEST, number=7, head_sha="a" * 40),
    }
    return router.route(Event(**plain | changes))


@pytest.mark.parametrize(
    "expected",
    [
        Expected(rule="review"),
        Expected(rule="review", key=KEY, tasks=1, held=False),
        Expected(tasks=1),
        Expected(reason="matched"),
    ],
    ids=["rule", "all", "tasks", "reason"],
)
def test_what_came_as_expected_has_nothing_amiss(expected: Expected) -> None:
    assert compare(expected, routing()) == ()


def test_a_rule_that_does_not_want_it_is_told_with_the_clause_that_failed() -> None:
    (wrong,) = compare(Expected(rule="drafts"), routing())
    assert (wrong.what, wrong.expected, wrong.came) == ("rule", "drafts", "review")
    assert wrong.why == "when.draft is false, wants true"


def test_nothing_means_that_no_rule_wants_it() -> None:
    assert (
        compare(Expected(nothing=True, reason="event_not_wanted"), routing(action="edited")) == ()
    )
    (wrong,) = compare(Expected(nothing=True), routing())
    assert wrong.came == "review"


def test_a_reason_is_the_rules_where_one_is_named() -> None:
    gone = routing(action="edited")
    assert compare(Expected(rule="push", nothing=True, reason="event_not_wanted"), gone) == ()
    (wrong,) = compare(Expected(reason="no_match"), gone)
    assert (wrong.what, wrong.came) == ("reason", "event_not_wanted")


def test_what_waits_for_an_approval_is_held() -> None:
    fork = routing(Trust.FORK)
    assert compare(Expected(rule="review", held=True), fork) == ()
    (wrong,) = compare(Expected(rule="review", held=False), fork)
    assert (wrong.what, wrong.came, wrong.why) == (
        "held",
        "held for an approval",
        "its trust is fork",
    )


def test_another_key_and_another_count_are_each_told() -> None:
    found = compare(Expected(rule="review", key="k", tasks=2), routing())
    assert [(each.what, each.came) for each in found] == [("tasks", "1 (review)"), ("key", KEY)]
