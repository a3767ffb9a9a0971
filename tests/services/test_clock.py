"""Moments never go back, and neither do the ids that are made of them."""

from __future__ import annotations

from covend.services.clock import Clock
from tests.services.hand_clock import HandClock


def test_the_clock_never_begins_behind_what_is_stored() -> None:
    later = Clock().now() + 3_600_000
    assert Clock(not_before=later).now() >= later


def test_the_machines_own_moment_does_not_follow_what_is_stored() -> None:
    later = Clock.wall() + 3_600_000
    assert Clock(not_before=later).wall() < later


def test_ids_of_one_moment_sort_in_the_order_of_their_making() -> None:
    clock = HandClock()
    made = [clock.new_id() for _ in range(50)]
    assert made == sorted(set(made))


def test_ids_of_a_later_moment_sort_behind() -> None:
    clock = HandClock()
    earlier = clock.new_id()
    clock.turn(s=0.001)
    assert clock.new_id() > earlier


def test_two_clocks_of_one_moment_make_different_ids() -> None:
    assert HandClock().new_id() != HandClock().new_id()
