"""`covend replay --since`: has the daemon route all deliveries of a time again, one by one.

What was replayed since it came is left out: a replay is a delivery with the same event and body, so
that an interrupted command, done again, goes on where it was.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from covend.cli.client import Client, open_client
from covend.cli.exits import INTERRUPTED, NOT_FOUND, OF_ONE, USAGE, Failure
from covend.cli.options import sendable
from covend.cli.render import print_json, safe

DELIVERIES_MAX = 10_000
"""More than these are replayed in several commands."""
PAGE = 200
_REPLAY = "replay"


def replay_since(
    since: str, rule: str | None, config: Path | None, *, again: bool, yes: bool, as_json: bool
) -> None:
    """Do it, and say what came of each; raises what would go wrong with every one of them."""
    client = open_client(config)
    found = list(_listed(client, since))
    wanted, done = _split(found, again=again)
    _confirm(len(wanted), len(done), yes=yes)
    body = {"rule": None if rule is None else sendable(rule), "dry_run": False}
    items: list[Any] = []
    errors: list[dict[str, str]] = []
    try:
        for place, delivery in enumerate(wanted, start=1):
            _replay(client, delivery, body, items, errors)
            if not as_json:
                _tell(place, len(wanted), delivery, items, errors)
    except KeyboardInterrupt:
        click.echo("interrupted: the same command goes on with the rest", err=True)
        click.get_current_context().exit(INTERRUPTED)
    if as_json:
        print_json({"items": items, "errors": errors, "skipped": [each["id"] for each in done]})
    else:
        click.echo(f"{len(items)} replayed, {len(errors)} failed, {len(done)} left out")
    click.get_current_context().exit(NOT_FOUND if errors else 0)


def _listed(client: Client, since: str) -> Iterator[Mapping[str, Any]]:
    """Give what came in since, newest first; Failure where that is too much for one command."""
    cursor, count = None, 0
    while True:
        page = client.get("deliveries", since=since, limit=PAGE, cursor=cursor)
        yield from page["items"]
        count += len(page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            return
        if count >= DELIVERIES_MAX:
            message = f"more than {DELIVERIES_MAX} deliveries came in since: choose a later --since"
            raise Failure(USAGE, message)


def _split(
    found: Sequence[Mapping[str, Any]], *, again: bool
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Give what is to be replayed, oldest first, and what has been already."""
    wanted: list[Mapping[str, Any]] = []
    done: list[Mapping[str, Any]] = []
    replayed: set[tuple[str, str]] = set()
    for each in found:
        body = (each["event"], each["body_sha256"])
        if each["via"] == _REPLAY:
            replayed.add(body)
        elif body in replayed and not again:
            done.append(each)
        else:
            wanted.append(each)
    return wanted[::-1], done


def _confirm(count: int, done: int, *, yes: bool) -> None:
    """Ask on a terminal, and demand --yes elsewhere: it starts agents."""
    if yes or not count:
        return
    left = f" ({done} were replayed already)" if done else ""
    if not sys.stdin.isatty():
        raise Failure(USAGE, f"{count} deliveries would be replayed{left}: say so with --yes")
    click.confirm(f"Replay {count} deliveries{left}?", abort=True, err=True)


def _replay(
    client: Client,
    delivery: Mapping[str, Any],
    body: Mapping[str, object],
    items: list[Any],
    errors: list[dict[str, str]],
) -> None:
    try:
        items.append(client.post("deliveries", delivery["id"], "replay", body=body))
    except Failure as failure:
        if failure.exit_code not in OF_ONE:
            raise
        errors.append({"delivery": delivery["id"], "message": failure.message})


def _tell(
    place: int,
    count: int,
    delivery: Mapping[str, Any],
    items: Sequence[Mapping[str, Any]],
    errors: Sequence[Mapping[str, str]],
) -> None:
    if errors and errors[-1]["delivery"] == delivery["id"]:
        came = f"failed: {errors[-1]['message']}"
    else:
        last = items[-1]
        came = f"{last['state']}: {last['reason']}  {' '.join(last['tasks'])}"
    click.echo(safe(f"{place}/{count}  {delivery['id']}  {came}").rstrip())
