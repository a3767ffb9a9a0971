"""The command line: a group that imports a command's file only when that command is called."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import click

from covend.cli.examples import EXAMPLES

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "serve": ("serve", "Run the daemon."),
    "check": ("prepare", "Check the configuration; every mistake at once."),
    "doctor": ("doctor", "Look at this machine: what covend needs, and how to mend what is amiss."),
    "init": ("init", "Begin: write a configuration, and what belongs to it."),
    "app": ("app_create", "Have GitHub make the App that the rules need, and test it."),
    "demo": ("prepare", "Show the whole way from a webhook to a review, on this machine alone."),
    "explain": ("explain", "Say what would become of an event, and why."),
    "trigger": ("trigger", "Send covend a signed webhook of our own making."),
    "deliveries": ("show", "List webhooks that came in."),
    "tasks": ("show", "List work, and say why it waits."),
    "show": ("show", "Tell the whole story of a task or a delivery."),
    "logs": ("logs", "Print what a task's agent prints; -f as it comes."),
    "effects": ("show", "List what was written, or is to be written, to GitHub."),
    "safeguards": ("holding", "List what holds work back, and until when."),
    "installations": ("installations", "List the accounts that have the App."),
    "forget": ("installations", "Delete all that is known of an installation."),
    "cancel": ("act", "Cancel tasks, waiting or running."),
    "retry": ("act", "Run tasks once more that have failed or were cancelled."),
    "approve": ("act", "Let tasks of forks and strangers run."),
    "replay": ("act", "Route stored deliveries again, as new tasks, by today's rules."),
    "reconcile": ("reconcile", "Take in what GitHub could not deliver."),
    "unblock": ("holding", "Let work on a subject go on that was going in circles."),
    "wait": ("wait", "Wait until a task has ended; its end is the exit code."),
    "pause": ("holding", "Start nothing of a rule, an agent, a repository, or at all."),
    "resume": ("holding", "Lift a pause or the drain."),
    "drain": ("holding", "Take nothing in and start nothing more; what runs goes on."),
    "top": ("top", "Watch covend at work; q ends it."),
    "events": ("watching", "Print what happens, as it happens."),
    "audit": ("watching", "List who has asked covend to change what."),
    "backup": ("keep", "Copy the store to a new directory, also while covend runs."),
    "restore": ("keep", "Put a backup back, with covend stopped."),
    "verify": ("keep", "Read the store, or a backup, through: is all as it must be?"),
    "schema": ("schema", "Print the JSON Schema of covend.toml, for editors."),
    "completion": ("schema", "Print what makes a shell complete covend's commands."),
    "version": ("version", "Print the versions of what runs here."),
}
"""Name to the file in this package that has the command of that name, and its one line of help."""


def _add_examples(command: click.Command, path: str) -> None:
    """Put them at the end of its help, and of its own commands' help."""
    if command.epilog is None and path in EXAMPLES:
        command.epilog = "\n".join(("\b", "Examples:", *(f"  {x}" for x in EXAMPLES[path])))
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            _add_examples(each, f"{path} {name}")


class LazyGroup(click.Group):
    """Knows its commands by the table, and imports none to list them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """List in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the one that is called."""
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command = getattr(import_module(f"covend.cli.{module}"), cmd_name)
        assert isinstance(command, click.Command)
        _add_examples(command, cmd_name)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete by the table, where click would import every command for its line of help."""
        from click.shell_completion import CompletionItem

        commands = [
            CompletionItem(name, help=line)
            for name, (_, line) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Print the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Take GitHub's webhooks, run coding agents on them, publish what they found."""
