"""What people ask of GitHub and GitHub tells covend: to make a check again, and to take the App
away. Each is heeded once, also over kill -9.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from covend.demo.payloads import MAINTAINER, on_commits, people
from covend.demo.records import JsonObject
from covend.demo.stage import NUMBER, Stage
from tests.story.agent import WaitingAgent
from tests.story.config import ALONE
from tests.story.conftest import SetUp
from tests.story.held import ended, send, told
from tests.story.hooks import Hook, kept, sign
from tests.story.process import serving
from tests.story.test_cancel import begin_with
from tests.story.test_kill import opened
from tests.story.test_pushes import HIDING, check_of, concluded
from tests.story.trees import below, living

CHECKED = 'checkout = "head"\npublish = ["check"]'


# --- a check is to be made again ------------------------------------------------------------------


def rerequested(stage: Stage) -> Hook:
    """Tell that somebody has pressed `Re-run` on covend's own check, which is as it is now."""
    scene = stage.github.scene(stage.till, NUMBER, serial=1, sender=MAINTAINER)
    run = check_of(stage, scene.pull.head_sha)
    return sign("check_run", on_commits.check_run("rerequested", run, scene))


async def test_a_check_is_made_again_once_though_asked_twice_and_killed_between(
    staged: SetUp, agent: WaitingAgent
) -> None:
    async with staged(agent, rule=CHECKED) as stage:
        async with serving(stage) as first:
            task = await opened(stage, first)
            await agent.begins()
            agent.ends()
            head = stage.till.live_pull(NUMBER).head_sha
            await concluded(stage, head, "success")
            await first.task_in("completed", task)
            hook = rerequested(stage)
            assert (await kept(first, hook))["state"] == "ignored"
            await first.kill()
        async with serving(stage) as second:
            status, answer = await second.post(*hook)
            assert (status, answer["duplicate"]) == (200, True)
            begun = await agent.begins()
            assert (begun.task, begun.attempt) != (task, 1)
            agent.ends("Again.")
            story = await ended(second, begun.task)
            runs = stage.github.state.check_runs
            await stage.github.wait_for(lambda: len(runs) == 2 and runs[1].conclusion)
            _, tasks = await second.get("/api/v1/tasks")
    assert {run.head_sha for run in runs} == {head}
    assert [str(run.summary).partition("\n")[0] for run in runs] == ["Fine.", "Again."]
    assert (story["generation"], story["attempts"]) == (2, 1)
    assert {each["id"] for each in tasks["items"]} == {task, begun.task}


# --- the App is taken away ------------------------------------------------------------------------


def taken_away(stage: Stage) -> Hook:
    """Tell that the installation is deleted."""
    scene = stage.github.scene(stage.till, NUMBER, serial=2)
    shown = people.installation(
        scene.site, scene.installation_id, scene.app, scene.repository.owner
    )
    at = int(scene.now.timestamp())
    told: JsonObject = {
        "action": "deleted",
        "installation": shown | {"created_at": at, "updated_at": at},
        "repositories": [people.repository_stub(scene.repository)],
        "sender": people.user(scene.site, scene.sender),
    }
    return sign("installation", told)


def repository_removed(stage: Stage) -> Hook:
    """Tell that the repository is not among those of the installation any more."""
    scene = stage.github.scene(stage.till, NUMBER, serial=3)
    shown = people.installation(
        scene.site, scene.installation_id, scene.app, scene.repository.owner
    )
    at = int(scene.now.timestamp())
    told: JsonObject = {
        "action": "removed",
        "installation": shown | {"created_at": at, "updated_at": at},
        "repository_selection": "selected",
        "repositories_added": [],
        "repositories_removed": [people.repository_stub(scene.repository)],
        "requester": None,
        "sender": people.user(scene.site, scene.sender),
    }
    return sign("installation_repositories", told)


@pytest.mark.parametrize(
    ("state", "reason", "take"),
    [
        ("cancelled", "installation_deleted", taken_away),
        ("ignored", "repository_removed", repository_removed),
    ],
)
async def test_what_is_taken_away_takes_its_work_with_it_and_nothing_of_its_tree_is_left(
    staged: SetUp, agent: WaitingAgent, state: str, reason: str, take: Callable[[Stage], Hook]
) -> None:
    """What runs is stopped, with what hides from it; what waits ends without having begun."""
    begin_with(agent, HIDING)
    async with (
        staged(agent, rule=ALONE, limits="concurrency = 1") as stage,
        serving(stage) as covend,
    ):
        running = await send(stage, covend, 1)
        await agent.begins()
        stage.till.git.push(NUMBER, {"src/till/more.py": "SECONDS = 2\n"}, "More")
        queued = await send(stage, covend, 2)
        tree = below(covend.pid)
        assert len(living(tree)) > 1
        await kept(covend, take(stage))
        ran = await covend.task_in("cancelled", running)
        waited = await covend.task_in(state, queued)
        assert living(tree) == []
        listed = (await told(stage, "installations")).splitlines()
    assert (ran["reason"], ran["attempts"]) == (reason, 1)
    assert (waited["reason"], waited["attempts"]) == (reason, 0)
    assert listed[1].split()[:3] == ["1", "acme", "deleted" if state == "cancelled" else "active"]
