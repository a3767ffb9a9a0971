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
from covend.cli.exits import CONFIG, NOT_FOUND, Failure
from covend.cli.options import config_option, json_option
from covend.cli.render import Cell, Screen, print_json
from covend.cli.screens import open_screen, tolerate_any_text
from covend.config.find import find_config
from covend.config.load import Inspection, inspect
from covend.config.problems import ConfigErrors
from covend.doctor.examine import examine
from covend.doctor.finding import Answer, Case, Finding, Level, good, warning

_READY = "/readyz"
_API = "/api/v1/"
_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILED: "bold red"}


@click.command()
@config_option
@json_option
@click.pass_context
def doctor(context: click.Context, *, config: Path | None, as_json: bool) -> None:
    """Look at the real world; exit 1 if a check failed, 78 for a wrong configuration."""
    inspection = _inspect(config)
    findings = [_about_config(inspection), *examine(_case(config, inspection))]
    is_well = all(finding.ok for finding in findings)
    if as_json:
        tolerate_any_text()
        print_json({"ok": is_well, "findings": [_as_json(finding) for finding in findings]})
    else:
        _print(open_screen(), findings)
    context.exit(0 if is_well else NOT_FOUND)


def _inspect(config: Path | None) -> Inspection:
    try:
        inspection = inspect(find_config(config, os.environ), os.environ)
    except ConfigErrors as errors:
        raise Failure(CONFIG, str(errors)) from errors
    if inspection.settings is None:
        raise Failure(CONFIG, "\n".join(str(problem) for problem in inspection.errors))
    return inspection


def _case(config: Path | None, inspection: Inspection) -> Case:
    assert inspection.settings is not None
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
        settings=inspection.settings,
        environ=os.environ,
        ask=ask,
        is_root=os.geteuid() == 0,
        serve=target.serve,
    )


def _about_config(inspection: Inspection) -> Finding:
    count = len(inspection.warnings)
    if not count:
        return good("config", f"{inspection.path} is good")
    warnings = "1 warning" if count == 1 else f"{count} warnings"
    return warning("config", f"{inspection.path} has {warnings}", "covend check shows them")


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
