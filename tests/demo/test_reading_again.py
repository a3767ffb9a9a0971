"""What a client may rely on between two requests: tags, limits, and names that change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from covend.demo.github import Hosted, StandInGitHub
from covend.demo.payloads import AUTHOR
from tests.demo.api import Api

REPO = "/repos/acme/till"


async def conditional(api: Api, path: str, etag: str) -> tuple[int, bytes, str]:
    headers = {"Authorization": f"Bearer {api.token}", "If-None-Match": etag}
    async with api.session.get(path, headers=headers) as answer:
        return answer.status, await answer.read(), answer.headers["X-RateLimit-Used"]


# --- tags -----------------------------------------------------------------------------------------


async def test_what_the_caller_has_already_is_not_sent_and_not_counted(api: Api) -> None:
    got = await api("GET", REPO)
    used = got.headers["X-RateLimit-Used"]
    assert await conditional(api, REPO, got.headers["ETag"]) == (304, b"", used)


async def test_what_has_changed_is_sent_again(api: Api, till: Hosted) -> None:
    got = await api("GET", REPO)
    till.repository = replace(till.repository, description="Bip.")
    status, body, _ = await conditional(api, REPO, got.headers["ETag"])
    assert status == 200
    assert b"Bip." in body


async def test_a_tag_is_one_tokens_own(api: Api, as_app: Api) -> None:
    got = await api("GET", REPO)
    status, _, _ = await conditional(await as_app.narrowed(), REPO, got.headers["ETag"])
    assert status == 200


async def test_a_refusal_and_a_write_have_no_tag(api: Api) -> None:
    missing = await api("GET", f"{REPO}/pulls/404")
    written = await api("POST", f"{REPO}/issues/7/comments", {"body": "Bip."})
    assert "ETag" not in {**missing.headers, **written.headers}


# --- limits ---------------------------------------------------------------------------------------


async def test_an_hour_that_is_spent_is_spent_for_all_tokens_of_an_installation(
    api: Api, as_app: Api, github: StandInGitHub
) -> None:
    other = await as_app.narrowed()
    github.state.requests_per_hour = 2
    assert [(await api("GET", REPO)).status for _ in range(2)] == [200, 200]
    got = await other("GET", REPO)
    assert (got.status, got.headers["X-RateLimit-Remaining"]) == (403, "0")
    assert int(got.headers["X-RateLimit-Reset"]) > github.state.now().timestamp()
    github.add_personal_token("ghp_mara", AUTHOR)
    assert (await Api(api.session, "ghp_mara")("GET", REPO)).status == 200


async def test_too_many_writes_a_minute_are_a_secondary_limit(
    api: Api, github: StandInGitHub
) -> None:
    github.state.writes_per_minute = 1
    path, body = f"{REPO}/issues/7/comments", {"body": "Bip."}
    assert [(await api("POST", path, body)).status for _ in range(2)] == [201, 403]
    got = await api("POST", path, body)
    assert got.headers["Retry-After"] == "60"
    assert "secondary rate limit" in got.body["message"]
    assert (await api("GET", path)).status == 200
    assert len(github.state.comments) == 1


# --- names ----------------------------------------------------------------------------------------


async def unfollowed(api: Api, method: str, path: str, body: Any = None) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {api.token}"}
    request = api.session.request(method, path, json=body, headers=headers, allow_redirects=False)
    async with request as answer:
        return answer.status, answer.headers["Location"]


async def test_an_old_name_redirects_to_the_id(
    api: Api, github: StandInGitHub, till: Hosted
) -> None:
    github.rename(till, "register")
    by_id = f"{github.api_url}/repositories/{till.repository.id}"
    moved = await unfollowed(api, "GET", f"{REPO}/pulls?state=all")
    assert moved == (301, f"{by_id}/pulls?state=all")
    sent_on = await unfollowed(api, "POST", f"{REPO}/issues/7/comments", {"body": "b"})
    assert sent_on == (307, f"{by_id}/issues/7/comments")
    assert github.state.comments == []


async def test_what_was_written_is_found_by_every_way(
    api: Api, github: StandInGitHub, till: Hosted
) -> None:
    written = await api("POST", f"{REPO}/issues/7/comments", {"body": "Bip."})
    github.rename(till, "register")
    ways = ("/repos/acme/register", f"/repositories/{till.repository.id}", REPO)
    for way in ways:
        got = await api("GET", f"{way}/issues/7/comments")
        assert [each["id"] for each in got.body] == [written.body["id"]]
    assert (await api("GET", "/repositories/404/pulls")).status == 404


async def test_a_name_that_somebody_has_again_redirects_nowhere(
    api: Api, github: StandInGitHub, till: Hosted
) -> None:
    github.rename(till, "register")
    github.rename(till, "till")
    assert (await api("GET", REPO)).body["full_name"] == "acme/till"


async def test_an_old_name_tells_nothing_to_who_may_not_know(
    as_app: Api, github: StandInGitHub, till: Hosted, session: aiohttp.ClientSession
) -> None:
    till.repository = replace(till.repository, private=True)
    github.rename(till, "register")
    narrow = await as_app.narrowed()
    held = github.state.tokens[narrow.token]
    github.state.tokens[narrow.token] = replace(held, repositories=frozenset({"acme/other"}))
    assert (await narrow("GET", REPO)).status == 404
    assert (await Api(session)("GET", REPO)).status == 401


@pytest.mark.parametrize("wanted", [{"repositories": ["till"]}])
async def test_no_token_is_made_for_a_name_that_is_no_more(
    wanted: dict[str, Any], as_app: Api, github: StandInGitHub, till: Hosted
) -> None:
    github.rename(till, "register")
    got = await as_app("POST", "/app/installations/1/access_tokens", wanted)
    assert got.status == 422
