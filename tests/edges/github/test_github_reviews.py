from __future__ import annotations

from dataclasses import replace

import pytest

from covend.core.effects.review import EVENTS
from covend.core.model import EffectKind
from covend.core.states import Outcome
from covend.demo import till as text
from covend.demo.github import Fault
from covend.edges.github.client import GitHubClient
from covend.edges.github.errors import NotFound, Refused
from covend.edges.github.pulls import list_files
from tests.core.effects.effect_samples import ending, found_on
from tests.edges.github.github_world import (
    INSTALLATION,
    REPOSITORY,
    World,
    look_up,
    send,
)

BUG = text.planted_bug()
ON_BUG = found_on(BUG.path, BUG.line)
ELSEWHERE = found_on("README.md", 400)


async def test_findings_stand_on_their_lines_and_the_rest_in_the_body(
    world: World, client: GitHubClient
) -> None:
    files = await list_files(client, INSTALLATION, REPOSITORY, 7)
    await send(client, world.review(ON_BUG, ELSEWHERE, files=files))
    (review,) = world.github.state.reviews
    assert [(each.path, each.line) for each in review.comments] == [(BUG.path, BUG.line)]
    assert "README.md:400" in review.body
    assert review.commit_id == world.till.live_pull(7).head_sha


@pytest.mark.parametrize("event", sorted(EVENTS))
async def test_the_agents_verdict_is_the_reviews(
    event: str, world: World, client: GitHubClient
) -> None:
    await send(client, world.review(event=event.lower()))
    assert (
        world.github.state.reviews[0].state
        == {
            "COMMENT": "COMMENTED",
            "APPROVE": "APPROVED",
            "REQUEST_CHANGES": "CHANGES_REQUESTED",
        }[event]
    )


async def test_where_github_sees_a_line_outside_the_diff_all_goes_into_the_body(
    world: World, client: GitHubClient
) -> None:
    files = await list_files(client, INSTALLATION, REPOSITORY, 7)
    effect = world.review(ON_BUG, files=files)
    wrong = dict(effect.request["body"])
    wrong["comments"] = [{**wrong["comments"][0], "line": 999}]
    effect = replace(effect, request={**effect.request, "body": wrong})
    sent = await send(client, effect)
    (review,) = world.github.state.reviews
    assert review.comments == ()
    assert f"{BUG.path}:{BUG.line}" in review.body
    assert await look_up(client, effect) == sent


async def test_a_verdict_on_an_own_pull_request_becomes_a_comment(world: World) -> None:
    client = world.client_with_token()
    files = await list_files(client, None, REPOSITORY, 7)
    await send(client, world.review(ON_BUG, files=files, event="approve"))
    (review,) = world.github.state.reviews
    assert (review.state, len(review.comments)) == ("COMMENTED", 1)


async def test_both_at_once_still_bring_the_review_through(world: World) -> None:
    client = world.client_with_token()
    files = await list_files(client, None, REPOSITORY, 7)
    effect = world.review(ON_BUG, files=files, event="request_changes")
    wrong = dict(effect.request["body"])
    wrong["comments"] = [{**wrong["comments"][0], "line": 999}]
    await send(client, replace(effect, request={**effect.request, "body": wrong}))
    (review,) = world.github.state.reviews
    assert (review.state, review.comments) == ("COMMENTED", ())


async def test_a_review_that_github_will_not_have_is_final(
    world: World, client: GitHubClient
) -> None:
    effect = world.review()
    body = {**effect.request["body"], "commit_id": "f" * 40}
    with pytest.raises(Refused):
        await send(client, replace(effect, request={**effect.request, "body": body}))
    assert len(world.asked("POST", "/reviews")) == 1


async def test_what_is_refused_for_another_reason_is_not_sent_in_a_milder_form(
    world: World, client: GitHubClient
) -> None:
    files = await list_files(client, INSTALLATION, REPOSITORY, 7)
    effect = world.review(ON_BUG, files=files)
    with pytest.raises(NotFound):
        await send(client, replace(effect, request={**effect.request, "number": 404}))
    assert len(world.asked("POST", "/reviews")) == 1


async def test_a_review_is_never_written_twice_into_its_slot(
    world: World, client: GitHubClient
) -> None:
    effect = world.review()
    sent = await send(client, effect)
    assert await send(client, effect, sent) == sent
    assert len(world.github.state.reviews) == 1


async def test_a_limit_met_by_a_review_leaves_nothing_behind(
    world: World, client: GitHubClient
) -> None:
    effect = world.end(EffectKind.REVIEW, ending(Outcome.SUCCEEDED, summary="s"))
    world.github.faults.add("POST", "*/reviews", Fault.SECONDARY_403, seconds=60)
    with pytest.raises(Exception, match="rate limit"):
        await send(client, effect)
    assert world.github.state.reviews == []
