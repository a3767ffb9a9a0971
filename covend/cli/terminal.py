"""A terminal's screen: colours (unless NO_COLOR), its width, and moments as people say them.

Every text goes through `safe` and into rich as text, never as markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from covend.cli.render import Cell, cell, duration, safe, safe_lines, seconds_between

LOOSE = frozenset({"WHY", "TITLE", "WHERE", "IS", "WANTED"})
"""The columns that give way on a narrow terminal; ids and states stay in one piece."""

SHORT = 3
"""So many columns of a table without a head are of the other kind."""


class TerminalScreen:
    """`render.Screen` on a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        """Print to standard output, unless another console is given."""
        self._console = console or Console(highlight=False, emoji=False)

    def title(self, cells: Sequence[Cell]) -> None:
        """See `Screen.title`."""
        self._console.print(Text("  ").join(_text(one) for one in cells))

    def section(self, cells: Sequence[Cell]) -> None:
        """See `Screen.section`."""
        self._console.print()
        self.title(cells)

    def fields(self, fields: Iterable[tuple[str, Cell]]) -> None:
        """See `Screen.fields`."""
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in fields:
            grid.add_row(f"  {name}", _text(value))
        self._console.print(grid)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """See `Screen.table`."""
        table = Table(box=None, show_header=bool(head), header_style="dim", pad_edge=False)
        for place in range(len(rows[0]) if rows else len(head)):
            name = head[place] if head else ""
            is_loose = name in LOOSE if head else place >= SHORT
            table.add_column(name, overflow="fold", no_wrap=not is_loose)
        for row in rows:
            table.add_row(*(_text(one) for one in row))
        self._console.print(table)

    def lines(self, text: str) -> None:
        """See `Screen.lines`."""
        self._console.print(Padding(Text("\n".join(safe_lines(text))), (0, 0, 0, 2)))

    def moment(self, written: str | None) -> Cell:
        """See `Screen.moment`."""
        return Cell(f"{duration(seconds_between(written, None))} ago") if written else cell(None)


def _text(one: Cell) -> Text:
    return Text(safe(one.text), style=one.style)
