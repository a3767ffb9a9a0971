"""Commands that change something: each says what came of it, task by task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from covend.cli.client import open_client
from covend.cli.exits import NOT_FOUND, USAGE, Failure
from covend.cli.options import config_option, json_option
from covend.cli.render import cell, print_json
from covend.cli.screens import open_screen
from covend.cli.story import STATE_STYLES

_OF_ONE_TASK = frozenset({NOT_FOUND, USAGE})
"""Exit codes of what is wrong with one task alone: the others are tried all the same."""


@click.command()
@click.argument("tasks", nargs=-1, required=True, metavar="TASK...")
@click.option("--reason", default="", metavar="TEXT", help="Why, for the task's timeline.")
@config_option
@json_option
def cancel(*, tasks: Sequence[str], reason: str, config: Path | None, as_json: bool) -> None:
    """Cancel tasks: each by its ID, or a beginning of it.

    One that waits is cancelled at once. The agent of one that runs is stopped, and whatever it has
    found is dropped: it is shown as running until nothing is left of it, and never tried again. To
    cancel twice is to cancel once.

    The exit code is 0 where all of them are cancelled, or will be; 1 where one is not there, or has
    ended in another way. The others are cancelled all the same.
    """
    client = open_client(config)
    body = {"reason": reason.encode(errors="replace").decode()}
    found, failures = _each(tasks, lambda task: client.post("tasks", task, "cancel", body=body))
    if as_json:
        errors = [{"task": task, "message": each.message} for task, each in failures]
        print_json({"items": found, "errors": errors})
    elif found:
        open_screen().table(("TASK", "STATE", "WHY"), [_row(task) for task in found])
    for _, failure in failures:
        failure.show()
    if failures:
        click.get_current_context().exit(max(each.exit_code for _, each in failures))


def _each(
    tasks: Sequence[str], act: Callable[[str], Any]
) -> tuple[list[Any], list[tuple[str, Failure]]]:
    """Do it to each task; raise what would go wrong with every one of them."""
    found: list[Any] = []
    failures: list[tuple[str, Failure]] = []
    for task in dict.fromkeys(tasks):
        try:
            found.append(act(task))
        except Failure as failure:
            if failure.exit_code not in _OF_ONE_TASK:
                raise
            failures.append((task, failure))
    return found, failures


def _row(task: dict[str, Any]) -> tuple[Any, ...]:
    is_stopping = task["state"] == "running"
    state = "stopping" if is_stopping else task["state"]
    why = "its agent is asked to stop" if is_stopping else task["reason"]
    return cell(task["id"]), cell(state, STATE_STYLES.get(task["state"], "")), cell(why)
