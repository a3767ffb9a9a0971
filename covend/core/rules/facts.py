"""Takes typed facts out of JSON of any shape; what does not fit is None, and nothing here raises.

Senders break their own schemas, and some try to break ours: no text leaves here with a NUL or a
lone surrogate (no database and no terminal takes them), and no number that a 64-bit column could
not hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from types import MappingProxyType
from typing import Any

ID_MAX = (1 << 63) - 1
NAME_MAX = 255
TITLE_MAX = 1_024
PATH_MAX = 4_096
TEXT_MAX = 65_536
FOUND_MAX = 100
"""How many values one path into a payload may give; the rest is not looked at."""

NOTHING: Mapping[str, Any] = MappingProxyType({})
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)")
_REPOSITORY = re.compile(r"[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}")


def mapping(value: object) -> Mapping[str, Any]:
    """Give a JSON object as it is, and an empty one for anything else."""
    return value if isinstance(value, dict) else NOTHING


def items(value: object, count_max: int = FOUND_MAX) -> Sequence[Any]:
    """Give at most `count_max` elements of a JSON array, and none of anything else."""
    return value[:count_max] if isinstance(value, list) else ()


def number(value: object) -> int | None:
    """Give an id or a number of a thing: an integer from 1 to 2**63-1."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= ID_MAX:
        return value
    return None


def flag(value: object) -> bool | None:
    """Give a JSON boolean."""
    return value if isinstance(value, bool) else None


def text(value: object, length_max: int = TEXT_MAX) -> str | None:
    """Give prose, cut to `length_max` characters, with U+FFFD for what cannot be stored."""
    return clean(value[:length_max]) if isinstance(value, str) else None


def name(value: object, length_max: int = NAME_MAX) -> str | None:
    """Give a text that names one thing: printable and whole, a cut name names another."""
    if isinstance(value, str) and 0 < len(value) <= length_max and value.isprintable():
        return value
    return None


def sha(value: object) -> str | None:
    """Give the name of a git object; forty zeros are git's word for none."""
    if isinstance(value, str) and _SHA.fullmatch(value) and value.strip("0"):
        return value
    return None


def repository(value: object) -> str | None:
    """Give `owner/name`, which later becomes a part of URLs: dots alone are refused."""
    if not isinstance(value, str) or not _REPOSITORY.fullmatch(value):
        return None
    return None if {".", ".."} & set(value.split("/")) else value


def moment(value: object) -> int | None:
    """Give the milliseconds of an RFC 3339 text, which names its zone; none before 1970."""
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        return None
    try:
        seconds = datetime.fromisoformat(value.upper()).timestamp()
    except (ValueError, OverflowError):
        return None
    return round(seconds * 1000) if seconds >= 0 else None


def clean(value: str) -> str:
    """Put U+FFFD where a NUL or a lone surrogate stands."""
    whole = value if value.isascii() else _without_surrogates(value)
    return whole.replace("\0", _REPLACEMENT)


def _without_surrogates(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        # Through UTF-16, so that two halves which belong together become their one character.
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def scalar(value: object) -> str | None:
    """Give a string, number or boolean as text (`true`, `false`); None for anything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        # Beyond 64 bits Python may refuse to print it at all.
        return str(value) if abs(value) <= ID_MAX else None
    return repr(value) if isinstance(value, float) else text(value)


def dig(payload: object, keys: Sequence[str]) -> tuple[str, ...]:
    """Give all scalars under a path of keys; an array stands for each of its elements."""
    found: Iterable[object] = _spread((payload,))
    for key in keys:
        found = list(_spread(mapping(value).get(key) for value in found))
    return tuple(known for known in map(scalar, found) if known is not None)


def _spread(values: Iterable[object]) -> Iterator[object]:
    """Give the elements of arrays in place of the arrays, `FOUND_MAX` values at most."""
    flat = (one for value in values for one in (value if isinstance(value, list) else (value,)))
    return islice(flat, FOUND_MAX)
