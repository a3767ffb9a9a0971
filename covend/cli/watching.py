"""Commands that tell what goes on: events as they happen, and who has asked for what."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from covend.cli.client import Client, Event, open_client
from covend.cli.exits import AGAIN, INTERRUPTED, Failure
from covend.cli.lists import collect, print_list
from covend.cli.options import config_option, json_option, limit_option
from covend.cli.render import Cell, Screen, cell, print_json_line, safe
from covend.cli.screens import tolerate_any_text

WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0)
"""Before each try to reach a covend that starts anew."""


@click.command()
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(["move", "delivery"]),
    multiple=True,
    help="Only these: moves of tasks, or deliveries.",
)
@config_option
@json_option
def events(*, kinds: Sequence[str], config: Path | None, as_json: bool) -> None:
    """Print what happens, as it happens: deliveries that come in, and every move of a task.

    With --json an object a line. It goes on over a restart of covend; Ctrl-C ends it (exit code
    130).
    """
    tolerate_any_text()
    try:
        follow(open_client(config), kinds, as_json=as_json)
    except KeyboardInterrupt:
        click.get_current_context().exit(INTERRUPTED)


@click.command()
@click.option("--who", metavar="NAME", help="By this one alone.")
@click.option("--verb", metavar="VERB", help="Only this change, such as cancel.")
@click.option("--target", metavar="ID", help="Only what was done to this.")
@limit_option
@config_option
@json_option
def audit(*, limit: int, config: Path | None, as_json: bool, **query: str | None) -> None:
    """List who has asked covend to change what, from where, and what came of it; newest first."""
    head = ("AT", "WHO", "VIA", "FROM", "VERB", "TARGET", "OUTCOME")
    found = collect(open_client(config), "audit", limit, query)
    print_list(found, head, _audit_row, as_json=as_json)


def follow(client: Client, kinds: Sequence[str], *, as_json: bool) -> None:
    """Print to no end; a connection that breaks is made anew, from where it broke."""
    client.get("stats")  # one that is not there from the beginning is told at once
    last: int | str | None = None
    tries = 0
    while True:
        try:
            for event in client.follow("events", last=last, kinds=",".join(kinds) or None):
                last, tries = event.id, 0
                _print(event, as_json=as_json)
        except Failure as failure:
            if failure.exit_code not in AGAIN or tries == len(WAITS_S):
                raise
        time.sleep(WAITS_S[tries])
        tries += 1


def _print(event: Event, *, as_json: bool) -> None:
    if as_json:
        print_json_line({"kind": event.name, **event.data})
        return
    click.echo(safe(_sentence(event.name, event.data)))
    sys.stdout.flush()


def _sentence(kind: str, data: Mapping[str, Any]) -> str:
    """Tell an event in one line."""
    at = datetime.fromisoformat(data["at"]).astimezone().strftime("%H:%M:%S")
    where = data["repository"] or "-"
    why = f" ({data['reason']})" if data["reason"] else ""
    if kind == "delivery":
        name = f"{data['event']}.{data['action']}" if data["action"] else data["event"]
        return f"{at} delivery {data['id']}  {name}  {where}: {data['state']}{why}"
    came = f"{data['from']} → " if data["from"] else ""
    return f"{at} task {data['task']}  {data['rule'] or '-'}  {where}: {came}{data['to']}{why}"


def _audit_row(item: Mapping[str, Any], screen: Screen) -> Sequence[Cell]:
    outcome = item["outcome"]
    style = "green" if outcome == "ok" else "red" if outcome else "yellow"
    return (
        screen.moment(item["at"]),
        cell(item["who"]),
        cell(item["via"]),
        cell(item["from"]),
        cell(item["verb"]),
        cell(item["target"]),
        cell(outcome or "not known", style),
    )
