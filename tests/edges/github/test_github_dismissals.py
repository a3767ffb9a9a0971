from __future__ import annotations

from dataclasses import replace

import pytest

from covend.core.model import Effect, EffectKind
from covend.demo.github import Fault
from covend.demo.records import Review
from covend.edges.github.client import GitHubClient, Sent
from covend.edges.github.errors import OutcomeUnknown, Refused
from tests.core.effects.effect_samples import ending
from tests.edges.github.github_world import REPOSITORY, World, look_up, send

KINDS = ("request_changes", "approve", "comment")


async def reviewed(world: World, client: GitHubClient, event: str) -> Sent:
    return await send(client, world.review(event=event))


def dismissal(world: World, review: Sent) -> Effect:
    (effect,) = world.ends(EffectKind.REVIEW, ending(), outdated=(review.remote_id,))
    assert effect.kind is EffectKind.DISMISSAL
    return effect


def only(world: World) -> Review:
    (review,) = world.github.state.reviews
    return review


def is_put_away(review: Review) -> bool:
    return review.state == "DISMISSED" or review.minimized == "OUTDATED"


async def test_a_demand_for_changes_is_dismissed_so_that_it_holds_nobody_up(
    world: World, client: GitHubClient
) -> None:
    review = await reviewed(world, client, "request_changes")
    effect = dismissal(world, review)
    assert await send(client, effect) == review
    assert (only(world).state, only(world).minimized) == ("DISMISSED", None)
    assert only(world).dismissal == effect.request["body"]["message"]


@pytest.mark.parametrize("event", ["approve", "comment"])
async def test_any_other_review_is_folded_away_as_outdated(
    event: str, world: World, client: GitHubClient
) -> None:
    review = await reviewed(world, client, event)
    assert await send(client, dismissal(world, review)) == review
    assert only(world).minimized == "OUTDATED"
    assert only(world).state in {"APPROVED", "COMMENTED"}


@pytest.mark.parametrize("event", KINDS)
async def test_a_review_is_put_away_once_and_found_so(
    event: str, world: World, client: GitHubClient
) -> None:
    effect = dismissal(world, await reviewed(world, client, event))
    assert await look_up(client, effect) is None
    sent = await send(client, effect)
    assert await look_up(client, effect) == sent
    assert await send(client, effect) == sent
    assert len(world.asked("PUT", "/dismissals")) <= 1


@pytest.mark.parametrize("event", KINDS)
@pytest.mark.parametrize(("fault", "arrived"), [(Fault.ANSWER_LOST, True), (Fault.RESET, False)])
async def test_after_a_lost_answer_a_look_up_says_whether_it_is_put_away(
    event: str, fault: Fault, arrived: bool, world: World, client: GitHubClient
) -> None:
    effect = dismissal(world, await reviewed(world, client, event))
    # A PUT may be repeated by whatever carries it.
    times = {"/repos/*/dismissals": ("PUT", 2), "/graphql": ("POST", 1)}
    for path, (method, count) in times.items():
        world.github.faults.add(method, path, fault, count)
    with pytest.raises(OutcomeUnknown):
        await send(client, effect)
    assert is_put_away(only(world)) == arrived
    assert (await look_up(client, effect) is not None) == arrived
    world.github.faults.clear()
    await send(client, effect)
    assert is_put_away(only(world))


async def test_a_review_that_is_gone_is_put_away(world: World, client: GitHubClient) -> None:
    effect = dismissal(world, await reviewed(world, client, "comment"))
    world.github.state.reviews.clear()
    assert await send(client, effect) == Sent(remote_id=effect.request["review_id"])
    assert await look_up(client, effect) == Sent(remote_id=effect.request["review_id"])


async def test_a_review_that_was_dismissed_meanwhile_is_dismissed(
    world: World, client: GitHubClient
) -> None:
    """The repetition of a request whose answer was lost is refused."""
    review = await reviewed(world, client, "request_changes")
    world.github.faults.add("PUT", "*/dismissals", Fault.ANSWER_LOST)
    assert await send(client, dismissal(world, review)) == review
    assert only(world).state == "DISMISSED"


async def test_a_dismissal_that_is_refused_is_final(world: World, client: GitHubClient) -> None:
    review = await reviewed(world, client, "request_changes")
    effect = dismissal(world, review)
    nothing = {"message": " ", "event": "DISMISS"}
    with pytest.raises(Refused, match="Message can't be blank"):
        await send(client, replace(effect, request={**effect.request, "body": nothing}))
    assert only(world).state == "CHANGES_REQUESTED"


async def test_putting_away_has_a_token_for_just_that(world: World, client: GitHubClient) -> None:
    effect = dismissal(world, await reviewed(world, client, "comment"))
    await send(client, effect)
    used = world.github.requests[-1]
    assert used.path == "/graphql"
    assert used.credential.repositories == frozenset({REPOSITORY})
    assert used.credential.permissions == {"metadata": "read", "pull_requests": "write"}
