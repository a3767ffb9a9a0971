"""What GitHub alone refuses of a push, and what it does with the pull requests of a branch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from covend.demo.git import clean_environment
from covend.demo.github import Hosted, StandInGitHub
from tests.demo.api import Api

REPO = "/repos/acme/till"
TOPIC = "refs/heads/topic"
Push = Callable[..., Awaitable[str]]


@pytest.fixture
def push(api: Api, github: StandInGitHub, till: Hosted) -> Push:
    """Push to the till from a repository that has all its objects; gives what git says."""

    async def run(refspec: str, token: str = "") -> str:
        url = github.clone_url("acme", "till").replace("//", f"//x:{token or api.token}@")
        process = await asyncio.create_subprocess_exec(
            *("git", f"--git-dir={till.git.path}", "push", url, refspec),
            env=clean_environment(),
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
        return said.decode()

    return run


def commit(till: Hosted, path: str = "a.txt") -> str:
    parent = till.git.commit_at("refs/heads/main")
    sha = till.git.commit("refs/aside", {path: "a"}, "Aside", parents=(parent,))
    till.git.delete_ref("refs/aside")
    return sha


async def test_a_protected_branch_stays_where_it_is(push: Push, till: Hosted) -> None:
    before, sha = till.git.commit_at("refs/heads/main"), commit(till)
    till.protected |= {"main", "held/*"}
    assert "(protected branch hook declined)" in await push(f"{sha}:refs/heads/main")
    assert "(protected branch hook declined)" in await push(f"{sha}:refs/heads/held/x")
    assert till.git.commit_at("refs/heads/main") == before
    assert till.git.resolve("refs/heads/held/x") is None
    assert "[new branch]" in await push(f"{sha}:{TOPIC}")


async def test_a_workflow_needs_a_permission_of_its_own(
    push: Push, as_app: Api, till: Hosted, github: StandInGitHub
) -> None:
    sha = commit(till, ".github/workflows/ci.yml")
    refused = await push(f"{sha}:{TOPIC}")
    assert "without `workflows` permission)" in refused
    assert "`.github/workflows/ci.yml`" in refused
    assert till.git.resolve(TOPIC) is None
    github.state.permissions["workflows"] = "write"
    wanted = {"contents": "write", "workflows": "write"}
    allowed = await as_app.narrowed(permissions=wanted)
    assert "[new branch]" in await push(f"{sha}:{TOPIC}", allowed.token)
    assert "[new branch]" in await push(f"{sha}:refs/heads/again")


async def test_a_pull_request_ends_with_its_branch_and_follows_it_no_more(
    api: Api, push: Push, till: Hosted
) -> None:
    old, new = commit(till), commit(till, "b.txt")
    till.git.set_ref(TOPIC, old)
    body = {"title": "A", "head": "topic", "base": "main"}
    assert (await api("POST", f"{REPO}/pulls", body)).status == 201
    assert "[deleted]" in await push(f":{TOPIC}")
    assert till.pulls[8].state == "closed"
    assert "[new branch]" in await push(f"{new}:{TOPIC}")
    assert (await api("GET", f"{REPO}/pulls/8")).body["head"]["sha"] == old
    assert (await api("POST", f"{REPO}/pulls", body)).status == 201
    listed = await api("GET", f"{REPO}/pulls?state=all&head=acme:topic")
    assert [each["number"] for each in listed.body] == [9, 8]


async def test_a_deleted_ref_ends_its_pull_request_too(api: Api, till: Hosted) -> None:
    till.git.set_ref(TOPIC, commit(till))
    await api("POST", f"{REPO}/pulls", {"title": "A", "head": "topic", "base": "main"})
    assert (await api("DELETE", f"{REPO}/git/refs/heads/topic")).status == 204
    assert till.pulls[8].state == "closed"


@pytest.mark.parametrize(
    ("words", "said"),
    [({"title": " "}, "title"), ({"title": "t" * 257}, "title"), ({"body": "b" * 65_537}, "body")],
)
async def test_words_have_their_bounds(
    api: Api, till: Hosted, words: dict[str, str], said: str
) -> None:
    till.git.set_ref(TOPIC, commit(till))
    body = {"title": "A", "head": "topic", "base": "main"}
    opened = await api("POST", f"{REPO}/pulls", body | words)
    changed = await api("PATCH", f"{REPO}/pulls/7", words)
    for got in (opened, changed):
        assert (got.status, got.body["errors"][0]["field"]) == (422, said)


async def test_a_private_repository_shows_its_branches_to_whom_it_may(
    as_app: Api, till: Hosted
) -> None:
    till.git.set_ref(TOPIC, commit(till))
    till.repository = replace(till.repository, private=True)
    body = {"title": "A", "head": "topic", "base": "main"}
    blind = await as_app.narrowed(permissions={"pull_requests": "write"})
    got = await blind("POST", f"{REPO}/pulls", body)
    assert (got.status, got.body["errors"][0]["message"]) == (422, "not all refs are readable")
    wanted = {"pull_requests": "write", "contents": "read"}
    seeing = await as_app.narrowed(permissions=wanted)
    assert (await seeing("POST", f"{REPO}/pulls", body)).status == 201
