from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from covend.core.model import EffectKind
from covend.core.scopes import GRANTS
from covend.demo.github import Fault
from covend.demo.payloads import AUTHOR
from covend.demo.records import IssueComment, Review
from covend.edges.github.client import GitHubClient
from covend.edges.github.errors import (
    MissingPermission,
    OutcomeUnknown,
    TooManyPages,
)
from tests.edges.github.github_world import (
    REPOSITORY,
    World,
    look_up,
    send,
    visible,
)

KINDS = (EffectKind.CHECK, EffectKind.COMMENT, EffectKind.REVIEW)
IDS = count(1)


def comment(world: World, author: Any, body: str) -> IssueComment:
    at = world.clock.moment()
    return IssueComment(
        id=next(IDS),
        repository=REPOSITORY,
        number=7,
        author=author,
        body=body,
        created_at=at,
        updated_at=at,
    )


def a_review(world: World, author: Any, body: str) -> Review:
    return Review(
        id=next(IDS),
        repository=REPOSITORY,
        number=7,
        author=author,
        body=body,
        state="COMMENTED",
        commit_id=world.till.live_pull(7).head_sha,
    )


# --- every surface --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_sent_is_found_again_where_it_is(
    kind: EffectKind, world: World, client: GitHubClient
) -> None:
    effect = world.end(kind)
    sent = await send(client, effect)
    assert await look_up(client, effect) == sent
    assert sent.remote_url is not None
    assert sent.remote_url.startswith(world.github.state.site.web)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_not_sent_is_not_found(
    kind: EffectKind, world: World, client: GitHubClient
) -> None:
    assert await look_up(client, world.end(kind)) is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fault", "arrived"),
    [
        (Fault.RESET, False),
        (Fault.ERROR_500, False),
        (Fault.ANSWER_LOST, True),
        (Fault.ERROR_500_APPLIED, True),
    ],
)
async def test_after_a_lost_answer_a_look_up_says_whether_to_send_again(
    fault: Fault, arrived: bool, kind: EffectKind, world: World, client: GitHubClient
) -> None:
    effect = world.end(kind)
    world.github.faults.add("POST", "/repos/*", fault)
    with pytest.raises(OutcomeUnknown):
        await send(client, effect)
    found = await look_up(client, effect)
    assert (found is not None) == arrived
    if found is None:
        await send(client, effect)
    assert len(visible(world, kind)) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_another_generation_of_the_task_is_not_taken_for_this_one(
    kind: EffectKind, world: World, client: GitHubClient
) -> None:
    await send(client, world.end(kind))
    assert await look_up(client, world.end(kind, generation=2)) is None


@pytest.mark.parametrize("kind", [*KINDS, EffectKind.STATUS])
async def test_every_try_sends_the_same_bytes(
    kind: EffectKind, world: World, client: GitHubClient
) -> None:
    effect = world.end(kind)
    for _ in range(2):
        await send(client, effect)
    first, second = [each.body for each in world.github.requests if "/repos/" in each.path]
    assert first == second


@pytest.mark.parametrize("kind", [*KINDS, EffectKind.STATUS])
async def test_a_write_has_a_token_for_just_that(
    kind: EffectKind, world: World, client: GitHubClient
) -> None:
    effect = world.end(kind)
    await send(client, effect)
    await look_up(client, effect)
    granted = {"metadata": "read", **GRANTS[kind]}
    for request in world.github.requests:
        allowed = dict.fromkeys(granted, "read") if request.method == "GET" else granted
        if "/repos/" in request.path:
            assert request.credential.repositories == frozenset({REPOSITORY})
            assert request.credential.permissions is not None
            assert request.credential.permissions.items() <= allowed.items()


async def test_a_permission_that_was_taken_away_is_final(
    world: World, client: GitHubClient
) -> None:
    world.github.state.permissions["checks"] = "read"
    with pytest.raises(MissingPermission):
        await send(client, world.end(EffectKind.CHECK))


# --- found by a marker ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "make"), [(EffectKind.COMMENT, comment), (EffectKind.REVIEW, a_review)]
)
async def test_ours_is_found_on_the_third_page_between_copies_of_its_marker(
    kind: EffectKind,
    make: Callable[..., Any],
    world: World,
    client: GitHubClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("covend.edges.github.client.PAGE_SIZE", 10)
    effect, shown = world.end(kind), visible(world, kind)
    body, own = effect.request["body"]["body"], world.github.state.app.bot
    shown += [make(world, AUTHOR, body) for _ in range(12)]
    shown += [make(world, own, f"> {effect.request['marker']}") for _ in range(6)]
    shown += [make(world, own, "something else") for _ in range(6)]
    ours = make(world, own, body.replace("\n", "\r\n"))
    shown += [ours, *(make(world, AUTHOR, body) for _ in range(3))]
    found = await look_up(client, effect)
    assert found is not None
    assert found.remote_id == str(ours.id)
    listing = "/comments" if kind is EffectKind.COMMENT else "/reviews"
    assert len(world.asked("GET", listing)) == 3


@pytest.mark.parametrize(
    ("kind", "make"), [(EffectKind.COMMENT, comment), (EffectKind.REVIEW, a_review)]
)
async def test_a_copied_marker_is_not_ours(
    kind: EffectKind, make: Callable[..., Any], world: World, client: GitHubClient
) -> None:
    effect, other = world.end(kind), world.end(kind, repository_id=43)
    own = world.github.state.app.bot
    visible(world, kind).extend(
        [
            make(world, AUTHOR, effect.request["body"]["body"]),
            make(world, own, f"> {effect.request['marker']}"),
            make(world, own, other.request["body"]["body"]),
        ]
    )
    assert await look_up(client, effect) is None


async def test_a_list_too_long_to_read_is_an_error_and_not_absence(
    world: World, client: GitHubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.github.state.comments += [comment(world, AUTHOR, "x") for _ in range(101)]
    monkeypatch.setattr(GitHubClient.pages, "__kwdefaults__", {**PAGES_DEFAULTS, "pages_max": 1})
    with pytest.raises(TooManyPages):
        await look_up(client, world.end(EffectKind.COMMENT))


PAGES_DEFAULTS: dict[str, Any] = dict(GitHubClient.pages.__kwdefaults__ or {})
