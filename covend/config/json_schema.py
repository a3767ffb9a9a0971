"""The JSON Schema of `covend.toml`, for editors: the keys, their forms, their defaults, and what
each is for.

It is made of the models alone, and accepts all that covend accepts; what one part of the file says
of another is not in it: `covend check` has the last word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from covend.config.schema import ConfigTable
from covend.config.values import DURATION_PATTERN, SIZE_PATTERN
from covend.core.units import print_duration, print_size

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NOTHING = {"type": "null"}
"""TOML has no such value: what is not wanted is not written."""
_ZERO = {"const": 0, "type": "integer"}
_OF_PYDANTIC = ("title", "gt", "ge", "lt", "le")

Schema = dict[str, Any]


def json_schema() -> Schema:
    """Give the schema; every key has a `description`."""
    made = ConfigTable.model_json_schema()
    named = {name: _tidy(one) for name, one in made.pop("$defs").items()}
    return {
        "$schema": DIALECT,
        "title": "covend.toml",
        **_tidy(made),
        "$defs": named,
    }


def _tidy(node: Any) -> Any:
    """Leave out what means nothing in TOML, and write defaults as people do."""
    if isinstance(node, list):
        return [_tidy(one) for one in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if key not in _OF_PYDANTIC}
    if isinstance(node.get("properties"), dict):
        kept["properties"] = {name: _key(one) for name, one in node["properties"].items()}
        return kept
    if "patternProperties" in kept:
        kept["additionalProperties"] = False
    return {key: _tidy(value) for key, value in kept.items()}


def _key(node: Mapping[str, Any]) -> Schema:
    """Tidy one key's schema."""
    tidy: Schema = _tidy(_without_nothing(node))
    forms = tidy.get("anyOf", [tidy])
    if "gt" in node and "anyOf" in tidy:
        (form,) = (form for form in tidy.pop("anyOf") if form != _ZERO)
        tidy |= form
    patterns = {form.get("pattern") for form in forms}
    default = tidy.get("default")
    if default is None:
        tidy.pop("default", None)
    elif DURATION_PATTERN in patterns:
        tidy["default"] = print_duration(default)
    elif SIZE_PATTERN in patterns:
        tidy["default"] = print_size(default)
    tidy["description"] = _described(tidy, patterns)
    return tidy


def _without_nothing(node: Mapping[str, Any]) -> Mapping[str, Any]:
    if _NOTHING not in node.get("anyOf", ()):
        return node
    forms = [form for form in node["anyOf"] if form != _NOTHING]
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    # A form may have marks of the same name: those of the key itself go first.
    return {**forms[0], **rest} if len(forms) == 1 else {**rest, "anyOf": forms}


def _described(tidy: Schema, patterns: set[str | None]) -> str:
    text = " ".join(str(tidy.get("description", "")).split())
    if DURATION_PATTERN in patterns:
        text += ' A duration: "90s", "15m", "24h", "7d".'
    if SIZE_PATTERN in patterns:
        text += ' A size: "512KiB", "64MiB", "10GiB".'
    if tidy.get("default") not in (None, [], {}):
        text += f" Default: {orjson.dumps(tidy['default']).decode()}."
    return text
