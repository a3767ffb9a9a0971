"""`covend wait`: stays until a task has ended, and ends as it did. It changes nothing."""

from __future__ import annotations

import math
import time
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import click

from covend.cli.client import Client, open_client
from covend.cli.exits import AGAIN, INTERRUPTED, TRY_LATER, Failure
from covend.cli.options import complete_tasks, config_option, json_option
from covend.cli.render import print_json, safe
from covend.cli.screens import tolerate_any_text
from covend.cli.story import OPEN_STATES
from covend.core.units import DURATION_FORMS, UnitError, parse_duration

LOOKS_S = (0.2, 0.5, 1.0)
"""Between the first looks; from then on it is the last of them."""
MISSED_MAX = 60
"""So many looks in a row may find no covend, while it is started again."""
WELL = frozenset({"success", "neutral"})


def _seconds(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> float | None:
    try:
        return None if text is None else parse_duration(text)
    except UnitError as error:
        raise click.BadParameter(f"it must be {DURATION_FORMS}") from error


@click.command()
@click.argument("task", shell_complete=complete_tasks)
@click.option(
    "--timeout",
    callback=_seconds,
    metavar="DURATION",
    help='Wait no longer than this ("90s", "15m"), and exit with 75.',
)
@config_option
@json_option
def wait(*, task: str, timeout: float | None, config: Path | None, as_json: bool) -> None:
    """Wait until a task has ended: its ID, or a beginning of it. Also over a restart of covend.

    The exit code is 0 where it has completed with success or neutral, 75 where --timeout ends
    first, and 1 for any other end. Ctrl-C ends the waiting, and not the task (exit code 130).
    """
    tolerate_any_text()
    try:
        found = _wait(open_client(config), task, timeout, is_told=not as_json)
    except KeyboardInterrupt:
        click.get_current_context().exit(INTERRUPTED)
    if as_json:
        print_json(found)
    elif found["state"] not in OPEN_STATES:
        click.echo(safe(_ending(found)))
    click.get_current_context().exit(_exit_code(found))


def wait_for(client: Client, task: str) -> int:
    """Wait for one task without an end, tell how it ends, and give its exit code."""
    found = _wait(client, task, None, is_told=True)
    click.echo(safe(_ending(found)), err=True)
    return _exit_code(found)


def _wait(client: Client, task: str, timeout: float | None, *, is_told: bool) -> dict[str, Any]:
    """Look until it has ended or the time is over; give what it was when it was seen last."""
    end = math.inf if timeout is None else time.monotonic() + timeout
    found, told, missed = dict(client.get("tasks", task)), None, 0
    for pause in chain(LOOKS_S, repeat(LOOKS_S[-1])):
        state = found["state"], found["reason"]
        if found["state"] not in OPEN_STATES:
            break
        if is_told and state != told:
            _note(f"{found['state']}: {found['explanation'] or found['reason']}")
            told = state
        rest = end - time.monotonic()
        if rest <= 0:
            _note(f"the time is over, and it is still {found['state']}")
            break
        time.sleep(min(pause, rest))
        try:
            found, missed = dict(client.get("tasks", found["id"])), 0
        except Failure as failure:
            missed += 1
            if failure.exit_code not in AGAIN or missed == MISSED_MAX:
                raise
    return found


def _exit_code(task: dict[str, Any]) -> int:
    if task["state"] in OPEN_STATES:
        return TRY_LATER
    return 0 if task["state"] == "completed" and task["conclusion"] in WELL else 1


def _ending(task: dict[str, Any]) -> str:
    error = task["error"]
    verdict = task["conclusion"] if task["state"] == "completed" else None
    why = error["code"] if error else task["reason"]
    return f"{task['id']}  {task['state']}  {verdict or why}"


def _note(text: str) -> None:
    click.echo(safe(text), err=True)
