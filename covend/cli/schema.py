"""Commands that help with typing: the schema of the configuration for editors, and completion for
shells.
"""

from __future__ import annotations

import click

from covend.cli.options import json_option
from covend.cli.render import print_json

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_COVEND_COMPLETE"
"""The variable by which a shell's completion asks covend what could come next."""


@click.command()
@json_option
def schema(*, as_json: bool) -> None:  # noqa: ARG001 - it is JSON with and without
    """Print the JSON Schema of covend.toml, with which editors check, complete and explain it.

    Save it, and let the first line of covend.toml name it: "#:schema ./covend.schema.json". Editors
    that use taplo read that line, VS Code by its extension Even Better TOML.
    """
    from covend.config.json_schema import json_schema

    print_json(json_schema())


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, *, shell: str) -> None:
    """Print what makes SHELL complete covend's commands, options, rules, and ids of tasks."""
    from click.shell_completion import ShellComplete, get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    made = kind(context.find_root().command, {}, "covend", VARIABLE)
    # Its own `source` would start a bash first, only to warn of one that is older than any.
    click.echo(ShellComplete.source(made))
