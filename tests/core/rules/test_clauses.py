from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from msgspec.structs import replace

from covend.core.model import Event, Need, Subject, SubjectType
from covend.core.rules.clauses import (
    CLAUSES,
    SHOWN_LENGTH_MAX,
    SHOWN_MAX,
    judge,
    prepare_allow,
    prepare_when,
)
from covend.core.rules.verdicts import Known
from covend.core.settings import When
from tests.core.github_samples import HEAD, pull_request

NOTHING = Known()
EMPTY = Event(source="github", delivery=pull_request().delivery, name="star")
COMMENT = pull_request(
    name="issue_comment", subject=Subject(type=SubjectType.PULL_REQUEST, number=7)
)


def satisfied(event: Event, known: Known = NOTHING, /, **when: Any) -> bool | None:
    (clause,) = prepare_when(When(**when))
    return judge(clause, event, known).satisfied


def test_every_clause_of_the_settings_is_there_in_their_order() -> None:
    assert list(CLAUSES) == [field.name for field in fields(When)]


def test_a_rule_that_asks_nothing_has_no_clause() -> None:
    assert prepare_when(When()) == ()


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("repository", ("ACME/*",), ("acme/gadgets", "*")),
        ("base", ("main",), ("Main",)),
        ("head", ("top*",), ("!topic",)),
        ("author", ("OctoCat",), ("cat",)),
        ("sender", ("HUBOT[bot]",), ("octocat",)),
        ("association", ("member", "owner"), ("none",)),
        ("labels", ("BUG",), ("wip",)),
        ("draft", True, False),
        ("fork", False, True),
        ("paths", ("src/**",), ("src/*",)),
        ("title", ("Mend *",), ("mend *",)),
        ("body", ("*second line",), ("first",)),
        ("event", ("pull_request",), ("push",)),
        ("action", ("open*",), ("closed",)),
        ("conclusion", ("failure",), ("success",)),
        ("ref", ("main",), ("mai",)),
        ("ref", ("refs/heads/*",), ("!main",)),
        ("payload", {"a.b": ("1",)}, {"a.b": ("2",)}),
    ],
)
def test_each_clause_reads_its_own_field(key: str, good: Any, bad: Any) -> None:
    event = pull_request(
        sender="hubot[bot]",
        association="MEMBER",
        labels=("bug", "ui"),
        draft=True,
        fork=False,
        title="Mend it",
        body="first\nsecond line",
        conclusion="failure",
        ref="refs/heads/main",
        payload={"a": {"b": 1}},
    )
    known = Known(paths=("src/a/b.py",))
    assert satisfied(event, known, **{key: good}) is True
    assert satisfied(event, known, **{key: bad}) is False


@pytest.mark.parametrize("key", [key for key in CLAUSES if key not in {"event", "payload"}])
def test_what_the_payload_lacks_satisfies_nothing(key: str) -> None:
    condition: Any = False if key in {"draft", "fork"} else ("*",)
    assert satisfied(EMPTY, **{key: condition}) is False


def test_what_the_payload_lacks_is_not_what_is_negated() -> None:
    assert satisfied(EMPTY, head=("!release/*",)) is True


@pytest.mark.parametrize(
    ("path", "globs", "expected"),
    [
        ("review.state", ("approved",), True),
        ("review", ("*",), False),
        ("review.missing", ("*",), False),
        ("review.missing", ("!x",), True),
        ("labels.name", ("ui",), True),
        ("labels.name", ("*", "!ui"), False),
        ("merged", ("true",), True),
        ("merged", ("True",), False),
        ("count", ("3",), True),
        ("ratio", ("0.5",), True),
        ("nothing", ("*",), False),
        ("huge", ("*",), False),
        ("matrix.x", ("*",), False),
    ],
)
def test_any_field_of_the_payload_can_be_asked_for(
    path: str, globs: tuple[str, ...], expected: bool
) -> None:
    payload = {
        "review": {"state": "approved"},
        "labels": [{"name": "bug"}, {"name": "ui"}, None, 3],
        "merged": True,
        "count": 3,
        "ratio": 0.5,
        "nothing": None,
        "huge": 10**5000,
        "matrix": [[{"x": 1}]],
    }
    assert satisfied(pull_request(payload=payload), payload={path: globs}) is expected


def test_every_path_of_the_payload_is_a_clause_of_its_own() -> None:
    clauses = prepare_when(When(payload={"a.b": ("x",), "c": ("y",)}))
    assert [clause.name for clause in clauses] == ["when.payload.a.b", "when.payload.c"]


def test_a_result_tells_what_was_compared() -> None:
    (clause,) = prepare_when(When(labels=("bug", "!wip")))
    result = judge(clause, pull_request(labels=("ui",)), NOTHING)
    assert result.name == "when.labels"
    assert (result.values, result.conditions) == (("ui",), ("bug", "!wip"))


def test_a_result_keeps_little_of_much() -> None:
    (clause,) = prepare_when(When(paths=("*",)))
    known = Known(paths=tuple("p" * 500 for _ in range(3_000)))
    result = judge(clause, pull_request(), known)
    assert result.values == ("p" * SHOWN_LENGTH_MAX + "…",) * SHOWN_MAX


def test_paths_wait_for_their_look_up() -> None:
    (clause,) = prepare_when(When(paths=("src/**",)))
    result = judge(clause, pull_request(), NOTHING)
    assert (result.satisfied, result.need) == (None, Need.PATHS)
    assert judge(clause, pull_request(), Known(paths=())).satisfied is False


def test_paths_of_a_push_need_no_look_up() -> None:
    commit = Subject(type=SubjectType.COMMIT, head_sha=HEAD)
    push = pull_request(name="push", subject=commit, paths=("src/a",))
    assert satisfied(push, paths=("src/**",)) is True
    assert satisfied(replace(push, paths=None), paths=("src/**",)) is None


@pytest.mark.parametrize(
    ("key", "condition", "found"),
    [
        ("base", ("main",), {"base_ref": "main"}),
        ("head", ("topic",), {"head_ref": "topic"}),
        ("draft", False, {"draft": False}),
        ("fork", False, {"fork": False}),
    ],
)
def test_what_a_comment_does_not_know_of_its_pull_request_is_looked_up(
    key: str, condition: Any, found: dict[str, Any]
) -> None:
    (clause,) = prepare_when(When(**{key: condition}))
    assert judge(clause, COMMENT, NOTHING).need is Need.HEAD
    assert judge(clause, COMMENT, Known(head_sha=HEAD, **found)).satisfied is True
    assert judge(clause, COMMENT, Known(head_sha=HEAD)).satisfied is False


def test_what_the_payload_tells_stands_against_what_was_found() -> None:
    known = Known(head_sha=HEAD, base_ref="other")
    assert satisfied(pull_request(), known, base=("main",)) is True


@pytest.mark.parametrize(
    ("permission", "expected"),
    [(None, None), ("write", True), ("Write", True), ("read", False), ("", False)],
)
def test_allow_waits_for_the_live_permission(permission: str | None, expected: bool | None) -> None:
    allow = prepare_allow(("admin", "write"))
    result = judge(allow, pull_request(), Known(permission=permission))
    assert (result.name, result.satisfied) == ("allow", expected)
    assert result.need is (Need.PERMISSION if expected is None else None)


def test_allow_refuses_an_event_without_a_sender() -> None:
    assert judge(prepare_allow(("admin",)), EMPTY, NOTHING).satisfied is False
