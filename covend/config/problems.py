"""What is wrong with a configuration, where, and how it is shown; a secret is never shown.

A `Finding` speaks of a key; a `Problem` is the finding with the place where that key is written.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from covend.config.locate import KeyPath, Place, Position, nearest
from covend.core.errors import ConfigError

GOT_MAX = 60
"""Characters of a wrong value that are shown."""

_SECRET_KEYS = frozenset({"private_key", "token", "webhook_secrets", "secrets", "env", "url"})
_SECRET_ON_LINE = re.compile(
    r"(?i)(?P<key>[\"']?\w*(?:token|secret|private_key|password)\w*[\"']?\s*=\s*)(?P<value>.*)"
)
_NAMED_OR_TEXT = re.compile(
    r"(?P<named>\b(?:file|env|credential)\s*=\s*)?(?P<text>\"(?:[^\"\\]|\\.)*\"?|'[^']*'?)"
)
_WITH_KEY = re.compile(r"\s*(?:[\"']?[\w.-]+[\"']?\s*=|\[)")
_PLAIN = re.compile(r"[\[{]|true\b|false\b|[0-9.]+\s*(?:#|$)")
_OPAQUE = re.compile(
    r"(?=[\w+/=-]*[0-9])(?=[\w+/=-]*[a-z])(?=[\w+/=-]*[A-Z])[\w+/=-]{32,}|(?<=://)[^/@\s]+@"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something wrong (or, as a caution, worth knowing) about the key at `path`."""

    path: KeyPath
    message: str
    got: str | None = None
    suggestion: str | None = None
    is_about_key: bool = False
    """The caret points at the key rather than at its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A finding in its file; `line` and `column` count from 1 and are None where nothing is
    written.
    """

    file: str
    """A path, or `$NAME` for a variable of the environment."""
    line: int | None = None
    column: int | None = None
    key: str = ""
    message: str
    got: str | None = None
    suggestion: str | None = None
    source_line: str | None = None

    def __str__(self) -> str:
        """Show the problem in one line, and its source line with a caret below it."""
        return "\n".join(["".join(self._sentence()), *self._excerpt()])

    def _sentence(self) -> Iterable[str]:
        yield self.file
        if self.line is not None:
            yield f":{self.line}"
        yield f": {self.key}: {self.message}" if self.key else f": {self.message}"
        if self.got is not None:
            yield f" (got {self.got})"
        if self.suggestion is not None:
            yield f"  did you mean {self.suggestion}?"

    def _excerpt(self) -> Iterable[str]:
        if self.source_line is None or self.line is None or self.column is None:
            return
        margin = f"{self.line:>5} | "
        # Tabs stay tabs, so that the caret stands below its character.
        indent = "".join("\t" if c == "\t" else " " for c in self.source_line[: self.column - 1])
        yield margin + self.source_line
        yield " " * (len(margin) - 2) + "| " + indent + "^"


class ConfigErrors(ConfigError):  # noqa: N818 (it is several)
    """The configuration has errors."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep all problems; the message shows each of them."""
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A configuration's text with what is needed to point into it."""

    file: str
    lines: Sequence[str]
    places: Mapping[KeyPath, Place]
    variables: Mapping[KeyPath, str]
    """The keys that the environment overrides, with the name of the variable."""

    def locate(self, finding: Finding) -> Problem:
        """Make the finding a problem of this text."""
        variable = self.variables.get(finding.path)
        if variable is not None:
            return _problem(f"${variable}", None, None, finding)
        place = nearest(self.places, finding.path)
        if place is None:
            return _problem(self.file, None, None, finding)
        at = place.key if finding.is_about_key else place.value
        return _problem(self.file, at, masked_line(self.lines, at.line), finding)

    def origin(self, path: KeyPath) -> str:
        """Say where the value at `path` comes from."""
        if path in self.variables:
            return f"${self.variables[path]}"
        place = self.places.get(path)
        return "default" if place is None else f"{self.file}:{place.key.line}"

    def locate_all(self, findings: Iterable[Finding]) -> tuple[Problem, ...]:
        """Make problems of all findings, in the order of the file; the same one is told once."""
        problems = dict.fromkeys(self.locate(finding) for finding in findings)
        return tuple(sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0)))


def _problem(file: str, at: Position | None, line: str | None, finding: Finding) -> Problem:
    return Problem(
        file=file,
        line=at.line if at else None,
        column=at.column if at else None,
        key=dotted(finding.path),
        message=finding.message,
        got=finding.got,
        suggestion=finding.suggestion,
        source_line=line,
    )


def dotted(path: KeyPath) -> str:
    """Write a path as people read it: `rules[0].when.draft`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def shown(path: KeyPath, value: Any) -> str | None:
    """Write a wrong value in at most `GOT_MAX` characters; None for one that may be a secret."""
    if any(part in _SECRET_KEYS for part in path):
        return None
    written = without_opaque(json.dumps(value, ensure_ascii=False, default=str))
    return written if len(written) <= GOT_MAX else written[: GOT_MAX - 1] + "…"


def masked_line(lines: Sequence[str], number: int) -> str:
    """Give a line (from 1) without what could be a secret that somebody wrote into it."""
    line = lines[number - 1]
    found = _SECRET_ON_LINE.search(line)
    if not found and not _WITH_KEY.match(line) and _SECRET_ON_LINE.search(_owner(lines, number)):
        return "…"
    if found:
        line = line[: found.start("value")] + _masked_value(found["value"])
    return without_opaque(line)


def _owner(lines: Sequence[str], number: int) -> str:
    """Give the line of the key whose value, over several lines, has this one."""
    before = reversed(lines[: number - 1])
    return next((line for line in before if _WITH_KEY.match(line)), "")


def without_opaque(text: str) -> str:
    """Give a text without what looks like a key or token, and without the passwords in its URLs."""
    return _OPAQUE.sub("…", text)


def _masked_value(value: str) -> str:
    if value[:1] in {'"', "'"} or not _PLAIN.match(value):
        return "…"
    return _NAMED_OR_TEXT.sub(lambda text: text[0] if text["named"] else '"…"', value)


def closest(name: str, names: Iterable[str]) -> str | None:
    """Give the name that was probably meant, as a quoted text; None where none is near."""
    # Case alone is the commonest slip, and difflib counts it as a difference.
    by_lower = {known.lower(): known for known in names}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return json.dumps(by_lower[near[0]], ensure_ascii=False) if near else None
