"""A stand-in of claude or codex without a terminal, by the name that it is called by; copied, not
imported.

It prints what the real ones were recorded to print, keeps its sessions where they do, and refuses
those that they do not know. What it is called with it tells on standard error. The file `next` in
its HOME says what it does once in place of answering at once.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

INPUT_TOKENS, OUTPUT_TOKENS, COST_USD = 1000, 20, 0.0055
"""Of each call."""
HOME = Path(os.environ.get("HOME", "/nonexistent"))
Told = Callable[[], object]


def main() -> None:
    argv = sys.argv[1:]
    sys.stdin.read()
    brief = json.loads(Path(os.environ["COVEND_BRIEF"]).read_bytes())
    call = {"argv": argv, "cwd": str(Path.cwd()), "previous": brief["previous"]}
    sys.stderr.write(f"called {json.dumps(call)}\n")
    {"claude": claude, "codex": codex}[Path(sys.argv[0]).name](argv)


def claude(argv: list[str]) -> None:
    asked = word_after("--resume", argv)
    kept = HOME / ".claude" / "projects" / str(Path.cwd()).replace("/", "-")
    if asked and not (kept / asked).exists():
        say_unknown(asked)
        sys.exit(1)
    session = asked or str(uuid.uuid4())
    kept.mkdir(parents=True, exist_ok=True)
    (kept / session).touch()
    own = {"session_id": session}
    tokens = {"inputTokens": INPUT_TOKENS, "outputTokens": OUTPUT_TOKENS}
    say(type="system", subtype="init", cwd=str(Path.cwd()), **own)
    try:
        do_as_told(
            item=lambda: say(type="assistant", message=message_of(1), **own),
            idle=lambda: say(type="system", subtype="status", status="requesting", **own),
            turn=lambda number: say(type="assistant", message=message_of(number), **own),
        )
    except KeyboardInterrupt:
        say(
            type="result",
            subtype="error_during_execution",
            is_error=True,
            num_turns=1,
            terminal_reason="aborted_streaming",
            total_cost_usd=COST_USD,
            modelUsage={"claude-opus-4-8": tokens},
            **own,
        )
        sys.exit(1)
    say(
        type="result",
        subtype="success",
        is_error=False,
        num_turns=1,
        result="Looked at it.",
        total_cost_usd=COST_USD,
        modelUsage={"claude-opus-4-8": tokens},
        **own,
    )


def message_of(number: int) -> dict[str, object]:
    return {
        "id": f"msg_{number}",
        "model": "claude-opus-4-8",
        "content": [{"type": "text", "text": f"So far {number}."}],
        "usage": {"input_tokens": INPUT_TOKENS, "output_tokens": 1},
    }


def say_unknown(session: str) -> None:
    say(
        type="result",
        subtype="error_during_execution",
        is_error=True,
        num_turns=0,
        session_id=session,
        total_cost_usd=0,
        modelUsage={},
        errors=[f"No conversation found with session ID: {session}"],
    )


def codex(argv: list[str]) -> None:
    asked = word_after("resume", argv)
    thread = asked or str(uuid.uuid4())
    kept = HOME / ".codex" / "sessions" / thread
    if asked and not kept.exists():
        sys.exit(f"Error: thread/resume: no rollout found for thread id {asked}")
    kept.parent.mkdir(parents=True, exist_ok=True)
    turns = 1 + (int(kept.read_text()) if asked else 0)
    kept.write_text(str(turns))
    item = {"id": "item_1", "type": "agent_message", "text": "Looked at it."}
    retry = "Reconnecting... waiting for network (Connection failed: error sending request)"
    say(type="thread.started", thread_id=thread)
    say(type="turn.started")

    def turn(number: int) -> None:
        """Go on with a further turn of the same run."""
        spent = {"input_tokens": INPUT_TOKENS * number, "output_tokens": OUTPUT_TOKENS * number}
        say(type="item.completed", item=item)
        say(type="turn.completed", usage=spent)
        say(type="turn.started")

    do_as_told(
        item=lambda: say(type="item.completed", item=item),
        idle=lambda: say(type="error", message=retry),
        turn=turn,
    )
    total = {"input_tokens": INPUT_TOKENS * turns, "output_tokens": OUTPUT_TOKENS * turns}
    say(type="turn.completed", usage=total)


def say(**event: object) -> None:
    sys.stdout.write(f"{json.dumps(event)}\n")
    sys.stdout.flush()


def word_after(word: str, argv: list[str]) -> str | None:
    return argv[argv.index(word) + 1] if word in argv else None


def do_as_told(*, item: Told, idle: Told, turn: Callable[[int], object]) -> None:
    note = HOME / "next"
    words = note.read_text().split() if note.exists() else []
    note.unlink(missing_ok=True)
    match words:
        case ["hang", fifo]:
            item()
            Path(fifo).write_text("started\n")
            signal.pause()
        case ["turns", count]:
            for number in range(1, int(count) + 1):
                turn(number)
        case ["turning", seconds]:
            numbers = itertools.count(1)
            repeat_until(lambda: turn(next(numbers)), float(seconds))
        case ["exit", code]:
            item()
            sys.exit(int(code))
        case ["idle", seconds]:
            repeat_until(idle, float(seconds))
        case ["busy", seconds]:
            repeat_until(item, float(seconds))
    item()


def repeat_until(step: Told, limit_s: float) -> None:
    """Take it again and again until the time is over."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        step()
        sys.stdout.write("no event at all\n")
        sys.stdout.flush()
        time.sleep(0.05)


if __name__ == "__main__":
    main()
