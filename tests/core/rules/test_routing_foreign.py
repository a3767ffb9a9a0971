"""Events of other senders start what names them, ask nobody, and are never taken for GitHub's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from covend.core.contract.brief import brief_of
from covend.core.model import Event, Need, SubjectType, Trust
from covend.core.rules.prepared import is_foreign
from covend.core.settings import Admission, Terms, When
from covend.core.states import DeliveryState
from tests.core.github_samples import pull_request, router, rule
from tests.core.sources.foreign_samples import GITEA, GITEA_PULL, accepted, dumped, read
from tests.core.test_brief import POLICY, claim

CLAIM = claim()
LOOKED_UP: tuple[dict[str, Any], ...] = (
    {"paths": ("src/**",)},
    {"association": ("MEMBER",)},
)


def told(name: str = "forge", *, trust: Trust = Trust.MEMBER, payload: Any = GITEA_PULL) -> Event:
    body = dumped(payload)
    source = replace(GITEA.source, name=name, trust=trust)
    return accepted(read(source, GITEA.headers(body), body)).event


@pytest.mark.parametrize(
    ("on", "is_wanted"),
    [
        ("forge:pull_request.opened", True),
        ("forge:pull_request", True),
        ("forge:pull_request.closed", False),
        ("forge:push", False),
        ("other:pull_request.opened", False),
        ("pull_request.opened", False),
        ("pull_request", False),
        ("*", False),
        ("*.opened", False),
        ("forge*", False),
    ],
)
def test_an_event_of_a_sender_is_wanted_only_by_its_name(on: str, is_wanted: bool) -> None:
    assert bool(router(rule("r", on)).route(told()).drafts) is is_wanted


def test_what_a_rule_refuses_it_refuses_of_senders_too() -> None:
    assert router(rule("r", "forge:pull_request", "!*.opened")).route(told()).drafts == ()
    assert router(rule("r", "!forge:pull_request")).route(told()).drafts == ()


def test_a_rule_for_a_sender_wants_nothing_of_githubs() -> None:
    routed = router(rule("r", "forge:pull_request", "forge:*")).route(pull_request())
    assert (routed.state, routed.drafts) == (DeliveryState.IGNORED, ())


@pytest.mark.parametrize("when", [When(**each) for each in LOOKED_UP], ids=["paths", "association"])
def test_what_its_payload_lacks_is_unknown_and_not_looked_up(when: When) -> None:
    (verdict,) = router(rule("r", "forge:pull_request", when=when)).route(told()).verdicts
    assert verdict.matched is False
    refusing = When(association=("!NONE",), labels=("!wip",))
    (draft,) = router(rule("r", "forge:pull_request", when=refusing)).route(told()).drafts
    assert draft.needs == frozenset()


def test_a_head_that_nobody_knows_is_not_looked_up() -> None:
    payload = {**GITEA_PULL, "pull_request": {**GITEA_PULL["pull_request"], "head": None}}  # type: ignore[dict-item]
    event = told(payload=payload)
    when = When(head=("!main",), draft=False)
    (draft,) = router(rule("r", "forge:pull_request", when=when)).route(event).drafts
    assert draft.needs == frozenset()
    assert draft.subject.head_sha is None
    assert event.delivery in draft.key


def test_no_permission_on_github_is_asked_for() -> None:
    trust = {Trust.ADMIN: Terms(), Trust.NONE: Terms(admission=Admission.REFUSE)}
    asks = rule("r", "forge:pull_request", trust=trust)
    (draft,) = router(asks).route(told()).drafts
    assert (draft.trust, draft.needs) == (Trust.MEMBER, frozenset())
    assert router(asks).route(told(trust=Trust.NONE)).drafts == ()
    allowed = rule("r", "forge:pull_request", allow=("write",))
    assert router(allowed).route(told()).drafts == ()


def test_whom_nobody_knows_waits_for_an_approval() -> None:
    (draft,) = router(rule("r", "forge:pull_request")).route(told(trust=Trust.NONE)).drafts
    assert draft.needs == frozenset({Need.APPROVAL})


def test_the_same_pull_request_of_two_forges_is_not_the_same_work() -> None:
    both = router(rule("r", "forge:pull_request", "mirror:pull_request", "pull_request"))
    here, there = (both.route(told(name)).drafts[0] for name in ("forge", "mirror"))
    assert here.key != there.key
    assert (here.subject.type, here.subject.number) == (SubjectType.PULL_REQUEST, 7)
    again = both.route(told()).drafts[0]
    assert again.key == here.key, "the same head once more is the same work"


def test_a_senders_ping_and_own_checks_mean_nothing_special() -> None:
    event = structs.replace(told(), name="forge:ping", action=None)
    assert router(rule("r", "forge:ping")).route(event).drafts != ()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("forge:push", True),
        ("forge:a.b:c", True),
        ("push", False),
        ("repository_dispatch.a:b", False),
        ("schedule.x", False),
    ],
)
def test_only_a_colon_before_the_action_makes_it_a_senders(name: str, expected: bool) -> None:
    assert is_foreign(name) is expected
    task = replace(CLAIM.task, event=name)
    assert task.is_foreign is expected


def test_the_brief_tells_the_sender_and_writes_its_things_as_it_does() -> None:
    task = replace(CLAIM.task, event="forge:pull_request.opened", repository="forge:gitea/webhooks")
    brief = brief_of(replace(CLAIM, task=task), POLICY, "Look.", 0)
    assert brief["event"] == {
        "source": "forge",
        "name": "pull_request",
        "action": "opened",
        "delivery": task.delivery,
    }
    assert brief["repository"]["full_name"] == "gitea/webhooks"
    ticked = replace(CLAIM, task=replace(CLAIM.task, event="schedule.weekly"))
    assert brief_of(ticked, POLICY, "Look.", 0)["event"]["source"] == "schedule"
