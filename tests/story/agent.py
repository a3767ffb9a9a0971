"""Agents of the stories: one that does nothing until a test tells it to, and any other program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from tests.services.fifo import Fifo

SCRIPT = """\
#!/bin/sh
# Says that it is there, waits for a word, and ends with it. Its prompt comes after covend has noted
# who it is, so whoever hears of it knows that covend would find it again.
cat > /dev/null
echo "$$ $COVEND_TASK $COVEND_ATTEMPT" > {here}
read -r word < {word}
printf '{{"conclusion": "success", "summary": "%s"}}' "$word" > "$COVEND_RESULT"
"""


class Program(Protocol):
    """Whatever can be an agent's command."""

    command: tuple[str, ...]


@dataclass(slots=True)
class Script:
    """An agent that is one command."""

    command: tuple[str, ...]

    @classmethod
    def write(cls, path: Path, text: str) -> Self:
        """Write a script of the shell's where everybody can read it."""
        path.write_text(text, "utf-8")
        path.chmod(0o755)
        return cls(("/bin/sh", str(path)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A run of the agent."""

    pid: int
    task: str
    attempt: int


class WaitingAgent:
    """Two pipes and a script between them."""

    def __init__(self, folder: Path) -> None:
        self._here, self._word = Fifo(folder / "here"), Fifo(folder / "word")
        script = folder / "agent.sh"
        script.write_text(SCRIPT.format(here=self._here.path, word=self._word.path))
        self.command: tuple[str, ...] = ("sh", str(script))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._here.close()
        self._word.close()

    async def begins(self) -> Begun:
        """Wait until it runs."""
        pid, task, attempt = (await self._here.line()).split()
        return Begun(pid=int(pid), task=task, attempt=int(attempt))

    def ends(self, word: str = "Fine.") -> None:
        """Let one run end well."""
        self._word.say(word)
