"""Commands that look: lists of deliveries, tasks and effects, and the whole story of one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from covend.cli.client import Client, NothingThereError, open_client
from covend.cli.lists import collect, print_list
from covend.cli.options import (
    complete_rules,
    complete_tasks,
    config_option,
    json_option,
    limit_option,
    search_option,
    since_option,
)
from covend.cli.render import Cell, Screen, cell, print_json, safe
from covend.cli.screens import open_screen
from covend.cli.story import (
    STATE_STYLES,
    WAITING_STATES,
    print_delivery,
    print_task,
    subject_of,
    tell_how_to_send_again,
)
from covend.core.states import DeliveryState, EffectState, TaskState

EXPLAINED_MAX = 8
"""So many different reasons to wait are told below a list."""
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@click.command()
@click.option("--state", type=click.Choice([state.value for state in DeliveryState]))
@click.option("--event", help="As GitHub names it, without the action: pull_request.")
@click.option("--repository", metavar="OWNER/NAME")
@search_option
@since_option
@limit_option
@config_option
@json_option
def deliveries(*, limit: int, config: Path | None, as_json: bool, **query: str | None) -> None:
    """List webhooks that came in, newest first."""
    head = ("DELIVERY", "EVENT", "REPOSITORY", "SENDER", "STATE", "WHY", "RECEIVED")
    found = collect(open_client(config), "deliveries", limit, query)
    print_list(found, head, _delivery_row, as_json=as_json)


@click.command()
@click.option("--state", type=click.Choice([state.value for state in TaskState]))
@click.option("--rule", metavar="NAME", shell_complete=complete_rules)
@click.option("--repository", metavar="OWNER/NAME")
@click.option("--subject", metavar="OWNER/NAME#N", help="About this pull request or issue.")
@search_option
@since_option
@limit_option
@config_option
@json_option
def tasks(*, limit: int, config: Path | None, as_json: bool, **query: str | None) -> None:
    """List work, newest first, and say below why some of it waits.

    What has failed for good is what --state failed lists: nothing of it is tried again but by
    "covend retry".
    """
    head = ("TASK", "STATE", "WHY", "RULE", "SUBJECT", "TITLE", "CREATED")
    found = collect(open_client(config), "tasks", limit, query)
    print_list(found, head, _task_row, as_json=as_json)
    if not as_json:
        _explain(found["items"])


@click.command()
@click.option("--state", type=click.Choice([state.value for state in EffectState]))
@click.option("--task", metavar="TASK", help="Of one task: its ID, or a beginning of it.")
@limit_option
@config_option
@json_option
def effects(
    *, state: str | None, task: str | None, limit: int, config: Path | None, as_json: bool
) -> None:
    """List what was written, or is to be written, to the outside; newest first.

    What has failed is not sent again by itself: its line says why, and "covend retry --effect ID"
    sends it once that is mended.
    """
    client = open_client(config)
    query = {"state": state, "task": client.get("tasks", task)["id"] if task else None}
    head = ("EFFECT", "TASK", "KIND", "TARGET", "STATE", "TRIES", "WHERE", "CREATED")
    found = collect(client, "effects", limit, query)
    print_list(found, head, _effect_row, as_json=as_json)
    if not as_json:
        tell_how_to_send_again(found["items"])


@click.command()
@click.argument("identifier", metavar="ID", shell_complete=complete_tasks)
@config_option
@json_option
def show(*, identifier: str, config: Path | None, as_json: bool) -> None:
    """Tell the whole story of a task (its ID, or a beginning of it) or of a delivery (its GUID)."""
    found, is_delivery = _find(open_client(config), identifier)
    if as_json:
        print_json(found)
    elif is_delivery:
        print_delivery(found, open_screen())
    else:
        print_task(found, open_screen())


def _find(client: Client, identifier: str) -> tuple[dict[str, Any], bool]:
    """Look for a GUID among deliveries only; other sources' ids may look like anything."""
    if _GUID.fullmatch(identifier):
        return client.get("deliveries", identifier.lower()), True
    try:
        return client.get("tasks", identifier), False
    except NothingThereError as error:
        try:
            return client.get("deliveries", identifier), True
        except NothingThereError:
            told = f"{error.message.rstrip('.')}; a delivery is named by its whole GUID."
            raise NothingThereError(error.exit_code, told) from None


def _explain(tasks: Sequence[dict[str, Any]]) -> None:
    """Say in words why tasks wait, beside the data: once where it is the same for several."""
    causes = Counter(
        (str(task["reason"]), str(task["explanation"]))
        for task in tasks
        if task["state"] in WAITING_STATES
    )
    for (reason, explanation), count in causes.most_common(EXPLAINED_MAX):
        who = "1 task waits" if count == 1 else f"{count} tasks wait"
        click.echo(safe(f"{who} ({reason}): {explanation}"), err=True)
    if len(causes) > EXPLAINED_MAX:
        click.echo("others wait for reasons of their own: see `covend show TASK`", err=True)


def _delivery_row(item: dict[str, Any], screen: Screen) -> Sequence[Cell]:
    event = f"{item['event']}.{item['action']}" if item["action"] else item["event"]
    return (
        cell(item["id"]),
        cell(event),
        cell(item["repository"]),
        cell(item["sender"]),
        _state(item),
        cell(item["reason"]),
        screen.moment(item["received_at"]),
    )


def _task_row(item: dict[str, Any], screen: Screen) -> Sequence[Cell]:
    return (
        cell(item["id"]),
        _state(item),
        cell(item["reason"]),
        cell(item["rule"]),
        cell(subject_of(item)),
        cell(item["subject"]["title"]),
        screen.moment(item["created_at"]),
    )


def _effect_row(item: dict[str, Any], screen: Screen) -> Sequence[Cell]:
    return (
        cell(item["id"]),
        cell(item["task"]),
        cell(item["kind"]),
        cell(item["target"]),
        _state(item),
        cell(item["tries"]),
        cell(item["error"] or item["remote_url"]),
        screen.moment(item["created_at"]),
    )


def _state(item: dict[str, Any]) -> Cell:
    return cell(item["state"], STATE_STYLES.get(item["state"], ""))
