"""`covend init`: writes a first configuration and what belongs to it; asks little, or nothing with
`--yes`, and overwrites nothing.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from covend.cli.beginning import (
    KEY_FILE,
    KEYS,
    PROMPT_FILE,
    SECRET_FILE,
    TOKEN_FILE,
    Choices,
    config_text,
    name_of,
    prompt_text,
)
from covend.cli.exits import NOT_FOUND, NOT_PERMITTED, USAGE, Failure
from covend.cli.new_files import SHARED, NewFile, taken, write_all
from covend.cli.options import json_option
from covend.cli.render import print_json, safe
from covend.config.find import FILE_NAME
from covend.config.presets import COMMANDS, preset_of
from covend.core.settings import Agent, Preset, Sandbox
from covend.edges.agents.sandbox import sandbox_problem

_KNOWN = (Preset.CLAUDE, Preset.CODEX)
_OTHER = "other"
_SECRET_BYTES = 32


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default=".", metavar="[DIR]")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@json_option
def init(*, directory: Path, yes: bool, as_json: bool) -> None:
    """Write a first configuration, and what belongs to it, into DIR; exit 1 if one is there."""
    if not (yes or sys.stdin.isatty()):
        message = "there is no terminal to ask on: --yes asks nothing"
        raise Failure(USAGE, message)
    # Before anything is asked: of what is chosen, only the prompt is one more file.
    _require_free([directory / FILE_NAME, directory / SECRET_FILE], _chosen())
    choices = _chosen() if yes else _ask()
    files = _files(directory, choices)
    _require_free([each.path for each in files], choices)
    _write(files)
    steps = _steps(directory, choices)
    if as_json:
        written = [str(each.path) for each in files]
        print_json({"written": written, "agent": name_of(choices), "next": steps})
        return
    for each in files:
        click.echo(f"wrote {safe(str(each.path))}")
    click.echo("\nNext:")
    for step in steps:
        click.echo(f"  {safe(step)}")


# --- what is chosen -------------------------------------------------------------------------------


def _chosen() -> Choices:
    """Choose by what this machine has."""
    preset = next((each for each in _KNOWN if shutil.which(COMMANDS[each])), Preset.CLAUDE)
    command = (COMMANDS[preset],)
    return Choices(
        repository=None,
        preset=preset,
        command=command,
        sandbox=_sandbox(preset, command),
        is_app=True,
        has_own_prompt=False,
    )


def _ask() -> Choices:
    """Ask, on standard error; what is only confirmed is as without asking."""
    otherwise = _chosen()
    pattern = click.prompt("Repositories (a pattern such as acme/*)", default="all", err=True)
    preset, command = _ask_for_agent(otherwise)
    confined = _sandbox(preset, command)
    is_confined = confined is not Sandbox.NONE and click.confirm(
        "Confine the agent by bubblewrap, which works here?", default=True, err=True
    )
    is_app = click.confirm("Work as a GitHub App (else by a plain token)?", default=True, err=True)
    has_own_prompt = click.confirm(f"Write {PROMPT_FILE}, to change it?", default=False, err=True)
    return Choices(
        repository=None if pattern == "all" else pattern,
        preset=preset,
        command=command,
        sandbox=confined if is_confined else Sandbox.NONE,
        is_app=is_app,
        has_own_prompt=has_own_prompt,
    )


def _ask_for_agent(otherwise: Choices) -> tuple[Preset, tuple[str, ...]]:
    known = [*(COMMANDS[each] for each in _KNOWN), _OTHER]
    here = [name for name in known if shutil.which(name)]
    told = f"Agent (here: {', '.join(here) or 'none of them'})"
    name = click.prompt(told, type=click.Choice(known), default=otherwise.command[0], err=True)
    if name != _OTHER:
        return preset_of(None, [name]), (name,)
    words = tuple(click.prompt("Its command", err=True).split()) or (_OTHER,)
    return preset_of(None, words), words


def _sandbox(preset: Preset, command: Sequence[str]) -> Sandbox:
    """Try whether the agent can be confined by bubblewrap here."""
    problem = _problem("agent", preset, command)
    return Sandbox.BUBBLEWRAP if problem is None else Sandbox.NONE


def _problem(name: str, preset: Preset, command: Sequence[str]) -> str | None:
    agent = Agent(name=name, preset=preset, command=tuple(command), sandbox=Sandbox.BUBBLEWRAP)
    return sandbox_problem(
        agent, state_dir=Path("/"), surrounding=os.environ, is_root=os.geteuid() == 0
    )


# --- what is written ------------------------------------------------------------------------------


def _files(directory: Path, choices: Choices) -> list[NewFile]:
    """The configuration last: where it is, everything is."""
    files = [
        NewFile(path=directory / SECRET_FILE, text=f"{secrets.token_hex(_SECRET_BYTES)}\n"),
        NewFile(path=directory / FILE_NAME, text=config_text(choices), mode=SHARED),
    ]
    if choices.has_own_prompt:
        prompt = NewFile(path=directory / PROMPT_FILE, text=prompt_text(), mode=SHARED)
        files.insert(1, prompt)
    return files


def _require_free(paths: Sequence[Path], choices: Choices) -> None:
    there = taken([NewFile(path=path, text="") for path in paths])
    if not there:
        return
    message = f"{', '.join(map(str, there))}: there already, and never overwritten"
    wanted = f"would have written {', '.join(map(str, paths))}"
    about = f"an agent {name_of(choices)}, sandbox {choices.sandbox}"
    raise Failure(NOT_FOUND, safe(f"{message}; covend init {wanted} ({about})"))


def _write(files: Sequence[NewFile]) -> None:
    try:
        write_all(files)
    except FileExistsError as error:
        told = f"{error.filename2 or error.filename}: there already"
        raise Failure(NOT_FOUND, safe(told)) from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        told = f"{where}{error.strerror}: nothing was written"
        is_denied = isinstance(error, PermissionError)
        raise Failure(NOT_PERMITTED if is_denied else NOT_FOUND, safe(told)) from error


def _steps(directory: Path, choices: Choices) -> list[str]:
    is_here = directory == Path()
    named = [] if is_here else [f"export COVEND_CONFIG={directory.absolute() / FILE_NAME}"]
    key, program = KEYS.get(choices.preset), choices.command[0]
    way = (
        [f"covend app create --url https://YOUR-HOST   # makes the App, and {KEY_FILE}"]
        if choices.is_app
        else [f"put a token into {TOKEN_FILE} (chmod 600), and make the repository's webhook"]
    )
    return [
        *named,
        *([] if shutil.which(program) else [f"install {program}: it is not on the PATH here"]),
        *([f"export {key}=…   # for the agent"] if key else []),
        *([_unconfined(choices)] if choices.sandbox is Sandbox.NONE else []),
        *way,
        "covend check     # tells every mistake",
        "covend serve",
        "covend doctor    # in another terminal",
    ]


def _unconfined(choices: Choices) -> str:
    """Say what it means, and why it is so where that was not chosen."""
    problem = _problem(name_of(choices), choices.preset, choices.command)
    why = f" ({problem})" if problem else ""
    return f"confine the agent, which can read covend's secrets: docs/sandboxes.md{why}"
