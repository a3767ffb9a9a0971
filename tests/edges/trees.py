"""Agents that hide their children, and the ways this machine has to hold them."""

from __future__ import annotations

import atexit
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from covend.core.settings import AgentLimits
from covend.edges import children
from covend.edges.agents.cgroup import NoCgroupError, Place, find_place
from covend.edges.agents.tree import Containment, Tree
from covend.edges.proc import environment, processes, read

SOON = 10.0
OWNER = f"tests-{os.getpid()}"
TASK = f"task{os.getpid()}"
"""A marker counts on the whole machine, where the same tests may run twice at a time."""


def _place() -> Place | str:
    try:
        return find_place(OWNER)
    except NoCgroupError as error:
        return str(error)


PLACE = _place()
if isinstance(PLACE, Place):
    atexit.register(PLACE.remove)
WAYS = ["walk", *(["cgroup"] if isinstance(PLACE, Place) else [])]
"""What is there on this machine; a test says nothing of what is not."""


def contained(way: str) -> Containment:
    is_subreaper = children.become_subreaper()
    assert is_subreaper
    return Containment(PLACE if way == "cgroup" else "not in this test", is_subreaper=is_subreaper)


class Grove:
    """Trees of a test and what was started for them, all of it ended with the test."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.containment = contained(way)
        self.trees: list[Tree] = []
        self.agents: list[subprocess.Popen[bytes]] = []
        self.pids: list[int] = []

    def plant(
        self, script: str, *, name: str = f"{TASK}-1", limits: AgentLimits | None = None
    ) -> Tree:
        """Adopt a Python program before it does anything, and let it go."""
        tree = self.containment.tree(name, limits or AgentLimits())
        task, _, attempt = name.rpartition("-")
        process = children.start(
            ["/bin/sh", "-c", 'read -r go && exec "$@"', "gate", sys.executable, "-c", script],
            env={"PATH": os.environ["PATH"], "COVEND_TASK": task, "COVEND_ATTEMPT": attempt},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.trees.append(tree)
        self.agents.append(process)
        tree.adopt(process.pid, ticks_of(process.pid))
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.close()
        return tree

    def told(self, count: int, agent: int = -1) -> list[int]:
        """Read so many lines of an agent's, each a pid; they are ended with the test."""
        pids = [int(self._line(self.agents[agent])) for _ in range(count)]
        self.pids += pids
        return pids

    def reap(self, agent: int = -1) -> int:
        process = self.agents[agent]
        code = process.wait(SOON)
        children.forget(process)
        return code

    def uproot(self) -> None:
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
        for process in self.agents:
            process.kill()
            process.wait()
            children.forget(process)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        for tree in self.trees:
            tree.kill()
            tree.close()
        children.strays()

    @staticmethod
    def _line(process: subprocess.Popen[bytes]) -> bytes:
        """One line, without a buffer that would keep the next one."""
        assert process.stdout is not None
        line = b""
        while not line.endswith(b"\n"):
            readable, _, _ = select.select([process.stdout], [], [], SOON)
            assert readable, "the agent said nothing"
            byte = os.read(process.stdout.fileno(), 1)
            assert byte, "the agent is gone"
            line += byte
        return line


def planted(way: str) -> Iterator[Grove]:
    """The body of a fixture."""
    grove = Grove(way)
    yield grove
    grove.uproot()


def ticks_of(pid: int) -> int:
    process = read(pid)
    assert process is not None
    return process.ticks


def lives(pid: int) -> bool:
    process = read(pid)
    return process is not None and process.is_alive


def marked(name: str) -> list[int]:
    """What carries an attempt's marker, on the whole machine."""
    task, _, attempt = name.rpartition("-")
    marks = {f"COVEND_TASK={task}".encode(), f"COVEND_ATTEMPT={attempt}".encode()}
    return [pid for pid in processes() if marks <= environment(pid) and lives(pid)]


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def poll_until(it: Callable[[], bool], what: str, timeout_s: float = SOON) -> None:
    until = time.monotonic() + timeout_s
    while not it():
        assert time.monotonic() < until, what
        time.sleep(0.005)
