"""Single values that the environment overrides: `COVEND_LIMITS__CONCURRENCY=8` is
`limits.concurrency = 8`.

The name is the path in capitals, with two underscores between its parts, `COVEND_STATE_DIR` being
the one without any. Lists and tables cannot be given this way. Other `COVEND_` variables are none
of our business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BeforeValidator

from covend.config.base import Table
from covend.config.locate import KeyPath
from covend.config.problems import Finding
from covend.config.schema import ConfigTable

PREFIX = "COVEND_"
_WITHOUT_SECTION = "COVEND_STATE_DIR"
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?")


def override(
    tables: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[dict[str, Any], dict[KeyPath, str], list[Finding]]:
    """Put the environment's values over the file's.

    Gives the new tables, the variable of each overridden path, and what is wrong with the
    variables.
    """
    merged = deepcopy(dict(tables))
    variables: dict[KeyPath, str] = {}
    findings: list[Finding] = []
    for name in sorted(filter(_overrides, environ)):
        path = _path_of(name, merged)
        variables[path] = name
        kind = kind_at(path)
        if kind is not None and _is_several(kind):
            message = "is a list or a table, and the environment can only give single values"
            findings.append(Finding(path=path, message=message))
        elif not _put(merged, path, _typed(environ[name], kind)):
            findings.append(Finding(path=path, message="stands in something that is no table"))
    return merged, variables, findings


def kind_at(path: KeyPath) -> Any:
    """Give the annotation that the schema has for a path; None where it knows no such key."""
    kind: Any = ConfigTable
    for part in path:
        kind = _inner(plain(kind), part)
    return kind


def names_at(path: KeyPath) -> tuple[str, ...]:
    """Give the keys that the schema knows in the table at `path`."""
    kind = plain(kind_at(path))
    return tuple(kind.model_fields) if _is_table(kind) else ()


def _overrides(name: str) -> bool:
    return name == _WITHOUT_SECTION or (name.startswith(PREFIX) and "__" in name)


def _path_of(name: str, tables: Any) -> KeyPath:
    path: list[str] = []
    for part in name.removeprefix(PREFIX).split("__"):
        key = _written_key(part, tables)
        path.append(key)
        tables = tables.get(key) if isinstance(tables, dict) else None
    return tuple(path)


def _written_key(part: str, table: Any) -> str:
    """Find an agent or callback by its name in capitals: `CODE_REVIEWER` is `code-reviewer`."""
    written = table if isinstance(table, dict) else {}
    same = (key for key in written if re.sub(r"[.-]", "_", key).upper() == part)
    return next(same, part.lower())


def _inner(kind: Any, part: str | int) -> Any:
    if _is_table(kind):
        field = kind.model_fields.get(part)
        # pydantic keeps the outer annotation apart, and it may be what makes a duration.
        return None if field is None else Annotated[(field.annotation, *field.metadata, "")]
    if get_origin(kind) in {dict, list}:
        return get_args(kind)[-1]
    return None


def plain(kind: Any) -> Any:
    """Give what an annotation is without its marks, and without None."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in {Union, UnionType}:
        return plain(next(arm for arm in get_args(kind) if arm is not NoneType))
    return kind


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Table)


def _is_several(kind: Any) -> bool:
    return _is_table(plain(kind)) or get_origin(plain(kind)) in {dict, list}


def has_units(kind: Any) -> bool:
    """Say whether the annotation is of a duration or a size, which are written as text."""
    if get_origin(kind) is Annotated:
        first, *rest = get_args(kind)
        # Lists are read by a validator too, and have no unit.
        is_read = any(isinstance(mark, BeforeValidator) for mark in rest)
        return has_units(first) or (is_read and plain(first) in {int, float})
    if get_origin(kind) in {Union, UnionType}:
        return any(has_units(arm) for arm in get_args(kind))
    return False


def _typed(text: str, kind: Any) -> Any:
    """Read the text as the key's kind; what does not fit stays text, for the schema to refuse."""
    simple = plain(kind)
    if simple is bool and text in {"true", "false"}:
        return text == "true"
    if simple is int and _WHOLE_NUMBER.fullmatch(text):
        return text if has_units(kind) else int(text)
    if simple is float and _NUMBER.fullmatch(text) and not has_units(kind):
        return float(text)
    return text


def _put(tables: dict[str, Any], path: KeyPath, value: Any) -> bool:
    *way, last = path
    table: Any = tables
    for part in way:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            return False
    table[last] = value
    return True
