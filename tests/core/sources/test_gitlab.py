"""GitLab: its two kinds of secret, and payloads as its documentation shows them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from covend.core.model import Event, SubjectType, Trust
from covend.core.outside import SourceKind
from covend.core.rules import facts
from covend.core.secret import Secret
from tests.core.sources.foreign_samples import (
    BEFORE,
    GITLAB,
    GITLAB_MERGE,
    GITLAB_PROJECT,
    GITLAB_PUSH,
    GITLAB_USER,
    HEAD,
    NOW,
    PLAIN,
    SIGNING_GITLAB,
    UUID,
    WHSEC,
    accepted,
    dumped,
    gitlab_headers,
    read,
    refused,
    source,
    standard_headers,
)

BODY = dumped(GITLAB_MERGE)


def told(payload: Any) -> Event:
    return accepted(GITLAB.read(dumped(payload))).event


def changed(payload: Any, **attributes: Any) -> Any:
    copied = copy.deepcopy(payload)
    copied["object_attributes"].update(attributes)
    return copied


# --- who sends ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    [None, "", "another", f"{PLAIN.reveal()}, {PLAIN.reveal()}", f"{PLAIN.reveal()} ", "é" * 8],
)
def test_only_the_secret_token_lets_in(token: str | None) -> None:
    accepted(GITLAB.read(BODY))
    assert refused(GITLAB.read(BODY, x_gitlab_token=token)) == (401, "bad_signature")


def test_the_signing_token_signs_by_standard_webhooks() -> None:
    accepted(SIGNING_GITLAB.read(BODY))
    headers = SIGNING_GITLAB.headers(BODY)
    assert refused(read(SIGNING_GITLAB.source, headers, BODY + b" ")) == (401, "bad_signature")
    late = read(SIGNING_GITLAB.source, headers, BODY, NOW + 300_001)
    assert refused(late) == (401, "bad_timestamp")


def test_a_signing_token_is_never_a_secret_token() -> None:
    headers = {**gitlab_headers(BODY), "x-gitlab-token": WHSEC.reveal()}
    assert refused(read(SIGNING_GITLAB.source, headers, BODY)) == (401, "bad_signature")


def test_a_secret_token_signs_nothing() -> None:
    signed = {**standard_headers(BODY, key=PLAIN.reveal().encode()), "x-gitlab-event": "Push Hook"}
    assert refused(read(GITLAB.source, signed, BODY)) == (401, "bad_signature")


def test_either_of_several_secrets_lets_in() -> None:
    both = source(SourceKind.GITLAB, PLAIN, WHSEC, Secret("next"))
    accepted(read(both, gitlab_headers(BODY), BODY))
    accepted(read(both, SIGNING_GITLAB.headers(BODY), BODY))
    accepted(read(both, gitlab_headers(BODY), BODY, x_gitlab_token="next"))
    # The token of another hook, beside a signature that is good.
    accepted(read(both, SIGNING_GITLAB.headers(BODY), BODY, x_gitlab_token="other"))


def test_an_empty_secret_lets_nobody_in() -> None:
    nobody = source(SourceKind.GITLAB, Secret(""))
    for token in ("", None):
        answer = read(nobody, gitlab_headers(BODY), BODY, x_gitlab_token=token)
        assert refused(answer) == (401, "bad_signature")


# --- which delivery it is -------------------------------------------------------------------------


def known_by(body: bytes = BODY, **headers: str | None) -> str:
    return accepted(GITLAB.read(body, **headers)).envelope.delivery


def test_a_retry_is_known_by_its_idempotency_key() -> None:
    assert known_by() == known_by(x_gitlab_event_uuid="another")
    assert known_by() != known_by(idempotency_key="another")
    assert known_by(webhook_id="m") == known_by(webhook_id="m", idempotency_key="another")


def test_without_one_what_an_event_sets_off_in_turn_is_told_apart() -> None:
    """Webhooks that a webhook has set off share the event's UUID."""
    one, other = dumped(GITLAB_MERGE), dumped(GITLAB_PUSH)
    assert known_by(one, idempotency_key=None) == known_by(one, idempotency_key=None)
    assert known_by(one, idempotency_key=None) != known_by(other, idempotency_key=None)
    assert known_by(one, idempotency_key=None) != known_by(
        one, idempotency_key=None, x_gitlab_event_uuid=UUID[::-1]
    )
    known_by(one, idempotency_key=None, x_gitlab_event_uuid=None)


# --- what is told ---------------------------------------------------------------------------------


def test_a_merge_request_is_read() -> None:
    event = told(GITLAB_MERGE)
    assert event.full_name == "them:merge_request.open"
    assert event.repository == "them:gitlabhq/group/gitlab-test"
    assert (event.sender, event.author, event.draft, event.fork) == ("root", "root", False, False)
    assert (event.title, event.body, event.labels) == ("MS-Viewport", "A viewport.", ("API",))
    subject = event.subject
    assert (subject.type, subject.number) == (SubjectType.PULL_REQUEST, 1)
    assert (subject.head_sha, subject.head_ref, subject.base_ref) == (HEAD, "ms-viewport", "master")
    assert subject.head_repository == "awesome_space/awesome_project"
    assert event.subject_updated_at == facts.moment("2013-12-03T17:23:34Z")
    assert (event.trust, event.repository_id, event.closed_at) == (Trust.NONE, None, None)


def test_a_merge_request_of_another_project_is_a_forks() -> None:
    assert told(changed(GITLAB_MERGE, source_project_id=15)).fork is True
    assert told(changed(GITLAB_MERGE, source_project_id="x")).fork is None


def test_whoever_acts_is_not_taken_for_the_author() -> None:
    assert told(changed(GITLAB_MERGE, author_id=52)).author is None


@pytest.mark.parametrize("action", ["close", "merge"])
def test_a_merge_request_that_is_over_says_when(action: str) -> None:
    event = told(changed(GITLAB_MERGE, action=action, updated_at="2026-11-21T12:00:00Z"))
    assert event.closed_at == facts.moment("2026-11-21T12:00:00Z")


def test_a_new_head_names_the_one_before() -> None:
    event = told(changed(GITLAB_MERGE, action="update", oldrev=BEFORE))
    assert (event.full_name, event.before_sha) == ("them:merge_request.update", BEFORE)


def test_a_push_is_read_with_its_paths() -> None:
    event = told(GITLAB_PUSH)
    assert (event.full_name, event.sender) == ("them:push", "jsmith")
    assert event.paths == ("CHANGELOG", "app/controller.rb")
    assert (event.subject.type, event.subject.head_sha) == (SubjectType.COMMIT, HEAD)
    assert (event.subject.title, event.subject.base_sha) == ("fixed readme", BEFORE)
    assert told({**GITLAB_PUSH, "total_commits_count": 21}).paths is None
    assert told({**GITLAB_PUSH, "after": "0" * 40}).subject.head_sha is None


def test_an_issue_is_read() -> None:
    issue = {"iid": 23, "title": "New API", "description": "Please.", "action": "open"}
    event = told(
        {
            "object_kind": "issue",
            "event_type": "confidential_issue",
            "user": GITLAB_USER,
            "project": GITLAB_PROJECT,
            "object_attributes": issue,
        }
    )
    assert (event.full_name, event.subject.type, event.subject.number, event.body) == (
        "them:issue.open",
        SubjectType.ISSUE,
        23,
        "Please.",
    )


@pytest.mark.parametrize(
    ("thing", "kind", "number", "head"),
    [
        (
            {"merge_request": GITLAB_MERGE["object_attributes"]},
            SubjectType.PULL_REQUEST,
            1,
            HEAD,
        ),
        ({"issue": {"iid": 9, "title": "It beeps"}}, SubjectType.ISSUE, 9, None),
        ({"commit": {"id": HEAD, "message": "fixed"}}, SubjectType.COMMIT, None, HEAD),
        ({"snippet": {"id": 53, "title": "A snippet"}}, SubjectType.NONE, None, None),
        ({}, SubjectType.NONE, None, None),
    ],
)
def test_a_note_is_about_what_was_noted(
    thing: dict[str, Any], kind: SubjectType, number: int | None, head: str | None
) -> None:
    note = {"id": 1243, "note": "/covend approve", "noteable_type": "X", "action": "create"}
    event = told(
        {
            "object_kind": "note",
            "user": GITLAB_USER,
            "project": GITLAB_PROJECT,
            "object_attributes": note,
            **thing,
        }
    )
    assert (event.full_name, event.comment_id) == ("them:note.create", 1243)
    assert (event.body, event.command) == ("/covend approve", None)
    assert (event.subject.type, event.subject.number, event.subject.head_sha) == (
        kind,
        number,
        head,
    )


@pytest.mark.parametrize(
    ("payload", "name", "conclusion"),
    [
        (
            {"object_kind": "pipeline", "object_attributes": {"sha": HEAD, "status": "failed"}},
            "them:pipeline",
            "failed",
        ),
        ({"object_kind": "build", "sha": HEAD, "build_status": "success"}, "them:build", "success"),
    ],
)
def test_what_was_built_says_how_it_stands(
    payload: dict[str, Any], name: str, conclusion: str
) -> None:
    event = told(payload)
    assert (event.name, event.conclusion, event.subject.head_sha) == (name, conclusion, HEAD)


def test_what_has_no_kind_is_called_by_its_name_or_nothing() -> None:
    assert told({"event_name": "user_add_to_team"}).name == "them:user_add_to_team"
    assert told({}).name == "them:webhook"


@pytest.mark.parametrize("path", ["../x", "a", "a/..", "a b/c", "a/é", 7, None, "a/" * 200 + "b"])
def test_a_project_whose_path_is_none_has_no_name(path: object) -> None:
    assert told({**GITLAB_PUSH, "project": {"path_with_namespace": path}}).repository is None
