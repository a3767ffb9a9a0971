"""Commands that hold work back and let it go on, and the list of all that holds it now."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from covend.cli.client import Client, open_client
from covend.cli.options import complete_rules, config_option, json_option, sendable, why_option
from covend.cli.render import Cell, Screen, cell, print_json, safe
from covend.cli.screens import open_screen, tolerate_any_text

_STYLES = {"open": "red", "suppressed": "red", "blocked": "red"}
"""The states that somebody should look at; others that hold are yellow."""
_SUBJECT = re.compile(r"[^/#]+/[^/#]+#[0-9]+")
_KINDS = ("rule", "agent", "repository")
RUNS_ON = "what runs goes on to its end: see `covend tasks --state running`"

rule_option = click.option(
    "--rule", metavar="NAME", help="Only the work of this rule.", shell_complete=complete_rules
)
agent_option = click.option("--agent", metavar="NAME", help="Only the work of this agent.")
repo_option = click.option(
    "--repo", "--repository", "repository", metavar="OWNER/NAME", help="Only in this repository."
)


@click.command()
@click.option("--all", "is_all", is_flag=True, help="Also those that only count.")
@config_option
@json_option
def safeguards(*, is_all: bool, config: Path | None, as_json: bool) -> None:
    """List what holds work back: pauses, limits, budgets, blocked subjects, failing agents.

    What is not here is at rest. A pause is lifted by "covend resume", a rate by time alone; any
    other safeguard lets go at once by "covend unblock" with its subject or its id, and by itself at
    its time, where it has one.
    """
    found = open_client(config).get("safeguards")
    if as_json:
        print_json(found)
        return
    holding = [each for each in found["items"] if each["holds"]]
    shown = [*holding, *(each for each in found["items"] if is_all and not each["holds"])]
    if shown:
        screen = open_screen()
        head = ("SAFEGUARD", "STATE", "CAUSE", "UNTIL", "LET GO BY")
        screen.table(head, [_row(each, screen) for each in shown])
    else:
        click.echo("nothing holds work back", err=True)
    if counting := len(found["items"]) - len(shown):
        _note(f"{counting} more only count{'s' if counting == 1 else ''} so far: see --all")


@click.command()
@click.argument("subject", metavar="SUBJECT")
@why_option
@config_option
@json_option
def unblock(*, subject: str, why: str, config: Path | None, as_json: bool) -> None:
    """Let work on a SUBJECT (acme/till#7) go on that was going in circles.

    After too many turns without progress, or failures that are all the same, its tasks wait until
    somebody has looked at it: this counts from nought again. In place of a subject, the id of any
    other safeguard but a rate will do, as "covend safeguards" lists them.
    """
    is_subject = _SUBJECT.fullmatch(subject) is not None
    identifier = f"loop/{subject.lower()}" if is_subject else subject
    body = {"reason": sendable(why)}
    was = open_client(config).post("safeguards", identifier, "reset", body=body)
    if as_json:
        print_json(was)
    else:
        so = "goes on; what held it" if was["holds"] else "counts from nought again; it had counted"
        _say(f"{_named(was['scope'])} {so}: {was['reason']}")


@click.command()
@rule_option
@agent_option
@repo_option
@why_option
@config_option
@json_option
def pause(
    *,
    rule: str | None,
    agent: str | None,
    repository: str | None,
    why: str,
    config: Path | None,
    as_json: bool,
) -> None:
    """Start nothing from now on: nothing at all, or of one rule, agent or repository.

    Deliveries are taken as ever, and their tasks wait; what runs goes on to its end. It lasts, also
    over a restart, until "covend resume" with the same option.
    """
    scope = _scope(rule=rule, agent=agent, repository=repository)
    body = {"scope": scope, "reason": sendable(why)}
    paused = open_client(config).post("pause", body=body)
    if as_json:
        print_json(paused)
    else:
        _say(_told(paused))
        if unknown := paused["values"].get("unknown"):
            _note(unknown)
        _note(RUNS_ON)


@click.command()
@rule_option
@agent_option
@repo_option
@why_option
@config_option
@json_option
def resume(
    *,
    rule: str | None,
    agent: str | None,
    repository: str | None,
    why: str,
    config: Path | None,
    as_json: bool,
) -> None:
    """Lift a pause, by the same option; without one, the pause of everything and the drain.

    The exit code is 0 also where nothing was paused.
    """
    scope = _scope(rule=rule, agent=agent, repository=repository)
    client = open_client(config)
    lifted = client.post("resume", body={"scope": scope, "reason": sendable(why)})
    if as_json:
        print_json(lifted)
        return
    for each in lifted["items"]:
        of = "" if each["kind"] == "drain" else f" of {_named(each['scope'])}"
        _say(f"lifted: the {each['kind']}{of} ({each['reason']})")
    if not lifted["items"]:
        _note(f"nothing to lift: there is no pause of {_named(scope)}")
    _tell_rest(client)


@click.command()
@why_option
@config_option
@json_option
def drain(*, why: str, config: Path | None, as_json: bool) -> None:
    """Take no deliveries and start nothing from now on; what runs goes on to its end.

    Whoever sends one is asked to come again (503). It lasts, also over a restart, until "covend
    resume".
    """
    drained = open_client(config).post("drain", body={"reason": sendable(why)})
    if as_json:
        print_json(drained)
    else:
        _say(_told(drained))
        _note(RUNS_ON)


def _scope(**named: str | None) -> str:
    """Give the one scope that is named; Failure of usage where there are several, or where a name
    is empty, as of a variable that is not set: that is not everything.
    """
    given = [(kind, named[kind]) for kind in _KINDS if named[kind] is not None]
    if any(not name for _, name in given):
        raise click.UsageError("--rule, --agent and --repo need a name")
    if len(given) > 1:
        raise click.UsageError("--rule, --agent and --repo exclude each other")
    return "".join(f"{kind}:{sendable(name or '')}" for kind, name in given) or "all"


def _tell_rest(client: Client) -> None:
    """Say what is paused all the same: of a pause that was forgotten nobody hears otherwise."""
    found: Sequence[Mapping[str, Any]] = client.get("safeguards")["items"]
    for each in found:
        if each["kind"] in {"pause", "drain"}:
            _note(f"still: {_told(each)}")


def _named(scope: str) -> str:
    """Name what a safeguard is about: "everything", "rule review", "agent claude at acme/till"."""
    return "everything" if scope == "all" else scope.replace(":", " ", 1).replace("@", " at ", 1)


def _told(guard: Mapping[str, Any]) -> str:
    return f"{guard['explanation']}; `{guard['release']}` lets it go on"


def _row(guard: Mapping[str, Any], screen: Screen) -> Sequence[Cell]:
    return (
        cell(guard["id"]),
        cell(guard["state"], _STYLES.get(guard["state"], "yellow") if guard["holds"] else ""),
        cell(guard["explanation"]),
        screen.moment(guard["until"]),
        cell(guard["release"]),
    )


def _say(text: str) -> None:
    tolerate_any_text()
    click.echo(safe(text))


def _note(text: str) -> None:
    click.echo(safe(text), err=True)
