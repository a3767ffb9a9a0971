"""Ids sort by the time of their making, and give it back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from covend.core.ids import ALPHABET, LENGTH, RANDOM_BYTES, moment_of, new_id

moments = st.integers(min_value=0, max_value=(1 << 48) - 1)
randomness = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)


@given(moments, randomness)
def test_an_id_gives_its_moment_back(now: int, noise: bytes) -> None:
    made = new_id(now, noise)
    assert moment_of(made) == now
    assert len(made) == LENGTH
    assert set(made) <= set(ALPHABET)


@given(moments, randomness, moments, randomness)
def test_ids_sort_by_moment_and_then_by_what_is_random(
    now: int, noise: bytes, then: int, other: bytes
) -> None:
    first, second = new_id(now, noise), new_id(then, other)
    assert (first < second) == ((now, noise) < (then, other))


def test_an_id_is_a_ulid_in_lower_case() -> None:
    """The example of the specification: this moment is written 01ARYZ6S41."""
    assert new_id(1_469_918_176_385, bytes(RANDOM_BYTES)) == "01aryz6s41" + "0" * 16
