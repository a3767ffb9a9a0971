from __future__ import annotations

import asyncio
from contextlib import suppress

import aiohttp
import pytest

from covend.demo.github import FOREVER, Fault, StandInGitHub
from tests.demo.api import Api

COMMENTS = "/repos/acme/till/issues/7/comments"


@pytest.mark.parametrize(
    ("kind", "status", "applied"),
    [
        (Fault.RESET, None, False),
        (Fault.ANSWER_LOST, None, True),
        (Fault.ERROR_500, 500, False),
        (Fault.ERROR_500_APPLIED, 500, True),
        (Fault.RATE_LIMITED_429, 429, False),
        (Fault.PRIMARY_403, 403, False),
        (Fault.SECONDARY_403, 403, False),
    ],
)
async def test_a_fault_is_told_by_its_answer_and_its_effect(
    kind: Fault, status: int | None, applied: bool, api: Api, github: StandInGitHub
) -> None:
    github.faults.add("POST", "*/comments", kind)
    seen = None
    with suppress(aiohttp.ClientError):
        seen = (await api("POST", COMMENTS, {"body": "x"})).status
    assert (seen, len(github.state.comments)) == (status, int(applied))
    assert github.requests[-1].fault == kind
    assert (await api("POST", COMMENTS, {"body": "y"})).status == 201


async def test_a_limit_says_when_to_come_back(api: Api, github: StandInGitHub) -> None:
    github.faults.add("*", "*", "rate_limited_429", seconds=7)
    assert (await api("GET", COMMENTS)).headers["Retry-After"] == "7"
    github.faults.add("*", "*", "primary_403")
    got = await api("GET", COMMENTS)
    assert got.headers["X-RateLimit-Remaining"] == "0"
    assert "Retry-After" not in got.headers


async def test_a_fault_lasts_as_often_as_it_says(api: Api, github: StandInGitHub) -> None:
    github.faults.add("GET", COMMENTS, "error_500", times=2)
    assert [(await api("GET", COMMENTS)).status for _ in range(3)] == [500, 500, 200]
    github.faults.add("GET", "/repos/*", "error_500", times=FOREVER)
    assert (await api("GET", COMMENTS)).status == 500
    github.faults.clear()
    assert (await api("GET", COMMENTS)).status == 200


async def test_a_held_request_waits_until_it_is_let_go(api: Api, github: StandInGitHub) -> None:
    held = github.faults.add("POST", "*/comments", "held")
    async with asyncio.TaskGroup() as group:
        group.create_task(api("POST", COMMENTS, {"body": "x"}))
        await held.reached.wait()
        assert github.state.comments == []
        held.release()
    assert len(github.state.comments) == 1


async def test_an_answer_that_is_kept_back_is_lost_after_the_write(
    api: Api, github: StandInGitHub
) -> None:
    kept_back = github.faults.add("POST", "*/comments", "kept_back")

    async def ask() -> None:
        with pytest.raises(aiohttp.ClientError):
            await api("POST", COMMENTS, {"body": "x"})

    async with asyncio.TaskGroup() as group:
        group.create_task(ask())
        await kept_back.reached.wait()
        assert len(github.state.comments) == 1
        kept_back.release()


async def test_a_slow_answer_still_comes(api: Api, github: StandInGitHub) -> None:
    github.faults.add("POST", "*/comments", "slow", seconds=0.01)
    assert (await api("POST", COMMENTS, {"body": "x"})).status == 201


async def test_waiting_ends_with_what_was_waited_for(api: Api, github: StandInGitHub) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(github.wait_for(lambda: github.state.comments))
        group.create_task(api("POST", COMMENTS, {"body": "x"}))
    assert waiting.result()[0].body == "x"


async def test_waiting_in_vain_shows_what_was_asked(api: Api, github: StandInGitHub) -> None:
    await api("GET", COMMENTS)
    with pytest.raises(TimeoutError, match=r"GET /repos/acme/till/issues/7/comments 200"):
        await github.wait_for(lambda: False, within_s=0.01)
