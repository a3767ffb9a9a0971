"""The options that commands share."""

from __future__ import annotations

from pathlib import Path

import click

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
why_option = click.option(
    "--why", "--reason", "why", default="", metavar="TEXT", help="Why, for those who look later."
)


def sendable(text: str) -> str:
    """Make a text of what was typed: what is none becomes question marks."""
    return text.encode(errors="replace").decode()
