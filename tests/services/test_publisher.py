"""Each effect appears once: whatever GitHub does in between, and in the order of its subject."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest
from msgspec import structs

from covend.core.errors import StoreBusyError
from covend.core.model import Effect, EffectId, EffectKind, Moment
from covend.core.states import EffectState, Outcome, TaskState
from covend.demo import payloads
from covend.demo.github import Fault
from covend.services.publisher import Publisher
from covend.services.sending import FIRST_LOOK_MS, SECOND_LOOK_MS
from covend.store.effects import StoredEffects
from tests.services.house import CHECK, COMMENT, REVIEW, House, a_rule, an_agent, an_ending

FIRST_LOOK_S, SECOND_LOOK_S = FIRST_LOOK_MS / 1000, SECOND_LOOK_MS / 1000
WITHIN_S = 10.0


@asynccontextmanager
async def running(publisher: Publisher) -> AsyncIterator[None]:
    async with anyio.create_task_group() as group:
        group.start_soon(publisher.run)
        yield
        group.cancel_scope.cancel()


async def adopt(house: House, *publish: EffectKind) -> None:
    await house.adopt(a_rule(publish=publish), an_agent())


async def test_an_effect_is_sent_once_and_its_place_is_remembered(house: House) -> None:
    await adopt(house, REVIEW)
    await house.settled()
    await house.publish()
    (review,) = house.github.state.reviews
    sent = await house.effect()
    assert (sent.state, sent.remote_id) == (EffectState.DONE, str(review.id))
    assert sent.remote_url is not None


async def test_an_answer_that_is_lost_is_looked_up_and_not_sent_again(house: House) -> None:
    await adopt(house, REVIEW)
    await house.settled()
    house.github.faults.add("POST", "*/reviews", Fault.ANSWER_LOST)
    await house.publish()
    assert await house.states() == [EffectState.UNKNOWN]

    house.clock.turn(s=FIRST_LOOK_S)
    await house.publish()
    assert await house.states() == [EffectState.DONE]
    assert len(house.github.state.reviews) == len(house.posted("/reviews")) == 1


async def test_nothing_is_looked_up_before_replicas_can_know(house: House) -> None:
    await adopt(house, REVIEW)
    await house.settled()
    house.github.faults.add("POST", "*/reviews", Fault.ANSWER_LOST)
    await house.publish()
    house.clock.turn(s=FIRST_LOOK_S - 0.001)
    await house.publish()
    assert house.posted("/reviews", "GET") == []


async def test_what_is_absent_twice_is_sent_again_byte_for_byte(house: House) -> None:
    await adopt(house, REVIEW)
    await house.settled()
    house.github.faults.add("POST", "*/reviews", Fault.RESET)
    await house.publish()
    house.clock.turn(s=FIRST_LOOK_S)
    await house.publish()
    assert await house.states() == [EffectState.UNKNOWN]
    assert len(house.posted("/reviews")) == 1

    house.clock.turn(s=SECOND_LOOK_S - FIRST_LOOK_S)
    await house.publish()
    first, second = house.posted("/reviews")
    assert first == second
    assert len(house.github.state.reviews) == 1
    assert await house.states() == [EffectState.DONE]


async def test_what_shows_up_late_is_found_by_the_second_look(house: House) -> None:
    await adopt(house, REVIEW)
    await house.settled()
    house.github.faults.add("POST", "*/reviews", Fault.ANSWER_LOST)
    await house.publish()
    late = house.github.state.reviews.pop()
    house.clock.turn(s=FIRST_LOOK_S)
    await house.publish()
    house.github.state.reviews.append(late)
    house.clock.turn(s=SECOND_LOOK_S - FIRST_LOOK_S)
    await house.publish()
    assert await house.states() == [EffectState.DONE]
    assert len(house.posted("/reviews")) == 1


async def test_a_look_up_that_fails_proves_nothing(house: House) -> None:
    await adopt(house, REVIEW)
    await house.settled()
    house.github.faults.add("POST", "*/reviews", Fault.ANSWER_LOST)
    await house.publish()
    house.github.faults.add("GET", "*/reviews", Fault.ERROR_500, times=3)
    for _ in range(3):
        house.clock.turn(s=SECOND_LOOK_S)
        await house.publish()
        assert await house.states() == [EffectState.UNKNOWN]
    house.clock.turn(s=SECOND_LOOK_S)
    await house.publish()
    assert await house.states() == [EffectState.DONE]
    assert len(house.posted("/reviews")) == 1


async def test_somebody_elses_review_with_our_marker_is_not_ours(house: House) -> None:
    """Who quotes a review's source also quotes its marker."""
    await adopt(house, REVIEW)
    await house.settled()
    house.github.faults.add("POST", "*/reviews", Fault.ANSWER_LOST)
    await house.publish()
    reviews = house.github.state.reviews
    reviews[0] = replace(reviews[0], author=payloads.MAINTAINER)
    for seconds in (FIRST_LOOK_S, SECOND_LOOK_S - FIRST_LOOK_S):
        house.clock.turn(s=seconds)
        await house.publish()
    assert len(house.posted("/reviews")) == 2


@pytest.mark.parametrize("fault", [Fault.RATE_LIMITED_429, Fault.SECONDARY_403])
async def test_nothing_is_sent_before_github_lets_us(house: House, fault: Fault) -> None:
    other = house.open_pull()
    await adopt(house, REVIEW)
    await house.settled()
    house.github.faults.add("POST", "*/reviews", fault, seconds=30)
    await house.publish()
    await house.settled(number=other.number)
    house.clock.turn(s=29)
    asked = len(house.github.requests)
    await house.publish()
    assert len(house.github.requests) == asked

    house.clock.turn(s=1)
    await house.publish()
    assert await house.states() == [EffectState.DONE, EffectState.DONE]
    assert len(house.github.state.reviews) == 2


async def test_a_missing_permission_is_final_and_says_which(house: House) -> None:
    await adopt(house, CHECK)
    house.github.state.permissions["checks"] = "read"
    await house.settled()
    await house.publish()
    failed = await house.effect(CHECK)
    assert failed.state is EffectState.FAILED
    assert "checks=write" in (failed.error or "")
    house.clock.turn(s=3600)
    await house.publish()
    assert house.posted("/check-runs") == []


async def test_a_refusal_is_final_and_says_why(house: House) -> None:
    await adopt(house, CHECK)
    claim = await house.claimed()
    gone = replace(claim.task, subject=structs.replace(claim.task.subject, head_sha="0" * 40))
    await house.announce(replace(claim, task=gone))
    await house.publish()
    failed = await house.effect(CHECK)
    assert failed.state is EffectState.FAILED
    assert "422" in (failed.error or "")
    assert len(house.posted("/check-runs")) == 1


async def test_a_failed_effect_does_not_hold_up_the_next_of_its_subject(house: House) -> None:
    await adopt(house, CHECK, REVIEW)
    house.github.state.permissions["pull_requests"] = "read"
    await house.settled()
    await house.publish()
    assert {each.kind: each.state for each in await house.outbox()} == {
        REVIEW: EffectState.FAILED,
        CHECK: EffectState.DONE,
    }


async def test_effects_of_a_subject_leave_in_the_order_of_their_plan(house: House) -> None:
    """Ids of one moment were in any order, so that the check was concluded before the review."""
    await house.adopt(a_rule(publish=(CHECK, COMMENT, REVIEW)), an_agent("echo Fine."))
    await house.attempt()
    await house.publish()
    written = [each.path for each in house.github.requests if each.method in {"POST", "PATCH"}]
    nouns = [path.split("/")[4] for path in written if path.startswith("/repos/")]
    assert nouns == ["check-runs", "pulls", "issues", "check-runs"]
    assert [each.kind for each in await house.outbox()] == [CHECK, REVIEW, COMMENT, CHECK]


async def test_a_doubtful_effect_holds_up_the_next_of_its_subject_only(house: House) -> None:
    other = house.open_pull()
    await adopt(house, CHECK, REVIEW)
    await house.settled()
    await house.settled(number=other.number)
    house.github.faults.add("POST", "*/pulls/7/reviews", Fault.ANSWER_LOST)
    await house.publish()
    states = {(each.target, each.kind): each.state for each in await house.outbox()}
    assert states == {
        ("acme/till#7", REVIEW): EffectState.UNKNOWN,
        ("acme/till#7", CHECK): EffectState.PENDING,
        (f"acme/till#{other.number}", REVIEW): EffectState.DONE,
        (f"acme/till#{other.number}", CHECK): EffectState.DONE,
    }
    house.clock.turn(s=FIRST_LOOK_S)
    await house.publish()
    assert set(await house.states()) == {EffectState.DONE}


async def test_a_slow_answer_holds_up_its_own_subject_only(house: House) -> None:
    """Everything waited for the slowest request of a round."""
    other = house.open_pull()
    await adopt(house, REVIEW)
    await house.settled()
    held = house.github.faults.add("POST", "*/pulls/7/reviews", Fault.HELD)
    async with running(house.publisher()):
        await held.reached.wait()
        await house.settled(number=other.number)
        house.wakeups.effects.wake()
        await house.github.wait_for(lambda: house.github.state.reviews, within_s=WITHIN_S)
        assert [each.number for each in house.github.state.reviews] == [other.number]
        held.release()
        await house.github.wait_for(lambda: len(house.github.state.reviews) == 2, within_s=WITHIN_S)


async def test_a_check_is_concluded_in_the_place_where_it_began(house: House) -> None:
    await adopt(house, CHECK)
    await house.attempt()
    await house.publish()
    (run,) = house.github.state.check_runs
    assert run.conclusion == "success"
    assert len(house.posted("/check-runs")) == 1


class Busy(StoredEffects):
    """The outbox of a store that another program holds for a moment."""

    def __init__(self, house: House) -> None:
        super().__init__(house.connection)
        self.refusals = 1

    async def begin(self, effect: EffectId, now: Moment) -> Effect | None:
        if self.refusals:
            self.refusals -= 1
            raise StoreBusyError
        return await super().begin(effect, now)


async def test_a_busy_store_does_not_end_the_publisher(house: House) -> None:
    """A store error in one of several sends came as a group, which nobody caught."""
    await adopt(house, REVIEW)
    await house.settled()
    busy = Busy(house)
    async with running(house.publisher(busy)):
        await house.github.wait_for(lambda: house.github.state.reviews, within_s=WITHIN_S)
    assert busy.refusals == 0


async def test_an_agents_failure_publishes_no_review(house: House) -> None:
    await adopt(house, CHECK, REVIEW)
    await house.settled(an_ending(outcome=Outcome.FAILED), target=TaskState.FAILED)
    await house.publish()
    assert house.github.state.reviews == []
    (run,) = house.github.state.check_runs
    assert run.conclusion == "failure"


async def test_a_drain_sends_what_is_due_and_waits_for_its_answer(house: House) -> None:
    await adopt(house, CHECK, REVIEW)
    await house.settled()
    held = house.github.faults.add("POST", "*/reviews", Fault.HELD)
    publisher = house.publisher()
    async with anyio.create_task_group() as group:
        group.start_soon(publisher.run)
        await held.reached.wait()
        publisher.drain()
        held.release()
        await publisher.drained(WITHIN_S)
    assert set(await house.states()) == {EffectState.DONE}


async def test_a_drain_waits_no_longer_than_it_may(house: House) -> None:
    await adopt(house, REVIEW)
    await house.settled()
    held = house.github.faults.add("POST", "*/reviews", Fault.HELD)
    publisher = house.publisher()
    async with running(publisher):
        await held.reached.wait()
        publisher.drain()
        await publisher.drained(0.05)
    assert await house.states() == [EffectState.SENDING]
