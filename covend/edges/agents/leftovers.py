"""Tells what a former daemon left running from a stranger with the same pid, and ends it; refuses
to guess.

A pid alone means nothing: with the moment the process started (in clock ticks since boot) and the
boot's id it names one process. Source: proc(5), `/proc/PID/stat` field 22.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from pathlib import Path

KILL_WAIT_S = 5.0
_START_TIME = 22
_FIRST_AFTER_NAME = 3


def boot_id() -> str:
    """Give the id of the machine's current boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def start_ticks(pid: int) -> int | None:
    """Give the moment a process started, in clock ticks since boot, or None where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name, which may hold spaces and parentheses.
    fields = stat.rpartition(b")")[2].split()
    return int(fields[_START_TIME - _FIRST_AFTER_NAME])


def end_leftover(pid: int, ticks: int, boot: str) -> bool:
    """Kill the group of the agent that was recorded with these three, if it is still that one;
    blocks briefly.

    Gives True where it was killed, False where it was gone or is another process by now.
    """
    if boot != boot_id():
        return False
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        return _end(pid, pidfd, ticks)
    finally:
        os.close(pidfd)


def _end(pid: int, pidfd: int, ticks: int) -> bool:
    # Looked at after the pidfd is open: from here on the pid cannot come to mean another process
    # unseen.
    if start_ticks(pid) != ticks:
        return False
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.poll(KILL_WAIT_S * 1000)
    return True
