"""Durations and sizes as people write them: "15m", "64MiB"; nothing is guessed from a bare number.

A duration is a whole number with one of `ms s m h d` and becomes float seconds; a size is a whole
number with one of `B KiB MiB GiB TiB` and becomes bytes. A lone "0" is a duration, because it
switches things off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

DURATION_FORMS = 'a whole number with ms, s, m, h or d, such as "90s", "15m" or "24h"'
SIZE_FORMS = 'a whole number with B, KiB, MiB, GiB or TiB, such as "64MiB"'
DURATION_MAX_S = 3650.0 * 86_400
SIZE_MAX = 1 << 60
MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_MILLISECONDS: Mapping[str, int] = {
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
_BYTES: Mapping[str, int] = {"TiB": 1 << 40, "GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}
_WRITTEN = re.compile(r"([0-9]{1,19})\s?([A-Za-z]+)")


class UnitError(ValueError):
    """The text is no duration, or no size; the message names the accepted forms."""


def parse_duration(text: str) -> float:
    """Read a duration of at most ten years; give seconds, exact to the millisecond."""
    milliseconds = 0 if text == "0" else _parse(text, _MILLISECONDS, "a duration", DURATION_FORMS)
    if milliseconds > DURATION_MAX_S * 1000:
        raise UnitError("is longer than ten years")
    return milliseconds / 1000


def print_duration(seconds: float) -> str:
    """Write seconds (not negative) with the largest unit that divides them: 5400.0 is "90m"."""
    return _print(round(seconds * 1000), _MILLISECONDS, "s")


def parse_size(text: str) -> int:
    """Read a size of at most 2**60 bytes; give bytes."""
    size = _parse(text, _BYTES, "a size", SIZE_FORMS)
    if size > SIZE_MAX:
        raise UnitError("is larger than 1048576TiB")
    return size


def print_size(size: int) -> str:
    """Write bytes (not negative) with the largest unit that divides them: 65536 is "64KiB"."""
    return _print(size, _BYTES, "B")


def _parse(text: str, units: Mapping[str, int], noun: str, forms: str) -> int:
    written = _WRITTEN.fullmatch(text.strip())
    if written is None or written[2] not in units:
        raise UnitError(f"is not {noun}: write {forms}")
    return int(written[1]) * units[written[2]]


def _print(number: int, units: Mapping[str, int], zero: str) -> str:
    assert number >= 0
    if number == 0:
        return f"0{zero}"
    unit = next(name for name, factor in units.items() if number % factor == 0)
    return f"{number // units[unit]}{unit}"
