"""The command line: a group that imports a command's file only when that command is called."""

from __future__ import annotations

from importlib import import_module

import click

COMMANDS = {
    "serve": ("serve", "Run the daemon."),
    "check": ("prepare", "Check the configuration; every mistake at once."),
    "doctor": ("doctor", "Look at this machine: what covend needs, and how to mend what is amiss."),
    "demo": ("prepare", "Show the whole way from a webhook to a review, on this machine alone."),
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
    "version": ("version", "Print the versions of what runs here."),
}
"""Name to the file in this package that has the command of that name, and its one line of help."""


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
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Print the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Take GitHub's webhooks, run coding agents on them, publish what they found."""
