"""Lists of the admin API: turned page by page, and printed in columns or as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from covend.cli.client import Client
from covend.cli.render import Cell, Screen, print_json
from covend.cli.screens import open_screen

PAGE_MAX = 200
Row = Callable[[dict[str, Any], Screen], Sequence[Cell]]


def collect(client: Client, noun: str, limit: int, query: Mapping[str, object]) -> dict[str, Any]:
    """Turn pages until there is enough."""
    items: list[Any] = []
    cursor: str | None = None
    while True:
        wanted = min(limit - len(items), PAGE_MAX)
        found = client.get(noun, **query, limit=wanted, cursor=cursor)
        items += found["items"]
        cursor = found["next_cursor"]
        if cursor is None or len(items) >= limit:
            return {"items": items, "next_cursor": cursor}


def print_list(found: dict[str, Any], head: Sequence[str], row: Row, *, as_json: bool) -> None:
    """Print a list in columns, or as JSON; an empty one is told apart from the data."""
    if as_json:
        print_json(found)
        return
    if not found["items"]:
        click.echo("nothing there", err=True)
        return
    screen = open_screen()
    screen.table(head, [row(item, screen) for item in found["items"]])
    if found["next_cursor"] is not None:
        click.echo("there are more: see --limit", err=True)
