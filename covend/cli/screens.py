"""Chooses the screen that fits standard output; a terminal's is imported only for a terminal."""

from __future__ import annotations

import sys
from io import TextIOWrapper

from covend.cli.render import PlainScreen, Screen


def open_screen() -> Screen:
    """Give it; a character that standard output cannot write becomes a question mark."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if not sys.stdout.isatty():
        return PlainScreen()
    from covend.cli.terminal import TerminalScreen

    return TerminalScreen()
