from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest

from covend.demo.github import Hosted, StandInGitHub, new_key
from covend.demo.payloads import AUTHOR, TILL
from covend.demo.repository import BareRepository
from tests.demo.api import TOKENS, Api

REPO = "/repos/acme/till"


def claims(github: StandInGitHub, **changed: Any) -> dict[str, Any]:
    now = int(time.time())
    return {"iss": str(github.state.app.id), "iat": now - 60, "exp": now + 540} | changed


async def test_an_app_is_known_by_its_signature(as_app: Api) -> None:
    got = await as_app("GET", "/app")
    assert (got.status, got.body["slug"]) == (200, "covend-demo")


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"exp": int(time.time()) + 900}, 401),
        ({"exp": int(time.time()) - 5}, 401),
        ({"iat": int(time.time()) + 300}, 401),
        ({"iss": "999"}, 404),
        ({"exp": None}, 401),
    ],
)
async def test_an_app_token_with_wrong_claims_is_refused(
    changed: dict[str, Any], status: int, github: StandInGitHub, session: aiohttp.ClientSession
) -> None:
    token = jwt.encode(claims(github, **changed), github.key.private, algorithm="RS256")
    assert (await Api(session, token)("GET", "/app")).status == status


async def test_an_app_token_signed_by_somebody_else_is_refused(
    github: StandInGitHub, session: aiohttp.ClientSession
) -> None:
    token = jwt.encode(claims(github), new_key().private, algorithm="RS256")
    got = await Api(session, token)("GET", "/app")
    assert (got.status, got.body["message"]) == (401, "A JSON web token could not be decoded")


async def test_a_token_of_the_long_form_lives_an_hour(as_app: Api, till: Hosted) -> None:
    got = await as_app("POST", TOKENS, {"repositories": [till.repository.name]})
    assert got.body["token"].startswith("ghs_123456_eyJ")
    assert 450 < len(got.body["token"]) < 600
    assert [each["full_name"] for each in got.body["repositories"]] == ["acme/till"]
    assert got.body["permissions"]["checks"] == "write"


async def test_a_narrowed_token_lacks_what_it_did_not_ask_for(as_app: Api, till: Hosted) -> None:
    narrow = await as_app.narrowed(permissions={"pull_requests": "read"})
    assert (await narrow("GET", f"{REPO}/pulls/7")).status == 200
    sha = till.git.commit_at("main")
    got = await narrow("POST", f"{REPO}/check-runs", {"name": "x", "head_sha": sha})
    assert (got.status, got.body["message"]) == (403, "Resource not accessible by integration")
    assert got.headers["X-Accepted-GitHub-Permissions"] == "checks=write"


async def test_a_token_does_not_reach_another_repository(
    as_app: Api, github: StandInGitHub, till: Hosted, tmp_path: Path
) -> None:
    for at, private in enumerate((False, True)):
        name = "hidden" if private else "open"
        git = BareRepository.create(tmp_path / f"{name}.git", {"a": "a"})
        github.host(replace(TILL, name=name, id=at, private=private), git)
    narrow = await as_app.narrowed(repository_ids=[till.repository.id])
    assert (await narrow("GET", "/repos/acme/open")).status == 403
    assert (await narrow("GET", "/repos/acme/hidden")).status == 404
    assert (await narrow("GET", REPO)).status == 200


@pytest.mark.parametrize(
    "wanted", [{"repositories": ["nothing"]}, {"permissions": {"contents": "admin"}}]
)
async def test_more_than_was_granted_is_refused(wanted: dict[str, Any], as_app: Api) -> None:
    assert (await as_app("POST", TOKENS, wanted)).status == 422


async def test_a_revoked_token_is_a_bad_credential(api: Api) -> None:
    assert (await api("DELETE", "/installation/token")).status == 204
    got = await api("GET", REPO)
    assert (got.status, got.body["message"]) == (401, "Bad credentials")


async def test_an_expired_token_is_a_bad_credential(api: Api, github: StandInGitHub) -> None:
    held = github.state.tokens[api.token]
    github.state.tokens[api.token] = replace(held, expires_at=github.state.now())
    assert (await api("GET", REPO)).status == 401


@pytest.mark.parametrize("token", ["", "ghp_unknown"])
async def test_nobody_reads_without_a_good_token(
    token: str, session: aiohttp.ClientSession, till: Hosted
) -> None:
    assert (await Api(session, token)("GET", f"/repos/{till.full_name}")).status == 401


async def test_a_personal_token_speaks_for_its_person(
    github: StandInGitHub, session: aiohttp.ClientSession, till: Hosted
) -> None:
    github.add_personal_token("ghp_mara", AUTHOR)
    mara = Api(session, "ghp_mara")
    assert (await mara("GET", "/user")).body["login"] == AUTHOR.login
    sha = till.git.commit_at("main")
    got = await mara("POST", f"{REPO}/check-runs", {"name": "x", "head_sha": sha})
    assert (got.status, got.body["message"]) == (403, "You must authenticate via a GitHub App.")


async def test_every_answer_tells_what_is_left_of_the_hour(api: Api) -> None:
    got = await api("GET", REPO)
    assert int(got.headers["X-RateLimit-Remaining"]) < int(got.headers["X-RateLimit-Limit"])
    assert got.headers["X-GitHub-Request-Id"]
