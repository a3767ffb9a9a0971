"""The story of one task or delivery, from the API's JSON to lines that a person reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click

from covend.cli.render import Cell, Screen, cell, safe, seconds_between
from covend.core.amounts import duration, size
from covend.core.states import EffectState

STATE_STYLES = {
    "completed": "green",
    "done": "green",
    "routed": "green",
    "succeeded": "green",
    "running": "cyan",
    "sending": "cyan",
    "failed": "red",
    "timed_out": "red",
    "unknown": "yellow",
    "queued": "yellow",
    "received": "yellow",
    "pending": "yellow",
}
WAITING_STATES = frozenset({"received", "queued"})
OPEN_STATES = WAITING_STATES | {"running"}
NAMED_MAX = 3
"""So many effects are named in the command that sends them again."""
_MARKS = {
    True: Cell("✓", "green"),
    False: Cell("✗", "red"),
    None: Cell("?", "yellow"),
}


def subject_of(task: dict[str, Any]) -> str:
    """Name what a task is about: `owner/name#7`, `owner/name@0123abc`, `owner/name`."""
    subject, repository = task["subject"], task["repository"] or ""
    if subject["number"] is not None:
        return f"{repository}#{subject['number']}"
    return f"{repository}@{subject['head_sha'][:7]}" if subject["head_sha"] else repository


def print_task(task: dict[str, Any], screen: Screen) -> None:
    """Print all there is to know of a task."""
    screen.title([cell("task"), cell(task["id"], "bold"), _state(task["state"])])
    screen.fields(_task_fields(task, screen))
    _section(screen, "timeline", list(_timeline(task, screen)))
    _section(screen, "attempts", [_attempt(attempt) for attempt in task["attempts_list"]])
    _section(screen, "effects", [_effect(effect) for effect in task["effects"]])
    if task["summary"]:
        screen.section([Cell("summary", "bold")])
        screen.lines(task["summary"])
    tell_how_to_send_again(task["effects"])


def tell_how_to_send_again(effects: Iterable[Mapping[str, Any]]) -> None:
    """Give, beside the data, the command for what has failed; for the oldest where that is much."""
    failed = sorted(each["id"] for each in effects if each["state"] == EffectState.FAILED)
    if not failed:
        return
    named = failed[:NAMED_MAX]
    who = "1 effect has failed" if len(failed) == 1 else f"{len(failed)} effects have failed"
    again = " ".join(("covend retry", *(f"--effect {each}" for each in named)))
    what = "it" if len(failed) == 1 else "them" if named == failed else f"the oldest {NAMED_MAX}"
    mended = f"{who}: once what stood in the way is mended, `{again}` sends {what}"
    click.echo(safe(mended), err=True)


def print_delivery(delivery: dict[str, Any], screen: Screen) -> None:
    """Print what came in, and what every rule said of it."""
    screen.title([cell("delivery"), cell(delivery["id"], "bold"), _state(delivery["state"])])
    screen.fields(_delivery_fields(delivery, screen))
    for verdict in delivery["verdicts"]:
        _print_verdict(verdict, screen)


def _task_fields(task: dict[str, Any], screen: Screen) -> Iterator[tuple[str, Cell]]:
    subject, error = task["subject"], task["error"]
    yield ("waits for" if task["state"] in WAITING_STATES else "why"), cell(task["reason"])
    if task["explanation"]:
        yield "that is", cell(task["explanation"], "yellow")
    if task["state"] in WAITING_STATES and task["not_before"]:
        yield "not before", screen.moment(task["not_before"])
    if task["state"] == "failed":
        yield "again", cell(f"`covend retry {task['id']}` runs it once more")
    yield "conclusion", cell(task["conclusion"])
    if error:
        yield "error", cell(": ".join(filter(None, (error["code"], error["message"]))), "red")
    yield "rule", cell(f"{task['rule']} → agent {task['agent']}")
    yield "subject", cell(f"{subject['type']} {subject_of(task)}")
    yield "title", cell(subject["title"])
    yield "author", cell(subject["author"])
    yield "url", cell(subject["url"])
    yield "head", cell(subject["head_sha"])
    yield "delivery", cell(task["delivery"])
    yield "trust", cell(task["trust"])
    if task["approved_by"]:
        yield "approved by", cell(task["approved_by"])
        yield "approved", screen.moment(task["approved_at"])
    if task["parent"]:
        yield "follows", cell(f"task {task['parent']} (step {task['depth']} of a chain)")
    if task["superseded_by"]:
        yield "replaced by", cell(f"task {task['superseded_by']}")
    yield "key", cell(f"{task['key']} (generation {task['generation']})")
    yield "policy", cell(task["policy"])
    if task["cost_usd"]:
        yield "cost", cell(f"{task['cost_usd']:.4f} USD")
    yield "created", screen.moment(task["created_at"])


def _timeline(task: dict[str, Any], screen: Screen) -> Iterator[Sequence[Cell]]:
    """Give each move with the time that the task then stayed where it was."""
    moves = task["timeline"]
    for place, move in enumerate(moves):
        following = moves[place + 1]["moment"] if place + 1 < len(moves) else None
        stayed = following or move["what"] in OPEN_STATES
        yield (
            Cell("  "),
            screen.moment(move["moment"]),
            _state(move["what"]),
            cell(move["why"]),
            Cell(f"for {duration(seconds_between(move['moment'], following))}" if stayed else ""),
        )


def _attempt(attempt: dict[str, Any]) -> Sequence[Cell]:
    usage = attempt["usage"]
    cost = usage["cost_usd"]
    return (
        Cell(f"  #{attempt['number']}"),
        cell(attempt["agent"]),
        _state(attempt["outcome"] or f"in {attempt['phase']}"),
        Cell(duration(seconds_between(attempt["started_at"], attempt["ended_at"]))),
        Cell("" if attempt["exit_code"] is None else f"exit {attempt['exit_code']}"),
        Cell(attempt["signal"] or ""),
        Cell("" if cost is None else f"{cost:.4f} USD"),
        Cell(_printed(attempt)),
        Cell(f"session {attempt['session']}" if attempt["session"] else ""),
        Cell(": ".join(filter(None, (attempt["error_code"], attempt["error_message"]))), "red"),
    )


def _printed(attempt: dict[str, Any]) -> str:
    """Say how much there is of its log; nothing while it is being written and not counted yet."""
    count = attempt["log_bytes"]
    return f"{size(count)} printed" if count or attempt["outcome"] else ""


def _effect(effect: dict[str, Any]) -> Sequence[Cell]:
    tries = effect["tries"]
    return (
        Cell(f"  {effect['kind']}"),
        _state(effect["state"]),
        Cell(f"{tries} try" if tries == 1 else f"{tries} tries"),
        cell(effect["target"]),
        Cell(effect["remote_url"] or ""),
        Cell(effect["error"] or "", "red"),
    )


def _delivery_fields(delivery: dict[str, Any], screen: Screen) -> Iterator[tuple[str, Cell]]:
    event, action = delivery["event"], delivery["action"]
    yield "why", cell(delivery["reason"])
    yield "event", cell(f"{event}.{action}" if action else event)
    if verb := _own_verb(delivery):
        told = f"`{verb}` is covend's own: its log tells what came of it (attended to)"
        yield "command", cell(told, "yellow")
    yield "repository", cell(delivery["repository"])
    yield "sender", cell(delivery["sender"])
    yield "from", cell(f"{delivery['source']}, via {delivery['via']}")
    yield "received", screen.moment(delivery["received_at"])
    yield "repeated", cell(_times(delivery["duplicates"]))
    yield "tasks", cell(" ".join(delivery["tasks"]))
    yield "body", cell(f"SHA-256 {delivery['body_sha256']}")


def _own_verb(delivery: dict[str, Any]) -> str | None:
    """Name the verb of a command to covend itself, which no rule listens to."""
    # Half of what a list would import, and no list needs it.
    from covend.core.commanding import BUILT_IN

    clauses = (clause for verdict in delivery["verdicts"] for clause in verdict["clauses"])
    said = (value for clause in clauses if clause["name"] == "on" for value in clause["values"])
    verbs = (value.removeprefix("command.") for value in said if value.startswith("command."))
    return next((verb for verb in verbs if verb in BUILT_IN), None)


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")


def _print_verdict(verdict: dict[str, Any], screen: Screen) -> None:
    mark = _MARKS[verdict["matched"]]
    screen.section([mark, cell(verdict["rule"], "bold"), cell(verdict["reason"])])
    rows = [_clause(clause) for clause in verdict["clauses"]]
    if rows:
        screen.table(("", "", "CLAUSE", "IS", "WANTED"), rows)


def _clause(clause: dict[str, Any]) -> Sequence[Cell]:
    values = ", ".join(clause["values"])
    return (
        Cell("  "),
        _MARKS[clause["satisfied"]],
        cell(clause["name"]),
        cell(values or (f"to be looked up: {clause['need']}" if clause["need"] else None)),
        cell(", ".join(clause["conditions"])),
    )


def _section(screen: Screen, name: str, rows: Sequence[Sequence[Cell]]) -> None:
    if rows:
        screen.section([Cell(name, "bold")])
        screen.table((), rows)


def _state(state: str) -> Cell:
    return cell(state, STATE_STYLES.get(state, ""))
