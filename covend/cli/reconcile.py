"""`covend reconcile`: has the daemon look for what GitHub could not deliver, and stays until it
has.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import click

from covend.cli.client import Client, open_client
from covend.cli.exits import INTERRUPTED, NOT_FOUND, NOT_PERMITTED, TRY_LATER, Failure
from covend.cli.options import config_option, json_option
from covend.cli.render import print_json, safe
from covend.cli.screens import tolerate_any_text
from covend.core.units import DURATION_FORMS, UnitError, parse_duration

LOOKS_S = (0.5, 1.0, 2.0)
"""Between the first looks; from then on it is the last of them."""
_DENIED = "not_permitted"
_COUNTS = (
    ("entries of the log", "listed"),
    ("known here", "known"),
    ("fetched", "fetched"),
    ("now kept", "kept"),
    ("of these ignored", "ignored"),
    ("of these GitHub says it delivered", "unknown_delivered"),
    ("cannot be had", "failed"),
)


def _written(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    """Give a duration as it was written; what is none is a usage error."""
    try:
        if text is not None:
            parse_duration(text)
    except UnitError as error:
        raise click.BadParameter(f"it must be {DURATION_FORMS}") from error
    return text


@click.command()
@click.option(
    "--since",
    callback=_written,
    metavar="DURATION",
    help='Look back so far ("3d", as far as GitHub remembers), not only to where covend got last.',
)
@config_option
@json_option
def reconcile(*, since: str | None, config: Path | None, as_json: bool) -> None:
    """Take in what GitHub could not deliver, from its own log of the last three days.

    covend does so by itself at start and every github.reconcile_every: this asks for it now. What
    is here already is left alone, and nothing comes in twice. Ctrl-C ends the waiting, and not the
    look (exit code 130).

    The exit code is 0 where all of the log was looked through; 75 where covend goes on later, as
    when GitHub asks to wait; 77 where GitHub does not show the log; 1 where something in it cannot
    be had.
    """
    tolerate_any_text()
    try:
        look = _wait(open_client(config), since, is_told=not as_json)
    except KeyboardInterrupt:
        click.get_current_context().exit(INTERRUPTED)
    if as_json:
        print_json(look)
    else:
        _print(look)
    _end(look)


def _wait(client: Client, since: str | None, *, is_told: bool) -> Mapping[str, Any]:
    """Ask, and follow the look to its end."""
    look: Mapping[str, Any] = client.post("reconcile", body={"since": since})
    told = ""
    for pause in chain(LOOKS_S, repeat(LOOKS_S[-1])):
        if look["state"] == "ended":
            break
        progress = _progress(look)
        if is_told and progress != told:
            click.echo(safe(progress), err=True)
            told = progress
        time.sleep(pause)
        look = _found(client, look["id"])
    return look


def _found(client: Client, number: int) -> Mapping[str, Any]:
    for look in client.get("reconcile")["items"]:
        if look["id"] == number:
            return dict(look)
    message = "covend was started again meanwhile, and looks by itself then: see its log"
    raise Failure(TRY_LATER, message)


def _progress(look: Mapping[str, Any]) -> str:
    if look["state"] == "waiting":
        return "another look is under way"
    return f"{look['state']}: {look['listed']} entries listed, {look['kept']} kept"


def _print(look: Mapping[str, Any]) -> None:
    if look["logs"] == 0 and look["error"] is None:
        click.echo("no webhook is known yet: the first delivery of a repository tells of it")
        return
    if look["error"] is not None and not look["listed"]:
        return  # nothing was seen: the error says all there is
    width = max(len(name) for name, _ in _COUNTS)
    for name, key in _COUNTS:
        click.echo(f"{name:<{width}}  {look[key]}")


def _end(look: Mapping[str, Any]) -> None:
    error = look["error"]
    if error is not None:
        until = f"; from {error['retry_at']} on it goes on by itself" if error["retry_at"] else ""
        code = NOT_PERMITTED if error["code"] == _DENIED else TRY_LATER
        raise Failure(code, safe(f"{error['message']} ({error['code']}){until}"))
    if look["failed"]:
        raise Failure(NOT_FOUND, f"{look['failed']} cannot be had: covend's log says which and why")
