"""After a restore, work that was done in the lost time is done again, and does not appear twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from covend.core.ending import Finding
from covend.core.restoring import LOOKED_FOR_S, RESTORED, Lost, dump_lost
from covend.core.states import EffectState
from covend.edges.github.surfaces import SURFACES
from covend.services.adopting import Adopting
from covend.store.cursors import StoredCursors
from tests.services.house import CHECK, COMMENT, REVIEW, House, a_rule, an_agent, an_ending

ROWS = ("effects", "timeline", "attempts", "delivery_tasks", "tasks", "deliveries", "turns")


@pytest.fixture
async def lost(house: House) -> House:
    """All of the work on one pull request is published, and then the store knows nothing of it."""
    await house.adopt(a_rule(publish=(CHECK, COMMENT, REVIEW)), an_agent())
    await house.settled(an_ending("The first."))
    await house.publish()
    await lose(house)
    return house


async def lose(house: House) -> None:
    for table in ROWS:
        house.meddle(f"DELETE FROM {table}")
    made_at = house.clock.now()
    house.clock.turn(s=600)
    note = dump_lost(Lost(made_at, house.clock.now()))
    cursors = StoredCursors(house.connection)
    await cursors.put(RESTORED, note, house.clock.now())
    adopting = Adopting(effects=house.effects, cursors=cursors, clock=house.clock)
    house.surfaces = adopting.over(SURFACES)
    house.clock.turn(s=60)


async def twice(house: House) -> None:
    """Do the work again."""
    await house.settled(an_ending("The second."))
    await house.publish()


def count(house: House) -> tuple[int, int, int]:
    state = house.github.state
    return len(state.check_runs), len(state.comments), len(state.reviews)


async def test_what_was_shown_then_stands_and_nothing_is_beside_it(lost: House) -> None:
    await twice(lost)
    assert count(lost) == (1, 1, 1)
    assert "The first." in lost.github.state.reviews[0].body
    assert {effect.state for effect in await lost.outbox()} == {EffectState.DONE}


async def test_the_comment_tells_what_is_so_now(lost: House) -> None:
    (comment,) = lost.github.state.comments
    before = comment.body
    await twice(lost)
    assert comment.id == lost.github.state.comments[0].id
    assert lost.github.state.comments[0].body != before


async def test_a_check_that_was_cut_off_in_progress_is_concluded(house: House) -> None:
    await house.adopt(a_rule(publish=(CHECK,)), an_agent())
    await house.announce(await house.claimed())
    await house.publish()
    await lose(house)
    claim = await house.claimed()
    await house.announce(claim)
    await house.publish()
    assert [run.conclusion for run in house.github.state.check_runs] == [None]
    await house.settle(claim)
    await house.publish()
    assert [run.conclusion for run in house.github.state.check_runs] == ["success"]


async def test_annotations_are_not_added_once_more(house: House) -> None:
    await house.adopt(a_rule(publish=(CHECK,)), an_agent())
    found = [Finding(path="a", line=n, body="x", severity="error") for n in range(1, 60)]
    ending = an_ending("Found.")
    ending = replace(ending, result=replace(ending.result, findings=tuple(found)))
    await house.settled(ending)
    await house.publish()
    (run,) = house.github.state.check_runs
    before = len(run.annotations)
    assert before
    await lose(house)
    await house.settled(ending)
    await house.publish()
    assert len(house.github.state.check_runs[0].annotations) == before


async def test_a_new_commit_has_a_review_of_its_own(lost: House) -> None:
    lost.till.git.push(7, {"README.md": "Newer.\n"}, "One more")
    await twice(lost)
    checks, comments, reviews = count(lost)
    assert (checks, comments, reviews) == (2, 1, 2)


async def test_work_that_is_known_here_hides_no_later_one(lost: House) -> None:
    """The adopted review is known from then on: what somebody asks for again is shown."""
    await twice(lost)
    lost.meddle("UPDATE tasks SET key = key || 'x', subject_updated_at = NULL")
    lost.meddle("DELETE FROM deliveries")
    await twice(lost)
    assert count(lost)[2] == 2


async def test_without_a_restore_nobody_is_asked(house: House) -> None:
    cursors = StoredCursors(house.connection)
    adopting = Adopting(effects=house.effects, cursors=cursors, clock=house.clock)
    house.surfaces = adopting.over(SURFACES)
    await house.adopt(a_rule(publish=(CHECK, COMMENT, REVIEW)), an_agent())
    await house.settled()
    await house.publish()
    asked = {
        request.path.rpartition("/")[2]
        for request in house.github.requests
        if request.method == "GET"
    }
    assert asked.isdisjoint({"reviews", "comments", "check-runs"})


async def test_after_its_time_nobody_is_asked(lost: House) -> None:
    lost.clock.turn(s=LOOKED_FOR_S)
    await twice(lost)
    assert count(lost)[2] == 2
