"""`covend explain`: what would become of an event, and why. It executes nothing and writes nothing.

A payload is judged here, by the configuration and the local store; for a stored delivery and a
live pull request the daemon is asked.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, BinaryIO

import click

from covend.cli.client import open_client
from covend.cli.exits import NOT_FOUND, Failure
from covend.cli.explained import print_explanation
from covend.cli.options import complete_rules, config_option, json_option, sendable
from covend.cli.reading import read_unsecret_settings
from covend.cli.render import print_json, safe
from covend.cli.screens import open_screen

PAYLOAD_MAX = 25 << 20
"""Bytes; GitHub sends no larger ones."""


@click.command()
@click.argument("payload", required=False, metavar="PAYLOAD.json|-")
@click.option("--event", metavar="NAME", help="The payload's event, as in X-GitHub-Event.")
@click.option("--delivery", metavar="ID", help="A delivery that came in before.")
@click.option("--pr", "pull", metavar="O/R#N", help="A pull request as it is on GitHub now.")
@click.option(
    "--rule", metavar="NAME", help="Only what this rule says.", shell_complete=complete_rules
)
@config_option
@json_option
def explain(
    *,
    payload: str | None,
    event: str | None,
    delivery: str | None,
    pull: str | None,
    rule: str | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Say what would become of an event: of every rule each clause with the values compared, the
    gates in order, the key and what it meets, and the end in one sentence.

    A payload needs no daemon: it is judged by the configuration, and by the local store where there
    is one, which is opened for reading alone; what could not be looked at is said. --delivery and
    --pr ask the daemon, which asks GitHub for what is missing.

    The exit code is 0 where it could be explained, also if nothing would start (`--json` has
    "starts"); 1 where it is not there or cannot be read.
    """
    given = [each for each in (payload, delivery, pull) if each is not None]
    if len(given) != 1 or (payload is None) != (event is None):
        message = "Give a payload with its --event, or --delivery, or --pr: one of the three."
        raise click.UsageError(message)
    if payload is not None and event is not None:
        found = _explain_here(payload, event, rule, config)
    else:
        found = _ask(delivery, pull, rule, config)
    if rule is not None and not found["rules"]:
        raise Failure(NOT_FOUND, safe(f"there is no rule {rule!r}  (covend check)"))
    if as_json:
        print_json(found)
    else:
        print_explanation(found, open_screen())


def _ask(delivery: str | None, pull: str | None, rule: str | None, config: Path | None) -> Any:
    named = None if rule is None else sendable(rule)
    if delivery is not None:
        query = {"rule": named, "live": 1}
        return open_client(config).get("deliveries", delivery, "explain", **query)
    body = {"pull_request": sendable(pull or ""), "rule": named}
    return open_client(config).post("explain", body=body)


def _explain_here(payload: str, event: str, rule: str | None, config: Path | None) -> Any:
    body, settings = _read(payload), read_unsecret_settings(config)
    from covend.app.offline import open_offline
    from covend.core.errors import CovendError
    from covend.web.api.explanations import shape

    with open_offline(settings) as offline:
        try:
            explained = asyncio.run(offline.explaining.of_payload(event, body, rule=rule))
        except CovendError as error:
            raise Failure(NOT_FOUND, safe(f"{payload}: {error}")) from error
        found = shape(explained)
    notes = [*found["notes"], *offline.notes]
    needs = {need for each in found["rules"] if each["work"] for need in each["work"]["needs"]}
    if needs - {"approval"}:
        notes.append("GitHub was not asked: what has to be looked up is open")
    return _plain(found | {"notes": notes})


def _plain(found: Any) -> Any:
    """Make the very JSON that the API would have answered with."""
    import orjson

    return orjson.loads(orjson.dumps(found, default=str))


def _read(name: str) -> bytes:
    try:
        if name == "-":
            return _bounded(sys.stdin.buffer)
        with Path(name).open("rb") as file:
            return _bounded(file)
    except OSError as error:
        raise Failure(NOT_FOUND, safe(f"{name} cannot be read: {error.strerror}")) from error


def _bounded(file: BinaryIO) -> bytes:
    data = file.read(PAYLOAD_MAX + 1)
    if len(data) > PAYLOAD_MAX:
        raise Failure(NOT_FOUND, "the payload is larger than 25 MiB, and GitHub sends none such")
    return data
