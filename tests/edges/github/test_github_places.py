"""Where a repository is installed, and what a number in it stands for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from covend.demo.payloads import AUTHOR
from covend.demo.records import Issue
from covend.edges.github.client import GitHubClient
from covend.edges.github.errors import NotFound
from covend.edges.github.issues import LiveIssue, get_issue
from covend.edges.github.repositories import get_repository
from tests.edges.github.github_world import INSTALLATION, REPOSITORY, World

ISSUE = Issue(number=12, id=99, title="It beeps", body=None, author=AUTHOR)


async def test_an_app_asks_where_it_is_installed(world: World) -> None:
    assert await world.auth().installation_of(REPOSITORY) == INSTALLATION
    with pytest.raises(NotFound):
        await world.auth().installation_of("acme/other")


async def test_a_plain_token_is_installed_nowhere(world: World) -> None:
    client = world.client_with_token()
    assert await client.auth.installation_of(REPOSITORY) is None
    assert world.github.requests == []


async def test_a_repository_is_told_with_its_id(world: World, client: GitHubClient) -> None:
    live = await get_repository(client, INSTALLATION, "Acme/Till")
    assert (live.id, live.full_name) == (world.till.repository.id, REPOSITORY)


async def test_an_issue_is_told_as_it_is_now(world: World, client: GitHubClient) -> None:
    world.till.issues[12] = replace(ISSUE, state="closed")
    assert await get_issue(client, INSTALLATION, REPOSITORY, 12) == LiveIssue(
        number=12,
        state="closed",
        title="It beeps",
        author=AUTHOR.login,
        url=f"{world.github.state.site.web}/acme/till/issues/12",
        is_pull=False,
    )
    asked = world.github.requests[-1].credential.permissions
    assert asked == {"metadata": "read", "issues": "read"}


async def test_the_issue_side_of_a_pull_request_says_that_it_is_one(client: GitHubClient) -> None:
    assert (await get_issue(client, INSTALLATION, REPOSITORY, 7)).is_pull
    with pytest.raises(NotFound):
        await get_issue(client, INSTALLATION, REPOSITORY, 404)
