from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from covend.core import intake
from covend.core.ending import Ending
from covend.core.intake import Accepted, Refused
from covend.core.model import Conclusion, Envelope, Event, Subject, SubjectType, Task, TaskId, Trust
from covend.core.rules.routing import judge_again
from covend.core.rules.verdicts import Known
from covend.core.settings import When
from covend.core.sources import own
from covend.core.states import Outcome, TaskState
from tests.core.effects.effect_samples import COMMIT, ISSUE, NOON, PULL, ending, task
from tests.core.github_samples import SECRET, rule, sign

HEADERS = {"x-covend-event": "task", "x-covend-delivery": "d"}


def parent(**changed: Any) -> Task:
    whole = {"actor": "mara", "subject_updated_at": NOON - 1, "depth": 1, "parent": TaskId("01a")}
    return task(**whole | changed)


def told(
    of: Task | None = None,
    how: Ending | None = None,
    target: TaskState = TaskState.COMPLETED,
) -> tuple[Envelope, Event]:
    return own.ended_event(of or parent(), how or ending(summary="Well."), target, NOON + 5)


def test_the_end_of_a_task_is_an_event_about_its_subject() -> None:
    envelope, event = told()
    assert (event.source, event.full_name, event.delivery) == (
        "covend",
        "task.completed",
        envelope.delivery,
    )
    assert event.subject == PULL
    assert (event.repository, event.repository_id, event.installation_id) == ("acme/till", 42, 1)
    assert (event.default_branch, event.clone_url) == ("main", "https://github.com/acme/till.git")
    assert (event.sender, event.author, event.trust) == ("mara", "mara", Trust.WRITE)
    assert (event.conclusion, event.title, event.body) == ("success", "Scan codes", "Well.")
    assert event.subject_updated_at == NOON - 1


def test_it_lies_one_step_deeper_than_its_parent() -> None:
    _, event = told(parent(depth=3))
    assert (event.parent, event.depth) == (parent().id, 4)


def test_the_payload_says_what_its_description_promises() -> None:
    envelope, _ = told(how=ending(summary="No.", conclusion=Conclusion.FAILURE))
    payload = json.loads(envelope.body)
    assert payload["action"] == "completed"
    assert payload["task"] == {
        "id": parent().id,
        "generation": 1,
        "rule": "review",
        "agent": "claude",
        "state": "completed",
        "conclusion": "failure",
        "summary": "No.",
        "error": {"code": None, "message": None},
        "key": "key",
        "depth": 1,
        "parent": "01a",
    }
    assert (payload["sender"], payload["trust"]) == ({"login": "mara"}, "write")
    assert payload["subject"]["updated_at"] == "2026-11-21T11:59:59.999Z"
    assert payload["ended_at"] == "2026-11-21T12:00:00.005Z"


def test_a_task_that_failed_has_no_success_to_show() -> None:
    how = ending(Outcome.FAILED, error_code="agent_error", error_message="x" * 20_000)
    envelope, event = told(how=how, target=TaskState.FAILED)
    assert (event.full_name, event.conclusion) == ("task.failed", "failure")
    error = json.loads(envelope.body)["task"]["error"]
    assert (error["code"], len(error["message"])) == ("agent_error", own.PROSE_MAX)


def test_an_end_is_told_once_for_each_generation() -> None:
    (first, _), (again, _) = told(), told(how=ending(summary="Said otherwise."))
    assert first.delivery == again.delivery
    assert str(UUID(first.delivery)) == first.delivery
    others = [parent(generation=2), parent(id=TaskId("01kaj3v8qk7w2m5p9x4r6t1zbd"))]
    assert len({first.delivery, *(told(other)[0].delivery for other in others)}) == 3


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"subject": ISSUE},
        {"subject": COMMIT, "actor": None, "subject_updated_at": None, "parent": None},
        {"subject": Subject(), "repository": None, "repository_id": None, "installation_id": None},
        {"trust": Trust.FORK, "subject": replace(PULL, head_repository=None)},
        {"trust": Trust.BOT},
        {"subject": replace(PULL, title="a ✓ b", head_ref="a", head_repository="Acme/Till")},
    ],
)
def test_what_was_written_is_read_again_as_it_was(changed: dict[str, Any]) -> None:
    envelope, event = told(parent(**changed))
    assert event.subject == parent(**changed).subject
    read = intake.reopen(envelope.headers, envelope.body, "covend", source="covend")
    assert read == Accepted(envelope=envelope, event=event)


@pytest.mark.parametrize(
    ("head_repository", "trust", "fork"),
    [
        ("acme/till", Trust.WRITE, False),
        ("Acme/Till", Trust.WRITE, False),
        ("mara/till", Trust.WRITE, True),
        (None, Trust.FORK, True),
        (None, Trust.WRITE, None),
    ],
)
def test_a_fork_stays_one_for_what_follows(
    head_repository: str | None, trust: Trust, fork: bool | None
) -> None:
    subject = replace(PULL, head_repository=head_repository)
    assert told(parent(subject=subject, trust=trust))[1].fork is fork


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (When(conclusion=("success",)), True),
        (When(conclusion=("failure",)), False),
        (When(repository=("acme/*",), body=("Well*",), title=("Scan*",), author=("mara",)), True),
        (When(payload={"task.rule": ("review",)}), True),
        (When(payload={"task.rule": ("fix",)}), False),
        (When(payload={"task.generation": ("1",)}), True),
        (When(labels=("!later",)), True),
    ],
)
def test_a_rule_picks_whom_it_follows(when: When, expected: bool) -> None:
    follow = rule("follow", "task.completed", when=when)
    assert judge_again(follow, told()[1], Known()).matched is expected


def test_only_completed_and_failed_tasks_are_told_of() -> None:
    with pytest.raises(AssertionError):
        told(target=TaskState.CANCELLED)


def test_nobody_sends_in_covends_name() -> None:
    envelope, _ = told()
    signed = {**envelope.headers, "x-hub-signature-256": sign(envelope.body)}
    for answer in (
        intake.check_head(signed, source="covend"),
        intake.read(signed, envelope.body, [SECRET], None, source="covend"),
    ):
        assert isinstance(answer, Refused)
        assert (answer.status, answer.code) == (401, "own_source")


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        (HEADERS, b"[]", "bad_body"),
        (HEADERS, b"{", "bad_body"),
        ({}, b"{}", "bad_record"),
        (HEADERS | {"x-covend-event": "push"}, b"{}", "bad_record"),
        (HEADERS | {"x-covend-delivery": ""}, b"{}", "bad_record"),
    ],
)
def test_what_covend_has_not_written_is_no_record(
    headers: dict[str, str], body: bytes, code: str
) -> None:
    answer = own.reopen(headers, body)
    assert isinstance(answer, Refused)
    assert answer.code == code


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
PLACES = sorted(
    (part, key)
    for part, values in json.loads(told()[0].body).items()
    for key in (values if isinstance(values, dict) else [""])
)


@given(place=st.sampled_from(PLACES), value=VALUES)
def test_no_record_of_another_covend_breaks_the_reading(
    place: tuple[str, str], value: object
) -> None:
    payload = json.loads(told()[0].body)
    part, key = place
    payload[part] = payload[part] | {key: value} if key else value
    envelope = replace(told()[0], payload=payload, whole=payload)
    event = own.read_event(envelope, None)
    assert event.subject.type in SubjectType
    assert event.trust in Trust
