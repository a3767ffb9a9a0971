"""A terminal's screen: colours (unless NO_COLOR), its width, and moments as people say them.

Every text goes through `safe` and into rich as text, never as markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from covend.cli.render import Cell, cell, safe, safe_lines, seconds_until
from covend.core.amounts import duration

LOOSE = frozenset({"WHY", "TITLE", "WHERE", "IS", "WANTED", "WHAT"})
"""The columns that give way on a narrow terminal; ids and states stay in one piece."""

LOOSE_MIN = 10
"""Narrower than this a column that gives way cannot be read."""

LEFT_OUT = ("TITLE", "WHY")
"""The columns that a list can do without, in the order in which it does: `show` has them too."""

_BETWEEN = 2
"""Columns of the terminal between two of a table."""

SHORT = 3
"""So many columns of a table without a head are of the other kind."""


class TerminalScreen:
    """`render.Screen` on a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        """Print to standard output, unless another console is given."""
        self._console = console or Console(highlight=False, emoji=False)

    def title(self, cells: Sequence[Cell]) -> None:
        """See `Screen.title`."""
        line = Text("  ").join(_text(one) for one in cells)
        if len(cells) == 1 or line.cell_len <= self._console.width:
            self._console.print(line)
            return
        # What has no room goes on below its first line, right of the mark.
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(_text(cells[0]), Text("  ").join(_text(one) for one in cells[1:]))
        self._console.print(grid)

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
        """See `Screen.table`; a list that has no room shows each row as lines of its own."""
        if not head:
            self._print_table(head, rows)
            return
        for count in range(len(LEFT_OUT) + 1):
            kept = [place for place, name in enumerate(head) if name not in LEFT_OUT[:count]]
            names = [head[place] for place in kept]
            some = [[row[place] for place in kept] for row in rows]
            if _room_for(names, some) <= self._console.width:
                self._print_table(names, some)
                return
        for place, row in enumerate(rows):
            if place:
                self._console.print()
            self.fields((name.lower(), one) for name, one in zip(head, row, strict=True))

    def _print_table(self, head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
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
        if not written:
            return cell(None)
        ahead = seconds_until(written)
        told = f"in {duration(ahead)}" if ahead > 0 else f"{duration(-ahead)} ago"
        return Cell(told)


def _text(one: Cell) -> Text:
    return Text(safe(one.text), style=one.style)


def _room_for(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> int:
    """Give the narrowest width at which all of it can be read."""
    widths = [
        max(cell_len(name), *(cell_len(safe(row[place].text)) for row in rows), 0)
        for place, name in enumerate(head)
    ]
    least = (
        min(width, LOOSE_MIN) if name in LOOSE else width
        for name, width in zip(head, widths, strict=True)
    )
    return sum(least) + _BETWEEN * (len(head) - 1)
