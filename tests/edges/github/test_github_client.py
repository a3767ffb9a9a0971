from __future__ import annotations

import socket
import traceback
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import aiohttp
import pytest

from covend import __version__
from covend.core.errors import GitHubError
from covend.core.scopes import READ_METADATA
from covend.core.secret import Secret
from covend.core.settings import GitHub
from covend.edges.github import wire
from covend.edges.github.auth import open_auth
from covend.edges.github.client import GitHubClient, Reach, repository_path
from covend.edges.github.errors import (
    BadAnswer,
    MissingPermission,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Refused,
    TooManyPages,
    Unauthorized,
    Unreachable,
)
from covend.edges.github.pacing import Quota
from covend.edges.github.wire import Answer
from tests.edges.github.github_world import Clock, World
from tests.edges.github.scripted import TOKEN, Reply, ScriptedGitHub

REACH = Reach(installation=None, repository="acme/till", permissions=READ_METADATA)
LIMIT = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795262700"}  # in 5 minutes
IN_90_S = format_datetime(datetime.fromtimestamp(Clock().at / 1000 + 90, UTC), usegmt=True)
PERMISSIONS = {"x-accepted-github-permissions": "checks=write"}
LOCKED = {"message": "Maximum number of login attempts exceeded. Please try again later."}
SECONDARY = {"message": "You have exceeded a secondary rate limit."}
INVALID = {
    "message": "Validation Failed",
    "errors": [
        {"resource": "Label", "field": "name", "code": "invalid"},
        "Line could not be resolved",
    ],
}


async def ask(
    client: GitHubClient, method: str = "GET", path: str = "/x", body: Any = None
) -> Answer:
    return await client.request(
        "try",
        method,
        path,
        installation=None,
        repository="acme/till",
        permissions=READ_METADATA,
        body=body,
    )


async def test_a_request_says_who_asks_for_what_in_which_version(scripted: ScriptedGitHub) -> None:
    scripted.reply(Reply(data={"ok": True}))
    await ask(scripted.client, "POST", body={"b": 1, "a": "ü"})
    (seen,) = scripted.seen
    assert seen.headers["Accept"] == "application/vnd.github+json"
    assert seen.headers["X-GitHub-Api-Version"] == "2022-11-28"
    assert seen.headers["User-Agent"] == f"covend/{__version__}"
    assert seen.headers["Authorization"] == f"Bearer {TOKEN}"
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.body == '{"b":1,"a":"ü"}'.encode()
    assert scripted.observed == [("try", "200")]


async def test_an_answer_without_a_body_is_an_answer(scripted: ScriptedGitHub) -> None:
    scripted.reply(Reply(status=204, raw=b""))
    assert (await ask(scripted.client, "DELETE")).data is None


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        (
            Reply(status=401, data={"message": "Bad credentials"}),
            Unauthorized,
            "try: 401 Bad credentials",
        ),
        (Reply(status=404, data={"message": "Not Found"}), NotFound, "try: 404 Not Found"),
        (Reply(status=410, data={"message": "Gone"}), NotFound, "try: 410 Gone"),
        (
            Reply(status=403, data={"message": "Resource not accessible"}, headers=PERMISSIONS),
            MissingPermission,
            "try: 403 Resource not accessible (needs checks=write)",
        ),
        (
            Reply(status=422, data=INVALID),
            Refused,
            "try: 422 Validation Failed; Label name invalid; Line could not be resolved",
        ),
        (Reply(status=409, raw=b"<html>"), Refused, "try: 409"),
        (Reply(status=413, raw=b""), Refused, "try: 413"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_refusal_is_final_and_says_what_github_says(
    method: str, reply: Reply, kind: type[GitHubError], message: str, scripted: ScriptedGitHub
) -> None:
    scripted.reply(reply)
    with pytest.raises(kind) as raised:
        await ask(scripted.client, method, body={} if method == "POST" else None)
    assert type(raised.value) is kind
    assert str(raised.value) == message


async def test_a_missing_permission_is_named(scripted: ScriptedGitHub) -> None:
    scripted.reply(Reply(status=403, data={}, headers=PERMISSIONS))
    with pytest.raises(MissingPermission) as raised:
        await ask(scripted.client)
    assert raised.value.permission == "checks=write"


@pytest.mark.parametrize(
    ("reply", "wait_s"),
    [
        (Reply(status=429, headers={"retry-after": "7"}), 7),
        (Reply(status=403, headers={"retry-after": "7"}), 7),
        (Reply(status=403, headers={"retry-after": "7"} | LIMIT), 7),
        (Reply(status=403, headers=LIMIT), 300),
        (Reply(status=429, headers=LIMIT), 300),
        (Reply(status=429), 60),
        (Reply(status=429, headers={"retry-after": "soon"}), 60),
        (Reply(status=429, headers={"retry-after": "0"}), 1),
        (Reply(status=429, headers={"retry-after": IN_90_S}), 90),
        (Reply(status=429, headers={"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}), 60),
        (Reply(status=403, data=SECONDARY), 60),
        (Reply(status=403, data=LOCKED), 60),
        (Reply(status=403, headers={"x-ratelimit-remaining": "0"}), 60),
        (Reply(status=429, headers={"retry-after": "99999999"}), 2 * 60 * 60),
        (Reply(status=429, headers={"retry-after": "9" * 5000}), 2 * 60 * 60),
    ],
)
async def test_a_limit_says_when_to_come_back_and_nothing_is_sent_before(
    reply: Reply, wait_s: int, scripted: ScriptedGitHub
) -> None:
    scripted.reply(reply)
    client = scripted.client
    for _ in range(2):
        with pytest.raises(RateLimited) as raised:
            await ask(client, "POST", body={})
        assert raised.value.retry_at == scripted.clock.now() + wait_s * 1000
    assert len(scripted.seen) == 1
    scripted.clock.turn(s=wait_s)
    scripted.reply(Reply(data={}))
    await ask(client, "POST", body={})


async def test_a_limit_without_a_time_is_waited_for_longer_each_time(
    scripted: ScriptedGitHub,
) -> None:
    client, waits = scripted.client, []
    for _ in range(4):
        scripted.reply(Reply(status=429))
        with pytest.raises(RateLimited) as raised:
            await ask(client)
        waits.append((raised.value.retry_at - scripted.clock.now()) // 1000)
        scripted.clock.turn(s=waits[-1])
    assert waits == [60, 120, 240, 480]
    scripted.reply(Reply(data={}), Reply(status=429))
    await ask(client)
    with pytest.raises(RateLimited) as raised:
        await ask(client)
    assert raised.value.retry_at == scripted.clock.now() + 60_000


async def test_the_last_request_of_an_hour_is_good_and_the_next_one_waits(
    scripted: ScriptedGitHub,
) -> None:
    scripted.reply(Reply(data={}, headers=LIMIT | {"x-ratelimit-limit": "5000"}))
    client = scripted.client
    assert client.pacing.quota() is None
    await ask(client)
    assert client.pacing.remaining == 0
    assert client.pacing.quota() == Quota(remaining=0, limit=5000, reset_at=1_795_262_700_000)
    with pytest.raises(RateLimited) as raised:
        await ask(client)
    assert raised.value.retry_at == 1_795_262_700_000
    assert len(scripted.seen) == 1


@pytest.mark.parametrize(("method", "kind"), [("GET", Unreachable), ("POST", OutcomeUnknown)])
@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_server_error_leaves_open_what_a_write_did(
    status: int, method: str, kind: type[GitHubError], scripted: ScriptedGitHub
) -> None:
    scripted.reply(Reply(status=status, raw=b"<html>"))
    with pytest.raises(kind):
        await ask(scripted.client, method)


@pytest.mark.parametrize(("method", "kind"), [("GET", BadAnswer), ("PATCH", OutcomeUnknown)])
@pytest.mark.parametrize("raw", [b"<html>", b'{"id":', b"[" * 100_000, b'"' + b"x" * 64 + b'"'])
async def test_an_answer_of_no_use_leaves_open_what_a_write_did(
    raw: bytes,
    method: str,
    kind: type[GitHubError],
    scripted: ScriptedGitHub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if raw.startswith(b'"'):
        monkeypatch.setattr(wire, "ANSWER_BYTES_MAX", 60)
    scripted.reply(Reply(raw=raw))
    with pytest.raises(kind):
        await ask(scripted.client, method)


@pytest.mark.parametrize(("method", "kind"), [("GET", BadAnswer), ("POST", OutcomeUnknown)])
async def test_an_answer_that_lacks_what_it_must_have_leaves_open_what_a_write_did(
    method: str, kind: type[GitHubError], scripted: ScriptedGitHub
) -> None:
    scripted.reply(Reply(data={"id": "x"}))
    answer = await ask(scripted.client, method)
    with pytest.raises(kind):
        answer.number("id")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_refused_connection_is_certainly_without_effect(method: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Unreachable):
            await ask_at(url, method)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_name_that_is_not_known_is_certainly_without_effect(method: str) -> None:
    with pytest.raises(Unreachable):
        await ask_at("http://no-such-host.invalid", method)


@pytest.mark.parametrize(("method", "kind"), [("GET", Unreachable), ("POST", OutcomeUnknown)])
async def test_a_silent_server_is_given_up(
    method: str, kind: type[GitHubError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "_TIMEOUT", aiohttp.ClientTimeout(total=0.05))
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(kind):
        await ask_at(f"http://127.0.0.1:{silent.getsockname()[1]}", method)


async def ask_at(url: str, method: str) -> None:
    clock = Clock()
    settings = GitHub(token=Secret(TOKEN), api_url=url)
    async with aiohttp.ClientSession() as session:
        auth = open_auth(settings, session, clock.now, lambda *_: None, wall=clock.now)
        client = GitHubClient(session, url, auth, clock.now, lambda *_: None)
        await ask(client, method)


@pytest.mark.parametrize(
    "reply",
    [
        *(
            Reply(status=status, data={"message": f"no: {TOKEN}"})
            for status in (401, 403, 404, 422, 429)
        ),
        Reply(status=422, data={"message": "no", "errors": [{"message": TOKEN}, TOKEN]}),
        Reply(status=500, data={"message": TOKEN}),
        Reply(status=200, raw=f"<html>{TOKEN}".encode()),
        Reply(status=302, headers={"location": f"https://evil.example/{TOKEN}"}),
    ],
)
async def test_no_error_shows_the_token(reply: Reply, scripted: ScriptedGitHub) -> None:
    scripted.reply(reply)
    with pytest.raises(GitHubError) as raised:
        await ask(scripted.client, "POST", body={})
    error = raised.value
    shown = "".join(traceback.format_exception(error, chain=True))
    assert TOKEN not in f"{shown} {error!r} {error.details} {vars(error)}"


async def test_no_error_of_the_connection_leads_to_the_token(world: World) -> None:
    world.github.faults.add("POST", "*", "reset")
    with pytest.raises(OutcomeUnknown) as raised:
        await ask(
            world.client_with_token(), "POST", "/repos/acme/till/issues/7/comments", {"body": "b"}
        )
    assert raised.value.__context__ is None
    assert raised.value.__cause__ is None


# --- pages ----------------------------------------------------------------------------------------


def page(*numbers: int, following: str | None = None) -> Reply:
    links = f'<{{api}}/x?page=1>; rel="prev", <{following}>; rel="next"' if following else ""
    return Reply(data=[{"id": number} for number in numbers], headers={"link": links})


async def ids(client: GitHubClient, **asked: Any) -> list[int]:
    return [item["id"] async for item in client.pages("list", "/x", REACH, **asked)]


async def test_a_list_is_read_over_all_its_pages(scripted: ScriptedGitHub) -> None:
    scripted.reply(
        page(1, 2, following="{api}/x?page=2&since=a%3Ab"),
        page(3, following="{api}/x?page=3"),
        page(4),
    )
    assert await ids(scripted.client, query={"since": "a:b"}) == [1, 2, 3, 4]
    assert [seen.raw_path for seen in scripted.seen] == [
        "/x?per_page=100&since=a:b",
        "/x?page=2&since=a%3Ab",
        "/x?page=3",
    ]


async def test_a_next_page_elsewhere_is_refused_and_gets_no_token(scripted: ScriptedGitHub) -> None:
    scripted.reply(page(1, following="https://evil.example/x?page=2"))
    with pytest.raises(Refused):
        await ids(scripted.client)


async def test_a_list_without_end_is_an_error_and_never_a_short_list(
    scripted: ScriptedGitHub,
) -> None:
    scripted.reply(*[page(1, following="{api}/x?page=2")] * 3)
    with pytest.raises(TooManyPages):
        await ids(scripted.client, pages_max=3)


async def test_a_list_can_lie_below_a_key(scripted: ScriptedGitHub) -> None:
    scripted.reply(Reply(data={"total_count": 1, "check_runs": [{"id": 5}]}))
    assert await ids(scripted.client, below=("check_runs",)) == [5]


async def test_what_is_no_list_is_an_error(scripted: ScriptedGitHub) -> None:
    scripted.reply(Reply(data={"message": "?"}))
    with pytest.raises(BadAnswer):
        await ids(scripted.client)


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["till", "a/b/c", "../x", "a/..", "a/.", "a b/c", "a/b?c", "a/", ""]
)
def test_what_no_repository_is_called_never_becomes_a_path(name: str) -> None:
    with pytest.raises(Refused):
        repository_path(name)


def test_a_repository_has_a_path() -> None:
    assert repository_path("Acme-1/till.py_2") == "/repos/Acme-1/till.py_2"
