"""A review that appears only after a later one has ended is put away as well."""

from __future__ import annotations

from covend.demo.github import Fault
from tests.services.house import REVIEW, House, a_rule, an_agent, an_ending


async def ended_twice(house: House) -> None:
    """Two looks of one rule at one pull request have ended, and neither is published."""
    await house.adopt(a_rule(publish=(REVIEW,), supersede=False), an_agent())
    await house.settled(an_ending("The first look."))
    house.till.git.push(7, {"README.md": "Another.\n"}, "One more")
    house.clock.turn(s=1)
    await house.settled(an_ending("The second look."))


async def test_the_earlier_of_two_is_put_away_and_the_later_stands(house: House) -> None:
    await ended_twice(house)
    await house.publish()
    first, second = house.github.state.reviews
    assert (first.minimized, second.minimized) == ("OUTDATED", None)


async def test_one_that_is_found_by_a_look_up_is_put_away_too(house: House) -> None:
    await ended_twice(house)
    house.github.faults.add("POST", "*/reviews", Fault.ANSWER_LOST)
    await house.publish()
    house.clock.turn(s=10)
    await house.publish()
    first, second = house.github.state.reviews
    assert (first.minimized, second.minimized) == ("OUTDATED", None)


async def test_a_review_that_nothing_outdates_stands(house: House) -> None:
    await house.adopt(a_rule(publish=(REVIEW,)), an_agent())
    await house.settled(an_ending("The only look."))
    await house.publish()
    (only,) = house.github.state.reviews
    assert only.minimized is None
