"""An agent that keeps falling over in a repository is suppressed there for a while."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covend.core.bounds import CrashLoop
from covend.core.ending import Ending, Result
from covend.core.model import Conclusion
from covend.core.presets.stream import Failure
from covend.core.safeguards.crash_loop import CRASHES
from covend.core.safeguards.shapes import Hold, Lesson, Pass, Release, Scope, Switch, Waiting
from covend.core.states import Outcome, TaskState
from tests.core.safeguards.samples import (
    HOUR_MS,
    NOW,
    World,
    a_policy,
    a_task,
    an_agent,
    failure,
    guard,
    guarded,
)

ID = "crash_loop/agent:claude@acme/till"
SCOPE = Scope(agent="claude", repository_key="17")
LOST = Ending(outcome=Outcome.LOST, result=Result(), error_code="lost", retryable=True)


def crashing(failures: int = 3) -> World:
    return guarded(crash_loop=CrashLoop(failures=failures, window_s=900, suppress_s=600))


def crash(world: World, times: int = 1, code: str = "signal") -> None:
    for _ in range(times):
        world.end(a_task(), failure(code))


@pytest.mark.parametrize("ending", [failure(code) for code in sorted(CRASHES)])
def test_crashes_within_the_window_suppress_the_agent_in_the_repository(ending: Ending) -> None:
    world = crashing()
    lessons = [world.end(a_task(), ending) for _ in range(3)]
    assert [each.trips for each in lessons] == [(), (), (ID,)]
    held = world.judge(a_task())
    assert isinstance(held, Hold)
    assert (held.reason, held.until, held.by) == (Waiting.SUPPRESSED, NOW + 600_000, ID)
    assert held.scope == Scope(rule="review", agent="claude", repository_key="17")


def test_what_was_lost_with_covend_itself_suppresses_no_agent() -> None:
    """Four attempts that run when covend is killed are one crash, and none of the agent's."""
    world = crashing()
    assert [world.end(a_task(), LOST) for _ in range(4)] == [Lesson()] * 4
    assert isinstance(world.judge(a_task()), Pass)


def test_the_same_agent_goes_on_elsewhere_and_another_one_here() -> None:
    world = crashing(failures=1)
    crash(world)
    elsewhere = a_task(repository="acme/other", repository_key="18")
    assert isinstance(world.judge(elsewhere), Pass)
    other = a_policy(agent=an_agent("codex"))
    assert isinstance(world.judge(a_task(agent="codex"), other), Pass)


def test_a_suppression_ends_by_itself_and_its_crashes_count_no_more() -> None:
    world = crashing()
    crash(world, 3)
    world.now += 600_000
    assert isinstance(world.judge(a_task()), Pass)
    crash(world, 2)
    assert isinstance(world.judge(a_task()), Pass)
    crash(world)
    assert isinstance(world.judge(a_task()), Hold)


def test_crashes_further_apart_than_the_window_do_not_add_up() -> None:
    world = crashing()
    for _ in range(5):
        crash(world)
        world.now += 450_000
    assert world.guards[ID].values["failures"] == [NOW + 900_000 + 450_000, NOW + 1_800_000]


def test_what_has_been_counted_is_told_as_people_say_it() -> None:
    world = crashing()
    crash(world)
    assert world.guards[ID].reason.startswith("1 crash within 15m, the last: ")
    crash(world)
    assert world.guards[ID].reason.startswith("2 crashes within 15m, the last: ")


def test_a_success_clears_and_releases() -> None:
    world = crashing()
    crash(world, 2)
    lesson = world.complete(a_task())
    assert (lesson.removes, lesson.releases) == ((ID,), ())
    crash(world, 3)
    lesson = world.complete(a_task())
    assert lesson.removes == (ID,)
    assert lesson.releases == (Release(reason=Waiting.SUPPRESSED, scope=SCOPE),)


def test_a_verdict_is_a_success_of_the_agent() -> None:
    world = crashing()
    crash(world, 2)
    world.complete(a_task(), Conclusion.FAILURE)
    assert ID not in world.guards


@pytest.mark.parametrize(
    "ending",
    [
        failure("try_again", retryable=True),
        failure("agent_error"),
        failure("agent_error", retryable=True),
        failure("invalid_result", retryable=True),
        failure("git"),
        failure("github_unreachable"),
        failure("agent_shortage"),
        failure("store_full"),
        failure(Failure.OVERLOADED, retryable=True),
        failure(Failure.MAX_TURNS),
        failure("timed_out", outcome=Outcome.TIMED_OUT),
        failure("interrupted", outcome=Outcome.INTERRUPTED),
        failure("cancelled", outcome=Outcome.CANCELLED),
        failure("superseded", outcome=Outcome.SUPERSEDED),
        failure(Failure.INCOMPLETE, retryable=True),
    ],
)
def test_what_is_no_crash_of_the_agents_own_does_not_count(ending: Ending) -> None:
    world = crashing(failures=1)
    world.end(a_task(), ending)
    assert ID not in world.guards


def test_a_crash_while_suppressed_prolongs_nothing() -> None:
    world = crashing()
    crash(world, 3)
    until = world.guards[ID].until
    world.now += 1000
    crash(world, 3)
    assert world.guards[ID].until == until


def test_no_more_moments_are_kept_than_are_needed() -> None:
    world = crashing(failures=50)
    crash(world, 49)
    world.terms = replace(
        world.terms, safeguards=replace(world.terms.safeguards, crash_loop=CrashLoop(failures=5))
    )
    crash(world)
    assert len(world.guards[ID].values["failures"]) == 5


def test_a_task_without_a_repository_teaches_nothing() -> None:
    world = crashing(failures=1)
    world.end(a_task(repository=None, repository_key="-"), failure("signal"), TaskState.FAILED)
    assert not world.guards


def test_a_suppressed_agent_is_replaced_by_a_healthy_fallback() -> None:
    world = crashing(failures=1)
    crash(world)
    policy = a_policy(an_agent("codex"))
    decision = world.judge(a_task(fallbacks=("codex",)), policy)
    assert decision == Switch(agent="codex", reason="suppressed")


@given(until=st.integers(NOW - HOUR_MS, NOW + 2 * HOUR_MS))
def test_a_row_from_a_clock_that_was_ahead_holds_no_longer_than_a_suppression(until: int) -> None:
    world = crashing()
    world.put(guard(ID, "suppressed", until, failures=[until]))
    held = world.judge(a_task())
    if until <= NOW:
        assert isinstance(held, Pass)
        return
    assert isinstance(held, Hold)
    assert NOW < held.until <= NOW + 600_000
    world.put(*held.writes)
    world.now = held.until
    assert isinstance(world.judge(a_task()), Pass)


@given(
    failures=st.lists(st.integers(NOW - 2 * HOUR_MS, NOW + 2 * HOUR_MS) | st.text() | st.none()),
    later_ms=st.integers(-HOUR_MS, HOUR_MS),
)
def test_whatever_moments_are_stored_are_read(failures: list[object], later_ms: int) -> None:
    world = crashing()
    world.put(guard(ID, "counting", failures=failures))
    world.now += later_ms
    crash(world)
    kept = world.guards[ID].values["failures"]
    assert all(world.now - 900_000 < each <= world.now for each in kept)
