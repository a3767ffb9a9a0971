# ruff: noqa: INP001 - docs/ is a folder with programs in it, not a package
"""Writes `docs/reference.md`, every key of `covend.toml`, from the schema that checks it.

    .venv/bin/python docs/make_reference.py

A test compares the page with what this would write, so the page cannot lag behind the code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from covend.config.json_schema import json_schema

PAGE = Path(__file__).with_name("reference.md")
Schema = Mapping[str, Any]

INTRODUCTION = """\
# Every key of covend.toml

<!-- Made by docs/make_reference.py. Do not edit this page: run that. -->

Made from the schema that `covend check` holds a file against; `covend schema` prints the same for
editors. What the keys are for, with examples: [configuration.md](configuration.md).

- `NAME` stands for a name of your own, `[]` for each entry of a list.
- A duration is a whole number with `ms`, `s`, `m`, `h` or `d`; a size one with `B`, `KiB`, `MiB`,
  `GiB` or `TiB`. Both are text: `"90s"`, `"64MiB"`.
- A secret is `{ file = "…" }`, `{ env = "NAME" }` or `{ credential = "NAME" }`.
- `COVEND_SECTION__KEY` in the environment overrides a single value.
- An unknown key is an error.
"""

_SECRET = "#/$defs/SecretTable"  # noqa: S105 - a place in the schema
_TERMS = "#/$defs/TermsTable"
_BOUND_MAX = 1_000_000
"""A larger bound is none that anybody comes to."""
_IN_WORDS = re.compile(r' (A duration|A size): "[^.]*"\.| Default: .*\.$')


def render() -> str:
    """Give the whole page."""
    schema = json_schema()
    named: Mapping[str, Schema] = schema["$defs"]
    sections = {key: node for key, node in schema["properties"].items() if _inner(node) is not None}
    alone = {key: node for key, node in schema["properties"].items() if key not in sections}
    parts = [INTRODUCTION, _table("", alone, frozenset(), named)]
    for key, node in sections.items():
        parts += _section(key, node, named)
    parts += ["## Terms of `rules[].trust`\n", _words_of(named["TermsTable"])]
    parts.append(_rows_of("", named["TermsTable"], named))
    return "\n".join(parts)


def _section(key: str, node: Schema, named: Mapping[str, Schema]) -> Iterator[str]:
    inner = _inner(node)
    assert inner is not None
    reference, mark = inner
    header = {"": f"[{key}]", ".NAME": f"[{key}.NAME]", "[]": f"[[{key}]]"}[mark]
    yield f"## `{header}`\n"
    yield f"{_text(node)}\n"
    yield _rows_of("", _resolve(reference, named), named)


def _rows_of(prefix: str, table: Schema, named: Mapping[str, Schema]) -> str:
    required = frozenset(table.get("required", ()))
    return _table(prefix, table["properties"], required, named)


def _table(
    prefix: str, keys: Mapping[str, Schema], required: frozenset[str], named: Mapping[str, Schema]
) -> str:
    rows = [row for key, node in keys.items() for row in _rows(prefix, key, node, required, named)]
    return "\n".join(("| key | holds | default | |", "|---|---|---|---|", *rows, ""))


def _rows(
    prefix: str, key: str, node: Schema, required: frozenset[str], named: Mapping[str, Schema]
) -> Iterator[str]:
    """Give the row of a key, and those of what stands in it."""
    name = f"{prefix}{key}"
    default = "**required**" if key in required else _default(node)
    yield f"| `{name}` | {_cell(_kind(node))} | {default} | {_cell(_text(node))} |"
    inner = _inner(node)
    if inner is not None and inner[0] not in {_SECRET, _TERMS}:
        reference, mark = inner
        table = _resolve(reference, named)
        needed = frozenset(table.get("required", ()))
        for each, one in table["properties"].items():
            yield from _rows(f"{name}{mark}.", each, one, needed, named)


def _inner(node: Schema) -> tuple[str, str] | None:
    """Give the table that a key holds, and how a path goes into it."""
    if "$ref" in node:
        return node["$ref"], ""
    if "$ref" in node.get("items", {}):
        return node["items"]["$ref"], "[]"
    values = list(node.get("patternProperties", {}).values())
    return (values[0]["$ref"], ".NAME") if values and "$ref" in values[0] else None


def _resolve(reference: str, named: Mapping[str, Schema]) -> Schema:
    return named[reference.rpartition("/")[2]]


def _kind(node: Schema) -> str:
    """Say what a key holds, in a word or two."""
    if "anyOf" in node:
        kinds = dict.fromkeys(_kind(form) for form in node["anyOf"])
        return " or ".join(kind for kind in kinds if kind != "0")
    if "enum" in node:
        return " ".join(f"`{word}`" for word in node["enum"])
    if node.get("type") == "array":
        return f"list of {_kind(node['items'])}"
    return _kind_of_one(node)


def _kind_of_one(node: Schema) -> str:
    if node.get("$ref") == _SECRET:
        return "secret"
    if "$ref" in node or node.get("type") == "object":
        return "table"
    if "const" in node:
        return str(node["const"])
    return _kind_of_text(node) if node.get("type") == "string" else _kind_of_number(node)


def _kind_of_text(node: Schema) -> str:
    pattern = str(node.get("pattern", ""))
    if "ms|s|m|h|d" in pattern:
        return "duration"
    return "size" if "KiB" in pattern else "text"


def _kind_of_number(node: Schema) -> str:
    kind = {"integer": "whole number", "number": "number", "boolean": "`true` `false`"}
    least, most = node.get("minimum"), node.get("maximum")
    name = kind.get(str(node.get("type")), "any value")
    bounded = [f"from {least}"] if least is not None else []
    bounded += [f"to {most}"] if most is not None and most <= _BOUND_MAX else []
    return " ".join((name, *bounded))


def _default(node: Schema) -> str:
    if "default" not in node:
        return ""
    return f"`{orjson.dumps(node['default']).decode()}`".replace(",", ", ")


def _text(node: Schema) -> str:
    """Give the description, without what has columns of its own."""
    return _IN_WORDS.sub("", _IN_WORDS.sub("", str(node["description"])))


def _words_of(table: Schema) -> str:
    return f"{table['description']}\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
