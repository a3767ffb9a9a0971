"""What another sender asks for is done like any work, and GitHub is asked nothing for it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from covend.core.intake import Refused, fold
from covend.core.model import DeliveryId, EffectKind, SubjectType, Task, Trust, Via
from covend.core.outside import Source
from covend.core.settings import Checkout, When
from covend.core.states import TaskState
from covend.edges.github.client import GitHubClient
from covend.store.protocol import Accepted
from tests.core.sources.foreign_samples import GITEA, GITEA_PULL, HEAD, gitea_headers
from tests.services.house import House, a_rule, an_agent
from tests.services.test_replaying import replayed

FORGE = replace(GITEA.source, name="forge", trust=Trust.MEMBER)
NEWER = "e" * 40


class Unasked(GitHubClient):
    """Fails whatever asks GitHub anything, even where a fault of GitHub's would be borne."""

    def __init__(self) -> None:
        """Have nothing."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"GitHub was asked: {name}")


async def adopt(house: House, **changes: Any) -> None:
    """Listen to the forge, with all that makes covend look at GitHub for a pull request."""
    plain = {
        "name": "mirror",
        "on": ("forge:pull_request",),
        "checkout": Checkout.NONE,
        "publish": (EffectKind.CALLBACK,),
    }
    await house.adopt(a_rule(**plain | changes), an_agent())


async def deliver(
    house: House, given: str = "1", source: Source = FORGE, head: str = HEAD, **pull: Any
) -> Accepted:
    payload = json.loads(json.dumps(GITEA_PULL))
    payload["pull_request"] |= pull
    payload["pull_request"]["head"]["sha"] = head
    body = json.dumps(payload).encode()
    headers = {**gitea_headers(body), "x-gitea-delivery": given}
    accepted = await house.intake().receive_from(source, fold(headers.items()), body)
    assert not isinstance(accepted, Refused)
    return accepted


async def the_task(house: House, accepted: Accepted) -> Task:
    (made,) = accepted.tasks
    return (await house.story(made)).task


async def test_the_work_is_done_without_a_question_to_github(house: House) -> None:
    await adopt(house, when=When(base=("master",), draft=False), supersede=True)
    task = await the_task(house, await deliver(house))
    assert (task.state, task.trust, task.needs) == (TaskState.QUEUED, Trust.MEMBER, frozenset())
    assert (task.repository, task.repository_id) == ("forge:gitea/webhooks", None)
    assert task.subject.type is SubjectType.PULL_REQUEST
    claim = await house.claim()
    house.client = Unasked()
    story = await house.run(claim)
    assert story.task.state is TaskState.COMPLETED
    assert story.attempts[0].error_code is None
    assert house.github.requests == []


async def test_a_stranger_waits_and_runs_once_approved_without_a_look_up(house: House) -> None:
    await adopt(house)
    accepted = await deliver(house, source=replace(FORGE, trust=Trust.NONE))
    await house.ripen()
    task = await the_task(house, accepted)
    assert (task.state, task.reason) == (TaskState.RECEIVED, "approval")
    assert house.github.requests == []


async def test_a_new_head_takes_the_place_of_the_one_before(house: House) -> None:
    await adopt(house)
    first = await deliver(house, updated_at="2026-11-21T12:00:00Z")
    second = await deliver(house, "2", head=NEWER, updated_at="2026-11-21T12:05:00Z")
    assert (await the_task(house, first)).state is TaskState.SUPERSEDED
    assert (await the_task(house, second)).state is TaskState.QUEUED


async def test_the_same_number_elsewhere_takes_nobodys_place(house: House) -> None:
    await adopt(house, on=("forge:pull_request", "other:pull_request"))
    first = await deliver(house, updated_at="2026-11-21T12:00:00Z")
    other = replace(FORGE, name="other")
    await deliver(house, source=other, head=NEWER, updated_at="2026-11-21T12:05:00Z")
    assert (await the_task(house, first)).state is TaskState.QUEUED


async def test_it_is_replayed_and_looked_at_again_from_what_was_kept(house: House) -> None:
    await adopt(house)
    accepted = await deliver(house)
    await house.run(await house.claim())
    again = await replayed(house, DeliveryId(accepted.delivery))
    stored = await house.deliveries.find(again.delivery)
    assert stored is not None
    assert (stored.delivery.via, stored.delivery.source) == (Via.REPLAY, "forge")
    assert stored.delivery.event == "forge:pull_request"
    task = await the_task(house, again)
    assert (task.state, task.trust, task.generation) == (TaskState.QUEUED, Trust.MEMBER, 2)


async def test_what_follows_its_end_knows_no_repository_of_githubs(house: House) -> None:
    await adopt(house)
    await house.adopt(a_rule(name="after", on=("task.completed",)), an_agent())
    await deliver(house)
    await house.run(await house.claim())
    found, _ = await house.tasks.page(limit=10)
    (follower,) = [task for task in found if task.rule == "after"]
    assert (follower.repository, follower.installation_id) == (None, None)
    await house.ripen()
    assert house.github.requests == []


async def test_a_repository_of_that_name_is_not_taken_for_githubs(house: House) -> None:
    await adopt(house)
    await deliver(house)
    assert await house.tasks.repository("gitea/webhooks") is None
    assert await house.tasks.repository("forge:gitea/webhooks") is None
