from __future__ import annotations

import re

import pytest

from covend.demo import till as text
from covend.demo.github import Hosted, StandInGitHub
from covend.demo.records import Account
from tests.demo.api import Api

REPO = "/repos/acme/till"


async def test_pages_lead_to_one_another_and_to_every_file(api: Api) -> None:
    seen: list[str] = []
    path: str | None = f"{REPO}/pulls/7/files?per_page=1"
    while path:
        got = await api("GET", path)
        seen += [file["filename"] for file in got.body]
        next_page = re.search(r'<([^>]+)>; rel="next"', got.headers.get("Link", ""))
        path = next_page[1] if next_page else None
    assert seen == ["README.md", "src/till/basket.py", "tests/test_basket.py"]


async def test_a_short_list_has_no_other_page(api: Api) -> None:
    got = await api("GET", f"{REPO}/pulls/7/files")
    assert "Link" not in got.headers
    assert len(got.body) == 3


async def test_the_head_is_the_one_git_has(api: Api, till: Hosted) -> None:
    before = (await api("GET", f"{REPO}/pulls/7")).body
    sha = till.git.push(7, text.FIXED_FILES, "Do not share the basket")
    after = (await api("GET", f"{REPO}/pulls/7")).body
    assert (before["head"]["sha"] != sha, after["head"]["sha"]) == (True, sha)
    assert (before["commits"], after["commits"]) == (1, 2)
    assert (after["changed_files"], after["mergeable_state"]) == (3, "clean")


async def test_the_clone_url_is_of_this_very_host(api: Api, github: StandInGitHub) -> None:
    got = await api("GET", REPO)
    assert got.body["clone_url"] == github.clone_url("acme", "till")
    assert got.body["clone_url"].startswith(github.api_url)


async def test_a_pull_request_is_opened_once_for_a_branch(api: Api, till: Hosted) -> None:
    files = {"CHANGES.md": "0.5.0\n"}
    parent = (till.git.commit_at("main"),)
    till.git.commit("refs/heads/covend/42", files, "Fix", parents=parent)
    wanted = {"title": "Fix", "head": "covend/42", "base": "main", "draft": True}
    made = await api("POST", f"{REPO}/pulls", wanted)
    assert (made.status, made.body["number"], made.body["draft"]) == (201, 8, True)
    assert made.body["user"]["login"] == "covend-demo[bot]"
    again = await api("POST", f"{REPO}/pulls", wanted)
    assert again.status == 422
    assert "already exists for acme:covend/42" in again.body["errors"][0]["message"]
    found = await api("GET", f"{REPO}/pulls?head=acme:covend/42&state=all")
    assert [pull["number"] for pull in found.body] == [8]


async def test_a_pull_request_from_a_fork_has_its_head_there(
    api: Api, github: StandInGitHub, till: Hosted
) -> None:
    stranger = Account(login="eve", id=5)
    pull = till.open_pull(
        head_ref="patch-1",
        files={"README.md": "# till\n"},
        title="Shorter",
        author=stranger,
        now=github.state.now(),
        from_fork=True,
    )
    got = (await api("GET", f"{REPO}/pulls/{pull.number}")).body
    assert (got["head"]["label"], got["head"]["repo"]["full_name"]) == ("eve:patch-1", "eve/till")
    assert got["head"]["repo"]["fork"]
    assert got["author_association"] == "FIRST_TIME_CONTRIBUTOR"
    assert len((await api("GET", f"{REPO}/pulls/{pull.number}/files")).body) == 1
    assert github.violations == []


@pytest.mark.parametrize(
    "wanted",
    [{"head": "nowhere", "base": "main"}, {"head": "main", "base": "main"}],
)
async def test_a_pull_request_needs_something_to_merge(wanted: dict[str, str], api: Api) -> None:
    assert (await api("POST", f"{REPO}/pulls", wanted | {"title": "x"})).status == 422


async def test_a_ref_is_made_once_and_moves_only_forward(api: Api, till: Hosted) -> None:
    main, head = till.git.commit_at("main"), till.git.commit_at("refs/pull/7/head")
    ref = {"ref": "refs/heads/covend/42", "sha": head}
    assert (await api("POST", f"{REPO}/git/refs", ref)).status == 201
    again = await api("POST", f"{REPO}/git/refs", ref)
    assert (again.status, again.body["message"]) == (422, "Reference already exists")
    path = f"{REPO}/git/refs/heads/covend/42"
    assert (await api("PATCH", path, {"sha": main})).status == 422
    assert (await api("PATCH", path, {"sha": main, "force": True})).status == 200
    shown = await api("GET", f"{REPO}/git/ref/heads/covend/42")
    assert shown.body["object"]["sha"] == main
    assert (await api("DELETE", path)).status == 204


@pytest.mark.parametrize(
    ("login", "permission", "role"),
    [
        ("jonas-berg", "write", "maintain"),
        ("mara-quist", "write", "write"),
        ("acme", "read", "read"),
    ],
)
async def test_a_persons_permission_is_what_the_test_says(
    login: str, permission: str, role: str, api: Api
) -> None:
    got = await api("GET", f"{REPO}/collaborators/{login}/permission")
    assert (got.body["permission"], got.body["role_name"]) == (permission, role)


async def test_a_person_who_does_not_exist_has_no_permission(api: Api) -> None:
    assert (await api("GET", f"{REPO}/collaborators/nobody/permission")).status == 404
