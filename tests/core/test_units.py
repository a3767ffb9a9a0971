"""Durations and sizes: what is read, what is refused, and that printing is undone by reading."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covend.core.units import (
    DURATION_MAX_S,
    SIZE_MAX,
    UnitError,
    parse_duration,
    parse_size,
    print_duration,
    print_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0),
        ("15m", 900.0),
        ("24h", 86_400.0),
        ("7d", 604_800.0),
        ("500ms", 0.5),
        ("0", 0.0),
        ("0s", 0.0),
        (" 5 m ", 300.0),
        ("3650d", DURATION_MAX_S),
    ],
)
def test_a_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "90",
        "s",
        "-5s",
        "1.5h",
        "5 minutes",
        "5M",
        "5S",
        "1h30m",
        "٣s",
        "inf",
        "1e3s",
        "9" * 30 + "s",
    ],
)
def test_what_is_no_duration_is_refused_with_the_accepted_forms(text: str) -> None:
    with pytest.raises(UnitError, match=r'ms, s, m, h or d, such as "90s"'):
        parse_duration(text)


def test_a_duration_beyond_ten_years_is_refused() -> None:
    with pytest.raises(UnitError, match="ten years"):
        parse_duration("3651d")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64MiB", 64 << 20),
        ("10GiB", 10 << 30),
        ("512KiB", 512 << 10),
        ("1 TiB", 1 << 40),
        ("7B", 7),
        ("0B", 0),
    ],
)
def test_a_size_is_read_as_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "64", "64MB", "64mib", "64M", "-1MiB", "1.5GiB", "0x10B"])
def test_what_is_no_size_is_refused_with_the_accepted_forms(text: str) -> None:
    with pytest.raises(UnitError, match=r'KiB, MiB, GiB or TiB, such as "64MiB"'):
        parse_size(text)


def test_a_size_beyond_any_disk_is_refused() -> None:
    with pytest.raises(UnitError, match="larger"):
        parse_size("1048577TiB")


@given(st.integers(0, int(DURATION_MAX_S * 1000)))
def test_reading_undoes_the_printing_of_a_duration(milliseconds: int) -> None:
    assert parse_duration(print_duration(milliseconds / 1000)) == milliseconds / 1000


@given(st.integers(0, SIZE_MAX))
def test_reading_undoes_the_printing_of_a_size(size: int) -> None:
    assert parse_size(print_size(size)) == size


@pytest.mark.parametrize(
    ("seconds", "text"), [(5400.0, "90m"), (0.0, "0s"), (0.25, "250ms"), (172_800.0, "2d")]
)
def test_a_duration_is_printed_with_its_largest_unit(seconds: float, text: str) -> None:
    assert print_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0B"), (65_536, "64KiB"), (10 << 30, "10GiB"), (1025, "1025B")]
)
def test_a_size_is_printed_with_its_largest_unit(size: int, text: str) -> None:
    assert print_size(size) == text
