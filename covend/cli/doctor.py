"""`covend doctor`: looks at the real world, and says of each thing whether it is as it must be and,
where it is not, what to do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import click

from covend.cli.client import Client, find_target
from covend.cli.examining import about_config
from covend.cli.exits import NOT_FOUND, Failure
from covend.cli.options import config_option, json_option
from covend.cli.reading import read_config
from covend.cli.render import Cell, Screen, print_json
from covend.cli.screens import open_screen, tolerate_any_text
from covend.core.settings import Settings
from covend.doctor.examine import examine
from covend.doctor.finding import Answer, Case, Finding, Level

_READY = "/readyz"
_API = "/api/v1/"
_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILED: "bold red"}


@click.command()
@config_option
@json_option
@click.option("--offline", is_flag=True, help="Do not ask GitHub.")
@click.pass_context
def doctor(context: click.Context, *, config: Path | None, as_json: bool, offline: bool) -> None:
    """Look at the real world; exit 1 if a check failed, 78 for a wrong configuration."""
    inspection, settings = read_config(config)
    case = _case(config, settings, is_offline=offline)
    findings = [about_config(inspection), *examine(case)]
    is_well = all(finding.ok for finding in findings)
    if as_json:
        tolerate_any_text()
        print_json({"ok": is_well, "findings": [_as_json(finding) for finding in findings]})
    else:
        _print(open_screen(), findings)
    context.exit(0 if is_well else NOT_FOUND)


def _case(config: Path | None, settings: Settings, *, is_offline: bool) -> Case:
    target = find_target(config, os.environ)
    client = Client(target)

    @cache  # what does not answer is waited for once
    def ask(path: str) -> Answer | str:
        try:
            told = client.look(path) if path == _READY else client.get(path.removeprefix(_API))
        except Failure as failure:
            return failure.message
        return told if isinstance(told, dict) else f"{target.address} does not answer as covend"

    return Case(
        settings=settings,
        environ=os.environ,
        ask=ask,
        is_root=os.geteuid() == 0,
        is_offline=is_offline,
        serve=target.serve,
    )


def _as_json(finding: Finding) -> dict[str, object]:
    return {
        "name": finding.name,
        "ok": finding.ok,
        "level": finding.level,
        "what": finding.what,
        "fix": finding.fix,
    }


def _print(screen: Screen, findings: Sequence[Finding]) -> None:
    screen.table(("CHECK", "STATE", "WHAT"), [row for each in findings for row in _rows(each)])
    counts = {level: sum(each.level is level for each in findings) for level in Level}
    screen.section([Cell(f"{counts[level]} {level}", _STYLES[level]) for level in Level])


def _rows(finding: Finding) -> Iterator[tuple[Cell, ...]]:
    """Show it, and its fix below it."""
    state = Cell(finding.level, _STYLES[finding.level])
    yield Cell(finding.name), state, Cell(finding.what)
    if finding.fix:
        yield Cell(""), Cell("fix", "dim"), Cell(finding.fix)
