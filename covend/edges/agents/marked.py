"""Ends every process that carries a task's marker in its environment, wherever it hides.

An agent's children inherit `COVEND_TASK`, also those that made a session of their own and so left
the process group. One that wiped its environment is not found here. Source: proc(5),
`/proc/PID/environ`.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

MARKER = "COVEND_TASK"
ATTEMPT_MARKER = "COVEND_ATTEMPT"
Marks = Sequence[frozenset[bytes]]
"""A process is meant that carries all of any of these."""

ROUNDS_MAX = 50
"""A process may start another between the look and the kill; so often it is looked for again."""

KILL_WAIT_S = 1.0


def end_marked(tasks: Collection[str], *, attempt: int | None = None) -> int:
    """Kill what carries the marker of one of these tasks, and say how many; blocks briefly.

    With `attempt`, only what is of the attempt of that number.
    Processes of another user, into which this one may not look, are left alone.
    """
    also = [] if attempt is None else [f"{ATTEMPT_MARKER}={attempt}".encode()]
    marks = [frozenset([f"{MARKER}={task}".encode(), *also]) for task in tasks]
    killed: set[int] = set()
    for _ in range(ROUNDS_MAX if marks else 0):
        found = [pid for pid in _marked(marks) if _kill(pid, marks)]
        if not found:
            break
        killed.update(found)
    return len(killed)


def _marked(marks: Marks) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and _carries(int(entry.name), marks):
            yield int(entry.name)


def _carries(pid: int, marks: Marks) -> bool:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    carried = frozenset(environment.split(b"\0"))
    return any(mark <= carried for mark in marks)


def _kill(pid: int, marks: Marks) -> bool:
    """Kill one process, if it is still a marked one once it cannot change unseen any more."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not _carries(pid, marks):
            return False
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll(KILL_WAIT_S * 1000)
        return True
    finally:
        os.close(pidfd)
