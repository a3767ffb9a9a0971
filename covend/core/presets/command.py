"""Any command: nothing is known of it but the contract, so its output is plain text."""

from __future__ import annotations

from covend.core.presets.stream import StreamReport, Tool, Words, substituted
from covend.core.settings import Agent


def argv(agent: Agent, words: Words) -> tuple[str, ...]:
    """Give the command with its placeholders filled in."""
    return substituted(agent.command, words)


class PlainReader:
    """Reads nothing out of any line: each is progress."""

    def feed(self, line: str) -> bool:  # noqa: ARG002  as every reader
        return True

    def report(self) -> StreamReport | None:
        return None


TOOL = Tool(argv=argv, reader=PlainReader)
