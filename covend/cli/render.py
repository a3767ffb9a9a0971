"""What commands print: plain aligned text, JSON, or (by `terminal`) a terminal's colours.

Text from outside never reaches a terminal as it came: what would move its cursor, change its title
or turn the reading direction is shown as its escape instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

import click
import orjson

_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""C0, C1, DEL, lone surrogates, and what turns the reading direction: https://trojansource.codes"""

_GAP = "  "
_TWO_DIGITS = 0xFF


def safe(text: str) -> str:
    """Make a text one harmless line."""
    return _CONTROL.sub(_escape, " ".join(text.expandtabs(1).splitlines()))


def safe_lines(text: str) -> list[str]:
    """Make a text harmless lines; a tab is four spaces."""
    return [safe(line.expandtabs(4)) for line in text.splitlines()]


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code <= _TWO_DIGITS else f"\\u{code:04x}"


def print_json(data: Any) -> None:
    """Print JSON that stays what it is, with nothing in it that a terminal would obey."""
    text = orjson.dumps(data, option=orjson.OPT_INDENT_2).decode()
    click.echo("\n".join(_CONTROL.sub(_json_escape, line) for line in text.split("\n")))


def print_json_line(data: Any) -> None:
    """Print JSON as one line, as `print_json` does."""
    click.echo(_CONTROL.sub(_json_escape, orjson.dumps(data).decode()))


def _json_escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


class Cell(NamedTuple):
    """A piece of text and how it looks; made harmless where it is printed."""

    text: str
    style: str = ""


def cell(value: object, style: str = "") -> Cell:
    """Show a value, nothing as a dash."""
    return Cell("-" if value is None or value == "" else str(value), style)


class Screen(Protocol):
    """Where a command prints to."""

    def title(self, cells: Sequence[Cell]) -> None:
        """Print what it is all about."""
        ...

    def section(self, cells: Sequence[Cell]) -> None:
        """Print what the following is about, after an empty line."""
        ...

    def fields(self, fields: Iterable[tuple[str, Cell]]) -> None:
        """Print names and values below each other."""
        ...

    def table(self, head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Print rows below a head, which may be empty."""
        ...

    def lines(self, text: str) -> None:
        """Print a text of several lines, indented."""
        ...

    def moment(self, written: str | None) -> Cell:
        """Show a moment as this screen does."""
        ...


class PlainScreen:
    """For files, pipes and programs: whole values, no colours, moments as they are."""

    def title(self, cells: Sequence[Cell]) -> None:
        """See `Screen.title`."""
        click.echo(_GAP.join(safe(one.text) for one in cells))

    def section(self, cells: Sequence[Cell]) -> None:
        """See `Screen.section`."""
        click.echo()
        self.title(cells)

    def fields(self, fields: Iterable[tuple[str, Cell]]) -> None:
        """See `Screen.fields`."""
        self.table((), [(Cell(f"  {name}"), value) for name, value in fields])

    def table(self, head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """See `Screen.table`."""
        written = [[safe(one.text) for one in row] for row in rows]
        if head:
            written.insert(0, list(head))
        widths = [max(map(len, column)) for column in zip(*written, strict=True)]
        for row in written:
            padded = (text.ljust(width) for text, width in zip(row, widths, strict=True))
            click.echo(_GAP.join(padded).rstrip())

    def lines(self, text: str) -> None:
        """See `Screen.lines`."""
        for line in safe_lines(text):
            click.echo(f"  {line}".rstrip())

    def moment(self, written: str | None) -> Cell:
        """See `Screen.moment`."""
        return cell(written)


def seconds_between(earlier: str, later: str | None) -> float:
    """Give the seconds between two moments as the API writes them; None is now."""
    end = datetime.fromisoformat(later) if later else datetime.now(UTC)
    return max(0.0, (end - datetime.fromisoformat(earlier)).total_seconds())


def seconds_until(written: str) -> float:
    """Give the seconds from now to a moment as the API writes it; less than 0 where it is over."""
    return (datetime.fromisoformat(written) - datetime.now(UTC)).total_seconds()
