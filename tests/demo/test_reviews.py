from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from covend.demo import till as text
from covend.demo.github import Hosted, StandInGitHub
from covend.demo.payloads import AUTHOR
from tests.demo.api import Api

REVIEWS = "/repos/acme/till/pulls/7/reviews"
BUG = text.planted_bug()


def on_bug(**changed: Any) -> dict[str, Any]:
    return {"path": BUG.path, "line": BUG.line, "side": "RIGHT", "body": "Shared."} | changed


async def test_a_review_appears_with_its_comments(api: Api, github: StandInGitHub) -> None:
    wanted = {"event": "COMMENT", "body": "One finding", "comments": [on_bug()]}
    made = await api("POST", REVIEWS, wanted)
    assert (made.status, made.body["state"]) == (200, "COMMENTED")
    (review,) = github.state.reviews
    assert [(each.path, each.line) for each in review.comments] == [(BUG.path, BUG.line)]
    listed = await api("GET", REVIEWS)
    assert [each["id"] for each in listed.body] == [review.id]
    inline = await api("GET", "/repos/acme/till/pulls/7/comments")
    assert inline.body[0]["diff_hunk"].splitlines()[-1].startswith("+def scan(")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"line": 2}, "Line could not be resolved"),
        ({"line": 999}, "Line could not be resolved"),
        ({"side": "LEFT"}, "Line could not be resolved"),
        ({"path": "pyproject.toml"}, "Path could not be resolved"),
        ({"start_line": BUG.line + 1}, "Start line must precede the end line."),
    ],
)
async def test_one_comment_outside_the_diff_refuses_the_whole_review(
    changed: dict[str, Any], message: str, api: Api, github: StandInGitHub
) -> None:
    comments = [on_bug(), on_bug(**changed)]
    got = await api("POST", REVIEWS, {"event": "COMMENT", "body": "x", "comments": comments})
    assert (got.status, got.body["errors"]) == (422, [message])
    assert github.state.reviews == []
    assert github.state.review_comments == []


async def test_a_comment_may_span_lines_of_one_hunk(api: Api, github: StandInGitHub) -> None:
    comment = on_bug(line=BUG.line + 3, start_line=BUG.line, start_side="RIGHT")
    got = await api("POST", REVIEWS, {"event": "COMMENT", "body": "x", "comments": [comment]})
    assert got.status == 200
    assert github.state.review_comments[0].start_line == BUG.line


async def test_a_removed_line_takes_a_comment_on_the_left(api: Api) -> None:
    comment = {"path": "README.md", "line": 3, "side": "LEFT", "body": "Why?"}
    got = await api("POST", REVIEWS, {"event": "COMMENT", "body": "x", "comments": [comment]})
    assert got.status == 200


@pytest.mark.parametrize("event", ["APPROVE", "REQUEST_CHANGES"])
async def test_nobody_judges_an_own_pull_request(
    event: str, github: StandInGitHub, session: aiohttp.ClientSession, till: Hosted
) -> None:
    assert till.pulls[7].author == AUTHOR
    github.add_personal_token("ghp_mara", AUTHOR)
    got = await Api(session, "ghp_mara")("POST", REVIEWS, {"event": event, "body": "x"})
    assert got.status == 422
    assert "your own pull request" in got.body["errors"][0]


async def test_a_review_of_an_older_head_is_held_against_its_own_diff(
    api: Api, till: Hosted
) -> None:
    old = till.git.commit_at("refs/pull/7/head")
    till.git.push(7, {BUG.path: text.BASKET}, "Take it back")
    wanted = {"event": "COMMENT", "body": "x", "comments": [on_bug()]}
    assert (await api("POST", REVIEWS, wanted)).status == 422
    assert (await api("POST", REVIEWS, wanted | {"commit_id": old})).status == 200


@pytest.mark.parametrize(
    "wanted",
    [
        {"event": "COMMENT", "body": "x" * 65_537},
        {"event": "COMMENT", "body": "x", "comments": [on_bug(body="x" * 65_537)]},
        {"event": "COMMENT"},
        {"event": "REQUEST_CHANGES"},
    ],
)
async def test_a_body_is_there_and_not_too_long(wanted: dict[str, Any], api: Api) -> None:
    assert (await api("POST", REVIEWS, wanted)).status == 422


async def test_a_review_without_an_event_stays_a_draft(api: Api) -> None:
    got = await api("POST", REVIEWS, {"body": "x"})
    assert (got.status, got.body["state"]) == (200, "PENDING")
