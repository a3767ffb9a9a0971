from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from covend.core.effects.labels import plan_labels
from covend.core.model import Effect, EffectKind
from covend.core.scopes import GRANTS
from covend.demo.github import Fault
from covend.demo.payloads import AUTHOR
from covend.demo.records import Issue
from covend.edges.github.client import GitHubClient, Sent
from covend.edges.github.errors import MissingPermission, NotFound, OutcomeUnknown
from tests.core.effects.effect_samples import ISSUE, ending, policy, task
from tests.edges.github.github_world import REPOSITORY, World, effect, look_up, send


def labels(*names: str, **of_task: Any) -> Effect:
    wished = ending(labels=names or ("bug", "needs tests"))
    (draft,) = plan_labels(task(**of_task), policy(EffectKind.LABELS), wished)
    return effect(draft)


def on_pull(world: World) -> list[str]:
    return [label.name for label in world.till.pulls[7].labels]


async def test_labels_are_added_beside_those_that_are_there(
    world: World, client: GitHubClient
) -> None:
    assert await send(client, labels("mine")) == Sent(remote_id="7")
    await send(client, labels())
    assert on_pull(world) == ["mine", "bug", "needs tests"]


async def test_an_issue_is_labelled_with_a_token_for_just_that(
    world: World, client: GitHubClient
) -> None:
    world.till.issues[9] = Issue(number=9, id=1, title="A bug", body=None, author=AUTHOR)
    wanted = labels(subject=ISSUE)
    await send(client, wanted)
    used = world.github.requests[-1].credential
    assert await look_up(client, wanted) is not None
    assert used.permissions == {"metadata": "read", "issues": "write"}
    assert used.repositories == frozenset({REPOSITORY})
    assert GRANTS[EffectKind.LABELS]["issues"] == "write"


async def test_what_was_not_sent_is_not_found(world: World, client: GitHubClient) -> None:
    await send(client, labels("bug"))
    assert await look_up(client, labels()) is None
    assert on_pull(world) == ["bug"]


@pytest.mark.parametrize(("fault", "arrived"), [(Fault.ANSWER_LOST, True), (Fault.RESET, False)])
async def test_after_a_lost_answer_a_look_up_says_whether_they_are_there(
    fault: Fault, arrived: bool, world: World, client: GitHubClient
) -> None:
    world.github.faults.add("POST", "*/labels", fault)
    with pytest.raises(OutcomeUnknown):
        await send(client, labels())
    assert (await look_up(client, labels()) is not None) == arrived
    await send(client, labels())
    assert on_pull(world) == ["bug", "needs tests"]


async def test_a_label_that_is_there_in_another_case_is_there(
    world: World, client: GitHubClient
) -> None:
    await send(client, labels("BUG", "Needs Tests"))
    assert await look_up(client, labels()) is not None


async def test_a_missing_permission_is_final_and_named(world: World, client: GitHubClient) -> None:
    world.github.state.permissions["pull_requests"] = "read"
    with pytest.raises(MissingPermission, match="pull_requests=write"):
        await send(client, labels())


async def test_a_pull_request_that_is_not_there_is_final(client: GitHubClient) -> None:
    wanted = labels()
    gone = replace(wanted, request={**wanted.request, "number": 404})
    with pytest.raises(NotFound):
        await send(client, gone)
