"""One look at the whole of a running covend: taken through the admin API, and printed on a screen.

What an older daemon does not tell is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from covend.cli.client import Client, NothingThereError
from covend.cli.render import Cell, Screen, cell, seconds_between
from covend.cli.story import STATE_STYLES, subject_of
from covend.core.amounts import duration

ROWS_MAX = 20
"""So many tasks are shown of each kind; the counts are of all."""
_BAR = 20
_FULL = 0.8
"""From this share on, what is used up is shown as a warning."""

Glance = dict[str, Any]


def take(client: Client) -> Glance:
    """Ask for everything; raises as `Client.get`."""
    running = client.get("tasks", state="running", limit=ROWS_MAX)["items"]
    waiting = [
        task
        for state in ("queued", "received")
        for task in client.get("tasks", state=state, limit=ROWS_MAX)["items"]
    ]
    guards = client.get("safeguards")["items"]
    return {
        "stats": client.get("stats"),
        "running": [_running(client, task) for task in running],
        "waiting": [_waiting(task) for task in waiting[:ROWS_MAX]],
        "safeguards": [each for each in guards if each["holds"]],
    }


def _running(client: Client, task: Mapping[str, Any]) -> Glance:
    """Tell a task with the attempt that runs; one that has ended meanwhile has none."""
    try:
        attempts = client.get("tasks", task["id"], "attempts")["items"]
    except NothingThereError:
        attempts = []
    newest = max(attempts, key=lambda each: int(each["number"]), default=None)
    return {
        **_about(task),
        "agent": newest["agent"] if newest else task["agent"],
        "attempt": newest["number"] if newest else None,
        "phase": newest["phase"] if newest else None,
        "started_at": newest["started_at"] if newest else None,
    }


def _waiting(task: Mapping[str, Any]) -> Glance:
    return {
        **_about(task),
        "state": task["state"],
        "reason": task["reason"],
        "explanation": task["explanation"],
        "not_before": task["not_before"],
        "created_at": task["created_at"],
    }


def _about(task: Mapping[str, Any]) -> Glance:
    return {"id": task["id"], "rule": task["rule"], "subject": subject_of(dict(task))}


# --- on a screen ----------------------------------------------------------------------------------


def show(glance: Glance, screen: Screen) -> None:
    """Print it, what matters most first."""
    stats = glance["stats"]
    now = stats["now"]
    state = stats["state"]
    style = "green" if state == "ready" else "bold yellow"
    screen.title([cell("covend", "bold"), cell(state, style), cell(stats["version"], "dim")])
    screen.fields(list(_fields(stats, screen)))
    _table(
        screen,
        "running",
        ("TASK", "RULE", "SUBJECT", "AGENT", "PHASE", "FOR"),
        [_running_row(task, now) for task in glance["running"]],
        stats["tasks"]["running"],
    )
    _table(
        screen,
        "waiting",
        ("TASK", "RULE", "SUBJECT", "REASON", "WHY", "UNTIL"),
        [_waiting_row(task, screen) for task in glance["waiting"]],
        stats["tasks"]["queued"] + stats["tasks"]["received"],
    )
    holding = [_guard_row(each, screen) for each in glance["safeguards"]]
    _table(screen, "held back by", ("SAFEGUARD", "UNTIL", "WHAT"), holding, len(holding))


def _table(
    screen: Screen, title: str, head: Sequence[str], rows: list[Sequence[Cell]], count: int
) -> None:
    if not rows:
        return
    more = f"{len(rows)} of {count}" if count > len(rows) else str(len(rows))
    screen.section([cell(title, "bold"), cell(more, "dim")])
    screen.table(head, rows)


def _fields(stats: Mapping[str, Any], screen: Screen) -> Iterator[tuple[str, Cell]]:
    if slots := stats.get("slots"):
        yield "slots", _used(slots["used"], slots["total"], f"{slots['used']} of {slots['total']}")
    yield "tasks", cell(_counts(stats["tasks"]))
    if stats["queue_oldest_seconds"]:
        yield "oldest queued", cell(duration(stats["queue_oldest_seconds"]))
    failed = stats["effects"].get("failed", 0)
    yield "effects", cell(_counts(stats["effects"]), "red" if failed else "")
    if money := stats.get("money"):
        yield "money today", _money(money)
    github = stats.get("github") or {}
    if github.get("remaining") is not None and github.get("limit"):
        used = github["limit"] - github["remaining"]
        resets = screen.moment(github.get("reset_at")).text
        told = f"{github['remaining']} of {github['limit']} requests left, again full {resets}"
        yield "github", _used(used, github["limit"], told)


def _counts(counts: Mapping[str, int]) -> str:
    """List what is not nought."""
    return "  ".join(f"{count} {state}" for state, count in counts.items() if count) or "none"


def _money(money: Mapping[str, Any]) -> Cell:
    spent, cap = money["today_usd"], money["cap_usd"]
    if cap is None:
        return cell(f"${spent:.2f} (no limits.budget_usd_per_day)")
    return _used(spent, cap, f"${spent:.2f} of ${cap:.2f}")


def _used(used: float, total: float, told: str) -> Cell:
    """Show how much is used up, as a bar and in words."""
    share = min(1.0, used / total) if total else 1.0
    filled = round(share * _BAR)
    bar = "#" * filled + "." * (_BAR - filled)
    return cell(f"[{bar}] {told}", "yellow" if share >= _FULL else "")


def _running_row(task: Mapping[str, Any], now: str) -> Sequence[Cell]:
    since = task["started_at"]
    return (
        cell(task["id"]),
        cell(task["rule"]),
        cell(task["subject"]),
        cell(task["agent"]),
        cell(task["phase"], STATE_STYLES["running"]),
        cell(duration(seconds_between(since, now)) if since else None),
    )


def _waiting_row(task: Mapping[str, Any], screen: Screen) -> Sequence[Cell]:
    return (
        cell(task["id"]),
        cell(task["rule"]),
        cell(task["subject"]),
        cell(task["reason"], STATE_STYLES["queued"]),
        cell(task["explanation"]),
        screen.moment(task["not_before"]),
    )


def _guard_row(guard: Mapping[str, Any], screen: Screen) -> Sequence[Cell]:
    until = screen.moment(guard["until"]) if guard["until"] else cell("it is let go")
    return (cell(guard["id"]), until, cell(guard["explanation"]))
