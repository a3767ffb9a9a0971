from __future__ import annotations

import anyio
import jwt
import pytest

from covend.core.errors import ConfigError
from covend.core.scopes import READ_METADATA, WRITE_CHECKS
from covend.core.secret import Secret
from covend.core.settings import GitHub
from covend.demo.github import Fault
from covend.demo.github.keys import new_key
from covend.edges.github.auth import AppAuth, load_key
from covend.edges.github.errors import (
    MissingPermission,
    NotFound,
    RateLimited,
    Refused,
    Unauthorized,
    Unreachable,
)
from covend.edges.github.wire import Question
from tests.edges.github.github_world import INSTALLATION, MARA_TOKEN, REPOSITORY, Clock, World

TOKENS = "/access_tokens"


async def test_a_token_is_narrowed_to_one_repository_and_what_is_needed(world: World) -> None:
    token = await world.auth().token_for(INSTALLATION, REPOSITORY, WRITE_CHECKS)
    credential = world.github.state.tokens[token]
    assert credential.repositories == frozenset({REPOSITORY})
    assert credential.permissions == {"metadata": "read", "checks": "write"}
    wanted = {"repositories": ["till"], "permissions": {"checks": "write"}}
    assert world.asked("POST", TOKENS) == [wanted]


async def test_a_repository_can_be_named_by_its_id(world: World) -> None:
    await world.auth().token_for(INSTALLATION, world.till.repository.id, WRITE_CHECKS)
    (body,) = world.asked("POST", TOKENS)
    assert body["repository_ids"] == [world.till.repository.id]


async def test_a_token_is_kept_until_five_minutes_before_its_end(world: World) -> None:
    auth = world.auth()
    first = await auth.token_for(INSTALLATION, REPOSITORY, WRITE_CHECKS)
    world.clock.turn(s=55 * 60 - 1)
    assert await auth.token_for(INSTALLATION, REPOSITORY, dict(WRITE_CHECKS)) == first
    world.clock.turn(s=1)
    assert await auth.token_for(INSTALLATION, REPOSITORY, WRITE_CHECKS) != first
    assert len(world.asked("POST", TOKENS)) == 2


async def test_each_scope_has_a_token_of_its_own(world: World) -> None:
    auth = world.auth()
    one = await auth.token_for(INSTALLATION, REPOSITORY, WRITE_CHECKS)
    assert await auth.token_for(INSTALLATION, REPOSITORY, READ_METADATA) != one


async def test_many_who_wait_for_a_token_cause_one_request(world: World) -> None:
    auth, got = world.auth(), set[str]()
    held = world.github.faults.add("POST", f"*{TOKENS}", Fault.HELD)

    async def want() -> None:
        got.add(await auth.token_for(INSTALLATION, REPOSITORY, WRITE_CHECKS))

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(want)
        await held.reached.wait()
        held.release()
    assert len(got) == 1
    assert len(world.asked("POST", TOKENS)) == 1


async def test_where_the_one_who_asks_is_cancelled_the_next_one_asks(world: World) -> None:
    auth, got = world.auth(), list[str]()
    held = world.github.faults.add("POST", f"*{TOKENS}", Fault.HELD)
    scope = anyio.CancelScope()

    async def ask() -> None:
        with scope:
            await auth.token_for(INSTALLATION, REPOSITORY, WRITE_CHECKS)

    async def want() -> None:
        got.append(await auth.token_for(INSTALLATION, REPOSITORY, WRITE_CHECKS))

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await held.reached.wait()
        for _ in range(3):
            group.start_soon(want)
        await anyio.lowlevel.checkpoint()
        scope.cancel()
    assert len(set(got)) == 1
    assert len(got) == 3
    assert len(world.asked("POST", TOKENS)) == 2
    held.release()


async def test_a_failure_is_told_to_all_who_wait_and_asked_for_once(world: World) -> None:
    auth, errors = world.auth(), list[Unreachable]()
    world.github.faults.add("POST", f"*{TOKENS}", Fault.RESET)

    async def want() -> None:
        with pytest.raises(Unreachable) as raised:
            await auth.token_for(INSTALLATION, REPOSITORY, WRITE_CHECKS)
        errors.append(raised.value)

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(want)
    assert len(errors) == 10
    assert len(world.asked("POST", TOKENS)) == 1
    await auth.token_for(INSTALLATION, REPOSITORY, WRITE_CHECKS)


async def test_a_refused_token_is_dropped_and_the_request_sent_once_more(world: World) -> None:
    auth = world.auth()
    stale = await auth.token_for(INSTALLATION, REPOSITORY, READ_METADATA)
    del world.github.state.tokens[stale]
    answer = await world.client(auth).request(
        "get_repository",
        "GET",
        f"/repos/{REPOSITORY}",
        installation=INSTALLATION,
        repository=REPOSITORY,
        permissions=READ_METADATA,
    )
    assert answer.text("full_name") == REPOSITORY
    assert world.observed[-3:] == [
        ("get_repository", "401"),
        ("create_token", "201"),
        ("get_repository", "200"),
    ]


async def test_a_token_that_was_replaced_meanwhile_is_not_dropped(world: World) -> None:
    auth = world.auth()
    fresh = await auth.token_for(INSTALLATION, REPOSITORY, READ_METADATA)
    auth.forget("ghs_an_older_one")
    assert await auth.token_for(INSTALLATION, REPOSITORY, READ_METADATA) == fresh


async def test_a_permission_the_app_was_never_given_is_named(world: World) -> None:
    with pytest.raises(MissingPermission) as raised:
        await world.auth().token_for(INSTALLATION, REPOSITORY, {"administration": "write"})
    assert raised.value.permission == "administration=write"
    assert "administration=write on acme/till" in str(raised.value)


async def test_an_installation_that_is_gone_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        await world.auth().token_for(404, REPOSITORY, WRITE_CHECKS)


async def test_without_an_installation_nothing_is_asked(world: World) -> None:
    with pytest.raises(Refused):
        await world.auth().token_for(None, REPOSITORY, WRITE_CHECKS)
    assert world.github.requests == []


async def test_a_foreign_key_is_unauthorized(world: World) -> None:
    auth = world.auth(private_key=Secret(new_key().private))
    with pytest.raises(Unauthorized):
        await auth.token_for(INSTALLATION, REPOSITORY, WRITE_CHECKS)


async def test_the_apps_own_limits_are_kept_to(world: World) -> None:
    auth = world.auth()
    world.github.faults.add("POST", f"*{TOKENS}", Fault.RATE_LIMITED_429, seconds=30)
    for _ in range(2):
        with pytest.raises(RateLimited) as raised:
            await auth.token_for(INSTALLATION, REPOSITORY, WRITE_CHECKS)
        assert raised.value.retry_at == world.clock.now() + 30_000
    assert len(world.asked("POST", TOKENS)) == 1


@pytest.mark.parametrize("hours", [-3, 3])
async def test_an_app_is_known_where_covends_clock_and_the_machines_have_parted(
    world: World, hours: int
) -> None:
    world.covend_clock = Clock(world.clock.at + hours * 3_600_000)
    assert await world.auth().own_login() == "covend-demo[bot]"


@pytest.mark.parametrize("hours", [-3, 3])
async def test_a_token_is_kept_to_its_end_by_the_machines_clock(world: World, hours: int) -> None:
    world.covend_clock = Clock(world.clock.at + hours * 3_600_000)
    auth = world.auth()
    first = await auth.token_for(INSTALLATION, REPOSITORY, WRITE_CHECKS)
    assert await auth.token_for(INSTALLATION, REPOSITORY, WRITE_CHECKS) == first
    world.clock.turn(s=55 * 60)
    assert await auth.token_for(INSTALLATION, REPOSITORY, WRITE_CHECKS) != first


async def test_the_apps_token_is_dated_back_and_ends_within_ten_minutes(world: World) -> None:
    auth = world.auth()
    assert isinstance(auth, AppAuth)
    claims = jwt.decode(
        auth.app_token(),
        world.github.key.public,
        algorithms=["RS256"],
        options={"verify_exp": False, "verify_iat": False},
    )
    now_s = world.clock.now() // 1000
    assert claims == {"iat": now_s - 60, "exp": now_s + 540, "iss": "123456"}


async def test_an_apps_login_is_its_slug_with_bot_and_asked_for_once(world: World) -> None:
    auth = world.auth()
    assert [await auth.own_login() for _ in range(3)] == ["covend-demo[bot]"] * 3
    assert len(world.asked("GET", "/app")) == 1


async def test_with_a_plain_token_everything_is_done_with_it(world: World) -> None:
    auth = world.client_with_token().auth
    assert auth.app_id is None
    assert await auth.token_for(None, REPOSITORY, WRITE_CHECKS) == MARA_TOKEN
    assert [await auth.own_login() for _ in range(2)] == ["mara-quist"] * 2
    assert len(world.asked("GET", "/user")) == 1


async def test_a_plain_token_that_is_refused_is_not_tried_twice(world: World) -> None:
    auth = world.auth(app_id=None, private_key=None, token=Secret("github_pat_unknown"))
    with pytest.raises(Unauthorized):
        await world.client(auth).request(
            "get_repository",
            "GET",
            f"/repos/{REPOSITORY}",
            installation=None,
            repository=REPOSITORY,
            permissions=READ_METADATA,
        )
    assert world.observed == [("get_repository", "401")]


async def test_without_key_and_token_covend_is_nobody_and_asks_nothing(world: World) -> None:
    auth = world.auth(app_id=None)
    assert (auth.app_id, await auth.own_login()) == (None, "")
    with pytest.raises(Refused, match="covend is nobody on GitHub"):
        await world.client(auth).request(
            "get_repository",
            "GET",
            f"/repos/{REPOSITORY}",
            installation=None,
            repository=REPOSITORY,
            permissions=READ_METADATA,
        )
    with pytest.raises(Refused, match="covend is nobody on GitHub"):
        await auth.installation_of(REPOSITORY)
    with pytest.raises(Refused, match="covend is nobody on GitHub"):
        await auth.as_app(Question(operation="get_app", method="GET", path="/app"))
    assert not auth.forget("x")
    assert (list(auth.take_idle()), list(auth.close())) == ([], [])
    assert world.observed == []


@pytest.mark.parametrize("text", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END"])
def test_a_key_that_is_none_is_a_config_error_that_does_not_show_it(text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_key(Secret(text))
    assert not text or text not in str(raised.value)
    assert GitHub().private_key is None
