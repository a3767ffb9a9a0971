"""How a command ends: its exit codes, and the one line on standard error that names the mend."""

from __future__ import annotations

from typing import IO, Any

import click

NOT_FOUND = 1
USAGE = 2
UNREACHABLE = 69
TRY_LATER = 75
NOT_PERMITTED = 77
CONFIG = 78
INTERRUPTED = 130
"""As a shell tells of what SIGINT has ended."""
OF_ONE = frozenset({NOT_FOUND, USAGE})
"""What is wrong with one of several things alone: the others are tried all the same."""
AGAIN = frozenset({UNREACHABLE, TRY_LATER})
"""What may be better soon: covend starts anew, or is busy."""


class Failure(click.ClickException):
    """Ends the command with a code; the message says what is wrong and how it is mended."""

    def __init__(self, exit_code: int, message: str) -> None:
        """Give the code of this one failure."""
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads this one

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message; what came from outside must have been made safe before."""
        click.echo(f"covend: {self.message}", file=file, err=file is None)
