"""Credentials that GitHub does not accept are shown to it once a minute, whoever would ask more:
after many such requests it refuses good ones of the same owner, too.

https://docs.github.com/en/rest/authentication/authenticating-to-the-rest-api#failed-login-limit
"""

from __future__ import annotations

import pytest

from covend.core.scopes import READ_METADATA
from covend.core.secret import Secret
from covend.demo.github.keys import new_key
from covend.edges.github.client import GitHubClient
from covend.edges.github.errors import RateLimited, Unauthorized
from covend.edges.github.wire import Answer
from tests.edges.github.github_world import INSTALLATION, REPOSITORY, World
from tests.edges.github.scripted import Reply, ScriptedGitHub

BAD = Reply(status=401, data={"message": "Bad credentials"})
MANY = 20


async def read(client: GitHubClient, installation: int | None = None) -> Answer:
    return await client.request(
        "get_repository",
        "GET",
        f"/repos/{REPOSITORY}",
        installation=installation,
        repository=REPOSITORY,
        permissions=READ_METADATA,
    )


async def test_a_token_that_is_not_accepted_is_shown_once_a_minute(
    scripted: ScriptedGitHub,
) -> None:
    scripted.reply(BAD, BAD, Reply(data={}))
    client = scripted.client
    for count in (1, 2):
        with pytest.raises(Unauthorized):
            await read(client)
        for _ in range(MANY):
            with pytest.raises(RateLimited, match="does not accept"):
                await read(client)
        assert len(scripted.seen) == count
        scripted.clock.turn(s=60)
    assert (await read(client)).status == 200


async def test_an_app_whose_key_is_not_accepted_asks_for_tokens_once_a_minute(
    world: World,
) -> None:
    client = world.client(world.auth(private_key=Secret(new_key().private)))
    for count in (1, 2):
        with pytest.raises(Unauthorized):
            await read(client, INSTALLATION)
        for _ in range(MANY):
            with pytest.raises(RateLimited, match="does not accept"):
                await read(client, INSTALLATION)
        assert len(world.github.requests) == count
        world.clock.turn(s=60)
