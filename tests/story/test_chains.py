"""Work that follows other work: the end of a task, or of all checks of a head, starts what waits
for it, once, and no chain is endless.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from covend.demo.payloads import CI
from covend.demo.records import CheckRun, CommitStatus
from covend.demo.stage import NUMBER, Stage
from tests.story.agent import Script, WaitingAgent
from tests.story.config import ALONE
from tests.story.conftest import SetUp
from tests.story.hooks import Hook, checked, kept, pull_event, pushed, status_set, task_of
from tests.story.process import Covend, serving
from tests.story.test_kill import opened

FAILING = '[agents.failing]\npreset = "command"\ncommand = ["false"]\n'
OF_REVIEW = 'when = {{ payload = {{ "task.rule" = ["review"] }} }}'
numbers = count(5_000_000)


def rule(name: str, on: str, *more: str, agent: str = "example") -> str:
    """Write a rule that is nothing but its agent."""
    lines = ("[[rules]]", f'name = "{name}"', f'on = ["{on}"]', f'agent = "{agent}"', ALONE, *more)
    return "\n".join(lines) + "\n"


async def tasks_of(covend: Covend, name: str) -> list[Any]:
    """List the tasks of a rule, oldest first."""
    _, page = await covend.get(f"/api/v1/tasks?rule={name}&limit=200")
    found: list[Any] = page["items"]
    return found[::-1]


async def task_by(covend: Covend, name: str, state: str) -> Any:
    """Wait until the one task of a rule is in a state."""

    async def look() -> Any:
        found = await tasks_of(covend, name)
        assert len(found) <= 1
        return next((each for each in found if each["state"] == state), None)

    return await covend.until(look)


async def told(covend: Covend) -> list[Any]:
    """List what covend has told itself, oldest first."""
    _, page = await covend.get("/api/v1/deliveries?event=task&limit=200")
    found: list[Any] = page["items"]
    return found[::-1]


# --- one task after another -----------------------------------------------------------------------


async def test_what_waits_for_an_end_begins_with_it(staged: SetUp, agent: WaitingAgent) -> None:
    more = (
        FAILING
        + rule("broken", "pull_request.opened", agent="failing")
        + rule("after", "task.completed", OF_REVIEW)
        + rule("mourn", "task.failed")
    )
    async with staged(agent, rule=ALONE, more=more) as stage, serving(stage) as covend:
        answer = await kept(covend, pull_event(stage, "opened"))
        parents = {(await covend.task(task))["rule"]: task for task in answer["tasks"]}
        for _ in range(3):
            await agent.begins()
            agent.ends()
        after = await task_by(covend, "after", "completed")
        mourn = await task_by(covend, "mourn", "completed")
        ends = await told(covend)
        head = stage.till.live_pull(NUMBER).head_sha
    assert set(parents) == {"review", "broken"}
    assert (after["parent"], mourn["parent"]) == (parents["review"], parents["broken"])
    assert {(each["depth"], each["attempts"]) for each in (after, mourn)} == {(1, 1)}
    assert {each["subject"]["head_sha"] for each in (after, mourn)} == {head}
    assert {(each["source"], each["via"], each["state"]) for each in ends} == {
        ("covend", "api", "routed")
    }
    assert sorted(each["action"] for each in ends) == ["completed", "failed"]


async def test_a_follower_is_there_once_whenever_covend_is_killed(
    staged: SetUp, agent: WaitingAgent
) -> None:
    """With the end of its parent, in one transaction: there is no moment between them."""
    async with staged(agent, rule=ALONE, more=rule("after", "task.completed", OF_REVIEW)) as stage:
        async with serving(stage) as first:
            task = await opened(stage, first)
            await agent.begins()
            agent.ends()
            await first.hears("attempt ended", task=task)
            await first.kill()
        async with serving(stage) as second:
            await agent.begins()
            agent.ends()
            after = await task_by(second, "after", "completed")
            assert len(await told(second)) == 1
    assert after["parent"] == task


async def test_a_rule_that_follows_itself_ends_at_the_chains_depth(
    staged: SetUp, tmp_path: Path
) -> None:
    quick = Script.write(tmp_path / "quick.sh", "exit 0\n")
    more = rule("again", "task.completed")
    async with (
        staged(quick, rule=ALONE, limits="chain_depth = 2", more=more) as stage,
        serving(stage) as covend,
    ):
        await opened(stage, covend)

        async def look() -> Any:
            ends = await told(covend)
            return ends if ends and ends[-1]["state"] == "ignored" else None

        ends = await covend.until(look)
        tasks = await tasks_of(covend, "again")
    assert [(each["depth"], each["state"]) for each in tasks] == [
        (1, "completed"),
        (2, "completed"),
    ]
    assert [each["reason"] for each in ends] == ["matched", "matched", "chain_too_deep"]
    assert ends[-1]["tasks"] == []


async def test_a_webhook_and_a_tasks_end_that_ask_for_the_same_in_one_instant_are_one_task(
    staged: SetUp, agent: WaitingAgent
) -> None:
    """Three times over, since nobody can say which comes first. The end of what both have asked for
    asks for it as well, and changes nothing.
    """
    key = 'key = "{{{{ number }}}} {{{{ head_sha }}}}"'
    more = rule("both", 'task.completed", "pull_request.labeled', key)
    async with (
        staged(agent, rule=ALONE, more=more, limits="concurrency = 1") as stage,
        serving(stage) as covend,
    ):
        for second in range(3):
            task = await task_of(covend, pushed(stage, 10 * second)[1])
            await agent.begins()
            labeled = pull_event(stage, "labeled", at_s=10 * second + 1)
            agent.ends()
            await asyncio.gather(covend.task_in("completed", task), kept(covend, labeled))
            await agent.begins()
            agent.ends()
        both = await covend.until(lambda: all_completed(covend, "both", 3))
        ends = [each for each in await told(covend) if each["state"] == "routed"]
    assert [each["attempts"] for each in both] == [1, 1, 1]
    assert len({each["subject"]["head_sha"] for each in both}) == 3
    assert Counter(end["tasks"][0] for end in ends) == {each["id"]: 2 for each in both}


async def all_completed(covend: Covend, name: str, number: int) -> list[Any] | None:
    found = await tasks_of(covend, name)
    are_done = len(found) >= number and {each["state"] for each in found} == {"completed"}
    return found if are_done else None


# --- after all checks of a head -------------------------------------------------------------------


def check_run(stage: Stage, name: str, conclusion: str | None) -> CheckRun:
    """Let the till's own tests begin a check on the head, or have ended one."""
    run = CheckRun(
        id=next(numbers),
        repository=stage.till.full_name,
        name=name,
        head_sha=stage.till.live_pull(NUMBER).head_sha,
        app=CI,
        suite_id=77,
        status="completed" if conclusion else "in_progress",
        conclusion=conclusion,
        started_at=stage.github.state.now(),
        completed_at=stage.github.state.now() if conclusion else None,
    )
    stage.github.state.check_runs.append(run)
    return run


def ended(stage: Stage, run: CheckRun, conclusion: str) -> Hook:
    """End a check that runs, and tell of it."""
    runs = stage.github.state.check_runs
    done = replace(
        run, status="completed", conclusion=conclusion, completed_at=stage.github.state.now()
    )
    runs[runs.index(run)] = done
    return checked(stage, done)


def status(stage: Stage, state: str) -> CommitStatus:
    """Set a status on the head."""
    set_to = CommitStatus(
        id=next(numbers),
        repository=stage.till.full_name,
        sha=stage.till.live_pull(NUMBER).head_sha,
        state=state,
        author=CI.bot,
        context="preview",
        created_at=stage.github.state.now(),
    )
    stage.github.state.statuses.append(set_to)
    return set_to


def looks(stage: Stage) -> int:
    """Count how often covend has looked at all check runs of the head, and then at its statuses."""
    return sum(
        each.path.endswith("/status") and each.status in (200, 304)
        for each in stage.github.requests
    )


CHECKS = rule("land", "checks.passed") + rule("mend", "checks.failed")


async def test_checks_have_passed_when_all_are_in_and_have(
    staged: SetUp, agent: WaitingAgent
) -> None:
    """What a webhook says is looked up: one check may end well while another goes on."""
    async with staged(agent, rule=ALONE, more=CHECKS) as stage, serving(stage) as covend:
        build, tests = check_run(stage, "build", None), check_run(stage, "tests", None)
        preview = status(stage, "pending")
        assert (await kept(covend, status_set(stage, preview)))["tasks"] == []
        task = await task_of(covend, ended(stage, build, "success"))
        waiting = await covend.until(lambda: pending(covend, task))
        assert await task_of(covend, ended(stage, tests, "skipped")) == task
        await stage.github.wait_for(lambda: looks(stage) == 2)
        assert (await covend.until(lambda: pending(covend, task)))["attempts"] == 0
        assert await task_of(covend, status_set(stage, status(stage, "success"))) == task
        assert (await agent.begins()).task == task
        agent.ends()
        story = await covend.task_in("completed", task)
        mend = await tasks_of(covend, "mend")
    assert (waiting["rule"], waiting["attempts"]) == ("land", 0)
    assert (story["event"], looks(stage)) == ("checks.passed", 3)
    assert mend == []


async def test_checks_have_failed_when_all_are_in_and_one_has(
    staged: SetUp, agent: WaitingAgent
) -> None:
    async with staged(agent, rule=ALONE, more=CHECKS) as stage, serving(stage) as covend:
        build, tests = check_run(stage, "build", None), check_run(stage, "tests", None)
        land = await task_of(covend, ended(stage, build, "success"))
        await covend.until(lambda: pending(covend, land))
        mend = await task_of(covend, ended(stage, tests, "failure"))
        assert (await agent.begins()).task == mend
        agent.ends()
        story = await covend.task_in("completed", mend)
        later = check_run(stage, "lint", None)
        assert await task_of(covend, ended(stage, later, "success")) == land
        refused = await covend.task_in("ignored", land)
    assert (story["rule"], story["event"]) == ("mend", "checks.failed")
    assert (refused["reason"], refused["attempts"]) == ("checks_failed", 0)


async def pending(covend: Covend, task: str) -> Any:
    story = await covend.task(task)
    is_pending = (story["state"], story["reason"]) == ("received", "checks_pending")
    return story if is_pending else None
