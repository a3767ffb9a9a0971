"""Which of two heads is the newer one, whatever the order in which they are told."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covend.core.succession import Head, Place, compare, is_over

SECOND = 1000


def test_the_same_head_is_neither_newer_nor_older_whatever_its_moments() -> None:
    assert compare(Head("a", 2, None), Head("a", 1, None)) is Place.SAME
    assert compare(Head("a", 1, None), Head("a", 2, None)) is Place.SAME


@pytest.mark.parametrize(("coming", "known"), [(None, 5), (5, None), (None, None)])
def test_without_a_moment_nobody_knows(coming: int | None, known: int | None) -> None:
    assert compare(Head("b", coming, None), Head("a", known, "b")) is Place.UNKNOWN


def test_an_older_moment_is_older_whatever_it_says_that_it_replaced() -> None:
    assert compare(Head("b", 1, "a"), Head("a", 2, None)) is Place.OLDER


def test_in_one_second_what_was_replaced_is_older() -> None:
    assert compare(Head("a", 1, None), Head("b", 1, "a")) is Place.OLDER


def test_in_one_second_a_head_that_comes_back_is_newer() -> None:
    assert compare(Head("a", 1, "b"), Head("b", 1, "a")) is Place.NEWER


def test_in_one_second_strangers_are_in_the_order_of_their_coming() -> None:
    assert compare(Head("c", 1, None), Head("a", 1, None)) is Place.NEWER


@given(st.integers(2, 5), st.data())
def test_pushes_of_different_seconds_leave_the_last_one_in_any_order(
    count: int, data: st.DataObject
) -> None:
    pushes = [Head(f"{place}", place * SECOND, None) for place in range(count)]
    order = data.draw(st.permutations(pushes))
    assert _last(order) == pushes[-1]


@pytest.mark.parametrize("order", list(permutations(range(2))))
def test_two_pushes_of_one_second_leave_the_last_one_in_any_order(order: tuple[int, ...]) -> None:
    pushes = [Head("a", 1, "0"), Head("b", 1, "a")]
    assert _last([pushes[place] for place in order]) == pushes[1]


def _last(order: list[Head]) -> Head:
    """What stands after all have come."""
    standing = order[0]
    for coming in order[1:]:
        if compare(coming, standing) is Place.NEWER:
            standing = coming
    return standing


@pytest.mark.parametrize(
    ("updated_at", "closed_at", "is_opening", "expected"),
    [
        (1, 2, False, True),
        (2, 2, False, False),
        (2, 2, True, True),
        (3, 2, True, False),
        (None, 2, True, False),
        (1, None, True, False),
    ],
)
def test_an_event_from_before_the_end_is_over(
    updated_at: int | None, closed_at: int | None, is_opening: bool, expected: bool
) -> None:
    assert is_over(updated_at, closed_at, is_opening=is_opening) is expected
