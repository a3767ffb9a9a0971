"""Small agents in real trees, what they were heard to say, and what is left of them."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import anyio

from covend.core.contract.outcome import Exit
from covend.core.settings import AgentLimits
from covend.edges import children, proc
from covend.edges.agents.output import Stream
from covend.edges.agents.process import Agent
from covend.edges.agents.spec import Spec
from covend.edges.agents.tree import Containment, probe

SOON = 20.0
"""Far more than anything here takes; a test that waits so long has failed."""
LEFT_WITHIN_S = 4.0
"""How long after the grace nothing may be left: two seconds are promised, the rest is for a busy
machine.
"""

WALKED = Containment("only walked in this test", is_subreaper=children.become_subreaper())
PROBED = probe(f"tests-{os.getpid()}")
atexit.register(PROBED.close)
CONTAINMENTS = {"walk": WALKED} | (
    {"cgroup": PROBED} if PROBED.describe()["trees"].startswith("cgroup") else {}
)
"""Every way to hold a tree that there is on this machine."""


class Heard:
    """What an agent printed; `wait_for` waits for a line."""

    def __init__(self) -> None:
        self.lines: list[tuple[Stream, str]] = []
        self.progress: Callable[[str], bool] = bool
        self._more = anyio.Event()

    def __call__(self, stream: Stream, line: str) -> bool:
        self.lines.append((stream, line))
        self._more.set()
        self._more = anyio.Event()
        return self.progress(line)

    def of(self, stream: Stream = Stream.OUT) -> list[str]:
        return [line for source, line in self.lines if source is stream]

    async def wait_for(self, beginning: str) -> str:
        with anyio.fail_after(SOON):
            while True:
                found = next((line for line in self.of() if line.startswith(beginning)), None)
                if found is not None:
                    return found
                await self._more.wait()

    async def pids(self, count: int = 1) -> list[int]:
        """The numbers that the agent printed after `pids`, of so many lines."""
        with anyio.fail_after(SOON):
            while True:
                lines = [line for line in self.of() if line.startswith("pids")]
                if len(lines) >= count:
                    return [int(pid) for line in lines for pid in line.split()[1:]]
                await self._more.wait()


async def ignore(pid: int, ticks: int) -> None:
    pass


_count = iter(range(1_000_000))


def spec(cwd: Path, *argv: str, **changes: Any) -> Spec:
    """An agent whose task is its own: nothing of another test is found by its marker."""
    task = f"t{os.getpid()}x{next(_count)}"
    values: dict[str, Any] = {
        "argv": argv,
        "environment": {"PATH": os.environ["PATH"], "COVEND_TASK": task, "COVEND_ATTEMPT": "1"},
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


def agent(
    what: Spec,
    heard: Heard | None = None,
    containment: Containment = WALKED,
    limits: AgentLimits | None = None,
) -> Agent:
    tree = containment.tree(f"{what.environment['COVEND_TASK']}-1", limits or AgentLimits())
    return Agent(what, tree, heard or Heard())


async def ran(
    what: Spec,
    on_start: Callable[[int, int], Awaitable[None]] = ignore,
    containment: Containment = WALKED,
    limits: AgentLimits | None = None,
) -> tuple[Exit, Heard]:
    heard = Heard()
    with anyio.fail_after(SOON + 5):
        exit_ = await agent(what, heard, containment, limits).run(on_start)
    assert left_of(what) == []
    return exit_, heard


@dataclass
class Cancelled:
    """An agent that was cancelled, and how long its ending took."""

    agent: Agent
    heard: Heard = field(default_factory=Heard)
    seconds: float = 0.0

    @property
    def exit(self) -> Exit:
        assert self.agent.exit is not None
        return self.agent.exit


async def cancelled(
    what: Spec,
    when: Callable[[Heard], Awaitable[object]],
    containment: Containment = WALKED,
    on_start: Callable[[int, int], Awaitable[None]] = ignore,
) -> Cancelled:
    """Run an agent and cancel it once `when` returns."""
    heard = Heard()
    it = Cancelled(agent(what, heard, containment), heard)
    asked_at = 0.0
    with anyio.fail_after(SOON + 5):
        async with anyio.create_task_group() as group:

            async def cancel() -> None:
                nonlocal asked_at
                await when(heard)
                asked_at = monotonic()
                group.cancel_scope.cancel()

            group.start_soon(cancel)
            await it.agent.run(on_start)
            raise AssertionError("it ended before it was cancelled")
    it.seconds = monotonic() - asked_at
    assert left_of(what) == []
    return it


def left_of(what: Spec) -> list[int]:
    """Every living process with the attempt's marker."""
    mark = f"COVEND_TASK={what.environment['COVEND_TASK']}".encode()
    return [
        pid
        for pid, process in proc.processes().items()
        if process.is_alive and mark in proc.environment(pid)
    ]


def is_gone(pid: int) -> bool:
    """Not alive; and where it was a child of ours, not even a zombie."""
    process = proc.read(pid)
    return process is None or (not process.is_alive and process.parent != os.getpid())


def poll_until_dead(pid: int, limit_s: float = SOON) -> None:
    """Or a zombie: this process takes in whom a dead daemon leaves."""
    until = monotonic() + limit_s
    while (process := proc.read(pid)) is not None and process.is_alive:
        assert monotonic() < until
        sleep(0.01)
