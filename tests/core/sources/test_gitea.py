"""Gitea and Forgejo: their signature, and payloads as their documentation shows them."""

from __future__ import annotations

import copy
from typing import Any
from urllib.parse import urlencode

import pytest

from covend.core.model import Event, Moment, SubjectType, Trust
from covend.core.outside import SourceKind
from covend.core.rules import facts
from covend.core.secret import Secret
from tests.core.sources.foreign_samples import (
    BEFORE,
    GITEA,
    GITEA_PULL,
    GITEA_PUSH,
    GITEA_REPOSITORY,
    GITEA_USER,
    HEAD,
    PLAIN,
    UUID,
    accepted,
    dumped,
    gitea_headers,
    hexed,
    read,
    refused,
    source,
)

BODY = dumped(GITEA_PULL)
FORM = "application/x-www-form-urlencoded"


def told(payload: Any, event: str) -> Event:
    body = dumped(payload)
    return accepted(read(GITEA.source, gitea_headers(body, event=event), body)).event


def changed(payload: Any, **more: Any) -> Any:
    return {**copy.deepcopy(payload), **more}


# --- who signs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("forge", ["gitea", "forgejo"])
def test_the_body_is_signed(forge: str) -> None:
    headers = gitea_headers(BODY, of=forge)
    accepted(read(GITEA.source, headers, BODY))
    assert refused(read(GITEA.source, headers, BODY + b" ")) == (401, "bad_signature")


def test_a_bad_signature_of_forgejos_is_not_made_good_by_giteas() -> None:
    headers = {**gitea_headers(BODY, of="gitea"), **gitea_headers(BODY, of="forgejo")}
    accepted(read(GITEA.source, headers, BODY))
    answer = read(GITEA.source, headers, BODY, x_forgejo_signature="0" * 64)
    assert refused(answer) == (401, "bad_signature")


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        hexed(BODY)[:-1],
        hexed(BODY).upper(),
        f"sha256={hexed(BODY)}",
        f"{hexed(BODY)}, {hexed(BODY)}",  # two headers of one name
        hexed(BODY, key="another"),
        hexed(BODY, key=""),
        "é" * 64,
    ],
)
def test_no_other_signature_is_good(signature: str | None) -> None:
    assert refused(GITEA.read(BODY, x_gitea_signature=signature)) == (401, "bad_signature")


def test_secrets_rotate_and_an_empty_one_is_none() -> None:
    for secrets in ((Secret("new"), PLAIN), (PLAIN, Secret("new"))):
        accepted(read(source(SourceKind.GITEA, *secrets), gitea_headers(BODY), BODY))
    nobody = source(SourceKind.GITEA, Secret(""))
    answer = read(nobody, gitea_headers(BODY), BODY, x_gitea_signature=hexed(BODY, key=""))
    assert refused(answer) == (401, "bad_signature")


def test_of_a_form_the_json_in_it_is_signed() -> None:
    form = urlencode({"payload": BODY.decode()}).encode()
    headers = {**gitea_headers(BODY), "content-type": FORM}
    event = accepted(read(GITEA.source, headers, form)).event
    assert event.payload == GITEA_PULL
    other = {**gitea_headers(form), "content-type": FORM}
    assert refused(read(GITEA.source, other, form)) == (401, "bad_signature")
    assert refused(read(GITEA.source, headers, form * 2)) == (401, "bad_signature")


@pytest.mark.parametrize(
    ("header", "code"),
    [("x_gitea_event", "bad_event_name"), ("x_gitea_delivery", "bad_delivery_id")],
)
def test_event_and_id_must_be_told(header: str, code: str) -> None:
    for wrong in (None, "", "a\tb"):
        assert refused(GITEA.read(BODY, **{header: wrong})) == (400, code)


# --- what is told ---------------------------------------------------------------------------------


def test_a_pull_request_is_read() -> None:
    event = told(GITEA_PULL, "pull_request")
    assert (event.full_name, event.repository) == (
        "them:pull_request.opened",
        "them:gitea/webhooks",
    )
    assert (event.sender, event.author, event.draft, event.fork) == ("gitea", "gitea", False, False)
    assert (event.title, event.body, event.labels) == (
        "Sort the drawer",
        "It was not sorted.",
        ("till",),
    )
    subject = event.subject
    assert (subject.type, subject.number) == (SubjectType.PULL_REQUEST, 7)
    assert (subject.head_sha, subject.base_sha) == (HEAD, BEFORE)
    assert (subject.head_ref, subject.base_ref) == ("sorting", "master")
    assert event.subject_updated_at == moment("2026-11-21T12:00:00Z")


def moment(text: str) -> Moment | None:
    return facts.moment(text)


def test_ids_permissions_and_trust_are_not_githubs() -> None:
    pull = changed(GITEA_PULL, installation={"id": 5})
    pull["pull_request"]["author_association"] = "OWNER"
    event = told(pull, "pull_request")
    assert (event.repository_id, event.installation_id, event.association) == (None, None, None)
    assert event.trust is Trust.NONE
    assert event.is_foreign


def test_a_push_is_read_with_its_paths() -> None:
    event = told(GITEA_PUSH, "push")
    assert (event.full_name, event.ref, event.paths) == (
        "them:push",
        "refs/heads/develop",
        ("README.md",),
    )
    assert (event.subject.type, event.subject.title) == (SubjectType.COMMIT, "Webhooks Yay!")
    assert (event.subject.head_sha, event.before_sha) == (HEAD, BEFORE)


def test_a_push_whose_commits_are_cut_tells_no_paths() -> None:
    assert told(changed(GITEA_PUSH, total_commits=2), "push").paths is None


def test_an_issue_and_a_comment_on_it_are_read_and_command_nothing() -> None:
    issue = {"number": 4, "title": "It beeps", "body": "Always.", "user": GITEA_USER}
    common = {"repository": GITEA_REPOSITORY, "sender": GITEA_USER, "issue": issue}
    event = told({"action": "opened", **common}, "issues")
    assert (event.full_name, event.subject.type, event.subject.number) == (
        "them:issues.opened",
        SubjectType.ISSUE,
        4,
    )
    comment = {"id": 12, "body": "/covend approve", "user": GITEA_USER}
    said = told({"action": "created", "comment": comment, **common}, "issue_comment")
    assert (said.comment_id, said.body, said.command) == (12, "/covend approve", None)


@pytest.mark.parametrize(
    "event", ["pull_request_approved", "pull_request_rejected", "pull_request_comment"]
)
def test_a_review_is_read_as_one(event: str) -> None:
    review = {"type": event, "content": "Well done."}
    read_as = told(changed(GITEA_PULL, action="reviewed", review=review), event)
    assert read_as.full_name == f"them:{event}.reviewed"
    assert (read_as.body, read_as.subject.number) == ("Well done.", 7)


def test_a_closed_pull_request_says_when() -> None:
    closed = changed(GITEA_PULL, action="closed")
    closed["pull_request"]["closed_at"] = "2026-11-21T13:00:00Z"
    assert told(closed, "pull_request").closed_at == moment("2026-11-21T13:00:00Z")


def test_the_id_is_made_of_the_name_and_what_the_sender_gave() -> None:
    first, again = (accepted(GITEA.read(body)).envelope for body in (BODY, BODY))
    assert first.delivery == again.delivery != UUID
    assert UUID in first.headers.values()
