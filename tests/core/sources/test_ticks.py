"""A tick is a delivery like any other: written once, read again as it was, and sent by nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from covend.core.intake import Refused, check_head, fold, read, reopen
from covend.core.model import Repository, SubjectType, Trust
from covend.core.outside import Schedule
from covend.core.secret import Secret
from covend.core.settings import Admission, Terms
from covend.core.sources import ticks
from tests.core.github_samples import router, rule

SCHEDULE = Schedule(name="weekly", cron="0 6 * * 1", rule="audit")
TILL = Repository(
    id=42,
    full_name="acme/till",
    installation_id=7,
    default_branch="main",
    clone_url="https://github.com/acme/till.git",
)
TICK = 1_795_413_600_000


@pytest.mark.parametrize("repository", [None, TILL])
def test_a_tick_is_read_again_as_it_was(repository: Repository | None) -> None:
    envelope = ticks.ticked(SCHEDULE, TICK, repository)
    again = reopen(fold(envelope.headers.items()), envelope.body, "covend", source=ticks.NAME)
    assert not isinstance(again, Refused)
    assert again.envelope == envelope
    event = again.event
    assert (event.full_name, event.rule, event.trust) == ("schedule.weekly", "audit", Trust.ADMIN)
    assert (event.subject.type, event.sender) == (SubjectType.NONE, None)
    told = (event.repository_id, event.repository, event.installation_id, event.default_branch)
    assert told == ((42, "acme/till", 7, "main") if repository else (None,) * 4)
    assert event.payload["tick"] == "2026-11-23T06:00:00Z"


def test_a_tick_has_one_id_and_no_other_tick_has_it() -> None:
    one = ticks.ticked(SCHEDULE, TICK, None).delivery
    assert one == ticks.ticked(replace(SCHEDULE, cron="* * * * *"), TICK, TILL).delivery
    assert one != ticks.ticked(SCHEDULE, TICK + 60_000, None).delivery
    assert one != ticks.ticked(replace(SCHEDULE, name="w"), TICK, None).delivery


def test_nobody_sends_a_tick() -> None:
    envelope = ticks.ticked(SCHEDULE, TICK, None)
    headers = {**envelope.headers, "content-type": "application/json"}
    answers = (
        check_head(headers, source=ticks.NAME),
        read(headers, envelope.body, [Secret("x")], None, source=ticks.NAME),
    )
    for answer in answers:
        assert isinstance(answer, Refused)
        assert answer.status == 401


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"rule": 7}', b"["])
def test_what_is_no_tick_is_not_read(body: bytes) -> None:
    headers = ticks.ticked(SCHEDULE, TICK, None).headers
    assert isinstance(reopen(headers, body, None, source=ticks.NAME), Refused)


def test_a_tick_starts_the_rule_that_it_names_and_no_other() -> None:
    other = rule("other", "*")
    audit = rule("audit", "pull_request.opened")
    event = ticks.read_event(ticks.ticked(SCHEDULE, TICK, TILL), None)
    (draft,) = router(other, audit).route(event).drafts
    assert (draft.rule, draft.trust, draft.needs) == ("audit", Trust.ADMIN, frozenset())
    assert event.delivery in draft.key
    assert router(other).route(event).drafts == ()


def test_a_rule_may_still_refuse_its_ticks() -> None:
    audit = rule("audit", trust={Trust.ADMIN: Terms(admission=Admission.REFUSE)})
    event = ticks.read_event(ticks.ticked(SCHEDULE, TICK, None), None)
    assert router(audit).route(event).drafts == ()
