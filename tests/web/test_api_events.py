"""Whoever follows the whole daemon is told of every move and delivery once, also over a restart."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from covend.web.api import events
from tests.web.desk import Desk
from tests.web.stream_reader import WITHIN_S, Told, next_event, until, within


class Reader:
    """One follower of the whole."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.comments: list[str] = []

    async def event(self) -> Told | None:
        """The next event; None at the end of the stream."""
        return await next_event(self.response, self.comments)

    async def events(self, count: int) -> list[Told]:
        found = [await self.event() for _ in range(count)]
        return [each for each in found if each is not None]

    async def rest(self) -> list[Told]:
        found = []
        while (event := await self.event()) is not None:
            found.append(event)
        return found


@asynccontextmanager
async def following(desk: Desk, query: str = "", last: str | None = None) -> AsyncIterator[Reader]:
    """Follow, on a connection of its own."""
    url = f"http://127.0.0.1:{desk.port}/api/v1/events{query}"
    headers = desk.headers | ({} if last is None else {"Last-Event-ID": last})
    timeout = aiohttp.ClientTimeout(total=None, sock_read=WITHIN_S)
    connector = aiohttp.TCPConnector(force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        session.get(url, headers=headers) as response,
    ):
        assert response.status == 200, await response.text()
        yield Reader(response)


async def all_since(desk: Desk, last: str = "0-0", query: str = "") -> list[Told]:
    async with following(desk, f"?follow=0{query}", last) as reader:
        return await reader.rest()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LOOK_EVERY_S", 0.02)


async def test_a_delivery_comes_before_the_moves_of_its_task(desk: Desk) -> None:
    async with following(desk) as reader:
        assert reader.response.headers["Content-Type"] == "text/event-stream"
        await until(lambda: desk.streams.count == 1)
        task = await desk.arrive()
        arrived, queued = await reader.events(2)
        claim = await desk.claim()
        (running,) = await reader.events(1)
    assert arrived[0] == "delivery"
    assert (arrived[2]["event"], arrived[2]["state"]) == ("pull_request", "routed")
    assert arrived[2]["at"].endswith("Z")
    assert queued[0] == running[0] == "move"
    assert (queued[2]["from"], queued[2]["to"]) == (None, "queued")
    assert running[2] == {
        "task": task,
        "from": "queued",
        "to": "running",
        "reason": "claimed",
        "at": "2026-09-21T14:13:21.000Z",
        "rule": claim.task.rule,
        "repository": claim.task.repository,
    }


async def test_without_an_id_it_begins_now(desk: Desk) -> None:
    await desk.arrive()
    async with following(desk, "?follow=0") as reader:
        assert await reader.rest() == []


async def test_whoever_comes_back_is_told_everything_once_wherever_they_were_cut_off(
    desk: Desk,
) -> None:
    for _ in range(3):
        await desk.arrive()
    await desk.complete(await desk.claim())
    told = await all_since(desk)
    assert [name for name, _, _ in told] == ["delivery"] * 3 + ["move"] * 5
    for seen in range(1, len(told) + 1):
        assert await all_since(desk, told[seen - 1][1]) == told[seen:]


async def test_more_than_one_batch_comes_whole_and_in_order(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "AT_ONCE", 2)
    tasks = [await desk.arrive() for _ in range(5)]
    told = await all_since(desk)
    assert [data["task"] for name, _, data in told if name == "move"] == tasks
    assert [name for name, _, _ in told] == ["delivery"] * 5 + ["move"] * 5
    assert len({identifier for _, identifier, _ in told}) == 10
    for seen in range(1, len(told) + 1):
        assert await all_since(desk, told[seen - 1][1]) == told[seen:]


@pytest.mark.parametrize(("kinds", "names"), [("move", {"move"}), ("delivery", {"delivery"})])
async def test_only_what_is_asked_for_comes(desk: Desk, kinds: str, names: set[str]) -> None:
    await desk.arrive()
    told = await all_since(desk, query=f"&kinds={kinds}")
    assert {name for name, _, _ in told} == names
    assert await all_since(desk, told[-1][1], query=f"&kinds={kinds}") == []


async def test_what_was_deleted_is_not_told_and_holds_nothing_up(
    desk: Desk, database: sqlite3.Connection
) -> None:
    """The newest rows may go with an installation; their numbers are given again."""
    await desk.arrive()
    last = (await all_since(desk))[-1][1]
    database.execute("DELETE FROM timeline")
    async with following(desk, last=last) as reader:
        await until(lambda: desk.streams.count == 1)
        await desk.arrive()
        arrived, moved = await reader.events(2)
    assert (arrived[0], moved[0]) == ("delivery", "move")


@pytest.mark.parametrize("last", ["7", "a-b", "1-2-3", "-1-2"])
async def test_an_id_that_was_never_given_is_refused(desk: Desk, last: str) -> None:
    answer = await desk.ask("/api/v1/events", headers={**desk.headers, "Last-Event-ID": last})
    assert (answer.status, answer.data["error"]["code"]) == (400, "bad_request")


@pytest.mark.parametrize("query", ["?kinds=effect", "?kinds=move,", "?follow=2", "?since=1"])
async def test_what_it_does_not_know_it_refuses(desk: Desk, query: str) -> None:
    assert (await desk.ask(f"/api/v1/events{query}")).status == 400


async def test_who_follows_is_bounded_and_told_so(desk: Desk) -> None:
    desk.streams.followers_max = 0
    answer = await desk.ask("/api/v1/events")
    assert (answer.status, answer.data["error"]["code"]) == (503, "too_many_followers")


async def test_no_more_follow_than_may_however_many_come_at_once(desk: Desk) -> None:
    desk.streams.followers_max = 1
    url = f"http://127.0.0.1:{desk.port}/api/v1/events"
    came = [desk.session.get(url, headers=desk.headers) for _ in range(8)]
    answers = await asyncio.gather(*came)
    try:
        assert sorted(each.status for each in answers) == [200, *[503] * 7]
    finally:
        for each in answers:
            each.close()


async def test_a_silent_stream_says_that_it_is_still_there(desk: Desk) -> None:
    desk.streams.keep_alive_s = 0.05
    async with following(desk) as reader:
        await until(lambda: desk.streams.count == 1)
        await within(_two_lines(reader))


async def test_what_nobody_asked_for_neither_ends_a_stream_nor_keeps_it_silent(desk: Desk) -> None:
    async with following(desk, "?kinds=delivery") as reader:
        await until(lambda: desk.streams.count == 1)
        await desk.arrive()
        assert [name for name, _, _ in await reader.events(1)] == ["delivery"]
        await desk.complete(await desk.claim())
        desk.streams.keep_alive_s = 0.05
        await within(_two_lines(reader))
        await desk.arrive()
        assert [name for name, _, _ in await reader.events(1)] == ["delivery"]


async def _two_lines(reader: Reader) -> None:
    while not any("still here" in line for line in reader.comments):
        line = (await reader.response.content.readline()).decode()
        reader.comments.append(line)
