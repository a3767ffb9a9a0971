"""A task that follows another: asked for by the transaction that ends the first, and only there."""

from __future__ import annotations

import pytest

from covend.core.bounds import Retry
from covend.core.model import Event, Via
from covend.core.rules.routing import prepare
from covend.core.rules.verdicts import Routing
from covend.core.settings import Checkout
from covend.core.states import DeliveryState, TaskState
from covend.services.following import TOO_DEEP, Following
from covend.services.settling import Settlements
from covend.store.protocol import StoredDelivery, TaskStory
from tests.services.house import House, a_rule, an_agent
from tests.services.writing import writing
from tests.telemetry.book import Book


async def with_follower(house: House, *on: str, script: str = "true") -> None:
    """A rule whose end another rule may follow."""
    await house.adopt(a_rule(), an_agent(script, retry=Retry(attempts=1)))
    rule = a_rule(name="after", on=on, agent="next", publish=(), checkout=Checkout.NONE)
    await house.adopt(rule, an_agent(name="next"))


async def told(house: House) -> list[StoredDelivery]:
    """What covend has told itself, oldest first."""
    page, _ = await house.deliveries.page(limit=100)
    own = [each.id for each in reversed(page) if each.source == "covend"]
    return [found for each in own if (found := await house.deliveries.find(each))]


async def follower(house: House) -> TaskStory:
    (delivery,) = await told(house)
    (task,) = delivery.delivery.tasks
    return await house.story(task)


@pytest.mark.parametrize(("on", "script"), [("task.completed", "true"), ("task.failed", "exit 3")])
async def test_the_end_of_a_task_asks_for_the_one_that_follows(
    house: House, on: str, script: str
) -> None:
    await with_follower(house, on, script=script)
    story = await house.attempt()
    following = (await follower(house)).task
    (delivery,) = await told(house)
    assert (delivery.delivery.via, delivery.delivery.state) == (Via.API, DeliveryState.ROUTED)
    assert (following.rule, following.agent) == ("after", "next")
    assert (following.parent, following.depth) == (story.task.id, story.task.depth + 1)
    assert following.trust is story.task.trust
    assert following.subject.head_sha == story.task.subject.head_sha


async def test_the_follower_is_claimed_and_runs(house: House) -> None:
    await with_follower(house, "task.completed", script=writing(summary="First."))
    await house.attempt()
    await house.ripen()
    story = await house.run(await house.claim())
    assert (story.task.rule, story.task.state) == ("after", TaskState.COMPLETED)


@pytest.mark.parametrize(
    ("on", "script"), [("task.failed", "true"), ("task.completed", "exit 3"), ("push", "true")]
)
async def test_an_end_that_nobody_follows_is_not_kept(house: House, on: str, script: str) -> None:
    await with_follower(house, on, script=script)
    await house.attempt()
    assert await told(house) == []


async def test_what_goes_back_to_the_queue_has_not_ended(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Book(monkeypatch)
    await house.adopt(a_rule(), an_agent("exit 75"))
    await house.adopt(a_rule(name="after", on=("task.*",)), an_agent())
    await house.attempt()
    assert await told(house) == []
    assert [line for line in book.lines() if line["level"] == "error"] == []


async def test_an_end_that_is_written_otherwise_asks_for_nothing(house: House) -> None:
    """A cancelled task was followed as if it had been completed."""
    await with_follower(house, "task.completed")
    claim = await house.claimed()
    house.meddle("UPDATE tasks SET cancel_requested_at = 1, cancel_reason = 'operator'")
    story = await house.run(claim)
    assert story.task.state is TaskState.CANCELLED
    assert await told(house) == []


async def test_each_generation_of_a_task_is_followed_once(house: House) -> None:
    await with_follower(house, "task.failed", script="exit 3")
    story = await house.attempt()
    await house.tasks.retry(story.task.id, reason="operator", now=house.clock.now())
    claims = [await house.claim(), await house.claim()]
    (claim,) = [each for each in claims if each.task.id == story.task.id]
    await house.run(claim)
    ids = [each.delivery.id for each in await told(house)]
    assert len(ids) == len(set(ids)) == 2


async def test_a_chain_that_is_too_long_ends_where_somebody_can_see_it(house: House) -> None:
    await with_follower(house, "task.completed")
    rules = [policy.rule for policy in house.policies.values()]
    router = prepare(rules, house.policies, (), (), chain_depth=0)
    following = Following(route=router.route, clock=house.clock)
    house.settlements = Settlements(
        clock=house.clock, publishing=house.publishing, follow=following.arrival
    )
    await house.attempt()
    (delivery,) = await told(house)
    assert (delivery.delivery.state, delivery.delivery.reason) == (DeliveryState.IGNORED, TOO_DEEP)
    assert delivery.delivery.tasks == ()


async def test_rules_that_cannot_be_asked_keep_no_task_from_its_end(house: House) -> None:
    def route(_: Event) -> Routing:
        raise RuntimeError("a fault of covend's own")

    following = Following(route=route, clock=house.clock)
    house.settlements = Settlements(
        clock=house.clock, publishing=house.publishing, follow=following.arrival
    )
    await house.adopt(a_rule(), an_agent())
    assert (await house.attempt()).task.state is TaskState.COMPLETED


async def test_who_follows_is_woken(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[str] = []
    monkeypatch.setattr(house.wakeups.received, "wake", lambda: rung.append("received"))
    await with_follower(house, "task.completed")
    claim = await house.claimed()
    rung.clear()
    await house.run(claim)
    assert rung == ["received"]
