"""What people say to covend where they work: who may, what it does, and that each word is heard
once, whatever gets lost on the way.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from covend.demo.github import Fault
from covend.demo.payloads import AUTHOR, COVEND, MAINTAINER
from covend.demo.records import Account
from covend.demo.stage import NUMBER, Stage
from tests.services.alive import is_alive
from tests.story.agent import WaitingAgent
from tests.story.config import ALONE
from tests.story.conftest import SetUp
from tests.story.hooks import COMMENT, COMMENT_IDS, edited, kept, pull_event, task_of
from tests.story.process import Covend, serving
from tests.story.test_kill import LOOK_UP_S, opened

STRANGER = Account(login="passing-by", id=4_711)
ROBOT = Account(login="dependabot[bot]", id=4_712, kind="Bot")
REVIEW = "pull_request_review.submitted"
REVIEW_COMMENT = "pull_request_review_comment.created"
SEEN, DONE, REFUSED, PUZZLED = "eyes", "+1", "-1", "confused"
ON_COMMENT, ON_REVIEW_COMMENT = "comment", "review_comment"


async def said(
    stage: Stage,
    covend: Covend,
    text: str,
    *,
    serial: int,
    who: Account = MAINTAINER,
    where: str = COMMENT,
) -> Any:
    """Tell covend of words under the pull request; their comment's number is `serial`."""
    return await kept(covend, stage.signed(where, serial=serial, sender=who, text=text))


def reactions(stage: Stage) -> Counter[tuple[str, int, str]]:
    """Count covend's reactions: on what, on which one of these, and which."""
    return Counter(
        (each.subject, each.subject_id % 100_000, each.content)
        for each in stage.github.state.reactions
    )


async def reacted(
    stage: Stage, *wanted: tuple[int, str], on: str = ON_COMMENT, within_s: float = 20.0
) -> None:
    """Wait for these reactions, each to the comment of a serial; each is there once."""
    await stage.github.wait_for(
        lambda: all((on, *each) in reactions(stage) for each in wanted), within_s=within_s
    )
    assert max(reactions(stage).values()) == 1


async def replied(stage: Stage, words: str, *, within_s: float = 20.0) -> str:
    """Wait for an answer with these words, and give it; it is there once."""
    state = stage.github.state

    def found() -> list[str]:
        return [each.body for each in state.comments if words in each.body]

    await stage.github.wait_for(found, within_s=within_s)
    (body,) = found()
    return body


def asked(stage: Stage, method: str, end: str) -> int:
    """Count the requests of a method whose path ends so."""
    requests = stage.github.requests
    return sum((each.method, each.path.endswith(end)) == (method, True) for each in requests)


# --- the verbs ------------------------------------------------------------------------------------


async def test_what_only_asks_is_answered_where_it_was_said(
    staged: SetUp, agent: WaitingAgent
) -> None:
    async with staged(agent, rule=ALONE) as stage, serving(stage) as covend:
        await opened(stage, covend)
        await agent.begins()
        await said(stage, covend, "/covend status", serial=1)
        await said(stage, covend, "/covend help", serial=2)
        await said(stage, covend, "/covend dance with me", serial=3)
        await said(stage, covend, "/covend approve", serial=4)
        await reacted(stage, (1, DONE), (2, DONE), (3, PUZZLED), (4, PUZZLED))
        status = await replied(stage, "| Rule |")
        help_text = await replied(stage, "are a command")
        unknown = await replied(stage, "Nobody here listens")
        await replied(stage, "Nothing to approve here.")
        agent.ends()
    assert "`review` | running" in status
    assert all(f"`{verb}" in help_text for verb in ("status", "cancel", "pause", "review"))
    assert "`dance`" in unknown
    assert len(stage.github.state.comments) == 4
    assert {each.author for each in stage.github.state.comments} == {COVEND.bot}


async def test_cancel_ends_what_runs_and_retry_begins_it_again(
    staged: SetUp, agent: WaitingAgent
) -> None:
    async with staged(agent, rule=ALONE) as stage, serving(stage) as covend:
        task = await opened(stage, covend)
        begun = await agent.begins()
        await said(stage, covend, "/covend cancel", serial=1, who=AUTHOR)
        cancelled = await covend.task_in("cancelled", task)
        assert not is_alive(begun.pid)
        await said(stage, covend, "@covend-demo retry review", serial=2, who=AUTHOR)
        again = await agent.begins()
        agent.ends()
        story = await covend.task_in("completed", task)
        await reacted(stage, (1, DONE), (2, DONE))
    assert cancelled["reason"] == f"@{AUTHOR.login}"
    assert (again.task, again.attempt, story["generation"]) == (task, 2, 2)
    assert stage.github.state.comments == []


async def test_work_of_a_fork_waits_until_somebody_who_may_approves_it(
    staged: SetUp, agent: WaitingAgent
) -> None:
    async with staged(agent, rule=ALONE) as stage, serving(stage) as covend:
        stage.github.add_account(STRANGER)
        number = stage.till.open_pull(
            head_ref="theirs",
            files={"README.md": "Theirs.\n"},
            title="Theirs",
            author=STRANGER,
            now=stage.github.state.now(),
            from_fork=True,
        ).number
        task = await task_of(covend, pull_event(stage, "opened", number=number))
        held = await covend.task_in("received", task)

        async def approve(serial: int, who: Account) -> None:
            words = stage.signed(
                COMMENT, serial=serial, sender=who, text="/covend approve", number=number
            )
            await kept(covend, words)

        await approve(1, STRANGER)
        await reacted(stage, (1, REFUSED))
        assert (await covend.task(task))["state"] == "received"
        await approve(2, MAINTAINER)
        assert (await agent.begins()).task == task
        agent.ends()
        story = await covend.task_in("completed", task)
        await reacted(stage, (1, REFUSED), (2, DONE))
    assert (held["reason"], held["trust"]) == ("approval", "fork")
    assert (story["approved_by"], story["attempts"]) == (f"@{MAINTAINER.login}", 1)


async def test_a_repository_is_paused_and_resumed_by_its_keepers_alone(
    staged: SetUp, agent: WaitingAgent
) -> None:
    async with staged(agent, rule=ALONE) as stage, serving(stage) as covend:
        await said(stage, covend, "/covend pause", serial=1, who=AUTHOR)
        await reacted(stage, (1, REFUSED))
        await said(stage, covend, "/covend pause", serial=2)
        await reacted(stage, (2, DONE))
        task = await opened(stage, covend)
        held = await covend.until(lambda: paused(covend, task))
        _, guards = await covend.get("/api/v1/safeguards")
        await said(stage, covend, "/covend resume", serial=3)
        assert (await agent.begins()).task == task
        agent.ends()
        await covend.task_in("completed", task)
        await reacted(stage, (1, REFUSED), (2, DONE), (3, DONE))
    assert held["attempts"] == 0
    shown = [(each["id"], each["state"]) for each in guards["items"]]
    assert shown == [("pause/repository:acme/till", "paused")]
    assert MAINTAINER.login in guards["items"][0]["reason"]


async def paused(covend: Covend, task: str) -> Any:
    story = await covend.task(task)
    return story if (story["state"], story["reason"]) == ("queued", "paused") else None


# --- who is heard, and where ----------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["status", "review"])
async def test_strangers_bots_and_covend_itself_are_not_obeyed(
    staged: SetUp, agent: WaitingAgent, verb: str
) -> None:
    """A verb of covend's own, and one that a rule listens to."""
    async with staged(agent, rule=ALONE) as stage, serving(stage) as covend:
        for who in (STRANGER, ROBOT):
            stage.github.add_account(who)
        await said(stage, covend, f"/covend {verb}", serial=1, who=STRANGER)
        await said(stage, covend, f"/covend {verb}", serial=2, who=ROBOT)
        own = await said(stage, covend, f"/covend {verb}", serial=3, who=COVEND.bot)
        await said(stage, covend, f"I told you: /covend {verb}", serial=4)
        await said(stage, covend, "/covend help", serial=5)
        await reacted(stage, (1, REFUSED), (2, REFUSED), (5, DONE))
        await replied(stage, "are a command")
        _, tasks = await covend.get("/api/v1/tasks")
    assert own["reason"] == "own_event"
    assert {serial for _, serial, _ in reactions(stage)} == {1, 2, 5}
    assert len(stage.github.state.comments) == 1
    assert {each["state"] for each in tasks["items"]} <= {"ignored"}


async def test_a_comment_is_heard_once_for_each_verb_that_it_is_edited_into(
    staged: SetUp, agent: WaitingAgent
) -> None:
    """Its answer is edited as well, so that the last word is answered below it."""
    async with staged(agent, rule=ALONE) as stage, serving(stage) as covend:

        async def edit(former: str, text: str) -> None:
            hook = edited(stage, serial=1, text=text, former=former, sender=MAINTAINER)
            await kept(covend, hook)

        await said(stage, covend, "What now?", serial=1)
        await edit("What now?", "/covend status")
        first = await replied(stage, "Nothing was started here.")
        await edit("/covend status", "/covend status, please")
        await edit("/covend status, please", "Never mind.")
        await edit("Never mind.", "/covend status")
        await edit("/covend status", "/covend help")
        last = await replied(stage, "are a command")
        await reacted(stage, (1, DONE))
    assert first != last
    assert len(stage.github.state.comments) == 1
    assert sum(reactions(stage).values()) == 1
    assert asked(stage, "PATCH", f"/issues/comments/{stage.github.state.comments[0].id}") == 1


async def test_a_review_and_its_comments_are_places_to_speak_too(
    staged: SetUp, agent: WaitingAgent
) -> None:
    """Nobody can react to a review, so that a short comment says it there."""
    async with staged(agent, rule=ALONE) as stage, serving(stage) as covend:
        await said(stage, covend, "/covend pause", serial=1, where=REVIEW)
        await replied(stage, "👍")
        await said(stage, covend, "/covend resume", serial=2, where=REVIEW_COMMENT)
        await reacted(stage, (2, DONE), on=ON_REVIEW_COMMENT)
        _, guards = await covend.get("/api/v1/safeguards")
    assert guards["items"] == []
    assert len(stage.github.state.comments) == 1


# --- what gets lost -------------------------------------------------------------------------------


async def test_no_lost_answer_and_no_kill_makes_covend_say_anything_twice(
    staged: SetUp, agent: WaitingAgent
) -> None:
    """The answer to a reaction is lost; an answer in words hangs while covend is killed."""
    async with staged(agent, rule=ALONE) as stage:
        async with serving(stage) as first:
            stage.github.faults.add("POST", "*/reactions", Fault.ANSWER_LOST)
            await said(stage, first, "/covend pause", serial=1)
            await first.hears("sent, and no answer", kind="reaction")
            held = stage.github.faults.add("POST", f"*/issues/{NUMBER}/comments", Fault.HELD)
            body, headers = stage.signed(
                COMMENT, serial=2, sender=MAINTAINER, text="/covend status"
            )
            assert (await first.post(body, headers))[0] == 202
            await held.reached.wait()
            await first.kill()
        held.release()
        async with serving(stage) as second:
            status, answer = await second.post(body, headers)
            assert (status, answer["duplicate"]) == (200, True)
            await second.hears("published", kind="reaction", how="found", within_s=LOOK_UP_S)
            await second.hears("published", kind="comment", how="found", within_s=LOOK_UP_S)
            await reacted(stage, (1, DONE), (2, DONE))
            await replied(stage, "Nothing was started here.")
    assert len(stage.github.state.comments) == 1
    assert asked(stage, "POST", f"/issues/comments/{COMMENT_IDS + 1}/reactions") == 1
    assert asked(stage, "POST", f"/issues/{NUMBER}/comments") == 1


async def test_a_command_that_was_answered_with_202_is_obeyed_over_a_kill(
    staged: SetUp, agent: WaitingAgent
) -> None:
    """GitHub keeps covend waiting for the permission, so that nothing is done before the kill."""
    async with staged(agent, rule=ALONE) as stage:
        async with serving(stage) as first:
            task = await opened(stage, first)
            begun = await agent.begins()
            held = stage.github.faults.add("GET", "*/permission", Fault.HELD)
            await said(stage, first, "/covend cancel", serial=1)
            await held.reached.wait()
            await first.kill()
        held.release()
        async with serving(stage) as second:
            story = await second.task_in("cancelled", task)
            assert not is_alive(begun.pid)
            await reacted(stage, (1, DONE))
    assert story["reason"] == f"@{MAINTAINER.login}"
    assert stage.github.state.comments == []
