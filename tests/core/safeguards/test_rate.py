"""Sliding windows: no more starts than allowed within any of them, and none that is used up by a
task that waits.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covend.core.bounds import Rate
from covend.core.model import Subject
from covend.core.safeguards.shapes import EVERYTHING, Hold, Pass, Scope, Waiting
from tests.core.safeguards.samples import HOUR_MS, NOW, World, a_task, guarded

TWO_A_MINUTE = Rate(per=("repository",), max_count=2, window_s=60)


def started(world: World, *seconds_ago: float, **changes: Any) -> None:
    world.starts += [(a_task(**changes), NOW - round(1000 * each)) for each in seconds_ago]


def test_a_full_window_holds_until_its_oldest_start_is_outside() -> None:
    world = guarded(rate=(TWO_A_MINUTE,))
    started(world, 59, 20)
    held = world.judge(a_task())
    assert isinstance(held, Hold)
    assert (held.reason, held.until) == (Waiting.RATE_LIMITED, NOW + 1000)
    assert held.scope == Scope(repository_key="17")
    assert held.by == "rate/repository=acme/till"
    world.now = held.until
    assert isinstance(world.judge(a_task()), Pass)


def test_what_holds_is_shown_as_a_row_with_its_moment_and_numbers() -> None:
    world = guarded(rate=(TWO_A_MINUTE,))
    started(world, 59, 20)
    held = world.judge(a_task())
    assert isinstance(held, Hold)
    (shown,) = held.writes
    assert (shown.id, shown.state, shown.until) == (held.by, "holding", held.until)
    assert shown.values == {"max": 2, "window_s": 60}


def test_the_row_that_shows_a_limit_holds_nothing_by_itself() -> None:
    world = guarded(rate=(TWO_A_MINUTE,))
    started(world, 59, 20)
    held = world.judge(a_task())
    assert isinstance(held, Hold)
    world.put(*held.writes)
    world.starts.clear()
    assert isinstance(world.judge(a_task()), Pass)


def test_a_start_a_whole_window_ago_counts_no_more() -> None:
    world = guarded(rate=(TWO_A_MINUTE,))
    started(world, 60, 20)
    assert isinstance(world.judge(a_task()), Pass)


def test_of_several_full_windows_the_one_that_lasts_longest_holds() -> None:
    hourly = Rate(per=("rule", "subject"), max_count=1, window_s=3600)
    world = guarded(rate=(TWO_A_MINUTE, hourly))
    started(world, 59, 20)
    held = world.judge(a_task())
    assert isinstance(held, Hold)
    assert (held.by, held.until) == ("rate/rule=review,subject=acme/till#7", NOW + 3580 * 1000)
    assert held.scope == Scope(rule="review", repository_key="17", subject_number=7)


@pytest.mark.parametrize(
    ("per", "changed", "scope", "named"),
    [
        ("rule", {"rule": "fix"}, Scope(rule="review"), "rule=review"),
        ("agent", {"agent": "codex"}, Scope(agent="claude"), "agent=claude"),
        ("actor", {"actor": "hubot"}, Scope(actor="mona"), "actor=mona"),
        ("installation", {"installation_id": 6}, Scope(installation_id=5), "installation=5"),
        (
            "repository",
            {"repository_key": "18", "repository": "acme/other"},
            Scope(repository_key="17"),
            "repository=acme/till",
        ),
        (
            "subject",
            {"subject": Subject(number=8)},
            Scope(repository_key="17", subject_number=7),
            "subject=acme/till#7",
        ),
    ],
)
def test_each_value_of_a_scope_has_a_window_of_its_own(
    per: str, changed: dict[str, Any], scope: Scope, named: str
) -> None:
    world = guarded(rate=(Rate(per=(per,), max_count=1, window_s=60),))
    started(world, 5)
    held = world.judge(a_task())
    assert isinstance(held, Hold)
    assert (held.scope, held.by) == (scope, f"rate/{named}")
    assert scope != EVERYTHING
    assert isinstance(world.judge(a_task(**changed)), Pass)


@pytest.mark.parametrize(
    ("per", "lacking"),
    [
        (("rule", "subject"), {"subject": Subject()}),
        (("subject",), {"repository": None, "repository_key": "-"}),
        (("repository",), {"repository": None, "repository_key": "-"}),
        (("actor",), {"actor": None}),
        (("installation",), {"installation_id": None}),
    ],
)
def test_a_task_that_lacks_a_value_of_the_scope_is_not_limited(
    per: tuple[str, ...], lacking: dict[str, Any]
) -> None:
    world = guarded(rate=(Rate(per=per, max_count=1, window_s=60),))
    started(world, 5, **lacking)
    assert isinstance(world.judge(a_task(**lacking)), Pass)


RATES = st.lists(
    st.builds(
        Rate,
        per=st.sampled_from([("rule",), ("agent",), ("rule", "agent"), ("repository",)]),
        max_count=st.integers(1, 4),
        window_s=st.floats(0.001, 60),
    ),
    min_size=1,
    max_size=3,
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["review", "fix"]),
        st.sampled_from(["claude", "codex"]),
        st.integers(0, 20_000),
    ),
    max_size=40,
)


@given(rates=RATES, steps=STEPS)
def test_no_window_ever_sees_more_starts_than_allowed_and_a_hold_ends_with_room(
    rates: list[Rate], steps: list[tuple[str, str, int]]
) -> None:
    world = guarded(rate=tuple(rates))
    for rule, agent, later_ms in steps:
        world.now += later_ms
        task = a_task(rule=rule, agent=agent)
        before = list(world.starts)
        decision = world.claim(task)
        if isinstance(decision, Hold):
            assert world.starts == before
            assert world.now < decision.until
            assert decision.until <= world.now + 60_000
            world.now = decision.until
            assert isinstance(world.claim(task), Pass)
    for rate in rates:
        assert _fullest(world, rate) <= rate.max_count


def _fullest(world: World, rate: Rate) -> int:
    """Count the starts in the fullest window of any value of the scope."""
    window_ms = round(1000 * rate.window_s)
    by_value: dict[tuple[object, ...], list[int]] = {}
    for task, at in world.starts:
        by_value.setdefault(tuple(getattr(task, each) for each in rate.per), []).append(at)
    return max(
        (
            sum(1 for other in moments if at - window_ms < other <= at)
            for moments in by_value.values()
            for at in moments
        ),
        default=0,
    )


@given(
    moments=st.lists(st.integers(NOW - 2 * HOUR_MS, NOW + 2 * HOUR_MS), max_size=12),
    window_s=st.floats(0.001, 3600),
)
def test_stored_moments_off_by_an_hour_never_hold_longer_than_the_window(
    moments: list[int], window_s: float
) -> None:
    world = guarded(rate=(Rate(per=("repository",), max_count=2, window_s=window_s),))
    world.starts = [(a_task(), each) for each in moments]
    decision = world.judge(a_task())
    if isinstance(decision, Hold):
        assert NOW < decision.until <= NOW + round(1000 * window_s)
