"""What is left on the machine of a covend's processes and cgroups, seen from outside."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import anyio

from covend.edges.proc import ancestors, processes, read
from tests.edges.trees import WAYS
from tests.story.process import COVEND, WITHIN_S

PROGRAMS = {
    "cgroup": COVEND,
    "walk": (sys.executable, "-P", str(Path(__file__).with_name("without_cgroups.py"))),
}
PROGRAMS = {way: program for way, program in PROGRAMS.items() if way in WAYS}
"""covend with each way to hold trees that there is on this machine."""
Noted = tuple[int, int]
"""pid and start ticks"""


def below(pid: int) -> list[Noted]:
    """Give who lives and descends from a process."""
    seen = processes()
    return [
        (each.pid, each.ticks)
        for each in seen.values()
        if each.is_alive and pid in ancestors(each.pid, seen)
    ]


def zombies_of(pid: int) -> list[int]:
    return [each.pid for each in processes().values() if each.parent == pid and not each.is_alive]


def living(noted: Iterable[Noted]) -> list[int]:
    """Give who of them lives."""
    found = [(read(pid), pid, ticks) for pid, ticks in noted]
    return [pid for it, pid, ticks in found if it and it.is_alive and it.ticks == ticks]


async def gone(noted: Iterable[Noted], *, within_s: float = WITHIN_S) -> None:
    """Wait until none of them lives."""
    with anyio.fail_after(within_s):
        for pid in living(noted):
            with suppress(ProcessLookupError):
                pidfd = os.pidfd_open(pid)
                try:
                    await anyio.wait_readable(pidfd)
                finally:
                    os.close(pidfd)


def noted_in(path: Path) -> list[Noted]:
    """Read what agents have noted as `PID TICKS`, a line each."""
    lines = path.read_text("ascii").splitlines() if path.exists() else []
    return [(int(pid), int(ticks)) for pid, ticks in map(str.split, lines)]


def end(noted: Iterable[Noted]) -> None:
    """Leave none of them to the machine, however a test has gone."""
    for pid in living(noted):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
