"""What the outbox keeps to: findings leave for the head that they are about or never, and an end in
the midst of it loses nothing and leaves no token behind.
"""

from __future__ import annotations

import asyncio
import signal
from functools import partial
from typing import Any

from covend.demo.github import FOREVER, Fault
from covend.demo.github.auth import Kind
from covend.demo.stage import NUMBER, Stage
from tests.story.agent import WaitingAgent
from tests.story.conftest import SetUp
from tests.story.held import reasons
from tests.story.process import WITHIN_S, Covend, serving
from tests.story.test_kill import opened, reviewed
from tests.story.test_proposed import SOONER
from tests.story.test_pushes import STALE_WORDS, check_of, concluded

REVIEWS = "*/reviews"


def effects_of(story: Any, kind: str) -> list[str]:
    """Give the states of a task's effects of a kind."""
    return [each["state"] for each in story["effects"] if each["kind"] == kind]


async def test_a_push_that_nobody_told_of_withholds_a_review_that_github_would_not_take(
    staged: SetUp, agent: WaitingAgent
) -> None:
    """GitHub is in trouble when the review is sent, and the head moves before it is sent again."""
    async with staged(agent) as stage, serving(stage, SOONER) as covend:
        head = stage.till.live_pull(NUMBER).head_sha
        trouble = stage.github.faults.add("POST", REVIEWS, Fault.ERROR_500, FOREVER)
        task = await opened(stage, covend)
        await agent.begins()
        agent.ends(STALE_WORDS)
        await covend.task_in("completed", task)
        await asyncio.wait_for(trouble.reached.wait(), WITHIN_S)
        stage.till.git.push(NUMBER, {"src/till/more.py": "SECONDS = 1\n"}, "More")
        trouble.times = 0
        await covend.task_in("superseded", task)
        await concluded(stage, head, "neutral")
        story = await covend.task(task)
    assert stage.github.state.reviews == []
    assert (story["reason"], reasons(story)[-1]) == ("head_moved", "head_moved")
    assert effects_of(story, "review") == ["withheld"]
    assert check_of(stage, head).conclusion == "neutral"


async def test_ended_while_a_review_is_under_way_it_revokes_its_tokens_and_sends_it_later(
    staged: SetUp, agent: WaitingAgent
) -> None:
    """GitHub answers nothing for as long as covend waits; what comes too late has no token."""
    async with staged(agent) as stage:
        held = stage.github.faults.add("POST", REVIEWS, Fault.HELD)
        async with serving(stage) as first:
            task = await opened(stage, first)
            await agent.begins()
            agent.ends()
            await asyncio.wait_for(held.reached.wait(), WITHIN_S)
            first.send(signal.SIGTERM)
            assert await first.exit_code() == 0
            assert [line for line in first.log if line["level"] == "error"] == []
            assert first.said == []
        assert live_tokens(stage) == []
        held.release()
        async with serving(stage, SOONER) as second:
            await second.hears("published", kind="comment")
            await reviewed(stage.github)
            story = await second.until(partial(all_done, second, task))
    assert len(stage.github.state.comments) == 1
    assert effects_of(story, "review") == ["done"]


async def all_done(covend: Covend, task: str) -> Any:
    """Give a task's story once all of its effects are done."""
    story = await covend.task(task)
    return story if {each["state"] for each in story["effects"]} == {"done"} else None


def live_tokens(stage: Stage) -> list[str]:
    """Give the installation tokens that GitHub would still take."""
    held = stage.github.state.tokens.values()
    return [each.token for each in held if each.kind is Kind.INSTALLATION]
