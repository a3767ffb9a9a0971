"""The second agent does what the first cannot, and covend's own end changes nothing about that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from covend.demo.github import Fault
from tests.story.cast import CRASHES, EXAMPLE, FINE, SECOND, Cast
from tests.story.config import ONCE, TIMEOUT
from tests.story.conftest import SetUp
from tests.story.held import (
    EACH_ITS_OWN,
    PLAIN,
    outcomes,
    reasons,
    send,
    serving_later,
    told,
    waits,
)
from tests.story.process import serving

SUPPRESSED_AT_ONCE = """\
[safeguards]
crash_loop = {{ failures = 1, window = "1h", suppress = "1h" }}
"""


@pytest.fixture
def cast(tmp_path: Path) -> Cast:
    """The first of the two crashes."""
    cast = Cast(tmp_path)
    cast.plays(CRASHES)
    return cast


def two_agents(cast: Cast, *, rule: str = PLAIN, more: str = "") -> dict[str, str]:
    command = orjson.dumps(cast.command_of(SECOND)).decode()
    second = f"[agents.{SECOND}]\ncommand = {command}\n{ONCE}"
    agent = f'{TIMEOUT}\nfallback = ["{SECOND}"]'
    return {"agent": agent, "retry": ONCE, "rule": rule, "more": f"{second}\n{more}"}


def agents(story: Any) -> list[str]:
    return [attempt["agent"] for attempt in story["attempts_list"]]


async def test_an_agent_that_crashed_is_passed_by_over_a_crash(staged: SetUp, cast: Cast) -> None:
    async with staged(cast, **two_agents(cast, more=SUPPRESSED_AT_ONCE)) as stage:
        async with serving(stage) as covend:
            fell = await send(stage, covend, 1)
            story = await covend.task_in("completed", fell)
            assert "fallback" in reasons(story)
            assert (agents(story), outcomes(story)) == ([EXAMPLE, SECOND], ["failed", "succeeded"])
            await covend.kill()
        async with serving(stage) as covend:
            passed = await send(stage, covend, 2)
            story = await covend.task_in("completed", passed)
            assert "suppressed: example -> second" in reasons(story)
            assert (agents(story), outcomes(story)) == ([SECOND], ["succeeded"])
    assert cast.who_ran(fell) == [EXAMPLE, SECOND]
    assert cast.who_ran(passed) == [SECOND]


async def test_a_fallback_that_has_to_wait_is_not_lost_by_a_crash(
    staged: SetUp, cast: Cast
) -> None:
    async with staged(cast, **two_agents(cast)) as stage:
        async with serving(stage) as covend:
            await told(stage, "pause", "--agent", SECOND)
            task = await send(stage, covend, 1)
            assert (await waits(covend, task, "paused"))["agent"] == SECOND
            await covend.kill()
        cast.plays(FINE)  # the first agent would do it now; it has had its turn
        async with serving(stage) as covend:
            assert (await waits(covend, task, "paused"))["agent"] == SECOND
            await told(stage, "resume", "--agent", SECOND)
            story = await covend.task_in("completed", task)
    assert "fallback" in reasons(story)
    assert (agents(story), outcomes(story)) == ([EXAMPLE, SECOND], ["failed", "succeeded"])
    assert cast.who_ran(task) == [EXAMPLE, SECOND]


async def test_a_fallback_that_github_has_put_off_is_not_lost_by_a_crash(
    staged: SetUp, cast: Cast
) -> None:
    """GitHub asks to wait for an hour just when the second agent gets its workspace."""
    rule = f'checkout = "head"\npublish = []\n{EACH_ITS_OWN}'
    async with staged(cast, **two_agents(cast, rule=rule)) as stage:
        repository = "/repos/acme/till"
        stage.github.faults.add("GET", repository, Fault.SLOW, seconds=0)  # the first agent's
        stage.github.faults.add("GET", repository, Fault.RATE_LIMITED_429, seconds=3600)
        async with serving(stage) as covend:
            task = await send(stage, covend, 1)
            assert (await waits(covend, task, "rate_limited"))["agent"] == SECOND
            await covend.kill()
        cast.plays(FINE)
        async with serving(stage) as covend:
            assert (await waits(covend, task, "rate_limited"))["agent"] == SECOND
            await covend.kill()
        async with serving_later(stage) as covend:
            story = await covend.task_in("completed", task)
    assert agents(story) == [EXAMPLE, SECOND, SECOND]
    assert outcomes(story) == ["failed", "failed", "succeeded"]
    assert cast.who_ran(task) == [EXAMPLE, SECOND]
