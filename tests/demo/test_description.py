from __future__ import annotations

from typing import Any

import pytest

from covend.demo.github import Hosted, StandInGitHub
from covend.demo.github.description import Description
from covend.demo.github.server import ROUTES
from tests.demo.api import TOKENS, Api

REPO = "/repos/acme/till"
OF_AN_APP = (
    "/app",
    "/app/installations",
    "/app/installations/1",
    f"{REPO}/installation",
    "/app/hook/deliveries",
    "/app/hook/config",
)
OF_AN_INSTALLATION = (
    "/rate_limit",
    "/users/acme",
    "/users/covend-demo[bot]",
    "/installation/repositories",
    REPO,
    f"{REPO}/pulls",
    f"{REPO}/pulls/7",
    f"{REPO}/pulls/7/files",
    f"{REPO}/pulls/7/reviews",
    f"{REPO}/pulls/7/comments",
    f"{REPO}/issues/7",
    f"{REPO}/issues/7/comments",
    f"{REPO}/issues/comments/1/reactions",
    f"{REPO}/commits/main",
    f"{REPO}/commits/scan-by-code/pulls",
    f"{REPO}/commits/scan-by-code/check-runs",
    f"{REPO}/commits/scan-by-code/status",
    f"{REPO}/commits/scan-by-code/statuses",
    f"{REPO}/compare/main...scan-by-code",
    f"{REPO}/branches/main",
    f"{REPO}/git/ref/heads/main",
    f"{REPO}/collaborators/mara-quist/permission",
)


CUT_AWAY = (
    ("POST", "/graphql"),
    ("PATCH", "/repos/{owner}/{repo}/pulls/comments/{comment_id}"),
    ("POST", "/settings/apps/new"),  # a page, and no operation
    ("POST", "/organizations/{org}/settings/apps/new"),
)
"""What GitHub has and this cut of its description has not."""


def writes(head: str) -> list[tuple[str, str, Any]]:
    line = {"path": "README.md", "line": 3, "body": "x"}
    return [
        ("POST", f"{REPO}/check-runs", {"name": "x", "head_sha": head}),
        ("POST", f"{REPO}/statuses/{head}", {"state": "success"}),
        ("POST", f"{REPO}/issues/7/comments", {"body": "x"}),
        ("POST", f"{REPO}/issues/7/labels", {"labels": ["x"]}),
        ("POST", f"{REPO}/issues/7/reactions", {"content": "+1"}),
        ("POST", f"{REPO}/issues/comments/1/reactions", {"content": "eyes"}),
        ("POST", f"{REPO}/pulls/comments/1/reactions", {"content": "-1"}),
        ("POST", f"{REPO}/pulls/7/reviews", {"event": "COMMENT", "comments": [line]}),
        ("POST", f"{REPO}/git/refs", {"ref": "refs/heads/aside", "sha": head}),
        ("POST", f"{REPO}/pulls", {"title": "x", "head": "aside", "base": "main"}),
        ("PATCH", f"{REPO}/pulls/7", {"title": "y"}),
    ]


async def test_every_answer_is_as_github_describes_it(
    api: Api, as_app: Api, github: StandInGitHub, till: Hosted
) -> None:
    for path in OF_AN_APP:
        assert (await as_app("GET", path)).status == 200, path
    await as_app("POST", "/app-manifests/code/conversions")
    head = till.git.commit_at("refs/pull/7/head")
    for method, path, body in writes(head):
        got = await api(method, path, body)
        assert got.status in {200, 201}, (path, got.body)
    for path in OF_AN_INSTALLATION:
        assert (await api("GET", path)).status == 200, path
    assert github.violations == []


async def test_a_misspelt_field_is_refused_and_recorded(api: Api, github: StandInGitHub) -> None:
    comment = {"path": "README.md", "lien": 3, "body": "x"}
    got = await api("POST", f"{REPO}/pulls/7/reviews", {"event": "COMMENT", "comments": [comment]})
    assert got.status == 422
    (violation,) = github.violations
    assert (violation.where, "'lien' was unexpected" in violation.message) == ("request", True)


async def test_an_operation_that_is_not_there_is_recorded(api: Api, github: StandInGitHub) -> None:
    assert (await api("GET", "/repos/acme/till/milestones")).status == 404
    assert [violation.where for violation in github.violations] == ["route"]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_an_operation_is_one_that_github_has(route: Any, description: Description) -> None:
    known = description.document["paths"].get(route.path, {})
    beyond = route.path.startswith("/{owner}") or "/reactions" in route.path
    beyond = beyond or route.path.endswith("/hooks/{hook_id}/deliveries/{delivery_id}")
    beyond = beyond or (route.method, route.path) in CUT_AWAY
    assert route.method.lower() in known or beyond


async def test_the_stand_in_needs_no_description(tmp_path: Any) -> None:
    async with StandInGitHub() as github:
        github.host_till(tmp_path / "till.git")
        assert github.api_url.startswith("http://127.0.0.1:")
        assert TOKENS.startswith("/app")
