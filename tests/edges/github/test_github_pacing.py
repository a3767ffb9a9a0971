"""Nothing leaves before its moment, whatever GitHub answers and whoever waits."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covend.core.errors import GitHubError
from covend.core.scopes import READ_METADATA, WRITE_PULLS
from covend.demo.github import Fault
from covend.edges.github.client import GitHubClient
from covend.edges.github.courier import AT_ONCE_MAX, Courier, Places
from covend.edges.github.errors import MissingPermission, RateLimited, Unreachable
from covend.edges.github.pacing import WRITE_GAP_MS, Pacing
from covend.edges.github.wire import Answer, Question, Wire
from tests.edges.github.github_world import INSTALLATION, REPOSITORY, Clock, World, until
from tests.edges.github.time_loop import TimeLoop, run_in_no_time

COMMENTS = f"/repos/{REPOSITORY}/issues/7/comments"


async def comment(client: GitHubClient, installation: int = INSTALLATION) -> Answer:
    return await client.request(
        "create_comment",
        "POST",
        COMMENTS,
        installation=installation,
        repository=REPOSITORY,
        permissions=WRITE_PULLS,
        body={"body": "Bip."},
    )


async def read(client: GitHubClient) -> None:
    await client.request(
        "get_repository",
        "GET",
        f"/repos/{REPOSITORY}",
        installation=INSTALLATION,
        repository=REPOSITORY,
        permissions=READ_METADATA,
    )


# --- all sequences --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question of somebody who asks at a moment, and what GitHub says to it."""

    after_ms: int
    installation: int | None
    is_write: bool
    lasts_ms: int
    status: int
    headers: dict[str, str]


@dataclass
class Hand:
    """A GitHub that keeps what it told, and sees whether it is obeyed."""

    loop: TimeLoop
    open_at: dict[int | None, int] = field(default_factory=lambda: defaultdict(int))
    wrote_at: dict[int | None, int] = field(default_factory=dict)
    under_way: int = 0
    most: int = 0
    served: int = 0

    async def exchange(self, question: Question, asked: Any) -> Answer:
        now = self.loop.now()
        assert now >= self.open_at[asked.installation], "asked before the told moment"
        if asked.is_write:
            last = self.wrote_at.get(asked.installation)
            assert last is None or now - last >= WRITE_GAP_MS, "two writes within a second"
            self.wrote_at[asked.installation] = now
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        assert self.most <= AT_ONCE_MAX
        try:
            await self.loop.let_pass(asked.lasts_ms)
        finally:
            self.under_way -= 1
        self.served += 1
        self._note(asked)
        return Answer(
            operation=question.operation, status=asked.status, headers=self._told(asked), data=None
        )

    def _told(self, asked: Asked) -> dict[str, str]:
        reset_at = int(asked.headers.get("x-ratelimit-reset", 0))
        if not reset_at:
            return asked.headers
        return {**asked.headers, "x-ratelimit-reset": str(self.loop.now() // 1000 + reset_at)}

    def _note(self, asked: Asked) -> None:
        """What GitHub's documentation says must be waited for after such an answer."""
        now, told = self.loop.now(), self._told(asked)
        if "retry-after" in told and asked.status in (403, 429):
            until = now + int(told["retry-after"]) * 1000
        elif told.get("x-ratelimit-remaining") == "0":
            until = int(told["x-ratelimit-reset"]) * 1000
        elif asked.status == 429:
            until = now + 60_000
        else:
            return
        self.open_at[asked.installation] = max(self.open_at[asked.installation], until)


SPENT = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "300"}
ANSWERS: Any = st.one_of(
    st.just((200, {})),
    st.just((201, {"x-ratelimit-remaining": "7", "x-ratelimit-reset": "300"})),
    st.just((200, SPENT)),
    st.just((403, SPENT)),
    st.just((403, {})),
    st.just((429, {})),
    st.integers(1, 90).map(lambda s: (429, {"retry-after": str(s)})),
    st.integers(1, 90).map(lambda s: (403, {"retry-after": str(s)})),
)
ASKED = st.builds(
    lambda after_ms, installation, is_write, lasts_ms, answer: Asked(
        after_ms=after_ms,
        installation=installation,
        is_write=is_write,
        lasts_ms=lasts_ms,
        status=answer[0],
        headers=answer[1],
    ),
    after_ms=st.integers(0, 100) | st.integers(0, 400_000),
    installation=st.sampled_from([None, 1, 2]),
    is_write=st.booleans(),
    lasts_ms=st.integers(0, 3_000) | st.integers(0, 30_000),
    answer=ANSWERS,
)


@settings(max_examples=80, deadline=None)
@given(st.lists(ASKED, min_size=1, max_size=30))
def test_whatever_is_asked_and_answered_no_limit_is_broken(all_asked: list[Asked]) -> None:
    loop = TimeLoop()
    hand, pacing = Hand(loop), Pacing(loop.now)
    courier = Courier(cast("Wire", hand), pacing, Places())
    outcomes, told = list[str](), list[int]()

    async def ask(asked: Asked) -> None:
        await loop.let_pass(asked.after_ms)
        method = "POST" if asked.is_write else "GET"
        question = Question(operation="try", method=method, path="/x")
        began = loop.now()
        try:
            await courier.carry(question, cast("str", asked), asked.installation)
            outcomes.append("served")
        except RateLimited as error:
            outcomes.append("limited")
            told.append(error.retry_at - began)
        except Unreachable:
            outcomes.append("no place")

    async def ask_all() -> None:
        async with anyio.create_task_group() as group:
            for asked in all_asked:
                group.start_soon(ask, asked)

    run_in_no_time(loop, ask_all())
    assert len(outcomes) == len(all_asked)
    assert all(wait > 0 for wait in told)
    assert hand.served >= 1


# --- at once --------------------------------------------------------------------------------------


async def test_no_more_than_eight_are_on_their_way_at_once(world: World) -> None:
    client = world.client()
    await read(client)
    held = world.github.faults.add("GET", "/repos/*", Fault.HELD, times=100)
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(read, client)
        await until(lambda: len(world.asked("GET", REPOSITORY)) >= 1 + 8)
        group.start_soon(client.auth.own_login)
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        assert len(world.asked("GET", REPOSITORY)) == 1 + 8
        assert world.asked("GET", "/app") == []
        held.release()
    assert len(world.asked("GET", REPOSITORY)) == 21


async def test_who_waits_for_a_place_learns_of_a_limit_before_it_asks(world: World) -> None:
    client, errors = world.client(), list[GitHubError]()
    await read(client)
    held = world.github.faults.add("GET", "/repos/*", Fault.HELD, times=AT_ONCE_MAX - 1)
    world.github.faults.add("GET", "/repos/*", Fault.SECONDARY_403, seconds=7)

    async def try_to_read() -> None:
        try:
            await read(client)
        except RateLimited as error:
            errors.append(error)

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(try_to_read)
        await until(lambda: len(errors) == 20 - AT_ONCE_MAX + 1)
        held.release()
    assert len(world.asked("GET", REPOSITORY)) == 1 + AT_ONCE_MAX


# --- each its own ---------------------------------------------------------------------------------


async def test_a_limited_installation_delays_only_itself(world: World) -> None:
    client = world.client()
    world.github.faults.add("POST", COMMENTS, Fault.SECONDARY_403, seconds=7)
    with pytest.raises(RateLimited):
        await comment(client)
    ready_at = client.pacing.ready_at(INSTALLATION)
    assert ready_at == world.clock.now() + 7_000
    assert client.pacing.ready_at(2) <= world.clock.now()
    assert await client.auth.own_login() == "covend-demo[bot]"
    world.clock.turn(s=6.999)
    with pytest.raises(RateLimited):
        await comment(client)
    world.clock.turn(s=0.001)
    await comment(client)
    assert [each.status for each in world.github.requests if each.path == COMMENTS] == [403, 201]


async def test_the_apps_own_limit_delays_no_installation_that_has_a_token(world: World) -> None:
    client = world.client()
    await comment(client)
    world.github.faults.add("GET", "/app", Fault.SECONDARY_403, seconds=60)
    with pytest.raises(RateLimited):
        await client.auth.own_login()
    await comment(client)
    assert len(world.github.state.comments) == 2


async def test_what_github_itself_limits_is_obeyed(world: World) -> None:
    """The stand-in keeps its own books."""
    world.github.state.writes_per_minute = 2
    client = world.client()
    for _ in range(2):
        await comment(client)
    with pytest.raises(RateLimited) as raised:
        await comment(client)
    assert raised.value.retry_at == world.clock.now() + 60_000
    world.clock.turn(s=60)
    await comment(client)
    assert len(world.github.state.comments) == 3


async def test_a_permission_that_is_missing_is_no_limit_and_is_named(world: World) -> None:
    client = world.client()
    with pytest.raises(MissingPermission) as raised:
        await client.request(
            "create_check",
            "POST",
            f"/repos/{REPOSITORY}/check-runs",
            installation=INSTALLATION,
            repository=REPOSITORY,
            permissions=WRITE_PULLS,
            body={"name": "x", "head_sha": "a" * 40},
        )
    assert raised.value.permission == "checks=write"
    await comment(client)


async def test_what_is_left_of_an_hour_is_told_until_it_is_over(world: World) -> None:
    client = world.client()
    world.github.state.requests_per_hour = 100
    await read(client)
    assert client.pacing.remaining == 99
    world.clock.turn(s=3_600)
    assert client.pacing.remaining is None


def test_a_later_answer_takes_back_nothing_of_what_an_earlier_one_asked_for() -> None:
    clock = Clock()
    pacing = Pacing(clock.now)
    spent = {"x-ratelimit-remaining": "0"}
    reset = [str(clock.now() // 1000 + seconds) for seconds in (300, 200)]
    for installation, first, second in (
        (1, {"retry-after": "300"}, {"retry-after": "1"}),
        (2, {**spent, "x-ratelimit-reset": reset[0]}, {**spent, "x-ratelimit-reset": reset[1]}),
    ):
        for headers in (first, second):
            with pytest.raises(RateLimited) as raised:
                pacing.note(installation, 429, headers)
            assert raised.value.retry_at == clock.now() + 300_000
        pacing.note(installation, 200, {})
        pacing.note(installation, 200, second)
        assert pacing.ready_at(installation) == clock.now() + 300_000


# --- writes ---------------------------------------------------------------------------------------


def test_a_write_is_ready_a_second_after_the_last_one() -> None:
    loop = TimeLoop()
    pacing, left = Pacing(loop.now), list[int]()
    start = loop.now()

    async def write() -> None:
        async with pacing.turn(INSTALLATION):
            left.append(loop.now() - start)

    async def write_all() -> None:
        assert pacing.ready_at(INSTALLATION) <= start
        await write()
        assert pacing.ready_at(INSTALLATION) == start + 1_000
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(write)
            await anyio.lowlevel.checkpoint()
            assert pacing.ready_at(INSTALLATION) == start + 4_000
            with pytest.raises(RateLimited) as raised:
                await write()
            assert raised.value.retry_at == start + 4_000
            assert pacing.ready_at(2) <= start

    run_in_no_time(loop, write_all())
    assert left == [0, 1_000, 2_000, 3_000]


def test_a_turn_that_came_to_nothing_costs_nobody_a_second() -> None:
    loop = TimeLoop()
    pacing = Pacing(loop.now)

    async def fail() -> None:
        with pytest.raises(Unreachable):
            async with pacing.turn(INSTALLATION):
                raise Unreachable("not sent")

    async def fail_often() -> None:
        for _ in range(5):
            await fail()
        assert pacing.ready_at(INSTALLATION) <= loop.now()

    start = loop.now()
    run_in_no_time(loop, fail_often())
    assert loop.now() == start


async def test_a_clock_that_stands_still_holds_up_no_write_for_long() -> None:
    clock = Clock()
    pacing = Pacing(clock.now, gap_ms=20)
    with anyio.fail_after(5):
        for _ in range(3):
            async with pacing.turn(INSTALLATION):
                pass
