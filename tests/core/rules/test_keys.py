from __future__ import annotations

from typing import Any

import pytest
from jinja2 import TemplateSyntaxError
from msgspec.structs import replace

from covend.core.model import Command, DeliveryId, Event, Subject, SubjectType, TaskId
from covend.core.rules.keys import prepare_key
from tests.core.github_samples import DELIVERY, HEAD, OTHER_HEAD, pull_request

PULL = SubjectType.PULL_REQUEST
AGAIN = DeliveryId("00000000-0000-0000-0000-000000000000")


def key(event: Event, rule: str = "review", template: str | None = None) -> str:
    return prepare_key(rule, template)(event, event.subject, None)


def about(kind: SubjectType, **fields: Any) -> Event:
    return pull_request(subject=Subject(type=kind, **fields))


def test_a_key_can_be_read() -> None:
    assert key(pull_request()) == f"review:42:pull_request:7:{HEAD}"


@pytest.mark.parametrize("action", ["synchronize", "reopened", "ready_for_review"])
def test_one_head_is_the_same_work_whatever_brought_it(action: str) -> None:
    again = pull_request(action=action, delivery=AGAIN, sender="hubot")
    assert key(again) == key(pull_request())


@pytest.mark.parametrize(
    "other",
    [
        about(PULL, number=7, head_sha=OTHER_HEAD),
        about(PULL, number=8, head_sha=HEAD),
        about(SubjectType.ISSUE, number=7),
        about(SubjectType.COMMIT, head_sha=HEAD),
        pull_request(repository_id=43),
        pull_request(repository_id=None),
    ],
)
def test_another_head_subject_or_repository_is_other_work(other: Event) -> None:
    assert key(other) != key(pull_request())


def test_two_rules_never_share_a_key() -> None:
    assert key(pull_request(), "a") != key(pull_request(), "b")
    imitation = f"42:pull_request:7:{HEAD}"
    assert key(pull_request(), "a:42:key") != key(pull_request(), "a", imitation)


def test_a_repository_without_an_id_goes_by_its_name_in_lower_case() -> None:
    upper, lower = (
        key(pull_request(repository_id=None, repository=name))
        for name in ("Acme/Widgets", "acme/widgets")
    )
    assert upper == lower


def test_two_comments_are_two_works_and_one_comment_is_one() -> None:
    unknown_head = Subject(type=PULL, number=7)
    first, second = (
        pull_request(name="issue_comment", comment_id=number, subject=unknown_head)
        for number in (1, 2)
    )
    assert key(first) != key(second)
    assert key(first) == key(replace(first, delivery=AGAIN))


def test_a_comment_and_a_review_of_one_number_are_two_works() -> None:
    comment, review = (
        pull_request(name=name, comment_id=1) for name in ("issue_comment", "pull_request_review")
    )
    assert key(comment) != key(review)


@pytest.mark.parametrize(
    "vague",
    [
        about(SubjectType.NONE),
        about(PULL, number=7),
        about(SubjectType.ISSUE),
    ],
)
def test_where_nothing_tells_them_apart_each_delivery_is_work_of_its_own(vague: Event) -> None:
    assert key(vague) == key(vague)
    assert key(vague) != key(replace(vague, delivery=AGAIN))


def test_an_issue_is_one_work_in_all_its_deliveries() -> None:
    issue = about(SubjectType.ISSUE, number=7)
    assert key(issue) == key(replace(issue, delivery=AGAIN, action="edited"))


def test_a_template_replaces_the_end_of_the_key_only() -> None:
    templated = key(pull_request(), template="{{ base_ref }} {{ number }}")
    assert templated == "review:42:key:main 7"


def test_a_template_knows_the_command() -> None:
    command = Command(verb="fix", text="it", actor="octocat", comment_id=1, place="review")
    event = pull_request(command=command)
    assert key(event, template="{{ command.verb }}").endswith(":key:fix")


@pytest.mark.parametrize(
    "template",
    ["x{{ typo }}", "{{ command.verb }}", "{{ 1 // 0 }}", "{{ ''.__class__.mro() }}", "  ", ""],
)
def test_a_template_that_fails_or_says_nothing_gives_the_default_key(template: str) -> None:
    assert key(pull_request(), template=template) == key(pull_request())


def test_a_long_template_is_told_by_its_digest() -> None:
    first, second = (
        key(pull_request(title="t" * 5_000 + end), template="{{ delivery * 50 + sender }}")
        for end in "ab"
    )
    assert first == second
    assert len(first) < 100
    assert DELIVERY not in first


def test_a_template_that_cannot_be_read_is_an_error_at_once() -> None:
    with pytest.raises(TemplateSyntaxError):
        prepare_key("review", "{{ number")


def test_the_end_of_a_task_asks_for_its_follower_once_for_each_of_its_ends() -> None:
    ended = pull_request(name="task", action="completed", parent=TaskId("01p"))
    again = replace(ended, delivery=AGAIN)
    assert key(ended) == f"review:42:pull_request:7:{HEAD}:{DELIVERY}"
    assert key(again) == f"review:42:pull_request:7:{HEAD}:{AGAIN}"


def test_all_checks_are_one_work_for_each_head_whichever_of_them_was_the_last() -> None:
    make = prepare_key("review", None)
    of_pull, of_commit = (
        make(event, event.subject, "checks.passed")
        for event in (pull_request(), about(SubjectType.COMMIT, head_sha=HEAD))
    )
    assert of_pull == of_commit == f"review:42:checks.passed:{HEAD}"
    failed = make(pull_request(), pull_request().subject, "checks.failed")
    assert failed != of_pull
