"""Small agents, and what they were heard to say."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio

from covend.core.contract.outcome import Exit
from covend.edges.agents.output import Stream
from covend.edges.agents.process import Spec, run

ENVIRONMENT = {"PATH": os.environ["PATH"], "COVEND_TASK": "t1"}
SOON = 10.0


class Heard:
    """What an agent printed; `wait_for` waits for a line."""

    def __init__(self) -> None:
        self.lines: list[tuple[Stream, str]] = []
        self._more = anyio.Event()

    def __call__(self, stream: Stream, line: str) -> None:
        self.lines.append((stream, line))
        self._more.set()
        self._more = anyio.Event()

    def of(self, stream: Stream = Stream.OUT) -> list[str]:
        return [line for source, line in self.lines if source is stream]

    async def wait_for(self, beginning: str) -> str:
        with anyio.fail_after(SOON):
            while True:
                found = next((line for line in self.of() if line.startswith(beginning)), None)
                if found is not None:
                    return found
                await self._more.wait()


async def ignore(pid: int, ticks: int) -> None:
    pass


def spec(cwd: Path, *argv: str, **changes: Any) -> Spec:
    values: dict[str, Any] = {
        "argv": argv,
        "environment": ENVIRONMENT,
        "cwd": cwd,
        "stdin": None,
        "timeout_s": SOON,
        "grace_s": 1.0,
    }
    return Spec(**{**values, **changes})


def shell(cwd: Path, script: str, **changes: Any) -> Spec:
    return spec(cwd, "sh", "-c", script, **changes)


def python(cwd: Path, script: str, **changes: Any) -> Spec:
    return spec(cwd, sys.executable, "-c", script, **changes)


async def ran(
    what: Spec, on_start: Callable[[int, int], Awaitable[None]] = ignore
) -> tuple[Exit, Heard]:
    heard = Heard()
    with anyio.fail_after(SOON + 5):
        return await run(what, on_start=on_start, on_line=heard), heard


def is_gone(pid: int) -> bool:
    """Not there, not even as a zombie of ours."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z" and (
        int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) != os.getpid()
    )
