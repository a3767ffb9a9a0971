"""Walks over all keys of the schema, in its order: what each is called, holds, and is without a
word.

It is made of `schema` alone, which is the one place where a key is described.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from covend.config.base import Table
from covend.config.overrides import plain
from covend.config.schema import ConfigTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One key, or one table."""

    name: str
    """As people write it: `agents.NAME.timeout`, `rules[].when.draft`."""
    field: FieldInfo
    table: type[Table] | None
    """The table that it holds (or its entries are), if it holds any."""


@cache
def walk() -> tuple[Entry, ...]:
    """Give every key, each table before what is in it."""
    return tuple(_walk(ConfigTable, ""))


def _walk(model: type[Table], prefix: str) -> Iterator[Entry]:
    for key, field in model.model_fields.items():
        table, mark = _table_in(field)
        name = f"{prefix}{key}{mark}"
        yield Entry(name=name, field=field, table=table)
        if table is not None:
            yield from _walk(table, f"{name}.")


def _table_in(field: FieldInfo) -> tuple[type[Table] | None, str]:
    """Give the table that a field holds, and how a path goes into it: `.NAME`, `[]`, or nothing."""
    kind: Any = plain(field.annotation)
    mark = {dict: ".NAME", list: "[]"}.get(get_origin(kind), "")
    inner = plain(get_args(kind)[-1]) if mark else kind
    is_table = isinstance(inner, type) and issubclass(inner, Table)
    return (inner, mark) if is_table else (None, "")
