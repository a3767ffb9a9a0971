"""Finds where each key of a TOML text stands; it reads no values and checks nothing.

The text must be one that `tomllib` has accepted: what would be an error there has no meaning here.
The grammar is https://toml.io/en/v1.0.0. A path is a tuple of keys and list positions, `("rules",
0, "when")`.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ONE_LINE = re.compile(r'"(?:[^"\\\n]|\\.)*"' + r"|'[^'\n]*'")
_SEVERAL_LINES = re.compile(
    r'"""(?:[^"\\]|\\(?:.|\n)|"(?!""))*"""(?:"{0,2})' + r"|'''(?:[^']|'(?!''))*'''(?:'{0,2})"
)
_PLAIN = re.compile(r"[^,\]}#\n]*")


class Position(NamedTuple):
    """A character of the text; both numbers count from 1."""

    line: int
    column: int


class Place(NamedTuple):
    """Where a key begins and where its value does; the same for a list's entries and for
    `[tables]`.
    """

    key: Position
    value: Position


def locate(text: str) -> Mapping[KeyPath, Place]:
    """Map every key, table and list entry to its place; lines end in a line feed alone."""
    return _Scanner(text).scan()


def nearest(places: Mapping[KeyPath, Place], path: KeyPath) -> Place | None:
    """Give the place of `path`, or of what it would stand in; None where nothing on the way is
    written.
    """
    return next(
        (places[path[:end]] for end in range(len(path), 0, -1) if path[:end] in places), None
    )


@dataclass(slots=True)
class _Scanner:
    text: str
    at: int = 0
    table: KeyPath = ()
    places: dict[KeyPath, Place] = field(default_factory=dict)
    lengths: dict[KeyPath, int] = field(default_factory=dict)
    """How many `[[tables]]` each path has so far."""
    starts: list[int] = field(init=False)
    """The offset at which each line begins."""

    def __post_init__(self) -> None:
        self.starts = [0, *(match.end() for match in re.finditer(r"\n", self.text))]

    def scan(self) -> Mapping[KeyPath, Place]:
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                self._header()
            else:
                self._pair(self.table)
            self._skip(_BLANK)
        return self.places

    def _header(self) -> None:
        start = self._position(self.at)
        is_list = self.text.startswith("[[", self.at)
        self.at += 2 if is_list else 1
        path: KeyPath = ()
        for key, _ in self._dotted_key():
            path = (*self._newest(path), key)
            self.places.setdefault(path, Place(start, start))
        self.at += 2 if is_list else 1
        self.table = self._appended(path) if is_list else path
        self.places[self.table] = Place(start, start)

    def _newest(self, path: KeyPath) -> KeyPath:
        return (*path, self.lengths[path] - 1) if path in self.lengths else path

    def _appended(self, path: KeyPath) -> KeyPath:
        self.lengths[path] = self.lengths.get(path, 0) + 1
        return self._newest(path)

    def _pair(self, table: KeyPath) -> None:
        path = table
        keys = self._dotted_key()
        self.at += 1
        self._skip(_SPACE)
        value = self._position(self.at)
        for key, start in keys:
            path = (*path, key)
            self.places.setdefault(path, Place(start, value))
        self._value(path)

    def _dotted_key(self) -> list[tuple[str, Position]]:
        keys = [self._key()]
        while self.text[self.at] == ".":
            self.at += 1
            keys.append(self._key())
        return keys

    def _key(self) -> tuple[str, Position]:
        self._skip(_SPACE)
        start = self._position(self.at)
        is_bare = self.text[self.at] not in "\"'"
        written = self._skip(_BARE_KEY if is_bare else _ONE_LINE)
        self._skip(_SPACE)
        return written if is_bare else _unquoted(written), start

    def _value(self, path: KeyPath) -> None:
        if self.text.startswith(('"""', "'''"), self.at):
            self._skip(_SEVERAL_LINES)
        elif self.text[self.at] in "\"'":
            self._skip(_ONE_LINE)
        elif self.text[self.at] == "[":
            self._list(path)
        elif self.text[self.at] == "{":
            self._inline_table(path)
        else:
            self._skip(_PLAIN)

    def _list(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        while not self._closes("]"):
            start = self._position(self.at)
            self.places[(*path, index)] = Place(start, start)
            self._value((*path, index))
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        self.at += 1
        while not self._closes("}"):
            self._pair(path)

    def _closes(self, bracket: str) -> bool:
        self._skip(_BLANK)
        if self.text[self.at] == ",":
            self.at += 1
            self._skip(_BLANK)
        if self.text[self.at] != bracket:
            return False
        self.at += 1
        return True

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        assert match is not None, "tomllib has accepted this text"
        self.at = match.end()
        return match.group()

    def _position(self, offset: int) -> Position:
        line = bisect_right(self.starts, offset)
        return Position(line, offset - self.starts[line - 1] + 1)


def _unquoted(key: str) -> str:
    return next(iter(tomllib.loads(f"{key} = 0")))
