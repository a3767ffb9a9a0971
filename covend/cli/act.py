"""Commands that change tasks, or ask for new ones: each says what came of it, one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from covend.cli.client import open_client
from covend.cli.exits import OF_ONE, Failure
from covend.cli.options import (
    complete_rules,
    complete_tasks,
    config_option,
    json_option,
    sendable,
    since_option,
    why_option,
)
from covend.cli.render import Cell, cell, print_json
from covend.cli.screens import open_screen
from covend.cli.story import STATE_STYLES

_ANSWERS: Mapping[bool | None, str] = {True: "yes", False: "no", None: "not known yet"}

tasks_argument = click.argument(
    "tasks", nargs=-1, required=True, metavar="TASK...", shell_complete=complete_tasks
)


@click.command()
@tasks_argument
@why_option
@config_option
@json_option
def cancel(*, tasks: Sequence[str], why: str, config: Path | None, as_json: bool) -> None:
    """Cancel tasks: each by its ID, or a beginning of it.

    One that waits is cancelled at once. The agent of one that runs is stopped, and whatever it has
    found is dropped: it is shown as running until nothing is left of it, and never tried again. To
    cancel twice is to cancel once.

    The exit code is 0 where all of them are cancelled, or will be; 1 where one is not there, or has
    ended in another way. The others are cancelled all the same.
    """
    _act(tasks, "cancel", {"reason": sendable(why)}, config, as_json=as_json)


@click.command()
@click.argument("tasks", nargs=-1, metavar="[TASK...]", shell_complete=complete_tasks)
@click.option("--effect", "effects", multiple=True, metavar="ID", help="Send an effect again.")
@why_option
@config_option
@json_option
def retry(
    *,
    tasks: Sequence[str],
    effects: Sequence[str],
    why: str,
    config: Path | None,
    as_json: bool,
) -> None:
    """Run tasks once more that have failed or were cancelled: each by its ID, or a beginning of it.

    Each begins anew with its first agent and all its tries, by the rule as it was then. What has
    failed for good is what "covend tasks --state failed" lists: nothing of it is tried again but by
    this.

    With --effect, as often as it is given, what could not be published is sent again instead, as it
    was: "covend effects --state failed" lists what that may be, and why. No agent runs for it.

    The exit code is 0 where all of them are queued; 1 where one is not there, or has not ended so.
    The others are queued all the same.
    """
    if bool(tasks) == bool(effects):
        raise click.UsageError("Give tasks, or effects with --effect: one of both.")
    body = {"reason": sendable(why)}
    if tasks:
        _act(tasks, "retry", body, config, as_json=as_json)
    else:
        _send_again(effects, body, config, as_json=as_json)


@click.command()
@tasks_argument
@config_option
@json_option
def approve(*, tasks: Sequence[str], config: Path | None, as_json: bool) -> None:
    """Let tasks run that wait to be approved: each by its ID, or a beginning of it.

    Work of forks and strangers waits so, unless its rule says otherwise: look at what they ask for
    first ("covend show TASK"). To approve twice is to approve once.

    The exit code is 0 where all of them are approved; 1 where one is not there, or waits for
    something else. The others are approved all the same.
    """
    _act(tasks, "approve", {}, config, as_json=as_json)


@click.command()
@click.argument("deliveries", nargs=-1, metavar="[DELIVERY...]")
@click.option("--rule", metavar="NAME", help="By this rule alone.", shell_complete=complete_rules)
@click.option("--dry-run", "is_dry", is_flag=True, help="Only say what would come of it.")
@since_option
@click.option("--again", is_flag=True, help="With --since: also what was replayed already.")
@click.option("--yes", is_flag=True, help="With --since: do not ask.")
@config_option
@json_option
def replay(
    *,
    deliveries: Sequence[str],
    rule: str | None,
    is_dry: bool,
    since: str | None,
    again: bool,
    yes: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Route deliveries again that came in before, by the rules as they are now: each by its ID, or
    all of a time with --since.

    What they ask for is done although it may have been done before, as new tasks; where the same
    work is open already, it is met. With --dry-run nothing is kept, and each rule's verdict is
    printed, with the key of its work and what that would meet.

    With --since and --dry-run no daemon is needed: the local store is read, beside a daemon or
    without, each delivery is routed by the configuration (--config: also one that nobody runs by
    yet), and what would start now is compared with what did start then. With --since alone the
    daemon replays them one by one, oldest first; what has been replayed since it came is left out
    (--again: it is not), so that an interrupted replay can be repeated.

    The exit code is 0 where all of them were routed; 1 where one is not there, or cannot be read
    any more. The others are routed all the same.
    """
    if bool(deliveries) == bool(since):
        raise click.UsageError("Give deliveries, or --since: one of both.")
    if (again or yes) and (since is None or is_dry):
        raise click.UsageError("--again and --yes are for a --since that is no dry run.")
    if since is not None and is_dry:
        from covend.cli.rehearsal import rehearse

        rehearse(since, rule, config, as_json=as_json)
        return
    if since is not None:
        from covend.cli.replaying import replay_since

        replay_since(since, rule, config, again=again, yes=yes, as_json=as_json)
        return
    client = open_client(config)
    body = {"rule": None if rule is None else sendable(rule), "dry_run": is_dry}
    found, failures = _each(
        deliveries, lambda delivery: client.post("deliveries", delivery, "replay", body=body)
    )
    if as_json:
        errors = [{"delivery": each, "message": failure.message} for each, failure in failures]
        print_json({"items": found, "errors": errors})
    elif is_dry:
        _print_foreseen(found)
    elif found:
        head = ("DELIVERY", "REPLAYED AS", "STATE", "WHY", "TASKS")
        open_screen().table(head, [_replayed_row(each) for each in found])
    _end(failures)


def _act(
    tasks: Sequence[str],
    verb: str,
    body: Mapping[str, object],
    config: Path | None,
    *,
    as_json: bool,
) -> None:
    client = open_client(config)
    found, failures = _each(tasks, lambda task: client.post("tasks", task, verb, body=body))
    if as_json:
        errors = [{"task": task, "message": each.message} for task, each in failures]
        print_json({"items": found, "errors": errors})
    elif found:
        open_screen().table(("TASK", "STATE", "WHY"), [_row(task) for task in found])
    _end(failures)


def _send_again(
    effects: Sequence[str], body: Mapping[str, object], config: Path | None, *, as_json: bool
) -> None:
    client = open_client(config)
    found, failures = _each(
        effects, lambda effect: client.post("effects", effect, "retry", body=body)
    )
    if as_json:
        errors = [{"effect": effect, "message": each.message} for effect, each in failures]
        print_json({"items": found, "errors": errors})
    elif found:
        rows = [[cell(each[name]) for name in ("id", "kind", "target", "state")] for each in found]
        open_screen().table(("EFFECT", "KIND", "TARGET", "STATE"), rows)
    _end(failures)


def _end(failures: Sequence[tuple[str, Failure]]) -> None:
    """Say what went wrong, if anything did, and end with its exit code."""
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
            if failure.exit_code not in OF_ONE:
                raise
            failures.append((task, failure))
    return found, failures


def _row(task: Mapping[str, Any]) -> tuple[Cell, ...]:
    is_stopping = task["state"] == "running" and task["cancel_requested_at"] is not None
    state = "stopping" if is_stopping else task["state"]
    why = "its agent is asked to stop" if is_stopping else task["explanation"] or task["reason"]
    return cell(task["id"]), cell(state, STATE_STYLES.get(task["state"], "")), cell(why)


def _replayed_row(found: Mapping[str, Any]) -> tuple[Cell, ...]:
    return (
        cell(found["replayed"]),
        cell(found["delivery"]),
        cell(found["state"], STATE_STYLES.get(found["state"], "")),
        cell(found["reason"]),
        cell(" ".join(found["tasks"])),
    )


def _print_foreseen(found: Sequence[Mapping[str, Any]]) -> None:
    screen = open_screen()
    for each in found:
        screen.section(
            (cell(each["replayed"]), cell(f"would be {each['state']}: {each['reason']}"))
        )
        meets = {meeting["rule"]: meeting for meeting in each["meets"]}
        rows = [_verdict_row(verdict, meets.get(verdict["rule"])) for verdict in each["verdicts"]]
        if rows:
            screen.table(("RULE", "MATCHES", "WHY", "MEETS", "KEY"), rows)
        if not each["has_room"]:
            click.echo("the queue is full: it would be refused now", err=True)


def _verdict_row(verdict: Mapping[str, Any], meets: Mapping[str, Any] | None) -> tuple[Cell, ...]:
    return (
        cell(verdict["rule"]),
        cell(_ANSWERS[verdict["matched"]]),
        cell(verdict["reason"]),
        cell(_met(meets) if meets else None),
        cell(meets["key"] if meets else None),
    )


def _met(meets: Mapping[str, Any]) -> str:
    if meets["task"] is not None:
        return f"task {meets['task']}"
    if meets["generation"] is None:
        return f"nothing: it is {meets['reason']}"
    return f"nothing: a new task, generation {meets['generation']}"
