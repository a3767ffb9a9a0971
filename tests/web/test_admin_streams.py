"""A log that is followed, over real connections: what comes, when it ends, and who it holds up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from covend.core.model import Claim, TaskId
from covend.core.states import TaskState
from covend.edges.agents.output import Log, Stream
from covend.store.protocol import Settlement
from covend.web import streams
from tests.store.arrivals import NOW
from tests.web.desk import Desk
from tests.web.stream_reader import WITHIN_S, next_event, until, within
from tests.web.test_admin_cancel import again


@dataclass(frozen=True)
class Event:
    name: str
    id: int
    data: Any


class Reader:
    """One follower."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.comments: list[str] = []

    async def event(self) -> Event | None:
        """The next event; None at the end of the stream."""
        told = await next_event(self.response, self.comments)
        return None if told is None else Event(told[0], int(told[1]), told[2])

    async def rest(self) -> list[Event]:
        found = []
        while (event := await self.event()) is not None:
            found.append(event)
        return found


@asynccontextmanager
async def following(
    desk: Desk, task: str, number: int = 1, *, query: str = "", last: int | None = None
) -> AsyncIterator[Reader]:
    """Follow an attempt, on a connection of its own."""
    url = f"http://127.0.0.1:{desk.port}/api/v1/tasks/{task}/attempts/{number}/log?follow=1{query}"
    headers = desk.headers | ({} if last is None else {"Last-Event-ID": str(last)})
    timeout = aiohttp.ClientTimeout(total=None, sock_read=WITHIN_S)
    connector = aiohttp.TCPConnector(force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        session.get(url, headers=headers) as response,
    ):
        assert response.status == 200, await response.text()
        yield Reader(response)


def open_log(desk: Desk, task: TaskId, number: int = 1) -> Log:
    """The log of an attempt, as the attempt opens it."""
    return Log(
        desk.logs / f"{task}-{number}.jsonl",
        limit=1 << 26,
        clock=lambda: NOW,
        on_written=lambda: desk.wakeups.followers.wake(task),
    )


async def running(desk: Desk) -> Claim:
    await desk.arrive()
    return await desk.claim()


def texts(events: list[Event]) -> list[str]:
    return [event.data["text"] for event in events if event.name == "line"]


# --- what comes -----------------------------------------------------------------------------------


async def test_every_line_comes_as_it_is_printed_and_then_the_end(desk: Desk) -> None:
    claim = await running(desk)
    task = claim.task.id
    with open_log(desk, task) as log:
        log.write(Stream.OUT, "before")
        async with following(desk, task) as reader:
            assert reader.response.headers["Content-Type"] == "text/event-stream"
            assert reader.response.headers["Cache-Control"] == "no-store"
            first = await reader.event()
            assert first is not None
            assert first.data["text"] == "before"
            log.write(Stream.ERROR, "now\r\x1b[31m\u2028\0")
            second = await reader.event()
            assert second == Event(
                "line",
                log.size,
                {
                    "at": "2026-09-21T14:13:20.000Z",
                    "stream": "stderr",
                    "text": "now\r\x1b[31m\u2028\0",
                    "next_offset": log.size,
                },
            )
            log.write(Stream.OUT, "last")
            log.flush()
            await desk.complete(claim)
            last, end = await reader.rest()
    assert last.data["text"] == "last"
    assert (end.name, end.id) == ("end", log.size)
    assert end.data == {
        "attempt": 1,
        "outcome": "succeeded",
        "error_code": None,
        "state": "completed",
        "attempts": 1,
        "next_offset": log.size,
    }


async def test_a_lost_wake_up_is_no_lost_line(desk: Desk) -> None:
    task = (await running(desk)).task.id
    with Log(desk.logs / f"{task}-1.jsonl", limit=999, clock=lambda: NOW) as log:
        async with following(desk, task) as reader:
            log.write(Stream.OUT, "unheard")
            event = await reader.event()
    assert event is not None
    assert event.data["text"] == "unheard"


async def test_an_attempt_that_has_not_begun_is_waited_for(desk: Desk) -> None:
    task = await desk.arrive()
    async with following(desk, task) as reader:
        claim = await desk.claim()
        with open_log(desk, task) as log:
            log.write(Stream.OUT, "here")
            assert texts([await reader.event()]) == ["here"]  # type: ignore[list-item]
        await desk.complete(claim)
        assert [event.name for event in await reader.rest()] == ["end"]


async def test_an_attempt_that_can_never_begin_ends(desk: Desk) -> None:
    task = await desk.arrive()
    async with following(desk, task) as reader:
        await desk.ask(f"/api/v1/tasks/{task}/cancel", "POST")
        (end,) = await reader.rest()
    assert (end.data["outcome"], end.data["state"]) == (None, "cancelled")


async def test_a_retried_task_is_followed_attempt_by_attempt(desk: Desk) -> None:
    claim = await running(desk)
    task = claim.task.id
    async with following(desk, task, 2) as reader:
        await desk.tasks.settle(claim, again(), NOW)
        await desk.tasks.settle(await desk.claim(at=NOW + 10_000), failure(), NOW)
        (end,) = await reader.rest()
    assert (end.data["attempt"], end.data["outcome"], end.data["state"]) == (2, "failed", "failed")
    async with following(desk, task, 1) as reader:
        (end,) = await reader.rest()
    assert (end.data["attempt"], end.data["outcome"], end.data["attempts"]) == (1, "failed", 2)


def failure() -> Settlement:
    return Settlement(target=TaskState.FAILED, reason="final", ending=again().ending)


async def test_a_follower_goes_on_where_it_was_cut_off(desk: Desk) -> None:
    claim = await running(desk)
    task = claim.task.id
    with open_log(desk, task) as log:
        for number in range(5):
            log.write(Stream.OUT, str(number))
    await desk.complete(claim)
    async with following(desk, task) as reader:
        seen = await reader.rest()
    assert texts(seen) == ["0", "1", "2", "3", "4"]
    async with following(desk, task, last=seen[1].id) as reader:
        assert texts(await reader.rest()) == ["2", "3", "4"]
    async with following(desk, task, query=f"&offset={seen[2].id}") as reader:
        assert texts(await reader.rest()) == ["3", "4"]
    async with following(desk, task, query="&offset=0", last=seen[3].id) as reader:
        assert texts(await reader.rest()) == ["4"]
    async with following(desk, task, last=10**12) as reader:
        assert [event.name for event in await reader.rest()] == ["end"]


async def test_a_log_that_a_crash_broke_off_ends_all_the_same(desk: Desk) -> None:
    claim = await running(desk)
    (desk.logs / f"{claim.task.id}-1.jsonl").write_bytes(b'[1,"o","one"]\n[2,"o","tw')
    await desk.complete(claim)
    async with following(desk, claim.task.id) as reader:
        first, end = await reader.rest()
    assert (first.data["text"], end.name) == ("one", "end")


async def test_a_large_log_comes_whole_and_in_order(desk: Desk) -> None:
    claim = await running(desk)
    with open_log(desk, claim.task.id) as log:
        for number in range(20_000):
            log.write(Stream.OUT, str(number))
    await desk.complete(claim)
    async with following(desk, claim.task.id) as reader:
        assert texts(await reader.rest()) == [str(number) for number in range(20_000)]


@pytest.mark.parametrize("given", ["x", "-1", "9" * 30, "1.5"])
async def test_an_id_that_was_never_given_is_refused(desk: Desk, given: str) -> None:
    task = (await running(desk)).task.id
    headers = {**desk.headers, "Last-Event-ID": given}
    answer = await desk.ask(f"/api/v1/tasks/{task}/attempts/1/log?follow=1", headers=headers)
    assert (answer.status, answer.data["error"]["code"]) == (400, "bad_request")


async def test_head_of_a_stream_does_not_wait(desk: Desk) -> None:
    task = (await running(desk)).task.id
    answer = await within(desk.ask(f"/api/v1/tasks/{task}/attempts/1/log?follow=1", "HEAD"))
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")


# --- who is held up -------------------------------------------------------------------------------


async def test_a_silent_stream_says_that_it_is_alive(desk: Desk) -> None:
    desk.streams.keep_alive_s = 0.0
    claim = await running(desk)
    async with following(desk, claim.task.id) as reader:
        asking = asyncio.ensure_future(reader.event())
        await until(lambda: ": still here" in reader.comments)
        await desk.complete(claim)
        end = await asking
    assert end is not None
    assert end.name == "end"


async def test_there_are_only_so_many_followers(desk: Desk) -> None:
    desk.streams.followers_max = 1
    task = (await running(desk)).task.id
    path = f"/api/v1/tasks/{task}/attempts/1/log?follow=1"
    async with following(desk, task):
        answer = await desk.ask(path)
        assert (answer.status, answer.data["error"]["code"]) == (503, "too_many_followers")
        assert int(answer.headers["Retry-After"]) > 0
        assert (await desk.ask(path.removesuffix("?follow=1"))).status == 200
    await until(lambda: desk.streams.count == 0)
    async with following(desk, task):
        pass


def bells(desk: Desk) -> int:
    return len(desk.wakeups.followers._hung)  # noqa: SLF001  what is left of those who have gone


async def test_a_reader_that_goes_away_leaves_nothing(desk: Desk) -> None:
    desk.streams.keep_alive_s = 1000.0
    task = (await running(desk)).task.id
    async with following(desk, task):
        assert desk.streams.count == 1
        assert bells(desk) == 1
    await until(lambda: desk.streams.count == 0)
    assert bells(desk) == 0


async def test_a_reader_that_takes_nothing_holds_up_nobody_and_is_cut_off(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "TAKE_MAX_S", 0.5)
    claim = await running(desk)
    with open_log(desk, claim.task.id) as log:
        for number in range(400):
            log.write(Stream.OUT, f"{number} {'x' * 100_000}")
    await desk.complete(claim)
    before = connections(desk)
    stuck = await stuck_reader(desk, claim.task.id)
    assert connections(desk) == before + 1
    async with following(desk, claim.task.id) as reader:
        assert len(texts(await reader.rest())) == 400
    await until(lambda: desk.streams.count == 0)
    await until(lambda: connections(desk) == before)
    stuck.transport.abort()


def connections(desk: Desk) -> int:
    assert desk.runner.server is not None
    return len(desk.runner.server.connections)


async def stuck_reader(desk: Desk, task: TaskId) -> asyncio.StreamWriter:
    """Ask for a stream, and never read it."""
    _, writer = await asyncio.open_connection("127.0.0.1", desk.port, limit=1)
    token = desk.headers["Authorization"]
    writer.write(
        f"GET /api/v1/tasks/{task}/attempts/1/log?follow=1 HTTP/1.1\r\n"
        f"Host: 127.0.0.1\r\nAuthorization: {token}\r\n\r\n".encode()
    )
    await until(lambda: desk.streams.count == 1)
    return writer


async def test_the_end_of_covend_ends_every_stream(desk: Desk) -> None:
    task = (await running(desk)).task.id
    async with following(desk, task) as reader:
        ending = asyncio.ensure_future(desk.runner.cleanup())
        assert await reader.rest() == []
        await within(ending)
    assert desk.streams.count == 0
