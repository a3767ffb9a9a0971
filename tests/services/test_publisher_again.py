"""What could not be published is an operator's: sent again once what stood in its way is mended,
and never twice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from covend.core.errors import ConflictError, NotFoundError
from covend.core.model import Effect
from covend.core.states import EffectState
from covend.demo import payloads
from covend.demo.github import FOREVER, Fault
from covend.demo.records import Account, IssueComment
from covend.edges.github.surfaces import SURFACES
from covend.services.resending import Resending
from covend.services.sending import RETRY_MS, TRIES_MAX
from covend.store.effects import StoredEffects
from tests.services.house import CHECK, COMMENT, REVIEW, House, a_rule, an_agent

PAGES = 3


def resending(house: House) -> Resending:
    return Resending(effects=house.effects, clock=house.clock, wakeups=house.wakeups)


async def failed(house: House, *, is_visible: bool) -> Effect:
    """A review that was given up, because nobody could say whether it had arrived."""
    await house.adopt(a_rule(publish=(REVIEW,)), an_agent())
    await house.settled()
    fault = Fault.ANSWER_LOST if is_visible else Fault.RESET
    house.github.faults.add("POST", "*/reviews", fault)
    look_ups = house.github.faults.add("GET", "*/reviews", Fault.ERROR_500, FOREVER)
    for _ in range(TRIES_MAX + 2):
        await house.publish()
        house.clock.turn(s=RETRY_MS[-1] / 1000)
    look_ups.times = 0
    given_up = await house.effect()
    assert given_up.state is EffectState.FAILED
    return given_up


async def test_what_was_refused_is_published_once_the_permission_is_there(house: House) -> None:
    await house.adopt(a_rule(publish=(CHECK,)), an_agent())
    house.github.state.permissions["checks"] = "read"
    await house.settled()
    await house.publish()
    refused = await house.effect(CHECK)
    assert refused.state is EffectState.FAILED

    house.github.state.permissions["checks"] = "write"
    house.client = house.new_client()
    again = await resending(house).retry(refused.id[:24], "the permission is there")
    assert (again.id, again.state) == (refused.id, EffectState.PENDING)
    await house.publish()
    assert (await house.effect(CHECK)).state is EffectState.DONE
    assert len(house.github.state.check_runs) == 1


@pytest.mark.parametrize("is_visible", [True, False])
async def test_what_may_be_visible_is_looked_up_before_it_is_sent_again(
    house: House, is_visible: bool
) -> None:
    given_up = await failed(house, is_visible=is_visible)
    await resending(house).retry(given_up.id)
    for _ in range(3):
        await house.publish()
        house.clock.turn(s=60)
    assert await house.states() == [EffectState.DONE]
    assert len(house.github.state.reviews) == 1
    assert len(house.posted("/reviews")) == (1 if is_visible else 2)


async def test_only_what_has_failed_is_sent_again(house: House) -> None:
    await house.adopt(a_rule(publish=(REVIEW,)), an_agent())
    await house.settled()
    waits = await house.effect()
    with pytest.raises(ConflictError, match="without being asked for"):
        await resending(house).retry(waits.id)
    await house.publish()
    with pytest.raises(ConflictError, match="it is visible"):
        await resending(house).retry(waits.id)
    with pytest.raises(NotFoundError, match="no effect zz"):
        await resending(house).retry("zz")
    assert len(house.posted("/reviews")) == 1


async def test_a_kind_that_nothing_can_publish_fails_and_the_next_goes_on(house: House) -> None:
    """It was an exception in each round, for as long as covend ran."""
    await house.adopt(a_rule(publish=(CHECK, REVIEW)), an_agent())
    house.surfaces = {CHECK: SURFACES[CHECK]}
    await house.settled()
    await house.publish()
    review = await house.effect()
    assert review.state is EffectState.FAILED
    assert review.error == "covend has no way to publish a review"
    assert (await house.effect(CHECK)).state is EffectState.DONE


async def test_what_covend_always_fails_at_before_it_leaves_is_given_up(house: House) -> None:
    """It was put off for ever, and with it all of its subject."""
    await house.adopt(a_rule(publish=(CHECK, REVIEW)), an_agent())
    await house.settled()

    class Faulty(StoredEffects):
        async def slot(self, slot: str) -> Any:
            if slot.startswith("review/"):
                raise RuntimeError("a fault of covend's own")
            return await super().slot(slot)

    house.effects = Faulty(house.connection)
    for _ in range(TRIES_MAX + 1):
        await house.publish()
        house.clock.turn(s=RETRY_MS[-1] / 1000)
    assert (await house.effect()).state is EffectState.FAILED
    assert (await house.effect(CHECK)).state is EffectState.DONE


async def test_our_comment_on_page_3_of_250_is_found_and_a_users_copy_of_its_marker_is_not(
    house: House,
) -> None:
    await house.adopt(a_rule(publish=(COMMENT,)), an_agent())
    await house.settled()
    house.github.faults.add("POST", "*/comments", Fault.ANSWER_LOST)
    await house.publish()
    (ours,) = house.github.state.comments
    copy = copied(house, ours, payloads.MAINTAINER, ours.body)
    others = [copied(house, ours, payloads.AUTHOR, f"The {number}th.") for number in range(248)]
    house.github.state.comments[:] = [copy, *others, ours]

    house.clock.turn(s=8)
    await house.publish()
    found = await house.effect(COMMENT)
    assert (found.state, found.remote_id) == (EffectState.DONE, str(ours.id))
    assert len(house.posted("/comments", "GET")) == PAGES
    assert len(house.posted("/comments")) == 1


async def test_a_users_copy_of_a_marker_alone_is_not_taken_for_ours(house: House) -> None:
    await house.adopt(a_rule(publish=(COMMENT,)), an_agent())
    await house.settled()
    house.github.faults.add("POST", "*/comments", Fault.ANSWER_LOST)
    await house.publish()
    (ours,) = house.github.state.comments
    house.github.state.comments[:] = [copied(house, ours, payloads.MAINTAINER, ours.body)]
    for seconds in (8, 52):
        house.clock.turn(s=seconds)
        await house.publish()
    assert (await house.effect(COMMENT)).state is EffectState.DONE
    assert len(house.github.state.comments) == len(house.posted("/comments")) == 2


def copied(house: House, ours: IssueComment, author: Account, body: str) -> IssueComment:
    return replace(ours, id=next(house.github.state.ids), author=author, body=body)
