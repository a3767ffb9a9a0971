"""What becomes of reviews later: replies in their threads, dismissal, folding away by GraphQL."""

from __future__ import annotations

from typing import Any

import pytest

from covend.demo import till as text
from covend.demo.github import StandInGitHub
from tests.demo.api import Api

PULL = "/repos/acme/till/pulls/7"
BUG = text.planted_bug()
MINIMIZE = (
    "mutation M($id: ID!) { minimizeComment(input: {subjectId: $id, classifier: OUTDATED})"
    " { minimizedComment { isMinimized } } }"
)
ASK = "query Q($id: ID!) { node(id: $id) { ... on PullRequestReview { isMinimized } } }"


async def reviewed(api: Api, event: str = "COMMENT") -> dict[str, Any]:
    comment = {"path": BUG.path, "line": BUG.line, "body": "Shared."}
    made = await api(
        "POST", f"{PULL}/reviews", {"event": event, "body": "x", "comments": [comment]}
    )
    assert made.status == 200
    review: dict[str, Any] = made.body
    return review


async def top(api: Api) -> int:
    await reviewed(api)
    listed = await api("GET", f"{PULL}/comments")
    number: int = listed.body[0]["id"]
    return number


async def test_a_reply_stands_in_its_thread(api: Api) -> None:
    first = await top(api)
    made = await api("POST", f"{PULL}/comments/{first}/replies", {"body": "Done."})
    assert (made.status, made.body["in_reply_to_id"]) == (201, first)
    listed = await api("GET", f"{PULL}/comments")
    assert [each["body"] for each in listed.body] == ["Shared.", "Done."]
    edited = await api("PATCH", f"/repos/acme/till/pulls/comments/{made.body['id']}", {"body": "!"})
    assert (edited.status, edited.body["body"]) == (200, "!")


async def test_nobody_replies_to_a_reply(api: Api) -> None:
    first = await top(api)
    reply = (await api("POST", f"{PULL}/comments/{first}/replies", {"body": "x"})).body["id"]
    assert (await api("POST", f"{PULL}/comments/{reply}/replies", {"body": "x"})).status == 422


async def test_a_reply_needs_its_thread_and_is_not_too_long(api: Api) -> None:
    first = await top(api)
    assert (await api("POST", f"{PULL}/comments/1/replies", {"body": "x"})).status == 404
    long = {"body": "x" * 65_537}
    assert (await api("POST", f"{PULL}/comments/{first}/replies", long)).status == 422


async def test_since_leaves_out_older_comments_of_threads(api: Api) -> None:
    await top(api)
    assert (await api("GET", f"{PULL}/comments?since=2999-01-01T00:00:00Z")).body == []


@pytest.mark.parametrize(
    ("event", "status"), [("REQUEST_CHANGES", 200), ("APPROVE", 200), ("COMMENT", 422)]
)
async def test_only_a_verdict_can_be_dismissed_and_only_once(
    event: str, status: int, api: Api, github: StandInGitHub
) -> None:
    review = await reviewed(api, event)
    path = f"{PULL}/reviews/{review['id']}/dismissals"
    body = {"message": "Outdated.", "event": "DISMISS"}
    assert (await api("PUT", path, body)).status == status
    assert (await api("PUT", path, body)).status == 422
    assert (github.state.reviews[0].state == "DISMISSED") == (status == 200)


async def test_a_dismissal_says_why(api: Api) -> None:
    review = await reviewed(api, "REQUEST_CHANGES")
    path = f"{PULL}/reviews/{review['id']}/dismissals"
    assert (await api("PUT", path, {"message": " "})).status == 422


async def test_a_review_is_folded_away_and_says_so(api: Api, github: StandInGitHub) -> None:
    variables = {"id": (await reviewed(api))["node_id"]}
    asked = await api("POST", "/graphql", {"query": ASK, "variables": variables})
    assert asked.body == {"data": {"node": {"isMinimized": False}}}
    for _ in range(2):
        folded = await api("POST", "/graphql", {"query": MINIMIZE, "variables": variables})
        assert folded.status == 200
        assert folded.body["data"]["minimizeComment"]["minimizedComment"]["isMinimized"]
    asked = await api("POST", "/graphql", {"query": ASK, "variables": variables})
    assert asked.body == {"data": {"node": {"isMinimized": True}}}
    assert github.state.reviews[0].minimized == "OUTDATED"


@pytest.mark.parametrize(
    ("document", "variables", "kind"),
    [
        (MINIMIZE, {"id": "nobody"}, "NOT_FOUND"),
        (MINIMIZE.replace("OUTDATED", "OLD"), {"id": "x"}, "argumentLiteralsIncompatible"),
        ("query { viewer { login } }", {}, "undefinedField"),
    ],
)
async def test_graphql_says_what_is_wrong_in_an_answer_that_is_well(
    document: str, variables: dict[str, str], kind: str, api: Api
) -> None:
    got = await api("POST", "/graphql", {"query": document, "variables": variables})
    assert (got.status, got.body["errors"][0]["type"]) == (200, kind)


async def test_folding_needs_the_permission_to_write(api: Api, as_app: Api) -> None:
    variables = {"id": (await reviewed(api))["node_id"]}
    reader = await as_app.narrowed(permissions={"pull_requests": "read"})
    got = await reader("POST", "/graphql", {"query": MINIMIZE, "variables": variables})
    assert (got.status, got.body["errors"][0]["type"]) == (200, "FORBIDDEN")
