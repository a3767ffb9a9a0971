"""`covend version`: what runs here, for a report of a fault."""

from __future__ import annotations

import sqlite3
import sys

import click

from covend import __version__
from covend.cli.options import json_option


@click.command()
@json_option
def version(*, as_json: bool) -> None:
    """Print the versions of what runs here."""
    versions = {
        "covend": __version__,
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
    }
    if as_json:
        import json

        click.echo(json.dumps(versions))
    else:
        click.echo("\n".join(f"{name} {number}" for name, number in versions.items()))
