from __future__ import annotations

import json
import sqlite3
import subprocess
import sys

import click
import pytest

from covend import __version__
from covend.cli import COMMANDS, main
from tests.cli.operator_desk import COVEND, invoke

SLOW = {"aiohttp", "asyncio", "jinja2", "pydantic", "rich"}


def imported_by(*args: str) -> set[str]:
    """The slow packages that a command has imported by its end."""
    program = (
        "import sys\n"
        "from covend.cli import main\n"
        "try:\n"
        f"    main({list(args)!r}, prog_name='covend')\n"
        "except SystemExit:\n"
        "    pass\n"
        f"print(*({SLOW!r} & sys.modules.keys()), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_is_there(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.help


def test_help_lists_every_command_with_a_line() -> None:
    done = invoke("--help")
    assert done.exit_code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in done.output


def test_an_unknown_command_is_a_usage_error() -> None:
    done = invoke("frobnicate")
    assert done.exit_code == 2
    assert "frobnicate" in done.output


NOWHERE = ["--config", "/none"]


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["version"],
        ["tasks", *NOWHERE],
        ["retry", "a", *NOWHERE],
        ["pause", *NOWHERE],
        ["wait", "a", *NOWHERE],
        ["top", *NOWHERE],
        ["events", *NOWHERE],
        ["audit", *NOWHERE],
        ["completion", "bash"],
    ],
)
def test_a_command_imports_only_what_it_needs(args: list[str]) -> None:
    assert imported_by(*args) == set()


def test_version_tells_what_runs_here() -> None:
    assert json.loads(invoke("version", "--json").output) == {
        "covend": __version__,
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
    }
    assert invoke("version").output.startswith(f"covend {__version__}\n")


def test_the_module_is_the_command() -> None:
    done = subprocess.run([*COVEND, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: covend ")
