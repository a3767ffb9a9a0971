"""Commands for before the first start: `check` reads the configuration and says what is wrong; it
changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import orjson
from rich.console import Console
from rich.text import Text

from covend.cli import samples
from covend.cli.exits import CONFIG, NOT_FOUND
from covend.cli.options import config_option, json_option
from covend.config.find import find_config
from covend.config.load import Inspection, inspect, origins
from covend.config.problems import ConfigErrors, Problem, dotted
from covend.core.outside import Schedule
from covend.core.settings import Admin, Agent, Rule, Server, Settings


@click.command()
@config_option
@json_option
@click.option("--show-origin", is_flag=True, help="Print every value and where it comes from.")
@click.option("--no-secrets", is_flag=True, help="Do not read the secrets that the file names.")
@click.option("--tests", is_flag=True, help="Make the [[tests]] of the file too; exit 1 on any.")
@click.pass_context
def check(
    context: click.Context,
    *,
    config: Path | None,
    as_json: bool,
    show_origin: bool,
    no_secrets: bool,
    tests: bool,
) -> None:
    """Check the configuration: every mistake at once, without the network; exit 78 on any.

    With --tests, of a file without mistakes, its [[tests]] are made: each payload is routed as a
    webhook would be, and nothing is started. Where one fails, the exit code is 1.
    """
    inspection = _inspect(config, read_secrets=not no_secrets)
    settings = inspection.settings
    made = samples.make_all(settings) if tests and settings is not None else ()
    if as_json:
        answer = _as_json(inspection, show_origin=show_origin)
        click.echo(orjson.dumps(answer | ({"tests": samples.as_json(made)} if tests else {})))
    else:
        _print(inspection, show_origin=show_origin)
    if tests and settings is not None and not as_json:
        samples.print_all(made)
    if inspection.errors:
        context.exit(CONFIG)
    context.exit(NOT_FOUND if any(one.mismatches for one in made) else 0)


@click.command()
@click.option("--once", is_flag=True, help="End after the story, instead of staying up.")
@click.pass_context
def demo(context: click.Context, *, once: bool) -> None:
    """Show the whole way from a webhook to a review, on this machine alone; exit 1 if it fails."""
    from covend.cli.examining import examiner
    from covend.demo import story
    from covend.web.findings import Examine

    def examining(config: Path) -> Examine:
        return examiner(inspect(config, os.environ), os.environ)

    context.exit(story.run(once=once, examining=examining))


def _inspect(config: Path | None, *, read_secrets: bool) -> Inspection:
    try:
        path = find_config(config, os.environ)
    except ConfigErrors as errors:
        return Inspection(
            path=Path("covend.toml"), settings=None, errors=errors.problems, warnings=()
        )
    return inspect(path, os.environ, read_secrets=read_secrets)


# --- for people -----------------------------------------------------------------------------------


def _print(inspection: Inspection, *, show_origin: bool) -> None:
    # What is wrong is just what was asked for: all of it goes to standard output.
    console = Console(soft_wrap=True)
    for problem in inspection.warnings:
        _print_problem(console, "warning", "yellow", problem)
    for problem in inspection.errors:
        _print_problem(console, "error", "red", problem)
    if inspection.errors:
        console.print(Text(_counts(inspection), style="bold red"))
        return
    if show_origin:
        for path, value, origin in origins(inspection):
            console.print(Text(f"{dotted(path)} = {_written(value)}  # {origin}"))
        return
    assert inspection.settings is not None
    console.print(Text.assemble((f"{inspection.path} is good", "bold green"), _warned(inspection)))
    for name, text in _summary(inspection.settings):
        console.print(Text.assemble((f"  {name:<10}", "dim"), text))


def _print_problem(console: Console, kind: str, colour: str, problem: Problem) -> None:
    first, *excerpt = str(problem).split("\n")
    console.print(Text.assemble((f"{kind}: ", f"bold {colour}"), first))
    for line in excerpt:
        console.print(Text(line, style="dim"))


def _counts(inspection: Inspection) -> str:
    errors = _count(len(inspection.errors), "error")
    warnings = _count(len(inspection.warnings), "warning")
    return f"{errors}, and {warnings}" if inspection.warnings else errors


def _warned(inspection: Inspection) -> str:
    warnings = len(inspection.warnings)
    return f", with {_count(warnings, 'warning')}" if warnings else ""


def _summary(settings: Settings) -> Iterator[tuple[str, str]]:
    yield "state", str(settings.state_dir)
    senders = ["github"] if settings.github.webhook_secrets else []
    for sender in (*senders, *settings.sources):
        yield "webhooks", f"{_address(settings.server)}/webhooks/{sender}"
    yield "admin", _address(settings.admin)
    for agent in settings.agents.values():
        yield "agent", _describe_agent(agent)
    for rule in settings.rules:
        yield "rule", _describe_rule(rule)
    for schedule in settings.schedules:
        where = f" in {schedule.repository}" if schedule.repository else ""
        yield "schedule", f"{schedule.name}: {schedule.cron} (UTC) → {schedule.rule}{where}"
    for callback in settings.callbacks.values():
        # The path may be a secret.
        parts = urlsplit(callback.url)
        yield (
            "callback",
            (f"{callback.name}: {', '.join(callback.events)} → {parts.scheme}://{parts.hostname}"),
        )


def _address(listener: Server | Admin) -> str:
    if isinstance(listener, Admin) and listener.socket is not None:
        return f"unix:{listener.socket}"
    host = f"[{listener.host}]" if ":" in listener.host else listener.host
    return f"http://{host}:{listener.port}"


def _describe_agent(agent: Agent) -> str:
    return f"{agent.name}: {' '.join(agent.command)} (preset {agent.preset})"


def _describe_rule(rule: Rule) -> str:
    surfaces = ", ".join(rule.publish) or "nothing"
    return f"{rule.name}: {', '.join(rule.on) or 'no event'} → {rule.agent} → {surfaces}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _written(value: Any) -> str:
    return orjson.dumps(value).decode()


# --- for programs ---------------------------------------------------------------------------------


def _as_json(inspection: Inspection, *, show_origin: bool) -> dict[str, Any]:
    settings = inspection.settings
    answer: dict[str, Any] = {
        "ok": not inspection.errors,
        "file": str(inspection.path),
        "errors": _problems(inspection.errors),
        "warnings": _problems(inspection.warnings),
    }
    if settings is not None:
        answer |= _settings_as_json(settings)
    if settings is not None and show_origin:
        answer["values"] = [
            {"key": dotted(path), "value": value, "origin": origin}
            for path, value, origin in origins(inspection)
        ]
    return answer


def _settings_as_json(settings: Settings) -> dict[str, Any]:
    return {
        "state_dir": str(settings.state_dir),
        "listeners": {"server": _address(settings.server), "admin": _address(settings.admin)},
        "agents": [
            {"name": agent.name, "preset": agent.preset, "command": agent.command}
            for agent in settings.agents.values()
        ],
        "rules": [
            {"name": rule.name, "on": rule.on, "agent": rule.agent, "publish": rule.publish}
            for rule in settings.rules
        ],
        "schedules": [_schedule_as_json(schedule) for schedule in settings.schedules],
        "callbacks": [
            {"name": each.name, "events": each.events, "host": urlsplit(each.url).hostname}
            for each in settings.callbacks.values()
        ],
        "sources": [
            {"name": each.name, "kind": each.kind, "trust": each.trust}
            for each in settings.sources.values()
        ],
        "limits": asdict(settings.limits),
    }


def _schedule_as_json(schedule: Schedule) -> dict[str, Any]:
    return {
        "name": schedule.name,
        "cron": schedule.cron,
        "rule": schedule.rule,
        "repository": schedule.repository,
        "missed": schedule.missed,
    }


def _problems(problems: Sequence[Problem]) -> list[Any]:
    fields = ("file", "line", "column", "key", "message", "got", "suggestion", "source_line")
    return [{field: getattr(problem, field) for field in fields} for problem in problems]
