from __future__ import annotations

import pytest

from covend.core.model import Conclusion, Effect, EffectKind
from covend.demo.github import Fault
from covend.edges.github.client import GitHubClient, Sent
from covend.edges.github.errors import (
    NotFound,
    OutcomeUnknown,
    Refused,
)
from tests.core.effects.effect_samples import ending, found_on
from tests.edges.github.github_world import (
    World,
    look_up,
    send,
)
from tests.edges.github.scripted import Reply, ScriptedGitHub

# --- checks ---------------------------------------------------------------------------------------


async def test_a_check_begins_and_is_concluded_in_place(world: World, client: GitHubClient) -> None:
    started = await send(client, world.start())
    (run,) = world.github.state.check_runs
    assert (run.status, run.title, run.name) == ("in_progress", "In progress", "covend/review")
    ended = await send(
        client, world.end(EffectKind.CHECK, ending(conclusion=Conclusion.FAILURE)), started
    )
    (run,) = world.github.state.check_runs
    assert (run.status, run.conclusion, run.title) == ("completed", "failure", "Changes are needed")
    assert ended.remote_id == started.remote_id


async def test_a_check_that_never_began_is_created_completed(
    world: World, client: GitHubClient
) -> None:
    await send(client, world.end(EffectKind.CHECK))
    (run,) = world.github.state.check_runs
    assert (run.status, run.conclusion) == ("completed", "success")


async def test_work_that_begins_anew_puts_the_check_back_in_progress(
    world: World, client: GitHubClient
) -> None:
    ended = await send(client, world.end(EffectKind.CHECK))
    again = world.start(generation=2)
    await send(client, again, ended)
    (run,) = world.github.state.check_runs
    assert (run.status, run.conclusion) == ("in_progress", None)
    assert await look_up(client, again) == ended


async def test_a_check_that_is_gone_is_made_anew(world: World, client: GitHubClient) -> None:
    gone = Sent(remote_id="999", remote_url=None)
    sent = await send(client, world.end(EffectKind.CHECK), gone)
    assert sent.remote_id == str(world.github.state.check_runs[0].id)


async def test_a_check_still_in_progress_is_not_the_conclusion_that_was_sent(
    world: World, client: GitHubClient
) -> None:
    started = await send(client, world.start())
    end = world.end(EffectKind.CHECK)
    assert await look_up(client, end) is None
    world.github.faults.add("PATCH", "*", Fault.ANSWER_LOST)
    with pytest.raises(OutcomeUnknown):
        await send(client, end, started)
    assert await look_up(client, end) == started
    assert await look_up(client, world.start()) == started


async def test_a_check_is_found_on_the_third_page_by_its_id_and_conclusion(
    world: World, scripted: ScriptedGitHub
) -> None:
    effect = world.end(EffectKind.CHECK)
    ours = {"id": 3, "external_id": effect.request["body"]["external_id"], "conclusion": "success"}
    others = [{**ours, "id": 1, "external_id": "other.1"}, {**ours, "id": 2, "conclusion": None}]
    following = {"link": '<{api}/next>; rel="next"'}
    scripted.reply(
        Reply(data={"check_runs": others}, headers=following),
        Reply(data={"check_runs": []}, headers=following),
        Reply(data={"check_runs": [ours]}),
    )
    assert await look_up(scripted.client, effect) == Sent(remote_id="3")
    sha = effect.request["head_sha"]
    assert scripted.seen[0].raw_path == (
        f"/repos/acme/till/commits/{sha}/check-runs"
        "?per_page=100&check_name=covend/review&filter=all"
    )


async def test_an_app_asks_for_its_own_checks_only(world: World, client: GitHubClient) -> None:
    await look_up(client, world.end(EffectKind.CHECK))
    assert world.github.requests[-1].query["app_id"] == "123456"


# --- annotations ----------------------------------------------------------------------------------


def annotated(world: World, count: int) -> list[Effect]:
    findings = tuple(found_on("README.md", line + 1) for line in range(count))
    return world.ends(EffectKind.CHECK, ending(findings=findings, summary="s"))


def shown(world: World) -> list[int]:
    (run,) = world.github.state.check_runs
    return [each["end_line"] for each in run.annotations]


async def test_annotations_are_added_batch_by_batch_to_the_concluded_check(
    world: World, client: GitHubClient
) -> None:
    sent = await send(client, world.start())
    for effect in annotated(world, 120):
        sent = await send(client, effect, sent)
        assert await look_up(client, effect) == sent
    (run,) = world.github.state.check_runs
    assert (run.status, run.conclusion) == ("completed", "success")
    assert shown(world) == list(range(1, 121))


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize(("fault", "arrived"), [(Fault.ANSWER_LOST, True), (Fault.RESET, False)])
async def test_a_batch_whose_answer_is_lost_is_never_added_twice(
    at: int, fault: Fault, arrived: bool, world: World, client: GitHubClient
) -> None:
    sent, effects = await send(client, world.start()), annotated(world, 120)
    for effect in effects[:at]:
        sent = await send(client, effect, sent)
    world.github.faults.add("PATCH", "*", fault)
    with pytest.raises(OutcomeUnknown):
        await send(client, effects[at], sent)
    found = await look_up(client, effects[at])
    assert (found is not None) == arrived
    for effect in effects[at + arrived :]:
        sent = await send(client, effect, sent)
    assert shown(world) == list(range(1, 121))


async def test_what_only_adds_to_a_check_run_makes_none(world: World, client: GitHubClient) -> None:
    _, second = annotated(world, 51)
    with pytest.raises(Refused, match="no check run to add annotations to"):
        await send(client, second)
    with pytest.raises(NotFound):
        await send(client, second, Sent(remote_id="999"))
    assert world.github.state.check_runs == []


# --- statuses -------------------------------------------------------------------------------------


async def test_with_a_plain_token_a_check_is_a_status_that_changes(world: World) -> None:
    client = world.client_with_token()
    await send(client, world.start(app=False))
    await send(
        client, world.end(EffectKind.CHECK, ending(conclusion=Conclusion.FAILURE), app=False)
    )
    shown = [(each.context, each.state, each.description) for each in world.github.state.statuses]
    assert shown == [
        ("covend/review", "pending", "In progress"),
        ("covend/review", "failure", "Changes are needed"),
    ]


async def test_a_status_is_not_looked_up_because_it_may_be_sent_again(world: World) -> None:
    client = world.client_with_token()
    assert await look_up(client, world.start(app=False)) is None
    assert world.github.requests == []
