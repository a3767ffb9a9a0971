"""Chooses the screen that fits standard output; a terminal's is imported only for a terminal."""

from __future__ import annotations

import sys
from io import TextIOWrapper

from covend.cli.render import PlainScreen, Screen


def tolerate_any_text() -> None:
    """Let a character that standard output cannot write become a question mark."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def open_screen() -> Screen:
    """Give it; it tolerates any text."""
    tolerate_any_text()
    if not sys.stdout.isatty():
        return PlainScreen()
    from covend.cli.terminal import TerminalScreen

    return TerminalScreen()
