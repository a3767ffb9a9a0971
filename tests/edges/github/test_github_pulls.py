from __future__ import annotations

from typing import Any

import pytest

from covend.core.effects.diff import RIGHT, places
from covend.demo import till as text
from covend.demo.payloads import AUTHOR
from covend.edges.github.client import GitHubClient
from covend.edges.github.errors import BadAnswer, NotFound
from covend.edges.github.pulls import PullHead, changed_paths, get_pull, list_files
from tests.edges.github.github_world import INSTALLATION, REPOSITORY, World
from tests.edges.github.scripted import Reply, ScriptedGitHub


async def test_a_pull_request_is_told_as_it_is_now(world: World, client: GitHubClient) -> None:
    live = world.till.live_pull(7)
    pull = await get_pull(client, INSTALLATION, REPOSITORY, 7)
    assert pull == PullHead(
        number=7,
        state="open",
        draft=False,
        title=live.title,
        author=AUTHOR.login,
        url=f"{world.github.state.site.web}/acme/till/pull/7",
        head_sha=live.head_sha,
        head_ref=live.head_ref,
        head_repository="acme/till",
        base_sha=live.base_sha,
        base_ref="main",
        clone_url=world.github.clone_url("acme", "till"),
    )


async def test_what_is_asked_of_a_pull_request_needs_to_read_no_more(
    world: World, client: GitHubClient
) -> None:
    await get_pull(client, INSTALLATION, REPOSITORY, 7)
    await list_files(client, INSTALLATION, REPOSITORY, 7)
    for request in world.github.requests[1:]:
        assert request.credential.permissions == {"metadata": "read", "pull_requests": "read"}


async def test_a_pull_request_that_is_not_there_is_not_found(client: GitHubClient) -> None:
    with pytest.raises(NotFound):
        await get_pull(client, INSTALLATION, REPOSITORY, 404)


async def test_the_changed_files_come_with_the_patches_that_take_comments(
    client: GitHubClient,
) -> None:
    bug = text.planted_bug()
    files = {file.path: file for file in await list_files(client, INSTALLATION, REPOSITORY, 7)}
    patch = files[bug.path].patch
    assert patch is not None
    assert (RIGHT, bug.line) in places(patch)
    assert set(await changed_paths(client, INSTALLATION, REPOSITORY, 7)) == set(files)


def a_file(number: int, **more: Any) -> dict[str, Any]:
    return {"filename": f"src/{number}.py", "status": "modified", **more}


async def test_files_are_listed_over_three_pages_and_a_renamed_one_has_two_paths(
    scripted: ScriptedGitHub,
) -> None:
    following = {"link": '<{api}/next>; rel="next"'}
    renamed = a_file(3, previous_filename="lib/3.py", status="renamed")
    scripted.reply(
        Reply(data=[a_file(1)], headers=following),
        Reply(data=[a_file(2), renamed], headers=following),
        Reply(data=[a_file(4, patch="@@ -1 +1 @@\n-a\n+b")]),
    )
    paths = await changed_paths(scripted.client, None, REPOSITORY, 7)
    assert paths == ("src/1.py", "src/2.py", "lib/3.py", "src/3.py", "src/4.py")


async def test_a_pull_request_whose_fork_is_gone_has_no_head_repository(
    scripted: ScriptedGitHub,
) -> None:
    repo = {"clone_url": "https://github.com/acme/till.git", "full_name": "acme/till"}
    scripted.reply(
        Reply(
            data={
                "number": 7,
                "state": "open",
                "title": "t",
                "html_url": "u",
                "user": None,
                "head": {"sha": "a", "ref": "b", "repo": None},
                "base": {"sha": "c", "ref": "d", "repo": repo},
            }
        )
    )
    pull = await get_pull(scripted.client, None, REPOSITORY, 7)
    assert (pull.head_repository, pull.author, pull.draft) == (None, "", False)


@pytest.mark.parametrize("data", [{}, [], None, {"number": 7, "head": None}])
async def test_a_pull_request_that_lacks_its_head_is_an_error(
    data: object, scripted: ScriptedGitHub
) -> None:
    scripted.reply(Reply(data=data))
    with pytest.raises(BadAnswer):
        await get_pull(scripted.client, None, REPOSITORY, 7)
