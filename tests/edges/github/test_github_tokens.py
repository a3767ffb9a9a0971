"""How long a token lives: refreshed once for all, revoked when nobody needs it, and at the end."""

from __future__ import annotations

import anyio
import pytest

from covend.core.scopes import READ_METADATA, READ_PULLS, WRITE_CHECKS, WRITE_PULLS
from covend.demo.github import Fault
from covend.edges.github import client as client_module
from covend.edges.github import tokens
from covend.edges.github.client import GitHubClient
from covend.edges.github.errors import RateLimited, Refused, Unauthorized, Unreachable
from covend.edges.github.tokens import Scope, Tokens
from tests.edges.github.github_world import INSTALLATION, REPOSITORY, Clock, World, until

TOKENS = "/access_tokens"
REVOKED = "/installation/token"
SCOPES = (READ_METADATA, READ_PULLS, WRITE_CHECKS, WRITE_PULLS)


async def read(client: GitHubClient) -> str:
    answer = await client.request(
        "get_repository",
        "GET",
        f"/repos/{REPOSITORY}",
        installation=INSTALLATION,
        repository=REPOSITORY,
        permissions=READ_METADATA,
    )
    return answer.text("full_name")


async def want(client: GitHubClient) -> None:
    for scope in SCOPES:
        await client.auth.token_for(INSTALLATION, REPOSITORY, scope)


# --- refused --------------------------------------------------------------------------------------


async def test_many_who_are_refused_at_once_cause_one_fresh_token(world: World) -> None:
    client = world.client()
    stale = await client.auth.token_for(INSTALLATION, REPOSITORY, READ_METADATA)
    del world.github.state.tokens[stale]
    held = world.github.faults.add("GET", "/repos/*", Fault.HELD, times=6)
    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(read, client)
        await until(lambda: len(world.asked("GET", REPOSITORY)) == 6)
        held.release()
    assert len(world.asked("POST", TOKENS)) == 2
    statuses = [each.status for each in world.github.requests if each.method == "GET"]
    assert sorted(statuses, key=str) == [200] * 6 + [401] * 6


async def test_the_second_refusal_is_final(world: World) -> None:
    client = world.client()

    async def refuse_all() -> None:
        while True:
            await world.github.wait_for(lambda: world.github.state.tokens)
            world.github.state.tokens.clear()

    async with anyio.create_task_group() as group:
        group.start_soon(refuse_all)
        with pytest.raises(Unauthorized):
            await read(client)
        group.cancel_scope.cancel()
    assert [status for _, status in world.observed] == ["201", "401", "201", "401"]


@pytest.mark.parametrize("repository", [REPOSITORY, 42])
async def test_a_token_for_no_named_permission_is_not_asked_for(
    repository: str | int, world: World
) -> None:
    """GitHub would give all that the App has."""
    with pytest.raises(Refused):
        await world.auth().token_for(INSTALLATION, repository, {})
    assert world.github.requests == []


async def test_reading_has_another_token_than_writing(world: World) -> None:
    client = world.client()
    for method in ("GET", "POST"):
        await client.request(
            "comments",
            method,
            f"/repos/{REPOSITORY}/issues/7/comments",
            installation=INSTALLATION,
            repository=REPOSITORY,
            permissions=WRITE_PULLS,
            body={"body": "Bip."} if method == "POST" else None,
        )
    assert [each["permissions"] for each in world.asked("POST", TOKENS)] == [
        {"pull_requests": "read"},
        {"pull_requests": "write"},
    ]


# --- needed no more -------------------------------------------------------------------------------


async def test_what_nobody_has_asked_for_in_a_while_is_revoked(world: World) -> None:
    client = world.client()
    await want(client)
    world.clock.turn(s=20 * 60 - 1)
    await client.revoke_idle()
    used = await client.auth.token_for(INSTALLATION, REPOSITORY, READ_PULLS)
    world.clock.turn(s=1)
    await client.revoke_idle()
    assert list(world.github.state.tokens) == [used]
    assert len(world.asked("DELETE", REVOKED)) == 3
    assert await read(client) == REPOSITORY


async def test_at_the_end_every_token_is_revoked_and_none_is_made(world: World) -> None:
    client = world.client()
    await want(client)
    await client.aclose()
    assert world.github.state.tokens == {}
    with pytest.raises(Unreachable):
        await read(client)
    await client.aclose()
    assert [status for what, status in world.observed if what == "revoke_token"] == ["204"] * 4


async def test_a_token_that_was_replaced_is_revoked_at_the_end_too(world: World) -> None:
    client = world.client()
    await read(client)
    world.clock.turn(s=56 * 60)
    await read(client)
    assert len(world.github.state.tokens) == 2
    await client.aclose()
    assert world.github.state.tokens == {}


async def test_what_has_ended_by_itself_is_not_revoked(world: World) -> None:
    client = world.client()
    await want(client)
    world.clock.turn(s=61 * 60)
    await client.aclose()
    assert world.asked("DELETE", REVOKED) == []


@pytest.mark.parametrize("fault", list(Fault))
async def test_the_end_is_not_held_up_by_github(
    fault: Fault, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "REVOKE_S", 0.2)
    client = world.client()
    await want(client)
    world.github.faults.add("DELETE", "*", fault, times=100, seconds=5)
    with anyio.fail_after(3):
        await client.aclose()
    world.github.faults.clear()


async def test_the_end_bears_a_session_that_is_closed(world: World) -> None:
    client = world.client()
    await want(client)
    await world.session.close()
    await client.aclose()


async def test_an_end_that_is_cancelled_revokes_all_the_same(world: World) -> None:
    client = world.client()
    await want(client)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await client.aclose()
    assert world.github.state.tokens == {}


async def test_of_an_installation_that_shall_wait_no_token_is_revoked(world: World) -> None:
    client = world.client()
    await want(client)
    world.github.faults.add("GET", "/repos/*", Fault.SECONDARY_403, seconds=60)
    with pytest.raises(RateLimited):
        await read(client)
    await client.aclose()
    assert world.asked("DELETE", REVOKED) == []


async def test_a_plain_token_is_its_owners_to_revoke(world: World) -> None:
    client = world.client_with_token()
    await read(client)
    await client.revoke_idle()
    await client.aclose()
    assert world.asked("DELETE", REVOKED) == []
    assert await read(client) == REPOSITORY


# --- how many -------------------------------------------------------------------------------------


def test_no_more_tokens_are_kept_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "TOKENS_MAX", 3)
    clock = Clock()
    kept = Tokens(clock.now, clock.now)
    scopes = [Scope(INSTALLATION, number, ()) for number in range(5)]
    for number, scope in enumerate(scopes):
        kept.keep(scope, f"ghs_{number}", clock.now() + 3_600_000)
        kept.find(scopes[0])
    assert [kept.find(scope) for scope in scopes] == ["ghs_0", None, None, "ghs_3", "ghs_4"]
    assert {token.text for token in kept.take_all()} == {f"ghs_{number}" for number in range(5)}
    assert kept.take_all() == []


def test_no_token_is_shown() -> None:
    clock = Clock()
    kept = Tokens(clock.now, clock.now)
    kept.keep(Scope(INSTALLATION, 1, ()), "ghs_hidden", clock.now() + 3_600_000)
    assert "ghs_hidden" not in repr(kept.take_all())
