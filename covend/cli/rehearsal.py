"""`covend replay --since … --dry-run`: what past deliveries would start by this configuration.

It reads the local store alone, delivery by delivery: only counts and what has changed are kept.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from covend.app.offline import open_offline
from covend.cli.exits import NOT_FOUND, Failure
from covend.cli.reading import read_unsecret_settings
from covend.cli.render import Cell, cell, print_json, safe
from covend.cli.screens import open_screen
from covend.core.errors import StoreError
from covend.core.units import DAY
from covend.services.rehearsing import Change, Rehearsed, Rehearsing

SHOWN_MAX = 1_000
"""So many changed deliveries are listed; all of them are counted."""
TOLD_EVERY = 500
_WORDS = {Change.NEW: "starts now", Change.NO_LONGER: "no longer", Change.SAME: "as then"}
_STYLES = {Change.NEW: "green", Change.NO_LONGER: "red", Change.SAME: ""}


@dataclass(slots=True)
class _Summary:
    """What all of them come to."""

    deliveries: int = 0
    unreadable: int = 0
    started_then: Counter[tuple[str, str]] = field(default_factory=Counter)
    starts_now: Counter[tuple[str, str]] = field(default_factory=Counter)
    changes: Counter[tuple[str, str, Change]] = field(default_factory=Counter)
    changed: list[dict[str, Any]] = field(default_factory=list)
    left_out: int = 0

    def add(self, each: Rehearsed) -> None:
        """Count one delivery."""
        self.deliveries += 1
        self.unreadable += not each.is_readable
        place = each.delivery.repository or "-"
        for rule in each.rules:
            group = (rule.rule, place)
            self.started_then[group] += rule.then
            self.starts_now[group] += rule.is_first
            self.changes[*group, rule.change] += 1
        if any(rule.change is not Change.SAME for rule in each.rules):
            self._list(each)

    def _list(self, each: Rehearsed) -> None:
        if len(self.changed) >= SHOWN_MAX:
            self.left_out += 1
            return
        self.changed.append(_shape(each))

    def groups(self) -> list[tuple[str, str]]:
        """List rules and repositories, by name."""
        return sorted({*self.started_then, *self.starts_now})


def rehearse(since: str, rule: str | None, config: Path | None, *, as_json: bool) -> None:
    """Do it, and print it; Failure where there is no store to read."""
    settings = read_unsecret_settings(config)
    if rule is not None and rule not in {each.name for each in settings.rules}:
        raise Failure(NOT_FOUND, safe(f"there is no rule {rule!r}  (covend check)"))
    moment = round(datetime.fromisoformat(since).timestamp() * 1000)
    with open_offline(settings) as offline:
        if offline.rehearsing is None:
            raise Failure(NOT_FOUND, safe("; ".join(offline.notes)))
        try:
            found = asyncio.run(_gather(offline.rehearsing, moment, rule))
        except StoreError as error:
            raise Failure(NOT_FOUND, safe(f"the store cannot be read: {error}")) from error
        notes = offline.notes
    if as_json:
        print_json(_as_json(found, since, notes))
    else:
        _print(found, since, settings.store.retention.deliveries_s, notes)


async def _gather(rehearsing: Rehearsing, since: int, rule: str | None) -> _Summary:
    summary = _Summary()
    with _progress() as tell:
        async for each in rehearsing.rehearse(since, rule):
            summary.add(each)
            if summary.deliveries % TOLD_EVERY == 0:
                tell(summary.deliveries)
    return summary


@contextmanager
def _progress() -> Iterator[Any]:
    """Tell on a terminal how far it is, and leave nothing there."""
    if not sys.stderr.isatty():
        yield lambda _count: None
        return
    yield lambda count: click.echo(f"\r{count} deliveries", nl=False, err=True)
    click.echo("\r\x1b[K", nl=False, err=True)


def _shape(each: Rehearsed) -> dict[str, Any]:
    delivery = each.delivery
    name = f"{delivery.event}.{delivery.action}" if delivery.action else delivery.event
    return {
        "delivery": delivery.id,
        "event": name,
        "repository": delivery.repository,
        "received_at": delivery.received_at,
        "reason_then": delivery.reason,
        "reason_now": each.reason_now,
        "rules": [
            {
                "rule": one.rule,
                "change": one.change.value,
                "then": one.then,
                "now": one.now,
                "key": one.key,
                "reason_then": one.reason_then,
                "reason_now": one.reason_now,
            }
            for one in each.rules
        ],
    }


def _as_json(found: _Summary, since: str, notes: tuple[str, ...]) -> dict[str, Any]:
    return {
        "since": since,
        "deliveries": found.deliveries,
        "unreadable": found.unreadable,
        "summary": [
            {
                "rule": rule,
                "repository": None if place == "-" else place,
                "started_then": found.started_then[rule, place],
                "starts_now": found.starts_now[rule, place],
                "new": found.changes[rule, place, Change.NEW],
                "no_longer": found.changes[rule, place, Change.NO_LONGER],
            }
            for rule, place in found.groups()
        ],
        "changed": found.changed,
        "changed_not_listed": found.left_out,
        "notes": list(notes),
    }


def _print(found: _Summary, since: str, kept_s: float, notes: tuple[str, ...]) -> None:
    screen = open_screen()
    told = f"{found.deliveries} deliveries since"
    kept = Cell(f"(they are kept for {kept_s / DAY:g} days)", "dim")
    screen.title((Cell(told, "bold"), screen.moment(since), kept))
    rows = [_row(found, rule, place) for rule, place in found.groups()]
    if rows:
        head = ("RULE", "REPOSITORY", "ASKED THEN", "TASKS NOW", "NEW", "NO LONGER")
        screen.table(head, rows)
    for each in found.changed:
        screen.section((cell(each["delivery"]), cell(each["event"]), cell(each["repository"])))
        for one in each["rules"]:
            _print_rule(one)
    if found.left_out:
        click.echo(f"and {found.left_out} more that have changed", err=True)
    if found.unreadable:
        click.echo(f"{found.unreadable} deliveries cannot be read any more", err=True)
    for note in notes:
        click.echo(f"note: {safe(note)}", err=True)
    if not found.changed:
        click.echo("nothing would change")


def _print_rule(one: dict[str, Any]) -> None:
    change = Change(one["change"])
    if change is Change.SAME:
        return
    screen = open_screen()
    why = one["key"] if change is Change.NEW else one["reason_now"] or "there is no such rule"
    words = Cell(f"  {_WORDS[change]}", _STYLES[change])
    screen.title((words, Cell(f"rule {one['rule']}"), Cell(safe(str(why)), "dim")))


def _row(found: _Summary, rule: str, place: str) -> tuple[Cell, ...]:
    new = found.changes[rule, place, Change.NEW]
    gone = found.changes[rule, place, Change.NO_LONGER]
    return (
        cell(rule),
        cell(place),
        cell(found.started_then[rule, place]),
        cell(found.starts_now[rule, place]),
        cell(new, "green" if new else "dim"),
        cell(gone, "red" if gone else "dim"),
    )
