# ruff: noqa: INP001 - docs/ is a folder with programs in it, not a package
"""Writes `docs/covend.1`, the man page, from the commands' own help.

    .venv/bin/python docs/make_man.py

A test compares the page with what this would write, so the page cannot lag behind the code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from inspect import cleandoc
from pathlib import Path

import click

from covend.cli import COMMANDS, main
from covend.cli.examples import EXAMPLES

PAGE = Path(__file__).with_name("covend.1")

EXITS: Mapping[int, str] = {
    0: "Done.",
    1: "The check failed, or what was asked for is not there.",
    2: "The command was written wrongly.",
    69: "The daemon does not answer, or a program that is needed is missing.",
    75: "Not now: try later.",
    77: "Not permitted.",
    78: "The configuration has errors.",
    130: "Ended by Ctrl-C.",
}
FILES: Mapping[str, str] = {
    "./covend.toml": "The configuration, where neither --config nor $COVEND_CONFIG names one;",
    "$XDG_CONFIG_HOME/covend/covend.toml": "else this one;",
    "/etc/covend/covend.toml": "else this one.",
    "STATE_DIR/covend.db": "The store.",
    "STATE_DIR/admin.token": "The operator's token, unless the configuration names another.",
}
VARIABLES: Mapping[str, str] = {
    "COVEND_CONFIG": "The configuration to read.",
    "COVEND_ADMIN_TOKEN": "The token by which commands ask the daemon.",
    "COVEND_STATE_DIR": "Instead of state_dir.",
    "COVEND_SECTION__KEY": (
        "Overrides a single value of the configuration, as COVEND_LIMITS__CONCURRENCY=8."
    ),
    "NO_COLOR": "No colours, whatever the terminal can do.",
}


def render() -> str:
    """Give the whole page."""
    context = click.Context(main, info_name="covend")
    lines = [
        '.\\" Made by docs/make_man.py. Do not edit this page: run that.',
        '.TH COVEND 1 "" "" "covend"',
        ".SH NAME",
        "covend \\- takes GitHub's webhooks, runs coding agents on them, publishes what they found",
        ".SH SYNOPSIS",
        ".B covend",
        "COMMAND [OPTION...]",
        ".SH COMMANDS",
    ]
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        lines += _command(command, click.Context(command, parent=context, info_name=name))
    lines += _list("EXIT STATUS", {str(code): text for code, text in EXITS.items()})
    lines += _list("FILES", FILES)
    lines += _list("ENVIRONMENT", VARIABLES)
    return "\n".join(lines) + "\n"


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    path = context.command_path.removeprefix("covend ")
    yield f".SS {escape(path)} {escape(' '.join(command.collect_usage_pieces(context)))}"
    for place, paragraph in enumerate(_paragraphs(command.help or "")):
        yield from ([".PP"] if place else [])
        yield escape(paragraph)
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and "--help" not in parameter.opts:
            yield from (".TP", f".B {escape(record[0])}", escape(record[1] or "\\&"))
    if examples := EXAMPLES.get(path, ()):
        yield from (".PP", ".nf", ".RS", *map(escape, examples), ".RE", ".fi")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _command(inner, click.Context(inner, parent=context, info_name=name))


def _paragraphs(text: str) -> list[str]:
    """Give the paragraphs, each on one line; those that click leaves as they are keep theirs."""
    parts = re.split(r"\n\s*\n", cleandoc(text).replace("\f", ""))
    return [
        "\n.br\n".join(part.splitlines()[1:]) if part.startswith("\b") else " ".join(part.split())
        for part in parts
    ]


def _list(title: str, entries: Mapping[str, str]) -> Iterator[str]:
    yield f".SH {title}"
    for name, text in entries.items():
        yield from (".TP", f".B {escape(name)}", escape(text))


def escape(text: str) -> str:
    """Make roff take a text as it is: no escapes, no requests, and hyphens that can be copied."""
    plain = text.replace("\\&", "").replace("\\", "\\e").replace("-", "\\-")
    lines = (line if line == ".br" else _harmless(line) for line in plain.split("\n"))
    return "\n".join(lines) or "\\&"


def _harmless(line: str) -> str:
    return f"\\&{line}" if line[:1] in {".", "'"} else line


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
