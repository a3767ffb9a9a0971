"""Reads that GitHub may confirm: nothing is fetched twice, and nobody is given another's answer."""

from __future__ import annotations

from typing import Any

import pytest

from covend.core.scopes import READ_METADATA, READ_PULLS
from covend.edges.github import etags
from covend.edges.github.client import GitHubClient, Reach
from covend.edges.github.errors import BadAnswer, NotFound
from covend.edges.github.etags import KeptPages, Key, Page
from covend.edges.github.wire import Answer
from tests.edges.github.github_world import INSTALLATION, REPOSITORY, World
from tests.edges.github.scripted import Reply, ScriptedGitHub

TAGGED = {"etag": 'W/"1"'}
TAG = 'W/"1"'
UNCHANGED = Reply(status=304, raw=b"")
PULL = f"/repos/{REPOSITORY}/pulls/7"


async def ask(
    client: GitHubClient,
    path: str = "/x",
    *,
    installation: int | None = None,
    repository: str = REPOSITORY,
    permissions: Any = READ_METADATA,
    query: dict[str, str] | None = None,
    method: str = "GET",
) -> Answer:
    return await client.request(
        "try",
        method,
        path,
        installation=installation,
        repository=repository,
        permissions=permissions,
        query=query,
    )


def tags(scripted: ScriptedGitHub) -> list[str | None]:
    return [each.headers.get("If-None-Match") for each in scripted.seen]


async def read_pull(client: GitHubClient) -> str:
    answer = await ask(client, PULL, installation=INSTALLATION, permissions=READ_PULLS)
    return answer.text("head", "sha")


async def test_what_is_unchanged_is_not_sent_again(world: World) -> None:
    client = world.client()
    first = await read_pull(client)
    remaining = client.pacing.remaining
    assert await read_pull(client) == first
    assert [each.status for each in world.github.requests if each.path == PULL] == [200, 304]
    assert world.observed[-2:] == [("try", "200"), ("try", "304")]
    assert client.pacing.remaining == remaining


async def test_what_has_changed_is_seen(world: World) -> None:
    client = world.client()
    before = await read_pull(client)
    world.till.git.set_ref("refs/pull/7/head", world.till.git.commit_at("main"))
    assert await read_pull(client) != before


async def test_a_kept_answer_is_read_anew_each_time(scripted: ScriptedGitHub) -> None:
    client = scripted.client
    scripted.reply(Reply(data={"a": ["b"]}, headers=TAGGED), UNCHANGED, UNCHANGED)
    for _ in range(3):
        answer = await ask(client)
        assert (answer.status, answer.data) == (200, {"a": ["b"]})
        answer.data["a"].clear()
    assert tags(scripted) == [None, TAG, TAG]


async def test_a_newer_answer_takes_the_place_of_the_older(scripted: ScriptedGitHub) -> None:
    client = scripted.client
    newer = Reply(data=2, headers={"etag": 'W/"2"'})
    scripted.reply(Reply(data=1, headers=TAGGED), newer, UNCHANGED)
    assert [(await ask(client)).data for _ in range(3)] == [1, 2, 2]
    assert tags(scripted) == [None, TAG, 'W/"2"']


async def test_the_way_to_the_next_page_is_kept_too(scripted: ScriptedGitHub) -> None:
    link = {"link": '<{api}/x?page=2>; rel="next"'}
    first = Reply(data=[{"id": 1}], headers={**TAGGED, **link})
    second = Reply(data=[{"id": 2}], headers={"etag": '"b"'})
    scripted.reply(first, second, UNCHANGED, UNCHANGED)
    client = scripted.client
    reach = Reach(installation=None, repository=REPOSITORY, permissions=READ_METADATA)
    for _ in range(2):
        assert [each["id"] async for each in client.pages("list", "/x", reach)] == [1, 2]
    assert tags(scripted) == [None, None, TAG, '"b"']


@pytest.mark.parametrize(
    "other",
    [
        {"repository": "acme/other"},
        {"permissions": READ_PULLS},
        {"query": {"page": "2"}},
        {"path": "/y"},
    ],
)
async def test_another_scope_or_question_is_asked_anew(
    other: dict[str, Any], scripted: ScriptedGitHub
) -> None:
    client = scripted.client
    scripted.reply(Reply(data=1, headers=TAGGED), Reply(data=2, headers=TAGGED))
    await ask(client)
    assert (await ask(client, **other)).data == 2
    assert tags(scripted) == [None, None]


async def test_one_installations_answer_is_never_anothers(world: World) -> None:
    client = world.client()
    await read_pull(client)
    with pytest.raises(NotFound):
        await ask(client, PULL, installation=2, permissions=READ_PULLS)


async def test_what_changes_something_is_never_conditional(scripted: ScriptedGitHub) -> None:
    client = scripted.client
    scripted.reply(*[Reply(data={}, headers=TAGGED)] * 2)
    for _ in range(2):
        await ask(client, method="PATCH")
    assert tags(scripted) == [None, None]


async def test_an_answer_without_a_tag_is_not_kept(scripted: ScriptedGitHub) -> None:
    client = scripted.client
    scripted.reply(*[Reply(data=1)] * 2)
    for _ in range(2):
        await ask(client)
    assert tags(scripted) == [None, None]


async def test_unchanged_without_having_asked_is_no_answer(scripted: ScriptedGitHub) -> None:
    scripted.reply(UNCHANGED)
    with pytest.raises(BadAnswer):
        await ask(scripted.client)


# --- how much is kept -----------------------------------------------------------------------------


def key(number: int) -> Key:
    return Key(None, REPOSITORY, (), f"/{number}", ())


def page(size: int) -> Page:
    return Page(etag=TAG, raw=b"x" * size, headers={})


def test_what_was_of_no_use_for_longest_goes_first() -> None:
    kept = KeptPages(bytes_max=3 * page(1_000).size)
    for number in range(3):
        kept.keep(key(number), page(1_000))
    assert kept.find(key(0)) is not None
    kept.keep(key(3), page(1_000))
    assert [number for number in range(4) if kept.find(key(number))] == [0, 2, 3]


def test_no_more_bytes_are_kept_than_allowed() -> None:
    kept = KeptPages(bytes_max=50_000)
    for number in range(200):
        kept.keep(key(number % 30), page(number * 97 % 9_000))
        assert kept.size <= 50_000
    for number in range(30):
        kept.keep(key(number), page(60_000))
    assert kept.size == 0


def test_a_large_page_is_not_kept_and_the_older_one_is_not_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(etags, "PAGE_BYTES_MAX", 100)
    kept = KeptPages()
    kept.keep(key(1), page(100))
    assert kept.find(key(1)) is not None
    kept.keep(key(1), page(101))
    assert kept.find(key(1)) is None
