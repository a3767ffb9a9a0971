"""What a shell is told could come next: rules of the configuration, and ids of tasks.

Whatever goes wrong on the way, nothing is printed: somebody is typing.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from covend.cli.client import open_client
from covend.cli.render import safe
from covend.config.find import find_config
from covend.config.problems import ConfigErrors

TASKS_MAX = 30
WITHIN_S = 1.0
"""Somebody who types waits no longer for a daemon that hangs."""


def complete_rules(
    context: click.Context,
    parameter: click.Parameter,  # noqa: ARG001 - click's signature
    incomplete: str,
) -> list[CompletionItem]:
    """Give the names of the rules."""
    return [CompletionItem(name) for name in _rules(context) if name.startswith(incomplete)]


def complete_tasks(
    context: click.Context,
    parameter: click.Parameter,  # noqa: ARG001 - click's signature
    incomplete: str,
) -> list[CompletionItem]:
    """Give the newest tasks that may be meant, each with what it is about."""
    try:
        client = open_client(context.params.get("config"), within_s=WITHIN_S)
        found = client.get("tasks", limit=TASKS_MAX)
        return [
            CompletionItem(str(task["id"]), help=safe(f"{task['state']} {task['rule']}"))
            for task in found["items"]
            if str(task["id"]).startswith(incomplete)
        ]
    except (click.ClickException, KeyError, TypeError):
        return []


def _rules(context: click.Context) -> Iterator[str]:
    try:
        path = find_config(context.params.get("config"), os.environ)
        tables: dict[str, Any] = tomllib.loads(Path(path).read_text("utf-8-sig"))
    except (ConfigErrors, OSError, ValueError):
        return
    rules = tables.get("rules")
    for rule in rules if isinstance(rules, list) else ():
        if isinstance(rule, dict) and isinstance(rule.get("name"), str):
            yield rule["name"]
