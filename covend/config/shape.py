"""Holds the tables against the schema, and says in plain words what does not fit, all of it at
once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from covend.config.locate import KeyPath
from covend.config.problems import Finding, closest, shown
from covend.config.schema import ConfigTable
from covend.config.slips import what_was_meant

_MESSAGES: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not a known key",
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "bool_type": "must be true or false",
    "list_type": "must be a list in [brackets]",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le:g}",
    "string_pattern_mismatch": "must be an exit code from 0 to 999",
    "literal_error": "must be {expected}",
}
_EXPECTED = re.compile(r"'([^']*)'")
_ABOUT_KEYS = frozenset({"missing", "extra_forbidden"})
_ON_A_KEY = "[key]"
"""What pydantic ends a location with where a table's key is wrong rather than its value."""


def fit(tables: Mapping[str, Any]) -> tuple[ConfigTable | None, list[Finding]]:
    """Give the tables as the schema's model, or None with every place where they do not fit."""
    try:
        return ConfigTable.model_validate(tables), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
        return None, [_finding(single) for single in errors]


def salvage(tables: Mapping[str, Any], misfits: Sequence[Finding]) -> ConfigTable | None:
    """Give what is left without the keys that do not fit, so that they hide nothing of the rest.

    None where what is left does not fit either, as without a key that must be there.
    """
    rest = deepcopy(dict(tables))
    for finding in misfits:
        _drop(rest, finding.path)
    try:
        return ConfigTable.model_validate(rest)
    except ValidationError:
        return None


def _drop(tables: Any, path: KeyPath) -> None:
    """Take the key out in which the path ends; a list loses no entry, as that would move others."""
    owner: Any = None
    key: str | int = ""
    for part in path:
        if isinstance(part, str) and isinstance(tables, dict):
            owner, key = tables, part
        try:
            tables = tables[part]
        except (KeyError, IndexError, TypeError):
            break
    if owner is not None:
        owner.pop(key, None)


def _finding(error: ErrorDetails) -> Finding:
    is_key = error["type"] in _ABOUT_KEYS or error["loc"][-1] == _ON_A_KEY
    path = tuple(part for part in error["loc"] if part != _ON_A_KEY)
    message, suggestion = _told(error, path)
    return Finding(
        path=path,
        message=message,
        got=None if is_key or _is_too_much(error) else shown(path, error["input"]),
        suggestion=suggestion,
        is_about_key=is_key,
    )


def _told(error: ErrorDetails, path: KeyPath) -> tuple[str, str | None]:
    """Give the message, and what was probably meant."""
    if error["type"] == "extra_forbidden":
        return what_was_meant(path)
    if error["type"] == "list_type" and _is_too_much(error) and len(path) == 1:
        return f"must be a list of tables: write [[{path[0]}]], with two brackets", None
    return _message(error), _suggestion(error)


def _is_too_much(error: ErrorDetails) -> bool:
    """Say whether what was written is a table, which nobody wants to see again on one line."""
    return isinstance(error["input"], dict)


def _message(error: ErrorDetails) -> str:
    if error["type"] == "literal_error":
        return f"must be one of {', '.join(_expected(error))}"
    pattern = _MESSAGES.get(error["type"])
    return pattern.format(**error.get("ctx", {})) if pattern else error["msg"]


def _expected(error: ErrorDetails) -> list[str]:
    return [json.dumps(word) for word in _EXPECTED.findall(error["ctx"]["expected"])]


def _suggestion(error: ErrorDetails) -> str | None:
    if error["type"] == "literal_error" and isinstance(error["input"], str):
        return closest(error["input"], _EXPECTED.findall(error["ctx"]["expected"]))
    return None
