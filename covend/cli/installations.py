"""Commands about where covend is installed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from covend.cli.client import open_client
from covend.cli.exits import USAGE, Failure
from covend.cli.options import config_option, json_option
from covend.cli.render import Cell, cell, print_json, safe
from covend.cli.screens import open_screen


class _Number(click.IntRange):
    """As people read it in what is wrong."""

    name = "number of an installation"


_STYLES = {"suspended": "yellow", "deleted": "red"}


@click.command()
@config_option
@json_option
def installations(*, config: Path | None, as_json: bool) -> None:
    """List the accounts that have the App, as GitHub's events have told it.

    One that was made before covend took its first webhook is not told of; it works all the same,
    and "covend tasks --json" has its number.
    """
    found = open_client(config).get("installations")
    if as_json:
        print_json(found)
        return
    if not found["items"]:
        click.echo("GitHub has told of no installation yet", err=True)
        return
    screen = open_screen()
    head = ("INSTALLATION", "ACCOUNT", "STATE", "REPOSITORIES", "PERMISSIONS")
    screen.table(head, [_row(each) for each in found["items"]])


@click.command()
@click.argument("installation", type=_Number(min=1))
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@json_option
def forget(*, installation: int, yes: bool, config: Path | None, as_json: bool) -> None:
    """Delete all that is known of an INSTALLATION: deliveries, tasks, attempts, logs and effects.

    What runs there ends first, and its results are shown. It cannot be undone. What was published
    on GitHub stays there. Where the App is still installed, work goes on, and is kept from then on.
    """
    client = open_client(config)
    if not yes:
        accounts = {each["id"]: each["account"] for each in client.get("installations")["items"]}
        whose = f" ({safe(accounts[installation])})" if installation in accounts else ""
        what = f"all that is known of installation {installation}{whose}"
        if not sys.stdin.isatty():
            raise Failure(USAGE, f"{what} would be deleted: say so with --yes")
        click.confirm(f"Delete {what}?", abort=True, err=True)
    told = client.post("installations", str(installation), "forget", body={})
    if as_json:
        print_json(told)
    else:
        click.echo(f"installation {installation} is being forgotten; see `covend installations`")


def _row(each: Mapping[str, Any]) -> tuple[Cell, ...]:
    granted = ", ".join(f"{name}={level}" for name, level in sorted(each["permissions"].items()))
    is_going = each["forget_at"] is not None
    state = "forgetting" if is_going else each["state"]
    return (
        cell(each["id"]),
        cell(each["account"]),
        cell(state, _STYLES.get(state, "")),
        cell(each["repositories"] or None),
        cell(granted),
    )
