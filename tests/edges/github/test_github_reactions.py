from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from covend.core.effects.acknowledge import Reaction, acknowledge_task, react_to_task
from covend.core.model import Command, Effect, EffectKind
from covend.core.scopes import GRANTS
from covend.demo.github import Fault
from covend.demo.payloads import AUTHOR
from covend.demo.records import Reaction as Given
from covend.edges.github.client import GitHubClient
from covend.edges.github.errors import MissingPermission, NotFound, OutcomeUnknown, Refused
from tests.core.effects.effect_samples import ISSUE, KEY, PULL, task
from tests.edges.github.github_world import REPOSITORY, World, effect, look_up, send
from tests.edges.github.scripted import Reply, ScriptedGitHub

COMMENT = 2_600_000_001
PLACES = {"issue_comment": "issues/comments", "review_comment": "pulls/comments"}


def reaction(
    place: str = "issue_comment", content: Reaction = Reaction.SEEN, **of_task: Any
) -> Effect:
    said = Command(verb="fix", text="", actor="mara", comment_id=COMMENT, place=place)
    (draft,) = acknowledge_task(task(command=said, **of_task), content, key=KEY)
    assert draft.kind is EffectKind.REACTION
    return effect(draft)


def given(world: World, author: Any, content: str) -> Given:
    return Given(
        id=next(world.github.state.ids),
        repository=REPOSITORY,
        subject="comment",
        subject_id=COMMENT,
        author=author,
        content=content,
        created_at=world.clock.moment(),
    )


@pytest.mark.parametrize("place", PLACES)
async def test_a_comment_gets_its_reaction_where_it_stands(
    place: str, world: World, client: GitHubClient
) -> None:
    wanted = reaction(place)
    sent = await send(client, wanted)
    (shown,) = world.github.state.reactions
    assert (shown.content, shown.author) == ("eyes", world.github.state.app.bot)
    assert sent.remote_id == str(shown.id)
    path = f"/repos/{REPOSITORY}/{PLACES[place]}/{COMMENT}/reactions"
    assert world.github.requests[-1].path == path
    assert await look_up(client, wanted) == sent


@pytest.mark.parametrize("place", PLACES)
async def test_what_was_not_sent_is_not_found(
    place: str, world: World, client: GitHubClient
) -> None:
    assert await look_up(client, reaction(place)) is None


async def test_a_reaction_that_is_there_is_not_given_twice(
    world: World, client: GitHubClient
) -> None:
    first = await send(client, reaction())
    assert await send(client, reaction()) == first
    assert world.github.requests[-1].status == 200
    assert len(world.github.state.reactions) == 1


async def test_a_lost_answer_leaves_the_outcome_open_until_it_is_looked_up(
    world: World, client: GitHubClient
) -> None:
    world.github.faults.add("POST", "*/reactions", Fault.ANSWER_LOST)
    with pytest.raises(OutcomeUnknown):
        await send(client, reaction())
    assert await look_up(client, reaction()) is not None


async def test_ours_is_found_on_the_third_page_among_those_of_others(
    world: World, client: GitHubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("covend.edges.github.client.PAGE_SIZE", 10)
    shown, own = world.github.state.reactions, world.github.state.app.bot
    shown += [given(world, AUTHOR, "eyes") for _ in range(25)]
    ours = given(world, own, "eyes")
    shown.append(ours)
    found = await look_up(client, reaction())
    assert found is not None
    assert found.remote_id == str(ours.id)
    assert len(world.asked("GET", "/reactions")) == 3


async def test_another_reaction_of_ours_is_not_this_one(world: World, client: GitHubClient) -> None:
    await send(client, reaction(content=Reaction.REFUSED))
    assert await look_up(client, reaction()) is None
    assert world.github.requests[-1].query["content"] == "eyes"


@pytest.mark.parametrize(
    ("place", "subject", "permission"),
    [
        ("issue_comment", PULL, "pull_requests"),
        ("issue_comment", ISSUE, "issues"),
        ("review_comment", PULL, "pull_requests"),
    ],
)
async def test_a_reaction_has_a_token_for_just_that(
    place: str, subject: Any, permission: str, world: World, client: GitHubClient
) -> None:
    await send(client, reaction(place, subject=subject))
    used = world.github.requests[-1].credential
    assert used.repositories == frozenset({REPOSITORY})
    assert used.permissions == {"metadata": "read", permission: "write"}
    assert GRANTS[EffectKind.REACTION][permission] == "write"


async def test_a_missing_permission_is_final_and_named(world: World, client: GitHubClient) -> None:
    world.github.state.permissions["pull_requests"] = "read"
    with pytest.raises(MissingPermission, match="pull_requests=write"):
        await send(client, reaction())


async def test_a_comment_that_is_not_found_names_what_may_be_missing(
    scripted: ScriptedGitHub,
) -> None:
    scripted.reply(Reply(status=404))
    with pytest.raises(
        NotFound, match=r"what is reacted to is gone, or pull_requests=write"
    ) as raised:
        await send(scripted.client, reaction())
    assert raised.value.status == 404


async def test_nobody_reacts_to_a_review(client: GitHubClient, world: World) -> None:
    wanted = reaction()
    asked = {**wanted.request, "place": "review"}
    with pytest.raises(Refused, match="review"):
        await send(client, replace(wanted, request=asked))
    assert world.github.requests == []


# --- on the pull request or issue itself ----------------------------------------------------------


def on_subject(content: Reaction = Reaction.SEEN, **of_task: Any) -> Effect:
    (draft,) = react_to_task(task(**of_task), content, key=KEY)
    return effect(draft)


async def test_what_nobody_commanded_is_reacted_to_on_its_pull_request(
    world: World, client: GitHubClient
) -> None:
    sent = await send(client, on_subject())
    (shown,) = world.github.state.reactions
    assert (shown.subject, shown.subject_id, shown.content) == ("issue", 7, "eyes")
    used = world.github.requests[-1].credential
    assert used.permissions == {"metadata": "read", "pull_requests": "write"}
    assert await look_up(client, on_subject()) == sent
    assert await look_up(client, on_subject(Reaction.DONE)) is None


async def test_a_reaction_that_covend_gave_before_is_not_even_asked_for(
    world: World, client: GitHubClient
) -> None:
    sent = await send(client, on_subject())
    count = len(world.github.requests)
    assert await send(client, on_subject(generation=2), sent) == sent
    assert len(world.github.requests) == count
