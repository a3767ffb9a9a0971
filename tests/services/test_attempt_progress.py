"""For claude and codex only their own items and turns are progress, not every line they print."""

from __future__ import annotations

import pytest

from covend.core.bounds import Retry
from covend.core.states import Outcome
from tests.services.house import House, a_rule
from tests.services.tools import a_tool, install, logged, tell

IDLE_S = 1.0


async def outcome_of(house: House, tool: str, what: str) -> Outcome | None:
    await install(house)
    tell(house, what)
    agent = a_tool(tool, idle_timeout_s=IDLE_S, retry=Retry(attempts=1))
    await house.adopt(a_rule(agent=tool, publish=()), agent)
    story = await house.attempt()
    assert len(logged(house, story)) > 10  # it has printed all the time
    return story.attempts[0].outcome


@pytest.mark.parametrize("tool", ["claude", "codex"])
async def test_a_tool_that_only_prints_is_idle(house: House, tool: str) -> None:
    """Without a network, codex prints its retries and never gives up."""
    assert await outcome_of(house, tool, "idle 30") is Outcome.IDLE_TIMED_OUT


@pytest.mark.parametrize("tool", ["claude", "codex"])
async def test_a_tool_that_gets_on_is_not_idle(house: House, tool: str) -> None:
    assert await outcome_of(house, tool, f"busy {2 * IDLE_S}") is Outcome.SUCCEEDED
