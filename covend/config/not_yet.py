"""What a configuration may already say though this version does not do it yet: one table, meant to
become empty.

Each entry is a path (`*` stands for any name or position), the values that ask for nothing, and
what is told to whoever sets it to another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from covend.config.locate import KeyPath
from covend.config.problems import Finding

NOT_YET: Mapping[tuple[str, ...], tuple[tuple[Any, ...], str]] = {}


def find_not_yet(tables: Mapping[str, Any]) -> Iterator[Finding]:
    """Give a finding for each written key that has no effect in this version."""
    for pattern, (harmless, effect) in NOT_YET.items():
        for path, value in _written(tables, pattern, ()):
            if value not in harmless:
                message = f"is not in force in this version: {effect}"
                yield Finding(path=path, message=message, is_about_key=True)


def _written(value: Any, pattern: tuple[str, ...], path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if not pattern:
        yield path, value
        return
    for key, inner in _entries(value):
        # Of a list of words, the word itself is what a pattern names.
        if pattern[0] in {"*", key, inner if isinstance(inner, str) else key}:
            yield from _written(inner, pattern[1:], (*path, key))


def _entries(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return iter(value.items())
    return enumerate(value) if isinstance(value, list) else iter(())
