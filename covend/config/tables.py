"""Looks into tables whose shape has not been checked: what is of another kind is passed over, never
an error.

So that one wrong value does not hide what is wrong elsewhere, the checks across a file work on its
raw tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

EMPTY: Mapping[str, Any] = {}


def table(value: Any) -> Mapping[str, Any]:
    """Give a table as it is, and an empty one for anything else."""
    return value if isinstance(value, dict) else EMPTY


def tables_in(value: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Give the tables of a list with their positions."""
    entries = value if isinstance(value, list) else ()
    return ((index, entry) for index, entry in enumerate(entries) if isinstance(entry, dict))


def named_tables(value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give the tables in a table with their names."""
    return ((name, entry) for name, entry in table(value).items() if isinstance(entry, dict))


def texts_in(value: Any) -> Iterator[tuple[int, str]]:
    """Give the texts of a list with their positions."""
    entries = value if isinstance(value, list) else ()
    return ((index, entry) for index, entry in enumerate(entries) if isinstance(entry, str))
