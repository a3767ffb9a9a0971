from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from covend.core.model import Command, Event, Subject, SubjectType, Trust
from tests.core.github_samples import HEAD, load, read

BASE = "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"


def pull(**changed: Any) -> dict[str, Any]:
    side = {"ref": "main", "sha": BASE, "repo": {"id": 1, "full_name": "acme/widgets"}}
    return {
        "number": 7,
        "title": "Mend it",
        "user": {"login": "octocat"},
        "head": side | {"ref": "topic", "sha": HEAD},
        "base": side,
    } | changed


def opened(**changed: Any) -> Event:
    return read("pull_request", {"action": "opened", "pull_request": pull(**changed)})


def comment(body: str, **changed: Any) -> dict[str, Any]:
    return {
        "action": "created",
        "issue": {"number": 7, "pull_request": {"url": "…"}},
        "comment": {"id": 99, "body": body, "user": {"login": "octocat"}},
        "sender": {"login": "octocat", "type": "User"},
    } | changed


def test_a_recorded_pull_request_is_read_whole(shared: Path) -> None:
    event = read("pull_request", load(shared, "pull_request.opened"))
    assert event.subject == Subject(
        type=SubjectType.PULL_REQUEST,
        number=2,
        title="Update the README with new information.",
        url="https://github.com/Codertocat/Hello-World/pull/2",
        author="Codertocat",
        head_sha=HEAD,
        base_sha=BASE,
        head_ref="changes",
        base_ref="master",
        head_repository="Codertocat/Hello-World",
    )
    assert event.full_name == "pull_request.opened"
    assert event.repository == "Codertocat/Hello-World"
    assert event.repository_id == 186853002
    assert event.default_branch == "master"
    assert event.clone_url == "https://github.com/Codertocat/Hello-World.git"
    assert (event.sender, event.sender_type, event.author) == ("Codertocat", "User", "Codertocat")
    assert (event.draft, event.fork) == (False, False)
    assert event.title == "Update the README with new information."
    assert event.body is not None
    assert event.body.startswith("This is a pretty simple change")
    assert (event.association, event.trust) == ("OWNER", Trust.MEMBER)
    assert (event.command, event.comment_id, event.paths, event.ref) == (None, None, None, None)


@pytest.mark.parametrize(
    ("recording", "kind", "number", "head"),
    [
        ("pull_request.synchronize", "pull_request", 2, HEAD),
        ("pull_request_review.submitted", "pull_request", 2, HEAD),
        ("pull_request_review_comment.created", "pull_request", 2, HEAD),
        ("issues.opened", "issue", 1, None),
        ("issue_comment.created", "issue", 1, None),
        ("check_suite.completed", "pull_request", 2, HEAD),
        ("check_run.rerequested", "commit", None, "d6fde92930d4715a2b49857d24b940956b26d2d3"),
        ("push.main", "commit", None, None),
        ("release.published", "none", None, None),
        ("installation.created", "none", None, None),
        ("ping.app", "none", None, None),
    ],
)
def test_recorded_payloads_have_their_subject(
    shared: Path, recording: str, kind: str, number: int | None, head: str | None
) -> None:
    subject = read(recording.partition(".")[0], load(shared, recording)).subject
    assert (subject.type, subject.number, subject.head_sha) == (kind, number, head)


def test_a_check_of_a_pull_request_knows_its_branches(shared: Path) -> None:
    event = read("check_suite", load(shared, "check_suite.completed"))
    assert event.conclusion == "success"
    assert event.subject.url == "https://github.com/Codertocat/Hello-World/pull/2"
    assert (event.subject.head_ref, event.subject.base_ref) == ("changes", "master")
    assert event.subject.base_sha == BASE
    assert event.fork is False


def test_a_pull_request_into_another_repository_is_not_the_subject_of_a_check() -> None:
    foreign = pull(base={"ref": "main", "sha": BASE, "repo": {"id": 2}})
    check = {"head_sha": HEAD, "head_branch": "topic", "pull_requests": [foreign]}
    event = read("check_run", {"repository": {"id": 1}, "check_run": check})
    assert event.subject == Subject(type=SubjectType.COMMIT, head_sha=HEAD, head_ref="topic")


def test_a_comment_on_a_pull_request_does_not_know_the_head() -> None:
    event = read("issue_comment", comment("hello"))
    assert event.subject.type is SubjectType.PULL_REQUEST
    assert event.subject.head_sha is None
    assert event.comment_id == 99


def test_a_release_has_a_title_and_a_ref(shared: Path) -> None:
    event = read("release", load(shared, "release.published"))
    assert event.ref == "0.0.1"
    assert event.author == "Codertocat"


@pytest.mark.parametrize(
    ("event", "payload", "sha"),
    [
        ("deployment", {"deployment": {"sha": HEAD}}, HEAD),
        ("deployment_status", {"deployment": {"sha": HEAD}}, HEAD),
        ("status", {"sha": HEAD}, HEAD),
        ("commit_comment", {"comment": {"commit_id": HEAD}}, HEAD),
        ("merge_group", {"merge_group": {"head_sha": HEAD}}, HEAD),
        ("workflow_job", {"workflow_job": {"head_sha": HEAD}}, HEAD),
        ("push", {"after": HEAD}, HEAD),
        ("push", {"after": "0" * 40}, None),
        ("push", {"after": "--upload-pack=/bin/sh"}, None),
    ],
)
def test_events_of_a_commit_know_it(event: str, payload: dict[str, Any], sha: str | None) -> None:
    subject = read(event, payload).subject
    assert (subject.type, subject.head_sha) == (SubjectType.COMMIT, sha)


@pytest.mark.parametrize(
    ("commits", "paths"),
    [
        ([{"added": ["a"], "removed": ["b"]}, {"modified": ["b", "c"]}], ("a", "b", "c")),
        ([], None),
        ("?", None),
        ([{"added": ["a"]}] * 2_048, None),
        ([{"added": [f"{number}"]} for number in range(2_000)] + [None], 2_000),
        ([{"added": [f"{n}.{m}" for m in range(1_000)]} for n in range(4)], None),
    ],
)
def test_a_push_tells_its_paths_where_its_list_is_whole(commits: object, paths: object) -> None:
    found = read("push", {"commits": commits}).paths
    assert found == paths or (found is not None and len(found) == paths)


@pytest.mark.parametrize(
    ("head_repo", "fork"),
    [
        ({"id": 1}, False),
        ({"id": 2}, True),
        (None, True),
    ],
)
def test_a_head_in_another_or_a_deleted_repository_is_a_fork(head_repo: object, fork: bool) -> None:
    event = opened(head={"sha": HEAD, "repo": head_repo})
    assert event.fork is fork
    assert event.trust is (Trust.FORK if fork else Trust.NONE)


def test_an_unknown_head_is_not_said_to_be_a_fork() -> None:
    assert read("issue_comment", comment("hello")).fork is None


def test_an_association_counts_for_the_one_whom_it_is_about() -> None:
    payload = {"pull_request": pull(author_association="OWNER"), "sender": {"login": "octocat"}}
    assert read("pull_request", payload).trust is Trust.MEMBER
    reviewed = payload | {"sender": {"login": "stranger"}}
    assert read("pull_request_review", reviewed).trust is Trust.NONE


def test_who_handles_the_pull_request_of_somebody_else_may_do_so() -> None:
    payload = {"pull_request": pull(author_association="NONE"), "sender": {"login": "triager"}}
    assert read("pull_request", payload).trust is Trust.MEMBER
    assert read("pull_request", payload | {"sender": {}}).trust is Trust.NONE


@pytest.mark.parametrize("value", [0, -1, 1 << 63, True, 7.0, "7", None, [7]])
def test_an_id_outside_of_its_range_is_none(value: object) -> None:
    event = read("pull_request", {"installation": {"id": value}, "repository": {"id": value}})
    assert (event.installation_id, event.repository_id) == (None, None)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a\0b", "a\ufffdb"),
        ("a\ud800b", "a\ufffdb"),
        ("\ud83d\ude00", "😀"),
        ("ä\0", "ä\ufffd"),
        ("x" * 2_000, "x" * 1_024),
    ],
)
def test_a_title_is_kept_clean(sent: str, kept: str) -> None:
    assert opened(title=sent).title == kept


@pytest.mark.parametrize(
    "name", ["", "acme", "acme/..", "./x", "a/b/c", "acme/wid gets", "acme/x\0", "acme/x\n", 7]
)
def test_what_is_no_name_of_a_repository_is_none(name: object) -> None:
    assert read("push", {"repository": {"full_name": name}}).repository is None


def test_a_command_in_a_comment_is_read() -> None:
    event = read("issue_comment", comment("@covend fix the tests\nplease"))
    assert event.command == Command(
        verb="fix",
        text="the tests\nplease",
        actor="octocat",
        comment_id=99,
        place="issue_comment",
    )


@pytest.mark.parametrize(
    ("event", "key", "action", "place"),
    [
        ("pull_request_review", "review", "submitted", "review"),
        ("pull_request_review_comment", "comment", "created", "review_comment"),
    ],
)
def test_a_command_in_a_review_is_read(event: str, key: str, action: str, place: str) -> None:
    said = {"id": 5, "body": "/covend review", "user": {"login": "octocat"}}
    payload = {"action": action, "pull_request": pull(), key: said, "sender": {"login": "octocat"}}
    command = read(event, payload).command
    assert command is not None
    assert (command.verb, command.comment_id, command.place) == ("review", 5, place)


@pytest.mark.parametrize(
    ("changed", "is_command"),
    [
        ({"action": "edited", "changes": {"body": {"from": "hm"}}}, True),
        ({"action": "edited", "changes": {"body": {"from": "/covend review"}}}, True),
        ({"action": "edited", "changes": {"body": {"from": "/covend fix it"}}}, False),
        ({"action": "edited", "changes": {}}, False),
        ({"action": "edited"}, False),
        ({"action": "deleted"}, False),
        ({"action": "deleted", "changes": {"body": {"from": "hm"}}}, False),
        ({"action": ["created"]}, False),
        ({"sender": None}, False),
        ({"comment": {"body": "/covend fix"}}, False),
    ],
)
def test_a_command_counts_once_and_with_all_that_it_needs(
    changed: dict[str, Any], is_command: bool
) -> None:
    event = read("issue_comment", comment("/covend fix") | changed)
    assert (event.command is not None) is is_command


def test_the_text_of_a_pull_request_commands_nothing() -> None:
    assert opened(body="/covend fix").command is None


# --- when, and after what -------------------------------------------------------------------------

AT = 1_767_323_045_000
AT_TEXT = "2026-01-02T03:04:05Z"


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        (AT_TEXT, AT),
        ("2026-01-02T03:04:05.25Z", AT + 250),
        ("2026-01-02T03:04:05.123456789Z", AT + 123),
        ("2026-01-02t03:04:05z", AT),
        ("2026-01-02T05:04:05+02:00", AT),
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59Z", None),
        ("2026-01-02T03:04:05", None),
        ("2026-01-02", None),
        ("2026-W01-5T03:04:05Z", None),
        ("2026-13-02T03:04:05Z", None),
        ("2026-01-02T25:04:05Z", None),
        ("٢٠٢٦-01-02T03:04:05Z", None),
        ("", None),
        (AT, None),
        (True, None),
        (None, None),
        ([AT_TEXT], None),
    ],
)
def test_a_moment_is_read_to_the_millisecond_or_not_at_all(
    written: object, moment: int | None
) -> None:
    assert opened(updated_at=written).subject_updated_at == moment


def test_pull_requests_issues_and_their_comments_tell_when_they_were_changed() -> None:
    issue = {"issue": {"number": 7, "updated_at": AT_TEXT}}
    for name in ("issues", "issue_comment"):
        assert read(name, issue).subject_updated_at == AT
    review = {"pull_request": pull(updated_at=AT_TEXT), "review": {"id": 5}}
    assert read("pull_request_review", review).subject_updated_at == AT
    check = {"check_run": {"head_sha": HEAD, "updated_at": AT_TEXT}}
    assert read("check_run", check).subject_updated_at is None


def test_a_recorded_pull_request_tells_when_it_was_changed(shared: Path) -> None:
    event = read("pull_request", load(shared, "pull_request.opened"))
    assert event.subject_updated_at == 1_557_933_633_000
    assert (event.before_sha, event.closed_at) == (None, None)


@pytest.mark.parametrize("event", ["pull_request", "push"])
@pytest.mark.parametrize(
    ("before", "sha"), [(BASE, BASE), ("0" * 40, None), ("main", None), (None, None), (7, None)]
)
def test_a_head_that_was_replaced_is_told(event: str, before: object, sha: str | None) -> None:
    assert read(event, {"action": "synchronize", "before": before}).before_sha == sha


@pytest.mark.parametrize(
    ("event", "thing", "closed_at"),
    [
        ("pull_request", {"closed_at": AT_TEXT, "updated_at": "2026-01-09T00:00:00Z"}, AT),
        ("issues", {"closed_at": AT_TEXT}, AT),
        ("pull_request", {"closed_at": None, "updated_at": AT_TEXT}, AT),
        ("pull_request", {"closed_at": "soon", "updated_at": AT_TEXT}, AT),
        ("pull_request", {}, None),
    ],
)
def test_a_closing_has_its_moment(event: str, thing: dict[str, Any], closed_at: int | None) -> None:
    key = "issue" if event == "issues" else event
    assert read(event, {"action": "closed", key: thing}).closed_at == closed_at
    assert read(event, {"action": "reopened", key: thing}).closed_at is None


def test_only_a_subjects_own_closing_closes_it() -> None:
    payload = {"action": "closed", "milestone": {"closed_at": AT_TEXT}}
    assert read("milestone", payload).closed_at is None


# --- who must be able to write --------------------------------------------------------------------


def in_repository(head_repo: object, **payload: Any) -> dict[str, Any]:
    side = {"ref": "topic", "sha": HEAD, "repo": head_repo}
    return {
        "repository": {"id": 1},
        "sender": {"login": "octocat", "type": "User"},
        "pull_request": pull(head=side),
        "check_run": {"head_sha": HEAD, "pull_requests": [pull(head=side)]},
        **payload,
    }


@pytest.mark.parametrize(
    ("event", "payload", "trust"),
    [
        ("push", {}, Trust.WRITE),
        ("release", {}, Trust.WRITE),
        ("deployment_status", {}, Trust.WRITE),
        ("push", {"sender": {"login": "x[bot]", "type": "Bot"}}, Trust.BOT),
        ("pull_request", in_repository({"id": 1}, action="synchronize"), Trust.WRITE),
        ("pull_request", in_repository({"id": 1}, action="opened"), Trust.NONE),
        ("pull_request", in_repository({"id": 2}, action="synchronize"), Trust.FORK),
        ("check_run", in_repository({"id": 1}), Trust.WRITE),
        ("check_run", in_repository({"id": 2}), Trust.FORK),
        ("check_run", {"check_run": {"head_sha": HEAD, "pull_requests": []}}, Trust.NONE),
        ("status", {"sha": HEAD, "branches": [{"name": "main"}]}, Trust.WRITE),
        ("status", {"sha": HEAD, "branches": []}, Trust.NONE),
        ("star", {}, Trust.NONE),
        ("issues", {}, Trust.NONE),
    ],
)
def test_what_only_a_writer_can_cause_is_a_writers(
    event: str, payload: dict[str, Any], trust: Trust
) -> None:
    assert read(event, payload).trust is trust
