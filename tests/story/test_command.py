"""`@covend review` in a comment: who may, who may not, and who cannot be asked about."""

from __future__ import annotations

from typing import Any

from covend.demo.github import FOREVER, Fault
from covend.demo.payloads import MAINTAINER
from covend.demo.records import Account
from covend.demo.stage import Stage
from tests.story.conftest import SetUp
from tests.story.process import Covend, serving

COMMENT = "issue_comment.created"
STRANGER = Account(login="passing-by", id=4_711)


async def comment(stage: Stage, covend: Covend, who: Account, *, serial: int = 1) -> Any:
    text = f"@{stage.github.state.app.slug} review"
    status, answer = await covend.post(*stage.signed(COMMENT, serial=serial, sender=who, text=text))
    assert status == 202
    return answer


async def test_a_maintainers_command_reviews_the_head_as_it_is_now(staged: SetUp) -> None:
    async with staged() as stage, serving(stage) as covend:
        head = stage.till.git.push(7, {"src/till/more.py": "def f(x=[]): ...\n"}, "One more")
        (task,) = (await comment(stage, covend, MAINTAINER))["tasks"]
        story = await covend.task_in("completed", task)
        await stage.github.wait_for(lambda: stage.github.state.reviews)
    assert story["rule"] == "ask"
    assert story["subject"]["head_sha"] == head
    (review,) = stage.github.state.reviews
    assert review.commit_id == head
    assert stage.github.state.check_runs == []


async def test_a_strangers_command_is_refused(staged: SetUp) -> None:
    async with staged() as stage, serving(stage) as covend:
        stage.github.add_account(STRANGER)
        (task,) = (await comment(stage, covend, STRANGER))["tasks"]
        story = await covend.task_in("ignored", task)
    assert (story["reason"], story["attempts_list"]) == ("allow", [])


async def test_while_github_does_not_tell_the_permission_nobody_has_one(staged: SetUp) -> None:
    async with staged() as stage, serving(stage) as covend:
        stage.github.faults.add("GET", "*/permission", Fault.ERROR_500, FOREVER)
        (task,) = (await comment(stage, covend, MAINTAINER))["tasks"]
        story = await covend.task_in("ignored", task)
    assert (story["reason"], story["attempts_list"]) == ("permission_unknown", [])


async def test_covends_own_comment_starts_nothing(staged: SetUp) -> None:
    async with staged() as stage, serving(stage) as covend:
        answer = await comment(stage, covend, stage.github.state.app.bot)
    assert (answer["state"], answer["reason"], answer["tasks"]) == ("ignored", "own_event", [])


async def test_a_comment_that_only_mentions_covend_starts_nothing(staged: SetUp) -> None:
    async with staged() as stage, serving(stage) as covend:
        text = f"I like @{stage.github.state.app.slug} review"
        body, headers = stage.signed(COMMENT, serial=1, sender=MAINTAINER, text=text)
        status, answer = await covend.post(body, headers)
    assert (status, answer["state"]) == (202, "ignored")
