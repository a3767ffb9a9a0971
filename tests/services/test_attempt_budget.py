"""An agent that has spent what its attempt may is asked to end, and what there is by then is its
answer; what it has cost is written down whatever it came to.
"""

from __future__ import annotations

from math import inf
from typing import Any

import anyio
import pytest

from covend.core.contract.outcome import StopReason
from covend.core.model import Conclusion
from covend.core.safeguards.shapes import Spent
from covend.core.states import Outcome, TaskState
from covend.services.executing import OVER_BUDGET
from covend.services.stopping import Stop
from covend.store.protocol import TaskStory
from tests.services.fifo import Fifo
from tests.services.house import CHECK, REVIEW, House, a_rule, an_agent
from tests.services.stages import WITHIN_S
from tests.services.stand_in_tool import COST_USD, INPUT_TOKENS
from tests.services.tools import a_tool, install, logged, tell

NO_BOUND = 2**63 - 1


async def spent(house: House, tool: str, budget: Spent, what: str, **agent: Any) -> TaskStory:
    """Run a tool that goes on for long, with a budget."""
    await install(house)
    tell(house, what)
    plain = {"stop_signal": "SIGINT", "grace_s": WITHIN_S}
    await house.adopt(a_rule(agent=tool), a_tool(tool, **plain | agent))
    claim = await house.claimed()
    with anyio.fail_after(WITHIN_S):
        await house.attempts().run(claim, Stop(), budget)
    await house.publish()
    return await house.story(claim.task.id)


@pytest.mark.parametrize("tool", ["claude", "codex"])
async def test_over_its_budget_of_tokens_a_tool_is_stopped_and_what_it_said_is_published(
    house: House, tool: str
) -> None:
    budget = Spent(usd=inf, tokens=3 * INPUT_TOKENS)
    story = await spent(house, tool, budget, f"turning {WITHIN_S}")
    (attempt,) = story.attempts
    assert (attempt.outcome, attempt.error_code) == (Outcome.SUCCEEDED, "budget")
    assert (story.task.state, story.task.conclusion) == (TaskState.COMPLETED, Conclusion.NEUTRAL)
    said = story.task.summary or ""
    assert said.startswith("Stopped at its budget")
    assert ("So far" if tool == "claude" else "Looked at it.") in said
    assert logged(house, story).count(OVER_BUDGET) == 1
    (run,) = house.github.state.check_runs
    assert run.conclusion == "neutral"
    (review,) = house.github.state.reviews
    assert "Stopped at its budget" in review.body


async def test_what_claude_says_at_its_stop_is_what_it_has_cost(house: House) -> None:
    """Money is told at the end alone, which a gentle signal gives it the time for."""
    story = await spent(house, "claude", Spent(usd=inf, tokens=1), f"turning {WITHIN_S}")
    assert story.attempts[0].usage.cost_usd == COST_USD
    assert story.task.cost_usd == COST_USD


async def test_who_tells_of_no_money_on_its_way_ends_by_itself(house: House) -> None:
    budget = Spent(usd=0.000_001, tokens=NO_BOUND)
    story = await spent(house, "claude", budget, "turns 3")
    assert (story.attempts[0].error_code, story.task.summary) == (None, "Looked at it.")


@pytest.mark.parametrize("tool", ["claude", "codex"])
async def test_within_its_budget_nobody_is_stopped(house: House, tool: str) -> None:
    budget = Spent(usd=inf, tokens=4 * INPUT_TOKENS)
    story = await spent(house, tool, budget, "turns 3")
    assert (story.attempts[0].error_code, story.task.conclusion) == (None, Conclusion.SUCCESS)


async def test_an_agent_that_tells_nothing_is_not_stopped_by_a_budget(house: House) -> None:
    await house.adopt(a_rule(publish=(CHECK, REVIEW)), an_agent("echo Done."))
    claim = await house.claimed()
    await house.attempts().run(claim, Stop(), Spent(usd=0.0, tokens=0))
    story = await house.story(claim.task.id)
    assert (story.task.summary, story.attempts[0].error_code) == ("Done.", None)


async def test_whoever_cancels_it_goes_before_its_budget(house: House, fifo: Fifo) -> None:
    await install(house)
    tell(house, f"hang {fifo.path}")
    await house.adopt(a_rule(agent="claude"), a_tool(stop_signal="SIGINT", grace_s=WITHIN_S))
    claim, stop = await house.claimed(), Stop()
    with anyio.fail_after(WITHIN_S):
        async with anyio.create_task_group() as group:
            group.start_soon(house.attempts().run, claim, stop, Spent(usd=inf, tokens=1))
            await fifo.line()
            stop.request(StopReason.CANCELLED)
    story = await house.story(claim.task.id)
    assert (story.task.state, story.task.summary) == (TaskState.CANCELLED, None)
    assert story.task.cost_usd == COST_USD
