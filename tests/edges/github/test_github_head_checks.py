from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from covend.core.model import EffectKind
from covend.core.rules.checks import HeadChecks, Stand
from covend.demo.github import Fault
from covend.demo.records import App, CheckRun, CommitStatus
from covend.edges.github.client import GitHubClient
from covend.edges.github.errors import BadAnswer, TooManyPages, Unreachable
from covend.edges.github.head_checks import head_checks
from tests.edges.github.github_world import INSTALLATION, REPOSITORY, World, send
from tests.edges.github.scripted import Reply, ScriptedGitHub

HEAD = "a" * 40


def head_of(world: World) -> str:
    return world.till.live_pull(7).head_sha


async def looked_at(world: World, client: GitHubClient) -> HeadChecks:
    return await head_checks(client, INSTALLATION, REPOSITORY, head_of(world))


def other_app(world: World) -> App:
    return replace(world.github.state.app, id=15368, slug="github-actions", name="Actions")


def run(world: World, name: str, conclusion: str | None, **changed: Any) -> None:
    """Another App's check run on the head."""
    state = world.github.state
    made = CheckRun(
        id=next(state.ids),
        repository=REPOSITORY,
        name=name,
        head_sha=head_of(world),
        app=other_app(world),
        suite_id=1,
        started_at=state.now(),
        status="in_progress" if conclusion is None else "completed",
        conclusion=conclusion,
        completed_at=None if conclusion is None else state.now(),
    )
    state.check_runs.append(replace(made, **changed))


def status(world: World, context: str, said: str) -> None:
    state = world.github.state
    made = CommitStatus(
        id=next(state.ids),
        repository=REPOSITORY,
        sha=head_of(world),
        state=said,
        author=world.till.live_pull(7).author,
        context=context,
        description=None,
        target_url=None,
        created_at=state.now(),
    )
    state.statuses.append(made)


async def test_a_head_passes_when_all_its_runs_and_statuses_have(
    world: World, client: GitHubClient
) -> None:
    run(world, "build", "success")
    run(world, "lint", "skipped")
    status(world, "ci/old", "success")
    checks = await looked_at(world, client)
    assert checks == HeadChecks(stand=Stand.PASSED, names=("build", "lint", "ci/old"))


async def test_one_that_is_not_in_leaves_all_pending(world: World, client: GitHubClient) -> None:
    run(world, "build", "failure")
    run(world, "lint", None)
    status(world, "ci/old", "pending")
    checks = await looked_at(world, client)
    assert checks == HeadChecks(stand=Stand.PENDING, names=("lint", "ci/old"))


@pytest.mark.parametrize("said", ["failure", "error"])
async def test_a_status_can_fail_the_head_alone(
    said: str, world: World, client: GitHubClient
) -> None:
    run(world, "build", "success")
    status(world, "ci/old", said)
    checks = await looked_at(world, client)
    assert checks == HeadChecks(stand=Stand.FAILED, names=("ci/old",))


async def test_the_newest_of_each_name_counts(world: World, client: GitHubClient) -> None:
    for said in ("failure", "success"):
        run(world, "build", said)
        status(world, "ci/old", said)
    assert (await looked_at(world, client)).stand is Stand.PASSED


async def test_covends_own_check_is_left_out(world: World, client: GitHubClient) -> None:
    await send(client, world.start())
    assert (await looked_at(world, client)) == HeadChecks(stand=Stand.PENDING)
    run(world, "build", "success")
    assert (await looked_at(world, client)).names == ("build",)
    assert [each.name for each in world.github.state.check_runs] == ["covend/review", "build"]


async def test_what_others_call_by_covends_name_counts_for_an_app(
    world: World, client: GitHubClient
) -> None:
    run(world, "covend/review", "success")
    status(world, "covend/fix", "failure")
    checks = await looked_at(world, client)
    assert checks == HeadChecks(stand=Stand.FAILED, names=("covend/fix",))


async def test_with_a_plain_token_covends_own_statuses_are_left_out(world: World) -> None:
    client = world.client_with_token()
    await send(client, world.start(app=False))
    assert (await looked_at(world, client)).names == ()
    run(world, "build", "success")
    status(world, "ci/old", "success")
    assert (await looked_at(world, client)).names == ("build", "ci/old")


async def test_what_is_asked_needs_to_read_no_more(world: World, client: GitHubClient) -> None:
    await looked_at(world, client)
    asked = [
        each.credential.permissions for each in world.github.requests if "commits" in each.path
    ]
    assert asked == [
        {"metadata": "read", "checks": "read"},
        {"metadata": "read", "statuses": "read"},
    ]


async def test_more_than_a_page_of_checks_is_looked_at_to_the_last(
    world: World, client: GitHubClient
) -> None:
    for number in range(101):
        said = "success" if number < 100 else "failure"
        run(world, f"build {number}", said)
        status(world, f"ci/{number}", said)
    checks = await looked_at(world, client)
    assert checks == HeadChecks(stand=Stand.FAILED, names=("build 100", "ci/100"))


async def test_checks_are_found_on_the_third_page(scripted: ScriptedGitHub) -> None:
    following = {"link": '<{api}/next>; rel="next"'}
    good = {"name": "a", "status": "completed", "conclusion": "success"}
    scripted.reply(
        Reply(data={"check_runs": [good]}, headers=following),
        Reply(data={"check_runs": []}, headers=following),
        Reply(data={"check_runs": [{"name": "b", "status": "queued", "conclusion": None}]}),
        Reply(data={"statuses": [{"context": "c", "state": "success"}]}, headers=following),
        Reply(data={"statuses": [{"context": "d", "state": "pending"}]}),
    )
    checks = await head_checks(scripted.client, None, REPOSITORY, HEAD)
    assert checks == HeadChecks(stand=Stand.PENDING, names=("b", "d"))
    assert [each.raw_path for each in scripted.seen][:1] == [
        f"/repos/acme/till/commits/{HEAD}/check-runs?per_page=100&filter=latest"
    ]


async def test_a_list_without_an_end_is_no_answer(scripted: ScriptedGitHub) -> None:
    following = {"link": '<{api}/next>; rel="next"'}
    scripted.reply(*[Reply(data={"check_runs": []}, headers=following)] * 100)
    with pytest.raises(TooManyPages):
        await head_checks(scripted.client, None, REPOSITORY, HEAD)


@pytest.mark.parametrize(
    "replies",
    [
        [{"check_runs": [{"status": "completed", "conclusion": "success"}]}],
        [{"check_runs": []}, {"statuses": [{"state": "success"}]}],
        [{"check_runs": None}],
    ],
)
async def test_a_check_without_a_name_is_a_bad_answer(
    replies: list[Any], scripted: ScriptedGitHub
) -> None:
    scripted.reply(*[Reply(data=data) for data in replies])
    with pytest.raises(BadAnswer):
        await head_checks(scripted.client, None, REPOSITORY, HEAD)


@pytest.mark.parametrize("path", ["*/check-runs", "*/status"])
async def test_half_an_answer_says_nothing(path: str, world: World, client: GitHubClient) -> None:
    run(world, "build", "success")
    world.github.faults.add("GET", path, Fault.ERROR_500)
    with pytest.raises(Unreachable):
        await looked_at(world, client)


async def test_a_check_that_was_sent_as_an_effect_is_covends_own(
    world: World, client: GitHubClient
) -> None:
    await send(client, world.end(EffectKind.CHECK))
    run(world, "build", "success")
    assert (await looked_at(world, client)).names == ("build",)
