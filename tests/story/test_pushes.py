"""A new head takes the place of the old one: what waits ends, what runs dies with all its tree,
what is done is not told, and what comes late starts nothing.
"""

from __future__ import annotations

import asyncio
from typing import Any

from covend.demo.github import Fault
from covend.demo.records import CheckRun
from covend.demo.stage import Stage
from tests.story.agent import WaitingAgent
from tests.story.config import CHECKOUT
from tests.story.conftest import SetUp
from tests.story.hooks import Hook, kept, pull_event, pushed, task_of
from tests.story.process import serving
from tests.story.test_cancel import begin_with
from tests.story.test_kill import LOOK_UP_S, opened
from tests.story.trees import Noted, below, end, gone, living

DEBOUNCED = f'{CHECKOUT}\ndebounce = "3s"'
"""Longer than five webhooks take on a machine that has much to do."""
STALE_WORDS = "Old news."
HIDING = "(setsid sleep 600 &)\n"
"""A child in a session of its own, whose parent is gone."""
SAYS_ALL_THE_SAME = f"""{HIDING}
trap 'printf "{{\\"conclusion\\": \\"success\\", \\"summary\\": \\"{STALE_WORDS}\\"}}" \
> "$COVEND_RESULT"; exit 0' TERM
"""
"""Told to stop, it says what it has and ends well."""
DEAF = f"trap '' TERM INT\n{HIDING}"
"""The child inherits that."""


def check_of(stage: Stage, head: str) -> CheckRun:
    """Give covend's one check of a head."""
    (check,) = [run for run in stage.github.state.check_runs if run.head_sha == head]
    return check


async def concluded(stage: Stage, head: str, conclusion: str, *, within_s: float = 20.0) -> None:
    """Wait until the check of a head has come to this."""
    runs = stage.github.state
    await stage.github.wait_for(
        lambda: any(
            (run.head_sha, run.conclusion) == (head, conclusion) for run in runs.check_runs
        ),
        within_s=within_s,
    )


def all_told(stage: Stage) -> str:
    """Give every word that covend has ever sent to GitHub, also what it has changed since."""
    return "\n".join(str(each.body) for each in stage.github.requests)


def assert_told_once(stage: Stage, head: str) -> None:
    """Look that one review and one comment are there, and that they are about this head."""
    (review,) = stage.github.state.reviews
    (comment,) = stage.github.state.comments
    assert review.commit_id == head
    assert head[:7] in comment.body
    assert check_of(stage, head).conclusion == "success"


def outcomes(story: Any) -> list[str]:
    return [attempt["outcome"] for attempt in story["attempts_list"]]


# --- a burst --------------------------------------------------------------------------------------


async def test_five_pushes_within_the_debounce_are_one_attempt_on_the_last_head(
    staged: SetUp, agent: WaitingAgent
) -> None:
    async with staged(agent, rule=DEBOUNCED) as stage, serving(stage) as covend:
        pushes = [pushed(stage, second) for second in range(1, 6)]
        tasks = [await task_of(covend, hook) for _, hook in pushes]
        assert (await agent.begins()).task == tasks[-1]
        agent.ends()
        await concluded(stage, pushes[-1][0], "success")
        stories = [await covend.task(task) for task in tasks]
    assert [story["state"] for story in stories] == ["superseded"] * 4 + ["completed"]
    assert [story["attempts"] for story in stories] == [0, 0, 0, 0, 1]
    assert len(stage.github.state.check_runs) == 1
    assert_told_once(stage, pushes[-1][0])


async def test_five_pushes_told_at_once_and_in_any_order_are_one_attempt_on_the_last_head(
    staged: SetUp, agent: WaitingAgent
) -> None:
    """Each comes by a connection of its own: who is first is nobody's to say."""
    async with staged(agent, rule=DEBOUNCED) as stage, serving(stage) as covend:
        pushes = [pushed(stage, second) for second in range(1, 6)]
        hooks = [hook for _, hook in pushes]
        answers = await asyncio.gather(*[kept(covend, hook) for hook in reversed(hooks)])
        (last,) = answers[0]["tasks"]
        assert (await agent.begins()).task == last
        agent.ends()
        await concluded(stage, pushes[-1][0], "success")
        older = [task for answer in answers[1:] for task in answer["tasks"]]
        stories = [await covend.task(task) for task in older]
    unheard = [answer["reason"] for answer in answers[1:] if not answer["tasks"]]
    assert set(unheard) <= {"stale"}
    assert {(story["state"], story["attempts"]) for story in stories} <= {("superseded", 0)}
    assert_told_once(stage, pushes[-1][0])


# --- a push during an attempt ---------------------------------------------------------------------


async def test_a_push_during_an_attempt_ends_its_tree_and_nothing_of_it_is_told(
    staged: SetUp, agent: WaitingAgent
) -> None:
    begin_with(agent, SAYS_ALL_THE_SAME)
    async with staged(agent) as stage, serving(stage) as covend:
        old = await opened(stage, covend)
        old_head = stage.till.live_pull(7).head_sha
        begun = await agent.begins()
        tree = below(covend.pid)
        assert begun.pid in living(tree)
        assert len(tree) > 1
        head, hook = pushed(stage, 1)
        new = await task_of(covend, hook)
        story = await covend.task_in("superseded", old)
        assert living(tree) == []
        assert (await agent.begins()).task == new
        agent.ends("New.")
        await concluded(stage, head, "success")
        assert (await covend.task_in("completed", new))["attempts"] == 1
    assert (outcomes(story), story["superseded_by"]) == (["superseded"], new)
    assert check_of(stage, old_head).conclusion == "neutral"
    assert_told_once(stage, head)
    assert STALE_WORDS not in all_told(stage)


async def test_a_kill_between_a_pushs_answer_and_the_old_trees_end_forgets_nothing(
    staged: SetUp, agent: WaitingAgent
) -> None:
    """The old agent takes its whole grace, so that covend is killed before it has ended; and it has
    the one slot, so that the new one begins afterwards.
    """
    begin_with(agent, DEAF)
    tree: list[Noted] = []
    async with staged(agent, limits="concurrency = 1") as stage:
        try:
            async with serving(stage) as first:
                old = await opened(stage, first)
                old_head = stage.till.live_pull(7).head_sha
                await agent.begins()
                await first.hears("published", kind="check")
                tree = below(first.pid)
                head, hook = pushed(stage, 1)
                new = await task_of(first, hook)
                await first.kill()
                assert len(living(tree)) > 1
            async with serving(stage) as second:
                begun = await agent.begins()
                assert living(tree) == []
                assert (begun.task, begun.attempt) == (new, 1)
                agent.ends("New.")
                await concluded(stage, head, "success", within_s=LOOK_UP_S)
                story = await second.task_in("superseded", old)
        finally:
            end(tree)
    assert len(story["attempts_list"]) == 1
    assert check_of(stage, old_head).conclusion == "neutral"
    assert_told_once(stage, head)


async def test_a_push_that_nobody_told_of_is_seen_before_anything_is_published(
    staged: SetUp, agent: WaitingAgent
) -> None:
    async with staged(agent) as stage, serving(stage) as covend:
        old = await opened(stage, covend)
        old_head = stage.till.live_pull(7).head_sha
        await agent.begins()
        head, late = pushed(stage, 1)
        agent.ends(STALE_WORDS)
        await covend.task_in("superseded", old)
        await concluded(stage, old_head, "neutral")
        new = await task_of(covend, late)
        assert (await agent.begins()).task == new
        agent.ends("New.")
        await concluded(stage, head, "success")
    assert_told_once(stage, head)
    assert STALE_WORDS not in all_told(stage)


async def test_a_push_before_the_review_has_left_withholds_it(
    staged: SetUp, agent: WaitingAgent
) -> None:
    """The check that work has begun hangs, and what was found waits behind it."""
    async with staged(agent) as stage, serving(stage) as covend:
        held = stage.github.faults.add("POST", "*/check-runs", Fault.HELD)
        old = await opened(stage, covend)
        old_head = stage.till.live_pull(7).head_sha
        await agent.begins()
        await held.reached.wait()
        agent.ends(STALE_WORDS)
        await covend.task_in("completed", old)
        head, hook = pushed(stage, 1)
        new = await task_of(covend, hook)
        story = await covend.task_in("superseded", old)
        held.release()
        assert (await agent.begins()).task == new
        agent.ends("New.")
        await concluded(stage, head, "success")
    assert story["superseded_by"] == new
    assert check_of(stage, old_head).conclusion == "neutral"
    assert_told_once(stage, head)
    assert STALE_WORDS not in all_told(stage)


# --- what comes late, or is over ------------------------------------------------------------------


async def test_what_comes_later_than_what_it_tells_starts_nothing(
    staged: SetUp, agent: WaitingAgent
) -> None:
    """A push that was overtaken on its way, and an opening that comes after the closing."""
    async with staged(agent) as stage, serving(stage) as covend:
        opening = pull_event(stage, "opened")
        (_, early), (head, late) = pushed(stage, 1), pushed(stage, 2)
        closing, after = pull_event(stage, "closed", at_s=3), pull_event(stage, "reopened", at_s=4)
        task = await task_of(covend, late)
        assert_stale(await kept(covend, early))
        begun = await agent.begins()
        assert_closed(await kept(covend, closing))
        await covend.task_in("cancelled", task)
        assert_stale(await kept(covend, opening))
        anew = await task_of(covend, after)
        assert (await agent.begins()).task == anew != begun.task
        agent.ends("New.")
        await covend.task_in("completed", anew)
        await stage.github.wait_for(lambda: stage.github.state.reviews)
        _, tasks = await covend.get("/api/v1/tasks")
    assert {each["id"] for each in tasks["items"]} == {task, anew}
    assert [review.commit_id for review in stage.github.state.reviews] == [head]


def assert_stale(answer: Any) -> None:
    assert (answer["state"], answer["reason"], answer["tasks"]) == ("ignored", "stale", [])


def assert_closed(answer: Any) -> None:
    assert (answer["state"], answer["reason"], answer["tasks"]) == ("ignored", "closed", [])


async def test_closing_during_an_attempt_ends_its_tree_and_tells_nothing(
    staged: SetUp, agent: WaitingAgent
) -> None:
    begin_with(agent, SAYS_ALL_THE_SAME)
    async with staged(agent) as stage, serving(stage) as covend:
        task = await opened(stage, covend)
        head = stage.till.live_pull(7).head_sha
        await agent.begins()
        tree = below(covend.pid)
        assert_closed(await kept(covend, pull_event(stage, "closed", at_s=1)))
        await gone(tree)
        story = await covend.task_in("cancelled", task)
        await concluded(stage, head, "cancelled")
    assert (story["reason"], outcomes(story)) == ("closed", ["cancelled"])
    assert stage.github.state.reviews == []
    assert STALE_WORDS not in all_told(stage)


# --- the same instant -----------------------------------------------------------------------------


async def test_two_hooks_and_two_events_on_one_head_in_one_instant_are_one_task(
    staged: SetUp, agent: WaitingAgent
) -> None:
    """Two hooks tell an event under one id; that it was opened and that it was pushed are two."""
    async with staged(agent) as stage, serving(stage) as covend:
        body, headers = pull_event(stage, "opened")
        hooks: list[Hook] = [
            (body, headers),
            (body, headers | {"X-GitHub-Hook-ID": "2"}),
            pull_event(stage, "synchronize"),
            pull_event(stage, "reopened"),
        ]
        answers = await asyncio.gather(*[covend.post(*hook) for hook in hooks])
        ((task,),) = {tuple(answer["tasks"]) for _, answer in answers}
        begun = await agent.begins()
        agent.ends("New.")
        await covend.task_in("completed", task)
        _, tasks = await covend.get("/api/v1/tasks")
        _, deliveries = await covend.get("/api/v1/deliveries")
    assert sorted(status for status, _ in answers) == [200, 202, 202, 202]
    reasons = sorted(each["reason"] for each in deliveries["items"])
    assert reasons == ["matched", "same_work", "same_work"]
    assert ([each["id"] for each in tasks["items"]], begun.attempt) == ([task], 1)
