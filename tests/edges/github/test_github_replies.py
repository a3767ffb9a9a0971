"""Answers to commands that were given in a thread on lines of the diff."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from covend.core.effects.acknowledge import Reaction, acknowledge_wish
from covend.core.model import Command, Effect, EffectKind
from covend.demo.github import Fault
from covend.demo.payloads import AUTHOR
from covend.demo.records import ReviewComment
from covend.edges.github.client import GitHubClient
from covend.edges.github.errors import NotFound, OutcomeUnknown
from tests.core.effects.effect_samples import KEY
from tests.core.effects.test_acknowledge import wish
from tests.edges.github.github_world import REPOSITORY, World, effect, look_up, send

SAID = Command(verb="status", text="", actor="mara", comment_id=0, place="review_comment")


def written(world: World, *, author: Any = AUTHOR, body: str = "x", top: int | None = None) -> int:
    """A comment in a thread; `top` is the one that began it."""
    at = world.clock.moment()
    comment = ReviewComment(
        id=next(world.github.state.ids),
        repository=REPOSITORY,
        number=7,
        review_id=1,
        author=author,
        body=body,
        path="README.md",
        commit_id=world.till.live_pull(7).head_sha,
        diff_hunk="@@ -1 +1 @@",
        position=1,
        line=1,
        in_reply_to=top,
        created_at=at,
        updated_at=at,
    )
    world.github.state.review_comments.append(comment)
    return comment.id


def reply(comment_id: int, words: str = "All is well.") -> Effect:
    said = replace(SAID, comment_id=comment_id)
    drafts = acknowledge_wish(wish(said), Reaction.DONE, key=KEY, words=words)
    (draft,) = [each for each in drafts if each.kind is EffectKind.COMMENT]
    return effect(draft)


def thread(world: World) -> list[tuple[str, int | None]]:
    shown = world.github.state.review_comments
    return [(each.body.partition("\n")[0], each.in_reply_to) for each in shown]


async def test_an_answer_stands_in_the_thread_of_its_command(
    world: World, client: GitHubClient
) -> None:
    first = written(world)
    sent = await send(client, reply(first))
    assert thread(world) == [("x", None), ("All is well.", first)]
    assert world.github.state.comments == []
    assert await look_up(client, reply(first)) == sent


async def test_a_command_in_a_reply_is_answered_below_what_began_the_thread(
    world: World, client: GitHubClient
) -> None:
    first = written(world)
    later = written(world, top=first)
    await send(client, reply(later))
    assert thread(world)[-1] == ("All is well.", first)


async def test_an_answer_is_edited_in_place(world: World, client: GitHubClient) -> None:
    first = written(world)
    sent = await send(client, reply(first))
    assert await send(client, reply(first, "All is done."), sent) == sent
    assert thread(world)[1:] == [("All is done.", first)]


async def test_ours_is_found_on_the_third_page_among_copies_of_its_marker(
    world: World, client: GitHubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("covend.edges.github.client.PAGE_SIZE", 10)
    first = written(world)
    wanted = reply(first)
    body = wanted.request["body"]["body"]
    for _ in range(25):
        written(world, body=body, top=first)
    assert await look_up(client, wanted) is None
    ours = written(world, author=world.github.state.app.bot, body=body, top=first)
    found = await look_up(client, wanted)
    assert found is not None
    assert found.remote_id == str(ours)


@pytest.mark.parametrize(("fault", "arrived"), [(Fault.ANSWER_LOST, True), (Fault.RESET, False)])
async def test_after_a_lost_answer_a_look_up_says_whether_to_reply_again(
    fault: Fault, arrived: bool, world: World, client: GitHubClient
) -> None:
    wanted = reply(written(world))
    world.github.faults.add("POST", "*/replies", fault)
    with pytest.raises(OutcomeUnknown):
        await send(client, wanted)
    assert (await look_up(client, wanted) is not None) == arrived


async def test_a_thread_that_is_gone_names_what_may_be_missing(
    world: World, client: GitHubClient
) -> None:
    with pytest.raises(NotFound, match=r"the thread is gone, or pull_requests=write") as raised:
        await send(client, reply(404))
    assert raised.value.status == 404
    assert world.asked("POST", "/replies") == []


async def test_a_reply_has_a_token_for_just_that(world: World, client: GitHubClient) -> None:
    await send(client, reply(written(world)))
    used = world.github.requests[-1].credential
    assert used.permissions == {"metadata": "read", "pull_requests": "write"}
    assert used.repositories == frozenset({REPOSITORY})
