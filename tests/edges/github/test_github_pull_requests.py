"""Pull requests of one branch: found, opened and told anew, and what GitHub says against it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from covend.demo import payloads
from covend.edges.github.client import GitHubClient
from covend.edges.github.errors import OutcomeUnknown, Refused
from covend.edges.github.pull_requests import PullRequests, UnknownBranchError
from tests.edges.github.github_world import INSTALLATION, REPOSITORY, World
from tests.edges.github.scripted import Reply, ScriptedGitHub

BRANCH = "covend/01task"


def body(**changes: Any) -> dict[str, Any]:
    plain = {"title": "Mend it", "head": BRANCH, "base": "main", "body": "Done.", "draft": True}
    return plain | changes


def pulls(client: GitHubClient, branch: str = BRANCH) -> PullRequests:
    return PullRequests(
        client=client, installation=INSTALLATION, repository=REPOSITORY, branch=branch
    )


@pytest.fixture
def pushed(world: World) -> str:
    git = world.till.git
    parent = git.commit_at("refs/heads/main")
    return git.commit(f"refs/heads/{BRANCH}", {"a.txt": "a"}, "Mend it", parents=(parent,))


@pytest.mark.usefixtures("pushed")
async def test_one_is_opened_found_and_told_anew(client: GitHubClient, world: World) -> None:
    assert await pulls(client).list() == []
    sent = await pulls(client).open(body())
    (opened,) = await pulls(client).list()
    assert opened.sent == sent
    assert (opened.is_open, opened.is_merged, opened.body) == (True, False, "Done.")
    assert opened.author == await client.auth.own_login()
    assert await pulls(client).tell(opened, body(title="Mended", body="Again.")) == sent
    assert (world.till.pulls[opened.number].title, opened.number) == ("Mended", 8)


@pytest.mark.usefixtures("pushed")
async def test_those_of_other_branches_are_not_listed(client: GitHubClient) -> None:
    await pulls(client).open(body())
    assert await pulls(client, "covend/01tas").list() == []


async def test_the_same_branch_of_a_fork_is_another(client: GitHubClient, world: World) -> None:
    world.till.open_pull(
        head_ref=BRANCH,
        files={"a.txt": "a"},
        title="Not ours",
        author=payloads.AUTHOR,
        now=world.clock.moment(),
        from_fork=True,
    )
    assert await pulls(client).list() == []


def listed(number: int, ref: str, home: str) -> dict[str, Any]:
    return {"number": number, "state": "open", "head": {"ref": ref, "repo": {"full_name": home}}}


async def test_what_github_lists_beside_what_was_asked_for_is_left(
    scripted: ScriptedGitHub,
) -> None:
    """It gives all where it does not understand `head`."""
    others = [listed(1, BRANCH, "mallory/till"), listed(2, "main", REPOSITORY)]
    scripted.reply(Reply(data=[*others, listed(3, BRANCH, "Acme/Till")]))
    assert [each.number for each in await pulls(scripted.client).list()] == [3]


@pytest.mark.usefixtures("pushed")
async def test_closed_and_merged_ones_are_told_apart(client: GitHubClient, world: World) -> None:
    await pulls(client).open(body())
    made = world.till.pulls[8]
    world.till.pulls[8] = replace(made, state="closed", merged=True)
    await pulls(client).open(body())
    world.till.pulls[9] = replace(world.till.pulls[9], state="closed")
    await pulls(client).open(body())
    listed = await pulls(client).list()
    assert [each.number for each in listed] == [10, 9, 8]
    assert [each.is_open for each in listed] == [True, False, False]
    assert [each.is_merged for each in listed] == [False, False, True]


@pytest.mark.usefixtures("pushed")
async def test_one_that_is_there_and_not_listed_is_to_be_looked_up(client: GitHubClient) -> None:
    await pulls(client).open(body())
    with pytest.raises(OutcomeUnknown, match="already exists"):
        await pulls(client).open(body())


async def test_a_branch_that_github_does_not_know_yet_is_tried_again(client: GitHubClient) -> None:
    with pytest.raises(UnknownBranchError, match=BRANCH) as unknown:
        await pulls(client).open(body())
    assert not isinstance(unknown.value, Refused)


@pytest.mark.usefixtures("pushed")
async def test_a_base_that_is_gone_is_named(client: GitHubClient) -> None:
    with pytest.raises(Refused, match="the branch gone is not there to propose onto"):
        await pulls(client).open(body(base="gone"))


async def test_nothing_between_is_named(client: GitHubClient, world: World) -> None:
    git = world.till.git
    git.set_ref(f"refs/heads/{BRANCH}", git.commit_at("refs/heads/main"))
    with pytest.raises(Refused, match=f"nothing to propose: main has all commits of {BRANCH}"):
        await pulls(client).open(body())


@pytest.mark.usefixtures("pushed")
async def test_branches_of_a_private_repository_can_be_read(
    client: GitHubClient, world: World
) -> None:
    """GitHub answers 422 "not all refs are readable" to a token for pull requests alone."""
    world.till.repository = replace(world.till.repository, private=True)
    await pulls(client).open(body())
    assert 8 in world.till.pulls


async def test_where_there_are_no_drafts_it_is_opened_as_it_can_be(
    scripted: ScriptedGitHub,
) -> None:
    message = "Draft pull requests are not supported in this repository."
    refusal = {"message": "Validation Failed", "errors": [{"message": message}]}
    opened = {"number": 12, "html_url": "https://github.com/acme/till/pull/12"}
    scripted.reply(Reply(status=422, data=refusal), Reply(status=201, data=opened))
    sent = await pulls(scripted.client).open(body())
    assert sent.remote_id == "12"
    assert [json.loads(each.body)["draft"] for each in scripted.seen] == [True, False]
