from __future__ import annotations

import json
from typing import Any

import pytest

from covend.core import intake
from covend.core.errors import UserError
from covend.core.intake import Accepted, Refused
from covend.core.model import DeliveryId, Repository, SubjectType, Trust
from covend.core.sources import submission
from covend.core.sources.submission import (
    INPUTS_BYTES_MAX,
    asks_for,
    read_key,
    read_submission,
    sha256_of,
    submitted,
)
from tests.core.github_samples import HEAD, OTHER_HEAD, SECRET, sign

TILL = Repository(
    id=42,
    full_name="acme/till",
    installation_id=1,
    default_branch="main",
    clone_url="https://forge/acme/till.git",
)
WHOLE: dict[str, Any] = {
    "rule": "review",
    "repository": "acme/till",
    "number": 7,
    "head_sha": HEAD,
    "inputs": {"depth": 2, "why": "✓", "dry": True, "none": None},
}
DELIVERY = DeliveryId("d")


def reading(**changed: Any) -> Any:
    envelope = submitted(read_submission(WHOLE | changed), TILL, DELIVERY)
    return submission.read_event(envelope, None)


def test_a_submission_is_an_event_that_asks_for_its_rule_by_name() -> None:
    event = reading()
    assert (event.source, event.full_name, event.delivery) == ("api", "submission", "d")
    assert (event.rule, event.inputs) == ("review", WHOLE["inputs"])
    assert (event.repository, event.repository_id, event.installation_id) == ("acme/till", 42, 1)
    assert (event.default_branch, event.clone_url) == ("main", "https://forge/acme/till.git")
    assert (event.trust, event.sender) == (Trust.ADMIN, None)
    assert (event.subject.number, event.subject.head_sha) == (7, HEAD)


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({}, SubjectType.PULL_REQUEST),
        ({"head_sha": None}, SubjectType.PULL_REQUEST),
        ({"number": None}, SubjectType.COMMIT),
        ({"number": None, "head_sha": None}, SubjectType.NONE),
    ],
)
def test_what_it_is_about_follows_from_what_is_named(
    changed: dict[str, Any], kind: SubjectType
) -> None:
    assert reading(**changed).subject.type is kind


def test_what_was_written_is_read_again_as_it_was() -> None:
    envelope = submitted(read_submission(WHOLE), TILL, DELIVERY)
    read = intake.reopen(envelope.headers, envelope.body, "covend", source="api")
    assert read == Accepted(envelope=envelope, event=submission.read_event(envelope, None))


@pytest.mark.parametrize(
    ("body", "name", "words"),
    [
        ({}, "rule", "the name of a rule"),
        ({"rule": ""}, "rule", "the name of a rule"),
        ({"rule": 7}, "rule", "the name of a rule"),
        ({"rule": "a\nb"}, "rule", "the name of a rule"),
        ({"rule": "r"}, "repository", "OWNER/NAME"),
        ({"rule": "r", "repository": "till"}, "repository", "OWNER/NAME"),
        ({"rule": "r", "repository": "../till"}, "repository", "OWNER/NAME"),
        ({"rule": "r", "repository": ["acme/till"]}, "repository", "OWNER/NAME"),
        (WHOLE | {"number": 0}, "number", "from 1 on"),
        (WHOLE | {"number": "7"}, "number", "from 1 on"),
        (WHOLE | {"number": True}, "number", "from 1 on"),
        (WHOLE | {"number": 7.0}, "number", "from 1 on"),
        (WHOLE | {"number": 1 << 63}, "number", "from 1 on"),
        (WHOLE | {"head_sha": HEAD[:12]}, "head_sha", "40 or 64"),
        (WHOLE | {"head_sha": "0" * 40}, "head_sha", "40 or 64"),
        (WHOLE | {"head_sha": 7}, "head_sha", "40 or 64"),
        (WHOLE | {"inputs": []}, "inputs", "an object"),
        (WHOLE | {"inputs": {"a": [1]}}, "inputs", "must be flat: a is a list of values"),
        (WHOLE | {"inputs": {"a": {}}}, "inputs", "must be flat: a is a set of values"),
        (WHOLE | {"inputs": {"": 1}}, "inputs", "printable characters"),
        (WHOLE | {"inputs": {"a\n": 1}}, "inputs", "printable characters"),
        (WHOLE | {"inputs": {"a": "x\0"}}, "inputs", "a has a NUL"),
        (WHOLE | {"inputs": {"a": "x" * INPUTS_BYTES_MAX}}, "inputs", "16 KiB"),
    ],
)
def test_what_is_no_submission_is_refused_by_the_name_of_the_field(
    body: dict[str, Any], name: str, words: str
) -> None:
    with pytest.raises(UserError, match=words) as caught:
        read_submission(body)
    assert caught.value.details == {"name": name}


def test_an_unknown_field_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UserError, match="no field 'branch' here: there are rule, repository"):
        read_submission(WHOLE | {"branch": "main"})


def test_inputs_may_be_as_large_as_is_promised() -> None:
    value = "x" * (INPUTS_BYTES_MAX - len('{"a":""}'))
    assert read_submission(WHOLE | {"inputs": {"a": value}}).inputs == {"a": value}


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\tb", "\udcff"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(UserError, match="Idempotency-Key must be"):
        read_key(key)


def test_a_key_may_have_any_printable_characters() -> None:
    assert read_key(None) is None
    assert read_key('"a b-1"') == '"a b-1"'


@pytest.mark.parametrize(
    "changed",
    [
        {"repository": "Acme/Till"},
        {"head_sha": HEAD.upper()},
        {"inputs": dict(reversed(WHOLE["inputs"].items()))},
    ],
)
def test_the_very_same_may_be_written_in_another_way(changed: dict[str, Any]) -> None:
    assert sha256_of(read_submission(WHOLE | changed)) == sha256_of(read_submission(WHOLE))


@pytest.mark.parametrize(
    "changed",
    [
        {"rule": "fix"},
        {"repository": "acme/other"},
        {"number": 8},
        {"head_sha": OTHER_HEAD},
        {"head_sha": None},
        {"inputs": {}},
        {"inputs": WHOLE["inputs"] | {"depth": "2"}},
        {"inputs": WHOLE["inputs"] | {"dry": 1}},
    ],
)
def test_whatever_differs_makes_it_another_request(changed: dict[str, Any]) -> None:
    stored = submitted(read_submission(WHOLE), TILL, DELIVERY)
    assert asks_for(stored, read_submission(WHOLE))
    assert not asks_for(stored, read_submission(WHOLE | changed))


def test_nobody_submits_by_the_public_listener() -> None:
    envelope = submitted(read_submission(WHOLE), TILL, DELIVERY)
    signed = {**envelope.headers, "x-hub-signature-256": sign(envelope.body)}
    for answer in (
        intake.check_head(signed, source="api"),
        intake.read(signed, envelope.body, [SECRET], None, source="api"),
    ):
        assert isinstance(answer, Refused)
        assert answer.status == 401


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({"x-covend-event": "submission", "x-covend-delivery": "d"}, b"[]", "bad_body"),
        ({"x-covend-event": "submission", "x-covend-delivery": "d"}, b"{}", "bad_record"),
        ({"x-covend-event": "submission"}, json.dumps(WHOLE).encode(), "bad_record"),
        ({"x-covend-delivery": "d"}, json.dumps(WHOLE).encode(), "bad_record"),
    ],
)
def test_what_covend_has_not_written_is_no_record(
    headers: dict[str, str], body: bytes, code: str
) -> None:
    answer = submission.reopen(headers, body)
    assert isinstance(answer, Refused)
    assert answer.code == code
