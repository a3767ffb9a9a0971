"""Findings are published for the head they are about, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any

import anyio
import orjson
import pytest

from covend.core.model import Effect, EffectKind, Task
from covend.core.states import EffectState, TaskState
from covend.demo.github import FOREVER, Fault
from covend.demo.github.faults import Planned
from covend.services.fencing import FENCE, HEAD_MOVED
from covend.services.publisher import Publisher
from covend.services.sending import FIRST_LOOK_MS, RETRY_MS, TRIES_MAX
from covend.services.side_by_side import SideBySide
from covend.services.wakeups import Wakeup
from covend.store.effects import StoredEffects
from tests.services.house import AT_ONCE, CHECK, COMMENT, REVIEW, House, a_rule, an_agent

DONE, FAILED = EffectState.DONE, EffectState.FAILED
PENDING, WITHHELD = EffectState.PENDING, EffectState.WITHHELD
PULL = "*/pulls/7"
WITHIN_S = 10.0


async def fenced(house: House) -> Task:
    """A review, a comment and a check that wait, of which the first two are about one head."""
    await house.adopt(a_rule(publish=(CHECK, COMMENT, REVIEW)), an_agent())
    claim = await house.claimed()
    await house.announce(claim)
    await house.publish()
    await house.settle(claim)
    head = {"number": 7, "head_sha": claim.task.subject.head_sha}
    for each in await house.outbox():
        if each.kind in {COMMENT, REVIEW}:
            request = orjson.dumps({**each.request, FENCE: head})
            house.meddle(
                "UPDATE effects SET request = :request WHERE id = :id", request=request, id=each.id
            )
    return claim.task


def push(house: House) -> None:
    """Somebody pushes, and the webhook is late."""
    house.till.git.push(7, {"README.md": "Pushed.\n"}, "One more")
    house.till.refresh_pulls()


async def published_at_last(house: House) -> None:
    """GitHub is asked twice: it answers from replicas."""
    await house.publish()
    house.clock.turn(s=FIRST_LOOK_MS / 1000)
    await house.publish()


async def seen(house: House) -> dict[EffectKind, EffectState]:
    """The newest effect of each kind."""
    return {each.kind: each.state for each in await house.outbox()}


async def one_round(house: House, publisher: Publisher) -> None:
    async with anyio.create_task_group() as group:
        sends = SideBySide(group, at_once=AT_ONCE, bell=Wakeup())
        await publisher.publish_due(sends)


async def test_what_is_about_the_live_head_is_published(house: House) -> None:
    await fenced(house)
    await house.publish()
    assert await seen(house) == {CHECK: DONE, COMMENT: DONE, REVIEW: DONE}
    assert len(house.posted("/pulls/7", "GET")) == 2


async def test_findings_on_a_head_that_moved_are_withheld_and_the_check_is_neutral(
    house: House,
) -> None:
    task = await fenced(house)
    push(house)
    await published_at_last(house)
    assert await seen(house) == {CHECK: DONE, COMMENT: WITHHELD, REVIEW: WITHHELD}
    assert (house.posted("/reviews"), house.posted("/comments")) == ([], [])
    (run,) = house.github.state.check_runs
    assert run.conclusion == "neutral"
    ended = (await house.story(task.id)).task
    assert (ended.state, ended.reason) == (TaskState.SUPERSEDED, HEAD_MOVED)


async def test_a_replica_that_has_not_heard_of_the_head_yet_supersedes_nothing(
    house: House,
) -> None:
    """Work on the live head was dropped for good, because GitHub told an older one once."""
    task = await fenced(house)
    branch = f"refs/heads/{house.till.pulls[7].head_ref}"
    live = house.till.git.commit_at(branch)
    house.till.git.set_ref(branch, house.till.git.commit_at(f"{live}~1"))
    house.till.refresh_pulls()
    await house.publish()
    review = await house.effect()
    assert (review.state, review.tries) == (PENDING, 0)
    house.till.git.set_ref(branch, live)
    house.till.refresh_pulls()
    house.clock.turn(s=FIRST_LOOK_MS / 1000)
    await house.publish()
    assert await seen(house) == {CHECK: DONE, COMMENT: DONE, REVIEW: DONE}
    assert (await house.story(task.id)).task.state is TaskState.COMPLETED


async def test_who_is_called_back_about_a_withdrawn_task_is_called_at_once(house: House) -> None:
    await fenced(house)
    push(house)
    house.wakeups.callbacks = Wakeup()
    await published_at_last(house)
    begun = monotonic()
    await house.wakeups.callbacks.wait(WITHIN_S)
    assert monotonic() - begun < WITHIN_S


async def test_a_head_that_moves_between_two_findings_withholds_the_second(house: House) -> None:
    await fenced(house)
    publisher = house.publisher()
    await one_round(house, publisher)
    push(house)
    await published_at_last(house)
    assert await seen(house) == {CHECK: DONE, COMMENT: WITHHELD, REVIEW: DONE}
    (run,) = house.github.state.check_runs
    assert run.conclusion == "neutral"


async def test_where_the_head_cannot_be_read_nothing_leaves_and_no_try_is_used(
    house: House,
) -> None:
    await fenced(house)
    house.github.faults.add("GET", PULL, Fault.ERROR_500, times=3)
    publisher = house.publisher()
    for wait_ms in RETRY_MS[:3]:
        await one_round(house, publisher)
        review = await house.effect()
        assert (review.state, review.tries) == (PENDING, 0)
        assert review.not_before_at == house.clock.now() + wait_ms
        assert "the live head" in (review.error or "")
        assert house.posted("/reviews") == []
        house.clock.turn(s=wait_ms / 1000)
    await house.publish()
    assert await seen(house) == {CHECK: DONE, COMMENT: DONE, REVIEW: DONE}


async def test_a_limit_met_while_the_head_is_read_holds_the_effect_and_uses_no_try(
    house: House,
) -> None:
    await fenced(house)
    house.github.faults.add("GET", PULL, Fault.RATE_LIMITED_429, seconds=7)
    await house.publish()
    review = await house.effect()
    assert (review.state, review.tries) == (PENDING, 0)
    assert review.not_before_at == house.clock.now() + 7_000
    house.clock.turn(s=7)
    await house.publish()
    assert await seen(house) == {CHECK: DONE, COMMENT: DONE, REVIEW: DONE}


async def test_a_head_that_can_never_be_read_holds_up_its_subject_for_a_while_only(
    house: House,
) -> None:
    await fenced(house)
    house.github.faults.add("GET", PULL, Fault.ERROR_500, FOREVER)
    publisher = house.publisher()
    for _ in range(2 * TRIES_MAX + 1):
        await one_round(house, publisher)
        house.clock.turn(s=RETRY_MS[-1] / 1000)
    assert await seen(house) == {CHECK: DONE, COMMENT: FAILED, REVIEW: FAILED}
    assert "the live head" in ((await house.effect()).error or "")


async def test_a_head_that_covend_may_not_read_fails_at_once_and_says_why(house: House) -> None:
    await fenced(house)
    house.github.state.permissions.pop("pull_requests")
    house.client = house.new_client()
    await house.publish()
    assert await seen(house) == {CHECK: DONE, COMMENT: FAILED, REVIEW: FAILED}
    assert "the live head cannot be read" in ((await house.effect()).error or "")


@pytest.mark.parametrize("is_absent", [True, False])
async def test_a_review_that_was_under_way_when_the_head_moved_is_never_sent_again(
    house: House, is_absent: bool
) -> None:
    """Its outcome is looked up all the same: what is visible is known to be."""
    await fenced(house)
    fault = Fault.RESET if is_absent else Fault.ANSWER_LOST
    house.github.faults.add("POST", "*/reviews", fault)
    await house.publish()
    assert (await seen(house))[REVIEW] is EffectState.UNKNOWN
    push(house)
    for _ in range(3):
        house.clock.turn(s=60)
        await house.publish()
    assert await seen(house) == {
        CHECK: DONE,
        COMMENT: WITHHELD,
        REVIEW: WITHHELD if is_absent else DONE,
    }
    assert len(house.posted("/reviews")) == 1
    (run,) = house.github.state.check_runs
    assert run.conclusion == "neutral"


class Late(StoredEffects):
    """Tells what it has read only once that has come to an end."""

    def __init__(self, house: House, bell: Wakeup, held: Planned) -> None:
        super().__init__(house.connection)
        self._bell, self._held = bell, held
        self.is_late = False

    async def sendable(self, **asked: Any) -> Sequence[Effect]:
        found = await super().sendable(**asked)
        if self.is_late:
            self._held.release()
            await self._bell.wait(WITHIN_S)
        return found


async def test_what_has_come_to_an_end_since_it_was_read_is_not_begun_anew(house: House) -> None:
    await fenced(house)
    held = house.github.faults.add("GET", PULL, Fault.HELD)
    bell = Wakeup()
    async with anyio.create_task_group() as group:
        sends = SideBySide(group, at_once=AT_ONCE, bell=bell)
        late = Late(house, bell, held)
        publisher = house.publisher(late)
        await publisher.publish_due(sends)
        await held.reached.wait()
        late.is_late = True
        await publisher.publish_due(sends)
    assert len(house.posted("/pulls/7", "GET")) == len(house.posted("/reviews")) == 1
