"""Ids that sort by the time of their making: ULIDs in lower case.

Source: https://github.com/ulid/spec (48 bits of milliseconds, 80 bits of randomness, Crockford's
base 32).
"""

from __future__ import annotations

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
RANDOM_BYTES = 10
LENGTH = 26
_TIME_BITS = 48
_PAIRS = tuple(first + second for first in ALPHABET for second in ALPHABET)
_SHIFTS = tuple(range(120, -1, -10))


def new_id(now: int, randomness: bytes) -> str:
    """Make the id for a moment (ms UTC, below 2**48) from exactly `RANDOM_BYTES` random bytes."""
    assert len(randomness) == RANDOM_BYTES
    assert 0 <= now < 1 << _TIME_BITS
    number = now << (RANDOM_BYTES * 8) | int.from_bytes(randomness)
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])


def moment_of(identifier: str) -> int:
    """Read the moment (ms UTC) back from an id made by `new_id`."""
    number = 0
    for letter in identifier:
        number = number << 5 | ALPHABET.index(letter)
    return number >> (RANDOM_BYTES * 8)
