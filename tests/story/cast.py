"""Agents that play the part that a story gives them, and note each time that they do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import orjson

from tests.story.agent import Script

SCRIPT = """\
#!/bin/sh
# Notes who it is and for which task, and does what its part says now.
cat > /dev/null
echo "$1 $COVEND_TASK" >> "{ran}"
. "{folder}/$1.part"
"""
EXAMPLE, SECOND = "example", "second"


def _answer(result: Mapping[str, object], then: str = "") -> str:
    """Write a result; the shell may put in something of its own."""
    return f'cat > "$COVEND_RESULT" <<END\n{orjson.dumps(result).decode()}\nEND\n{then}\n'


def _stream(*lines: Mapping[str, object], code: int) -> str:
    """Speak as claude does."""
    told = "\n".join(orjson.dumps(line).decode() for line in lines)
    return f"cat <<'END'\n{told}\nEND\nexit {code}\n"


FINE = _answer({"conclusion": "success", "summary": "Fine."})
COSTLY = _answer({"conclusion": "success", "usage": {"cost_usd": 1.5}})
UNDECIDED = _answer({"conclusion": "neutral", "summary": "Hard to say."})
STUCK = _answer(
    {"conclusion": "failure", "error": {"code": "stuck", "message": "process $$ goes in circles"}},
    then="exit 1",
)
CRASHES = "exit 3\n"
HANGS = "exec sleep 600\n"
_ERROR = {"type": "result", "is_error": True, "api_error_status": 529, "result": "Overloaded"}
_ANSWER = {"type": "result", "is_error": False, "num_turns": 1, "result": "Fine."}
OVERLOADED = _stream({"type": "system", "subtype": "init"}, _ERROR, code=1)
"""Its service does not answer; to be read as claude's."""
ANSWERED = _stream({"type": "system", "subtype": "init"}, _ANSWER, code=0)


class Cast:
    """A script that all agents share, and a part for each of them."""

    def __init__(self, folder: Path) -> None:
        """Everybody plays `FINE` until told otherwise."""
        self._folder, self._ran = folder, folder / "ran"
        self._ran.touch()
        text = SCRIPT.format(folder=folder, ran=self._ran)
        self._script = Script.write(folder / "cast.sh", text)
        for agent in (EXAMPLE, SECOND):
            self.plays(FINE, agent=agent)
        self.command = self.command_of(EXAMPLE)

    def command_of(self, agent: str) -> tuple[str, ...]:
        return (*self._script.command, agent)

    def plays(self, part: str, *, agent: str = EXAMPLE) -> None:
        """Let an agent do so from its next run on."""
        made = self._folder / f"{agent}.made"
        made.write_text(part, "utf-8")
        # A run that begins now reads the one part or the other, and never half of it.
        made.replace(self._folder / f"{agent}.part")

    def plays_at_first(self, part: str, count: int, *, then: str) -> None:
        """As `plays`, so many times, counted over all agents; `then` from there on."""
        is_over = f'[ "$(wc -l < "{self._ran}")" -gt {count} ]'
        self.plays(f"if {is_over}; then\n{then}else\n{part}fi\n")

    def who_ran(self, task: str) -> list[str]:
        """Name the agents that have begun with a task, one for each time."""
        lines = (line.split() for line in self._ran.read_text("utf-8").splitlines())
        return [agent for agent, begun in lines if begun == task]
