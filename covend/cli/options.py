"""The options that commands share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from covend.core.units import DURATION_FORMS, UnitError, parse_duration

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The configuration to read.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
limit_option = click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="So many at most.",
)


def complete_rules(
    context: click.Context,
    parameter: click.Parameter,
    incomplete: str,
) -> list[CompletionItem]:
    """Ask `completing` only when a shell asks."""
    from covend.cli import completing

    return completing.complete_rules(context, parameter, incomplete)


def complete_tasks(
    context: click.Context,
    parameter: click.Parameter,
    incomplete: str,
) -> list[CompletionItem]:
    """Ask `completing` only when a shell asks."""
    from covend.cli import completing

    return completing.complete_tasks(context, parameter, incomplete)


def _moment(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    """Read a moment, or how long ago it was, and write it as the API reads it."""
    if text is None:
        return None
    try:
        return _written(datetime.now(UTC) - timedelta(seconds=parse_duration(text)))
    except UnitError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        forms = f"{DURATION_FORMS}, or a moment such as 2026-01-31T09:30:00Z"
        raise click.BadParameter(f"it must be {forms}") from error
    # Without a zone it is what the clock of this machine shows.
    return _written(at.astimezone(UTC))


def _written(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


search_option = click.option(
    "--search", metavar="TEXT", help="Only what has this in its names, its title, or its ID."
)
since_option = click.option(
    "--since",
    callback=_moment,
    metavar="WHEN",
    help='From then on: "90s", "12h", "1d" ago, or a moment such as 2026-01-31T09:30:00Z.',
)
why_option = click.option(
    "--why", "--reason", "why", default="", metavar="TEXT", help="Why, for those who look later."
)


def sendable(text: str) -> str:
    """Make a text of what was typed: what is none becomes question marks."""
    return text.encode(errors="replace").decode()
