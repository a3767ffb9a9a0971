"""GraphQL: errors come with a good status, and still have the type of what they mean."""

from __future__ import annotations

from typing import Any

import pytest

from covend.core.errors import GitHubError
from covend.core.scopes import WRITE_PULLS
from covend.edges.github.client import GitHubClient, Reach
from covend.edges.github.errors import (
    BadAnswer,
    MissingPermission,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unauthorized,
    Unreachable,
)
from tests.edges.github.github_world import REPOSITORY
from tests.edges.github.scripted import TOKEN, Reply, ScriptedGitHub

REACH = Reach(installation=None, repository=REPOSITORY, permissions=WRITE_PULLS)
MINIMISE = "mutation($id: ID!) { minimizeComment(input: {subjectId: $id}) { clientMutationId } }"


async def minimise(client: GitHubClient, *, harmless: bool = False) -> Any:
    return await client.graphql(
        "minimize", MINIMISE, {"id": "PRR_1"}, reach=REACH, harmless=harmless
    )


def failing(**error: Any) -> Reply:
    return Reply(data={"data": {"minimizeComment": None}, "errors": [{"message": "No.", **error}]})


async def test_the_data_is_given_and_the_document_sent_as_it_is(scripted: ScriptedGitHub) -> None:
    data = {"minimizeComment": {"clientMutationId": None}}
    scripted.reply(Reply(data={"data": data}))
    assert await minimise(scripted.client) == data
    (seen,) = scripted.seen
    assert (seen.method, seen.raw_path) == ("POST", "/graphql")
    assert seen.body == b'{"query":"%s","variables":{"id":"PRR_1"}}' % MINIMISE.encode()
    assert scripted.observed == [("minimize", "200")]


@pytest.mark.parametrize(
    ("reply", "kind", "harmless_kind"),
    [
        (failing(type="NOT_FOUND"), NotFound, NotFound),
        (failing(type="FORBIDDEN"), MissingPermission, MissingPermission),
        (failing(type="INSUFFICIENT_SCOPES"), MissingPermission, MissingPermission),
        (failing(type="UNPROCESSABLE"), Refused, Refused),
        (failing(type="RATE_LIMITED"), RateLimited, RateLimited),
        (failing(type="INTERNAL"), OutcomeUnknown, Unreachable),
        (failing(), OutcomeUnknown, Unreachable),
        (failing(extensions={"code": "undefinedField"}), OutcomeUnknown, Unreachable),
        (
            Reply(data={"errors": [{"message": "No field", "locations": [{"line": 1}]}]}),
            Refused,
            Refused,
        ),
        (
            Reply(data={"errors": [{"message": "Something went wrong while executing"}]}),
            OutcomeUnknown,
            Unreachable,
        ),
        (Reply(data={"data": None}), OutcomeUnknown, BadAnswer),
        (Reply(data=[1]), OutcomeUnknown, BadAnswer),
        (Reply(raw=b"<html>"), OutcomeUnknown, BadAnswer),
        (Reply(status=502, raw=b""), OutcomeUnknown, Unreachable),
        (Reply(status=401, data={"message": "Bad credentials"}), Unauthorized, Unauthorized),
        (Reply(status=403, data={"message": "No"}), MissingPermission, MissingPermission),
    ],
)
async def test_an_error_has_the_type_that_says_what_to_do(
    reply: Reply,
    kind: type[GitHubError],
    harmless_kind: type[GitHubError],
    scripted: ScriptedGitHub,
) -> None:
    for harmless, expected in ((False, kind), (True, harmless_kind)):
        scripted.reply(reply)
        with pytest.raises(expected) as raised:
            await minimise(scripted.client, harmless=harmless)
        assert type(raised.value) is expected
        assert str(raised.value).startswith(("minimize: ", "GitHub"))


async def test_an_error_says_what_github_says_and_no_token(scripted: ScriptedGitHub) -> None:
    scripted.reply(failing(type="NOT_FOUND", message=f"Could not resolve {TOKEN}"))
    with pytest.raises(NotFound) as raised:
        await minimise(scripted.client)
    assert "Could not resolve" in str(raised.value)
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize(
    "reply",
    [
        failing(type="RATE_LIMITED"),
        Reply(data={"message": "You have exceeded a secondary rate limit."}),
        Reply(data={"errors": [{"message": "You have exceeded a secondary rate limit."}]}),
        Reply(status=403, data={"message": "You have exceeded a secondary rate limit."}),
    ],
)
async def test_a_limit_in_a_good_answer_is_waited_for(
    reply: Reply, scripted: ScriptedGitHub
) -> None:
    scripted.reply(reply)
    client = scripted.client
    for _ in range(2):
        with pytest.raises(RateLimited) as raised:
            await minimise(client)
        assert raised.value.retry_at == scripted.clock.now() + 60_000
    assert len(scripted.seen) == 1


async def test_words_of_a_limit_in_somebodys_text_are_no_limit(scripted: ScriptedGitHub) -> None:
    said = {"data": {"message": "You have exceeded a secondary rate limit."}}
    scripted.reply(Reply(data=said))
    assert await minimise(scripted.client) == said["data"]


async def test_a_spent_hour_of_graphql_leaves_the_rest_api_alone(scripted: ScriptedGitHub) -> None:
    spent = {
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(scripted.clock.now() // 1000 + 300),
        "x-ratelimit-resource": "graphql",
    }
    scripted.reply(Reply(data={"errors": [{"type": "RATE_LIMITED"}]}, headers=spent))
    client = scripted.client
    for _ in range(2):
        with pytest.raises(RateLimited) as raised:
            await minimise(client)
        assert raised.value.retry_at == scripted.clock.now() + 300_000
    scripted.reply(Reply(data={}))
    await client.request(
        "read", "GET", "/x", installation=None, repository=REPOSITORY, permissions=WRITE_PULLS
    )
    assert client.pacing.remaining is None
