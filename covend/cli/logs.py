"""`covend logs`: what a task's agent prints, as it is printed if wished, over retries and restarts.

What an agent prints never reaches a terminal as it came, unless `--raw` asks for that.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from covend.cli.client import Client, open_client
from covend.cli.exits import AGAIN, INTERRUPTED, Failure
from covend.cli.options import complete_tasks, config_option, json_option
from covend.cli.render import print_json_line, safe
from covend.cli.screens import tolerate_any_text
from covend.cli.story import OPEN_STATES

WAITS_S = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)
"""Between the tries to reach a daemon that has gone; a line that comes begins them anew."""
TAB = 4
_STREAMS = {"stdout": ("out", None), "stderr": ("err", "yellow"), "covend": ("---", "cyan")}
Print = Callable[[int, dict[str, Any]], None]
"""Print a line of an attempt, as the API gives it."""


@click.command()
@click.argument("task", shell_complete=complete_tasks)
@click.option("-f", "--follow", is_flag=True, help="Go on until the task has ended.")
@click.option(
    "--attempt", type=click.IntRange(1), metavar="N", help="Of this attempt; else the newest."
)
@click.option(
    "--since",
    type=click.IntRange(0),
    default=0,
    metavar="OFFSET",
    help="From this byte on: a next_offset that --json has given.",
)
@click.option("--raw", is_flag=True, help="Exactly as it was printed, escape sequences and all.")
@config_option
@json_option
def logs(
    *,
    task: str,
    follow: bool,
    attempt: int | None,
    since: int,
    raw: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Print what the agent of a task has printed: its ID, or a beginning of it.

    On a terminal with the time and the stream of each line, else the text alone; with --json an
    object a line. With --follow it goes on, also into the next attempt of a task that is tried
    again (unless --attempt names one) and over a restart of covend; Ctrl-C ends it (exit code 130).
    """
    if raw and as_json:
        raise click.UsageError("--raw and --json exclude each other")
    tolerate_any_text()
    client, show = open_client(config), _printer(raw=raw, as_json=as_json)
    try:
        _print_log(client, task, attempt, since, show, follow=follow)
    except KeyboardInterrupt:
        click.get_current_context().exit(INTERRUPTED)


def _print_log(
    client: Client, task: str, attempt: int | None, since: int, show: Print, *, follow: bool
) -> None:
    found = client.get("tasks", task)
    number = attempt or found["attempts"]
    if follow:
        _follow(client, found["id"], max(number, 1), since, show, only=attempt is not None)
    elif number:
        _print_pages(client, found["id"], number, since, show)
    else:
        _note(f"nothing was printed: the task is {found['state']}, and no attempt has begun")


def _print_pages(client: Client, task: str, number: int, since: int, show: Print) -> None:
    place = since
    while True:
        page = client.get("tasks", task, "attempts", str(number), "log", offset=place)
        for line in page["items"]:
            show(number, line)
        if page["next_offset"] == place:
            return
        place = page["next_offset"]


def _follow(client: Client, task: str, number: int, since: int, show: Print, *, only: bool) -> None:
    """Follow an attempt, and those after it unless it is the only one that is wished."""
    while True:
        end = _follow_attempt(client, task, number, since, show)
        is_over = end["state"] not in OPEN_STATES and number >= end["attempts"]
        is_last = only or is_over
        if end["outcome"]:
            is_told = end["error_code"] in {None, "", end["outcome"]}
            why = "" if is_told else f" ({end['error_code']})"
            _note(f"attempt {number} has ended: {end['outcome']}{why}")
        if is_last:
            _note(f"the task is {end['state']}")
            return
        number, since = number + 1, 0


def _follow_attempt(
    client: Client, task: str, number: int, since: int, show: Print
) -> dict[str, Any]:
    """Follow one to its end, and give what its end is; a connection that breaks is made anew."""
    place, tries = since, 0
    while True:
        try:
            for event in client.follow(
                "tasks", task, "attempts", str(number), "log", last=place, follow=1
            ):
                place, tries = int(event.id), 0
                if event.name == "end":
                    return dict(event.data)
                show(number, event.data)
        except Failure as failure:
            if failure.exit_code not in AGAIN or tries == len(WAITS_S):
                raise
        time.sleep(WAITS_S[tries])
        tries += 1


# --- how a line looks -----------------------------------------------------------------------------


def _printer(*, raw: bool, as_json: bool) -> Print:
    if as_json:
        return _print_as_json
    if raw:
        return _print_raw
    return _print_on_terminal if sys.stdout.isatty() else _print_plain


def _print_as_json(number: int, line: dict[str, Any]) -> None:
    print_json_line({"attempt": number, **line})


def _print_raw(_number: int, line: dict[str, Any]) -> None:
    # As bytes: click would take escape sequences out of a text that goes to no terminal.
    click.echo(line["text"].encode())


def _print_plain(_number: int, line: dict[str, Any]) -> None:
    click.echo(_harmless(line["text"]))


def _print_on_terminal(_number: int, line: dict[str, Any]) -> None:
    name, colour = _STREAMS[line["stream"]]
    at = datetime.fromisoformat(line["at"]).astimezone().strftime("%H:%M:%S")
    text = _harmless(line["text"])
    if not os.environ.get("NO_COLOR"):
        at, name = click.style(at, dim=True), click.style(name, fg=colour)
    click.echo(f"{at} {name} {text}")


def _harmless(text: str) -> str:
    return safe(text.expandtabs(TAB))


def _note(text: str) -> None:
    """Say something of covend's own, apart from what was printed."""
    click.echo(f"covend: {text}", err=True)
