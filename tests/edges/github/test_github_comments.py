from __future__ import annotations

from dataclasses import replace

from covend.core.effects.acknowledge import Reaction, acknowledge_task
from covend.core.model import Command, EffectKind
from covend.demo.payloads import AUTHOR
from covend.edges.github.client import GitHubClient
from tests.core.effects.effect_samples import ISSUE, KEY, ending, task
from tests.edges.github.github_world import (
    World,
    effect,
    look_up,
    send,
)


async def test_the_comment_is_edited_in_place(world: World, client: GitHubClient) -> None:
    first = await send(client, world.end(EffectKind.COMMENT, ending(summary="One.")))
    later = world.end(EffectKind.COMMENT, ending(summary="Two."), generation=2)
    assert await send(client, later, first) == first
    (shown,) = world.github.state.comments
    assert "Two." in shown.body
    assert "One." not in shown.body
    assert await look_up(client, later) == first


async def test_a_comment_that_was_deleted_is_written_anew(
    world: World, client: GitHubClient
) -> None:
    first = await send(client, world.end(EffectKind.COMMENT))
    world.github.state.comments.clear()
    second = await send(client, world.end(EffectKind.COMMENT), first)
    assert second.remote_id != first.remote_id
    assert len(world.github.state.comments) == 1


async def test_with_a_plain_token_the_comment_is_its_owners(world: World) -> None:
    client, effect = world.client_with_token(), world.end(EffectKind.COMMENT)
    sent = await send(client, effect)
    assert world.github.state.comments[0].author == AUTHOR
    assert await look_up(client, effect) == sent


async def test_an_issue_is_commented_with_the_permission_for_issues(
    world: World, client: GitHubClient
) -> None:
    effect = world.end(EffectKind.COMMENT)
    request = {**effect.request, "on": ISSUE.type}
    await send(client, replace(effect, request=request))
    assert world.github.requests[-1].credential.permissions == {
        "metadata": "read",
        "issues": "write",
    }


async def test_what_stands_for_a_reaction_to_a_review_is_found_again_and_edited(
    world: World, client: GitHubClient
) -> None:
    said = Command(verb="fix", text="", actor="mara", comment_id=12, place="review")
    seen, refused = (
        effect(*acknowledge_task(task(command=said, generation=each), sign, key=KEY))
        for each, sign in enumerate((Reaction.SEEN, Reaction.REFUSED), start=1)
    )
    first = await send(client, seen)
    assert await look_up(client, seen) == first
    assert await send(client, refused, first) == first
    (shown,) = world.github.state.comments
    assert shown.body.startswith("👎 `fix`\n")
    assert await look_up(client, seen) is None
