"""A follow-up goes on with its agent's session where that can be, and nobody has to care where not.

The tools are stand-ins that keep and refuse sessions as the real ones do.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import count
from typing import Any, NoReturn

import anyio
import anyio.lowlevel
import pytest

from covend.core.model import Attempt, Claim, Mode
from covend.core.settings import Agent, Sandbox
from covend.core.states import Outcome, TaskState
from covend.edges.agents.sandbox import let_through
from covend.services.executing import AFRESH
from covend.services.stopping import Stop
from covend.store.protocol import TaskStory
from covend.web.api import shapes
from tests.passage import as_another, let_pass
from tests.services.fifo import Fifo
from tests.services.house import House, a_rule, an_agent
from tests.services.stages import WITHIN_S, descendants
from tests.services.stand_in_tool import COST_USD, INPUT_TOKENS, OUTPUT_TOKENS
from tests.services.tools import a_tool, calls, install, logged, tell
from tests.services.writing import writing

ON = ("pull_request.opened", "pull_request.synchronize")
TOOLS = ["claude", "codex"]
SERIAL = count()


@pytest.fixture(autouse=True)
async def tools(house: House) -> None:
    await install(house)


async def adopt(house: House, agent: Agent, name: str = "review", **rule: Any) -> None:
    """Route by this rule alone."""
    house.policies.clear()
    await house.adopt(a_rule(name=name, on=ON, agent=agent.name, publish=(), **rule), agent)


async def pushed(house: House, number: int = 7) -> Claim:
    """Push to a pull request, and claim the task that follows from it."""
    text = f"Pushed at {next(SERIAL)}.\n"
    house.till.git.push(number, {"README.md": text}, "One more")
    return await house.claimed(event="pull_request.synchronize", number=number)


async def follow_up(house: House, number: int = 7) -> TaskStory:
    return await house.run(await pushed(house, number))


async def again(house: House, story: TaskStory) -> TaskStory:
    """Turn the clock to the task's next attempt, and run it."""
    house.clock.turn(s=max(0, story.task.not_before_at - house.clock.now()) / 1000)
    return await house.run(await house.claim())


def last(story: TaskStory) -> Attempt:
    return story.attempts[-1]


@pytest.mark.parametrize("tool", TOOLS)
async def test_a_follow_up_goes_on_with_the_session_in_its_directory(
    house: House, tool: str
) -> None:
    await adopt(house, a_tool(tool))
    first = await house.attempt()
    second = await follow_up(house)
    (begun,), (resumed,) = calls(house, first), calls(house, second)
    assert begun.resumed is None
    assert begun.previous == {"session": None, "result": None}
    assert resumed.resumed == last(first).session
    assert resumed.cwd == begun.cwd
    assert resumed.previous == {
        "session": last(first).session,
        "result": {"conclusion": "success", "summary": "Looked at it."},
    }
    assert (last(first).mode, last(second).mode) == (Mode.FRESH, Mode.RESUME)
    assert last(second).session == last(second).resumes == last(first).session
    assert second.task.state is TaskState.COMPLETED


@pytest.mark.parametrize("other", ["rule", "subject", "agent"])
async def test_other_work_begins_a_session_of_its_own(house: House, other: str) -> None:
    await adopt(house, a_tool())
    first = await house.attempt()
    if other == "rule":
        await adopt(house, a_tool(), "another")
    if other == "agent":
        await adopt(house, a_tool("codex"))
    number = house.open_pull().number if other == "subject" else 7
    second = await follow_up(house, number)
    (call,) = calls(house, second)
    assert (call.resumed, last(second).mode) == (None, Mode.FRESH)
    assert last(second).session != last(first).session
    assert last(second).workspace != last(first).workspace


@pytest.mark.parametrize("tool", TOOLS)
async def test_what_an_attempt_used_and_its_session_are_told(house: House, tool: str) -> None:
    await adopt(house, a_tool(tool))
    story = await house.attempt()
    cost = COST_USD if tool == "claude" else None
    shape = shapes.attempt(last(story))
    assert (shape["mode"], shape["session"]) == ("fresh", last(story).session)
    assert shape["usage"] == {
        "input_tokens": INPUT_TOKENS,
        "output_tokens": OUTPUT_TOKENS,
        "cost_usd": cost,
    }
    assert story.task.cost_usd == (cost or 0)


@pytest.mark.parametrize("tool", TOOLS)
async def test_each_attempt_of_a_session_counts_its_own_tokens(house: House, tool: str) -> None:
    """Codex tells the sum of the whole thread."""
    await adopt(house, a_tool(tool))
    stories = [await house.attempt(), await follow_up(house), await follow_up(house)]
    assert [last(story).mode for story in stories] == [Mode.FRESH, Mode.RESUME, Mode.RESUME]
    used = {(last(story).usage.input_tokens, last(story).usage.output_tokens) for story in stories}
    assert used == {(INPUT_TOKENS, OUTPUT_TOKENS)}


# --- a session that cannot be resumed -------------------------------------------------------------


@pytest.mark.parametrize("tool", TOOLS)
async def test_a_session_that_is_gone_costs_no_attempt_and_is_not_tried_again(
    house: House, tool: str
) -> None:
    await adopt(house, a_tool(tool))
    first = await house.attempt()
    shutil.rmtree(house.folder / "home" / f".{tool}")
    second = await follow_up(house)
    assert [call.resumed for call in calls(house, second)] == [last(first).session, None]
    assert logged(house, second).count(AFRESH) == 1
    (attempt,) = second.attempts
    assert (attempt.outcome, attempt.mode) == (Outcome.SUCCEEDED, Mode.FRESH)
    assert (attempt.resumes, attempt.usage.input_tokens) == (last(first).session, INPUT_TOKENS)
    assert attempt.session not in (None, last(first).session)
    third = await follow_up(house)
    assert [call.resumed for call in calls(house, third)] == [attempt.session]


async def test_a_lost_session_is_not_tried_again_by_a_retry(house: House) -> None:
    await adopt(house, a_tool())
    await house.attempt()
    shutil.rmtree(house.folder / "home" / ".claude")
    (house.folder / "home" / ".claude").write_text("no folder: no session can begin either")
    second = await follow_up(house)
    assert [call.resumed is None for call in calls(house, second)] == [False, True]
    assert last(second).outcome is Outcome.FAILED
    (house.folder / "home" / ".claude").unlink()
    third = await follow_up(house)
    assert [call.resumed for call in calls(house, third)] == [None]


async def test_what_the_run_that_could_not_resume_left_is_not_the_answer(house: House) -> None:
    """Its result and its last words were taken for those of the run that began afresh."""
    resumes = writing(conclusion="failure", summary="Stale.")
    begins = "echo Fresh.; test -e $HOME/begun || " + writing(session="s-1", summary="Begun.")
    script = f'if test "$1"; then echo Stale.; {resumes}; exit 3; fi; {begins}; touch $HOME/begun'
    await adopt(house, an_agent(command=("sh", "-c", script, "sh", "{session}")))
    first = await house.attempt()
    assert last(first).session == "s-1"
    second = await follow_up(house)
    assert logged(house, second) == ["Stale.", AFRESH, "Fresh."]
    assert (second.task.summary, second.task.conclusion) == ("Fresh.", "success")


# --- beside each other, and after a bad end -------------------------------------------------------


async def test_beside_a_session_in_use_another_one_begins_elsewhere(
    house: House, fifo: Fifo
) -> None:
    await adopt(house, a_tool())
    first = await house.attempt()
    claim, stop = await pushed(house), Stop()
    tell(house, f"hang {fifo.path}")
    async with anyio.create_task_group() as group:
        group.start_soon(house.attempts().run, claim, stop)
        assert await fifo.line() == "started"
        beside = await follow_up(house)
        group.cancel_scope.cancel()
    resuming = await house.story(claim.task.id)
    assert [call.resumed for call in calls(house, resuming)] == [last(first).session]
    (call,) = calls(house, beside)
    assert (call.resumed, last(beside).mode) == (None, Mode.FRESH)
    assert last(beside).workspace == f"{beside.task.id}-1"


async def test_of_two_that_begin_together_one_goes_on_with_the_session(house: House) -> None:
    await adopt(house, a_tool(), supersede=False)
    await house.attempt()
    claims = [await pushed(house), await pushed(house)]
    async with anyio.create_task_group() as group:
        for claim in claims:
            group.start_soon(house.attempts().run, claim, Stop())
    stories = [await house.story(claim.task.id) for claim in claims]
    assert {last(story).outcome for story in stories} == {Outcome.SUCCEEDED}
    assert sorted(last(story).mode for story in stories) == [Mode.FRESH, Mode.RESUME]
    assert len({last(story).workspace for story in stories}) == 2


@pytest.mark.parametrize("tool", TOOLS)
async def test_after_a_crash_the_session_that_was_noted_goes_on(
    house: House, fifo: Fifo, tool: str
) -> None:
    await adopt(house, a_tool(tool))
    claim = await house.claimed()
    tell(house, f"hang {fifo.path}")
    with anyio.fail_after(WITHIN_S):
        async with anyio.create_task_group() as group:
            group.start_soon(house.attempts().run, claim, Stop())
            assert await fifo.line() == "started"
            while last(await house.story(claim.task.id)).session is None:
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
    assert descendants() == []
    await house.recovery().run()
    story = await again(house, await house.story(claim.task.id))
    lost, resumed = story.attempts
    assert (lost.outcome, resumed.outcome) == (Outcome.LOST, Outcome.SUCCEEDED)
    assert resumed.mode is Mode.RESUME
    assert [call.resumed for call in calls(house, story, 2)] == [lost.session]


@pytest.mark.parametrize("tool", TOOLS)
async def test_a_retry_after_a_timeout_goes_on_with_the_session(
    house: House, fifo: Fifo, tool: str
) -> None:
    await adopt(house, a_tool(tool, timeout_s=1.5))
    tell(house, f"hang {fifo.path}")
    first = await house.attempt()
    assert (last(first).outcome, first.task.state) == (Outcome.TIMED_OUT, TaskState.QUEUED)
    story = await again(house, first)
    assert [attempt.outcome for attempt in story.attempts] == [
        Outcome.TIMED_OUT,
        Outcome.SUCCEEDED,
    ]
    assert [call.resumed for call in calls(house, story, 2)] == [story.attempts[0].session]
    tokens = [attempt.usage.input_tokens or 0 for attempt in story.attempts]
    assert sum(tokens) == 2 * INPUT_TOKENS


async def test_in_bubblewrap_each_session_is_new(
    house: House, lacking: Callable[[str], NoReturn]
) -> None:
    """Its HOME is the attempt's own, and goes with it."""
    if shutil.which("bwrap") is None:
        lacking("bubblewrap")
    let_pass(house.folder)
    (house.folder / "workspaces").mkdir()
    let_through(house.folder, [house.folder / "workspaces"])
    (house.folder / "tools").chmod(0o755)
    await adopt(house, a_tool(sandbox=Sandbox.BUBBLEWRAP, **as_another()))
    stories = [await house.attempt(), await follow_up(house)]
    assert [last(story).error_message for story in stories] == [None, None]
    assert [call.resumed for story in stories for call in calls(house, story)] == [None, None]
    assert {last(story).mode for story in stories} == {Mode.FRESH}
    assert len({last(story).session for story in stories}) == 2
