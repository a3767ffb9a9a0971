from __future__ import annotations

import pytest

from covend.core.amounts import duration, roughly, size, whole_duration


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0 ms"),
        (0.18, "180 ms"),
        (1, "1.0 s"),
        (59.94, "59.9 s"),
        (61, "1 min 1 s"),
        (3_600, "1 h 0 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float, written: str) -> None:
    assert duration(seconds) == written


@pytest.mark.parametrize(
    ("count", "written"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 20, "5.0 MiB"), (3 << 30, "3.0 GiB")],
)
def test_a_size_has_one_unit(count: int, written: str) -> None:
    assert size(count) == written


@pytest.mark.parametrize(
    ("seconds", "written"), [(1, "1 s"), (59, "59 s"), (243, "4 min 3 s"), (90_000, "1 d 1 h")]
)
def test_whole_seconds_have_no_tenths(seconds: int, written: str) -> None:
    assert whole_duration(seconds) == written


@pytest.mark.parametrize(
    ("seconds", "written"), [(0.4, "0 s"), (59.9, "59 s"), (7_300, "2 h"), (200_000, "2 d")]
)
def test_what_is_said_roughly_has_its_largest_unit(seconds: float, written: str) -> None:
    assert roughly(seconds) == written
