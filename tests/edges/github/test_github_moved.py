"""Renamed and moved repositories, and APIs that are not api.github.com."""

from __future__ import annotations

from dataclasses import replace

import pytest

from covend.core.scopes import READ_METADATA, READ_PULLS, WRITE_PULLS
from covend.demo.github import Hosted
from covend.edges.github.client import GitHubClient
from covend.edges.github.errors import MissingPermission, Refused
from covend.edges.github.wire import Answer, Wire
from tests.edges.github.github_world import INSTALLATION, REPOSITORY, World
from tests.edges.github.scripted import TOKEN, Reply, ScriptedGitHub

COMMENTS = f"/repos/{REPOSITORY}/issues/7/comments"


async def ask(client: GitHubClient, method: str, path: str = "/x") -> Answer:
    return await client.request(
        "try",
        method,
        path,
        installation=None,
        repository=REPOSITORY,
        permissions=READ_METADATA,
        body=None if method == "GET" else {"body": "Bip."},
        query={"state": "open"} if method == "GET" else None,
    )


async def read_pull(client: GitHubClient) -> Answer:
    return await client.request(
        "get_pull",
        "GET",
        f"/repos/{REPOSITORY}/pulls/7",
        installation=INSTALLATION,
        repository=REPOSITORY,
        permissions=READ_PULLS,
    )


async def comment(client: GitHubClient) -> Answer:
    return await client.request(
        "create_comment",
        "POST",
        COMMENTS,
        installation=INSTALLATION,
        repository=REPOSITORY,
        permissions=WRITE_PULLS,
        body={"body": "Bip."},
    )


# --- with the stand-in ----------------------------------------------------------------------------


async def test_a_renamed_repository_is_read_and_written_by_its_old_name(world: World) -> None:
    client = world.client()
    await read_pull(client)
    world.github.rename(world.till, "register")
    assert (await read_pull(client)).number("number") == 7
    await comment(client)
    (written,) = world.github.state.comments
    assert (written.repository, written.body) == ("acme/register", "Bip.")
    assert [each.status for each in world.github.requests if each.method == "POST"][-2:] == [
        307,
        201,
    ]


@pytest.mark.parametrize("private", [False, True])
async def test_a_token_for_a_name_that_is_no_more_is_asked_for_by_id(
    private: bool, world: World
) -> None:
    make_private(world.till, private=private)
    world.github.rename(world.till, "register")
    client = world.client()
    await comment(client)
    assert len(world.github.state.comments) == 1
    asked = world.asked("POST", "/access_tokens")
    assert asked == [
        {"repositories": ["till"], "permissions": {"pull_requests": "write"}},
        {"permissions": {"metadata": "read"}},
        {"repository_ids": [world.till.repository.id], "permissions": {"pull_requests": "write"}},
    ]


async def test_the_wide_token_that_finds_an_id_is_used_for_nothing_else(world: World) -> None:
    world.github.rename(world.till, "register")
    client = world.client()
    await comment(client)
    wide = [
        each
        for each in world.github.requests
        if each.credential.token and each.credential.permissions == dict(READ_METADATA)
    ]
    assert {(each.method, each.credential.repositories) for each in wide} == {("GET", None)}
    await client.aclose()
    assert world.github.state.tokens == {}


async def test_a_name_that_nothing_ever_had_is_refused_as_before(world: World) -> None:
    with pytest.raises(MissingPermission) as raised:
        await world.client().auth.token_for(INSTALLATION, "acme/nothing", WRITE_PULLS)
    assert "pull_requests=write on acme/nothing" in str(raised.value)


async def test_for_a_permission_that_was_never_given_no_name_is_looked_up(world: World) -> None:
    with pytest.raises(MissingPermission):
        await world.client().auth.token_for(INSTALLATION, REPOSITORY, {"workflows": "write"})
    assert len(world.github.requests) == 1


async def test_the_installation_of_a_renamed_repository_is_found(world: World) -> None:
    world.github.rename(world.till, "register")
    assert await world.auth().installation_of(REPOSITORY) == INSTALLATION


def make_private(till: Hosted, *, private: bool) -> None:
    till.repository = replace(till.repository, private=private)


# --- as the script says ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_read_is_followed_with_what_it_asked_for(
    status: int, scripted: ScriptedGitHub
) -> None:
    moved = Reply(status=status, headers={"location": "{api}/repositories/42"})
    scripted.reply(moved, Reply(data={"id": 42}))
    assert (await ask(scripted.client, "GET")).number("id") == 42
    assert scripted.seen[1].raw_path == "/repositories/42?state=open"
    assert scripted.observed == [("try", str(status)), ("try", "200")]


@pytest.mark.parametrize("status", [301, 307, 308])
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
async def test_a_write_is_followed_with_the_same_method_and_body(
    method: str, status: int, scripted: ScriptedGitHub
) -> None:
    moved = Reply(status=status, headers={"location": "/repositories/42?a=b"})
    scripted.reply(moved, Reply(data={"id": 42}))
    await ask(scripted.client, method)
    first, second = scripted.seen
    assert (second.method, second.body) == (method, first.body) == (method, b'{"body":"Bip."}')
    assert second.raw_path == "/repositories/42?a=b"


@pytest.mark.parametrize(
    ("method", "status", "location"),
    [
        ("GET", 303, "{api}/repositories/42"),
        ("POST", 302, "{api}/repositories/42"),
        ("POST", 303, "{api}/repositories/42"),
        *(
            (method, 307, location)
            for method in ("GET", "POST")
            for location in (
                "https://evil.example/x",
                "//evil.example/x",
                "http://127.0.0.1:1/x",
                "{api}@evil.example/x",
                "{api}.evil.example/x",
                "https://{host}/x",
                "http://localhost:{port}/x",
                "http://[::1",
                "file:///etc/passwd",
                "",
            )
        ),
    ],
)
async def test_a_redirect_elsewhere_or_into_another_question_is_refused(
    method: str, status: int, location: str, scripted: ScriptedGitHub
) -> None:
    host = scripted.api.removeprefix("http://")
    location = location.replace("{host}", host).replace("{port}", host.rpartition(":")[2])
    scripted.reply(
        *[Reply(status=status, headers={"location": location})] * (4 if not location else 1)
    )
    with pytest.raises(Refused) as raised:
        await ask(scripted.client, method)
    assert TOKEN not in str(raised.value)
    assert len(scripted.seen) == (4 if not location else 1)


async def test_redirects_in_circles_end(scripted: ScriptedGitHub) -> None:
    scripted.reply(*[Reply(status=301, headers={"location": "/x"})] * 4)
    with pytest.raises(Refused):
        await ask(scripted.client, "GET")


# --- other APIs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("api_url", "graphql"),
    [
        ("https://api.github.com", "https://api.github.com/graphql"),
        ("https://api.github.com/", "https://api.github.com/graphql"),
        ("https://ghe.example.org/api/v3", "https://ghe.example.org/api/graphql"),
        ("https://ghe.example.org:8443/api/v3/", "https://ghe.example.org:8443/api/graphql"),
        ("https://api.octocorp.ghe.com", "https://api.octocorp.ghe.com/graphql"),
    ],
)
async def test_graphql_lies_where_each_github_has_it(
    api_url: str, graphql: str, world: World
) -> None:
    wire = Wire(world.session, api_url, world.observe)
    assert wire.graphql_address == graphql
    assert wire.is_ours(graphql)


@pytest.mark.parametrize(
    "address",
    [
        "https://ghe.example.org/api/v3",
        "https://ghe.example.org/api/v4/x",
        "https://ghe.example.org/login",
        "https://ghe.example.org/api/graphql/x",
        "http://ghe.example.org/api/v3/x",
        "https://ghe.example.org:8443/api/v3/x",
        "https://ghe.example.org.evil.example/api/v3/x",
    ],
)
async def test_an_api_with_a_path_is_left_for_no_other_path_of_its_host(
    address: str, world: World
) -> None:
    assert not Wire(world.session, "https://ghe.example.org/api/v3", world.observe).is_ours(address)


async def test_an_enterprises_api_is_asked_below_its_path(scripted: ScriptedGitHub) -> None:
    client = scripted.client_at("/api/v3")
    moved = Reply(status=301, headers={"location": "{api}/api/v3/repositories/42"})
    scripted.reply(moved, Reply(data={"id": 42}))
    await ask(client, "GET")
    away = Reply(status=301, headers={"location": "{api}/repositories/42"})
    scripted.reply(away)
    with pytest.raises(Refused):
        await ask(client, "GET")
    assert [each.raw_path for each in scripted.seen] == [
        "/api/v3/x?state=open",
        "/api/v3/repositories/42?state=open",
        "/api/v3/x?state=open",
    ]
