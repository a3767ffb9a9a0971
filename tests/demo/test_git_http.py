from __future__ import annotations

import asyncio
import base64
import os
from dataclasses import replace
from pathlib import Path

import pytest

from covend.demo.git import clean_environment
from covend.demo.github import Hosted, StandInGitHub
from covend.demo.payloads import TILL
from tests.demo.api import Api


async def git(*arguments: str, token: str = "", protocol: int = 2) -> int:
    """Run git as a client does, with the token out of sight of the command line."""
    settings = {"protocol.version": str(protocol)}
    if token:
        basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        settings["http.extraHeader"] = f"Authorization: Basic {basic}"
    environment = clean_environment() | {"GIT_CONFIG_COUNT": str(len(settings))}
    for at, (key, value) in enumerate(settings.items()):
        environment |= {f"GIT_CONFIG_KEY_{at}": key, f"GIT_CONFIG_VALUE_{at}": value}
    process = await asyncio.create_subprocess_exec(
        "git", *arguments, env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait()


@pytest.mark.parametrize("protocol", [0, 2])
async def test_git_clones_and_fetches_the_pull_request(
    protocol: int, github: StandInGitHub, till: Hosted, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    url = github.clone_url("acme", "till")
    assert await git("clone", "--quiet", url, str(clone), protocol=protocol) == 0
    assert (clone / "src" / "till" / "basket.py").is_file()
    into = "refs/pull/7/merge:refs/heads/merged"
    assert await git("-C", str(clone), "fetch", "--quiet", "origin", into, protocol=protocol) == 0
    packed = (clone / ".git" / "refs" / "heads" / "merged").read_text().strip()
    assert packed == till.git.resolve("refs/pull/7/merge")


async def test_a_commit_can_be_fetched_by_its_sha_alone(
    github: StandInGitHub, till: Hosted, tmp_path: Path
) -> None:
    bare, sha = str(tmp_path / "bare.git"), till.git.commit_at("refs/pull/7/head")
    assert await git("init", "--quiet", "--bare", bare) == 0
    url = github.clone_url("acme", "till")
    fetch = ("fetch", "--quiet", "--depth=1", "--filter=blob:none", url, sha)
    assert await git(f"--git-dir={bare}", *fetch) == 0


@pytest.fixture
def hidden(github: StandInGitHub, till: Hosted) -> Hosted:
    github.state.hosted.clear()
    return github.host(replace(TILL, private=True), till.git)


async def test_a_private_repository_wants_a_token(
    hidden: Hosted, github: StandInGitHub, as_app: Api, tmp_path: Path
) -> None:
    url = github.clone_url(*hidden.full_name.split("/"))
    reader = await as_app.narrowed(permissions={"contents": "read"})
    blind = await as_app.narrowed(permissions={"checks": "read"})
    assert await git("clone", "--quiet", url, str(tmp_path / "a")) != 0
    assert await git("clone", "--quiet", url, str(tmp_path / "b"), token="wrong") != 0
    assert await git("clone", "--quiet", url, str(tmp_path / "c"), token=blind.token) != 0
    assert await git("clone", "--quiet", url, str(tmp_path / "d"), token=reader.token) == 0


async def test_a_push_needs_write_and_moves_the_pull_request(
    api: Api, as_app: Api, github: StandInGitHub, till: Hosted
) -> None:
    old = till.git.commit_at("refs/pull/7/head")
    new = till.git.commit("refs/heads/aside", {"a.txt": "a"}, "Aside", parents=(old,))
    url, ref = github.clone_url("acme", "till"), f"{new}:refs/heads/scan-by-code"
    push = (f"--git-dir={till.git.path}", "push", "--quiet", url, ref)
    reader = await as_app.narrowed(permissions={"contents": "read"})
    assert await git(*push) != 0
    assert await git(*push, token=reader.token) != 0
    assert till.live_pull(7).head_sha == old
    assert await git(*push, token=api.token) == 0
    assert till.live_pull(7).head_sha == new
    assert till.git.resolve("refs/pull/7/head") == new


async def test_git_requests_are_on_record(
    github: StandInGitHub, till: Hosted, tmp_path: Path
) -> None:
    url = github.clone_url("acme", till.repository.name)
    assert await git("clone", "--quiet", url, os.fspath(tmp_path / "clone")) == 0
    assert github.requests[0].path == "/acme/till.git/info/refs"
    assert {request.status for request in github.requests} == {200}
