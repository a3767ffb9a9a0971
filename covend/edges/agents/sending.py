"""Sends signals to exactly the process that is meant, and waits for its end; refuses a pid that has
come to mean another.

A pidfd is opened first and the start time compared after: from there on the pid cannot change its
meaning unseen. Source: pidfd_open(2). One at a time, since a tree may be larger than the number of
files this process may open.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic

from covend.edges.proc import Process, read

_MS = 1000
_QUIET = frozenset([0, signal.SIGKILL, signal.SIGSTOP])


def send(process: Process, number: int) -> bool:
    """Send a signal, and wake it where it is stopped unless the signal says otherwise; gives False
    where the process is gone or may not be signalled.
    """
    with _held(process) as pidfd, suppress(ProcessLookupError, PermissionError):
        if pidfd is None:
            return False
        signal.pidfd_send_signal(pidfd, number)
        if number not in _QUIET:
            signal.pidfd_send_signal(pidfd, signal.SIGCONT)
        return True
    return False


def send_group(group: int, number: int) -> None:
    """Send a signal to a process group at once, so that no fork within it gets away, and wake it.

    Its number must be one that a process holds which is meant.
    """
    # 0 would be this process's own group, 1 everybody's.
    assert group > 1
    assert group != os.getpgrp()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        if number not in _QUIET:
            os.killpg(group, signal.SIGCONT)


def wait_gone(wanted: Iterable[Process], until: float) -> None:
    """Wait until these are dead (zombies are), or a moment of the monotonic clock."""
    for process in wanted:
        with _held(process) as pidfd:
            if pidfd is not None:
                poll = select.poll()
                poll.register(pidfd, select.POLLIN)
                poll.poll(max(0.0, until - monotonic()) * _MS)


@contextmanager
def _held(process: Process) -> Iterator[int | None]:
    try:
        pidfd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        there = read(process.pid)
        is_same = there is not None and there.is_alive and there.ticks == process.ticks
        yield pidfd if is_same else None
    finally:
        os.close(pidfd)
