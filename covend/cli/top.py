"""The command that watches: one screen that tells how covend is, looked at again every second."""

from __future__ import annotations

import io
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from covend.cli import glance
from covend.cli.client import Client, open_client
from covend.cli.exits import AGAIN, Failure
from covend.cli.options import config_option, json_option
from covend.cli.render import print_json, safe
from covend.cli.screens import open_screen

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

LOOK_S = 1.0
_QUIT = frozenset({b"q", b"Q", b"\x03", b"\x04", b""})
"""Keys that end it: q, ^C, ^D; nothing at all is a terminal that has gone."""


@click.command()
@click.option("--once", is_flag=True, help="Look once, print it, and end.")
@config_option
@json_option
def top(*, once: bool, config: Path | None, as_json: bool) -> None:
    """Watch covend at work: slots, running tasks, what waits and why, money, safeguards that hold.

    On a terminal it looks again every second, also over a restart of covend; q or Ctrl-C ends it.
    Elsewhere, and with --once or --json, it looks once.
    """
    client = open_client(config)
    if as_json:
        print_json(glance.take(client))
    elif once or not sys.stdout.isatty():
        glance.show(glance.take(client), open_screen())
    else:
        with suppress(KeyboardInterrupt):
            watch(client)


def watch(client: Client) -> None:
    """Look until somebody has had enough; the first look tells whether there is anything to see."""
    seen = glance.take(client)
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False, emoji=False)
    with (
        _keys() as is_over,
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        note = ""
        while True:
            live.update(picture(seen, note, console), refresh=True)
            if is_over():
                return
            try:
                seen, note = glance.take(client), ""
            except Failure as failure:
                if failure.exit_code not in AGAIN:
                    raise
                note = failure.message


def picture(seen: glance.Glance, note: str, console: Console) -> RenderableType:
    """Draw it as any other screen is printed, for a terminal as wide as this one."""
    from rich.console import Console
    from rich.text import Text

    from covend.cli.terminal import TerminalScreen

    paper = io.StringIO()
    drawn = Console(
        file=paper,
        width=console.width,
        force_terminal=True,
        color_system=console.color_system,  # type: ignore[arg-type]  # its own names
        no_color=console.no_color,
        highlight=False,
        emoji=False,
    )
    glance.show(seen, TerminalScreen(drawn))
    text = Text.from_ansi(paper.getvalue())
    text.append(f"\n{safe(note) or 'q ends'}", style="bold red" if note else "dim")
    return text


@contextmanager
def _keys() -> Iterator[Callable[[], bool]]:
    """Read single keys, as long as this lasts; give what waits for the next look, or for a key."""
    if not sys.stdin.isatty():
        yield _without_keys
        return
    file = sys.stdin.fileno()
    before = termios.tcgetattr(file)
    tty.setcbreak(file, termios.TCSANOW)
    try:
        yield lambda: _is_over(file)
    finally:
        termios.tcsetattr(file, termios.TCSANOW, before)


def _is_over(file: int) -> bool:
    """Wait for the next look; say whether somebody has had enough."""
    ready, _, _ = select.select([file], [], [], LOOK_S)
    return bool(ready) and os.read(file, 1) in _QUIT


def _without_keys() -> bool:
    time.sleep(LOOK_S)
    return False
