"""Starts every process that the daemon starts itself, and so can tell its own children from those
that were handed to it; refuses to end or wait for one of its own.

Once this process is a child subreaper (prctl(2), PR_SET_CHILD_SUBREAPER), or is process 1 of a
container, what an agent's descendant leaves behind becomes its child: a *stray*. Each child begins
a session of its own, so whatever descends from it is never in this process's session: a child that
is was started by other means, and is no stray.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from threading import Lock
from time import monotonic
from typing import IO, TypedDict, Unpack

from covend.edges.proc import Process, environment, processes, read

_SET_CHILD_SUBREAPER = 36
_GET_CHILD_SUBREAPER = 37
CALM_ROUNDS = 3
"""So often in a row nothing is there before a chase is over."""
LISTED_MAX = 1 << 16
"""Bytes of the list that are read at once; the next round sees the rest."""

_lock = Lock()
"""Held from fork to registration, and over every look for strays: none can see a child between."""
_started: dict[int, Popen[bytes]] = {}
_before: dict[int, int] = {}
"""Start ticks of the children from before this process took strays in, by their pid."""


class Keywords(TypedDict, total=False):
    """What `start` hands on to `Popen`."""

    bufsize: int
    stdin: int | IO[bytes] | None
    stdout: int | IO[bytes] | None
    stderr: int | IO[bytes] | None
    cwd: str | Path | None
    env: Mapping[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Every process of one moment, and who of them was started here or handed to us."""

    processes: Mapping[int, Process]
    started: frozenset[int]
    strays: frozenset[int]
    buried: tuple[Process, ...]
    """The strays that were found dead, and waited for."""
    _environments: dict[int, frozenset[bytes]] = field(default_factory=dict, repr=False)

    def environment(self, pid: int) -> frozenset[bytes]:
        """Give what a program was started with, as `proc.environment`; read once, since every tree
        asks for it.
        """
        found = self._environments.get(pid)
        if found is None:
            found = self._environments[pid] = environment(pid)
        return found


def start(argv: Sequence[str], **popen: Unpack[Keywords]) -> Popen[bytes]:
    """Start a program in a session of its own and know it from then on; as `Popen`, raises OSError
    and ValueError. May be called from any thread, blocks until the program runs.

    Whoever starts it also waits for it, and then calls `forget`.
    """
    with _lock:
        process = Popen(argv, start_new_session=True, **popen)
        _started[process.pid] = process
    return process


def forget(process: Popen[bytes]) -> None:
    """Know a process no longer; it was waited for."""
    assert process.returncode is not None, "a child must be waited for before it is forgotten"
    with _lock:
        if _started.get(process.pid) is process:
            del _started[process.pid]


def strays() -> list[int]:
    """Give the children of this process that live and that it never started; zombies among them are
    waited for, each by its pid.
    """
    return sorted(survey().strays)


def survey() -> Survey:
    """Look at all processes once; waits for strays that are zombies."""
    with _lock:
        # In this order: one that is waited for meanwhile would else look like a stray.
        started = _living()
        seen = processes()
        found = [process for process in seen.values() if _is_stray(process, started)]
        # One that somebody traces is dead, but not yet ours to wait for.
        dead = tuple(each for each in found if not each.is_alive and _bury(each.pid))
    alive = frozenset(process.pid for process in found if process.is_alive)
    return Survey(processes=seen, started=started, strays=alive, buried=dead)


def chase(limit_s: float, spare: Callable[[Process], bool]) -> int:
    """Kill strays as fast as they turn up, until none does or the time is over; says how many.

    For programs that fork and leave, again and again: by the time all processes have been looked
    at, each that was seen is gone. Who is handed to this process keeps its pid until it is waited
    for here, so the pid alone is exact. Does nothing where the kernel does not list children
    (CONFIG_PROC_CHILDREN).
    """
    until, count = monotonic() + limit_s, 0
    with _lock, suppress(FileNotFoundError), _children() as file:
        calm = 0
        while calm < CALM_ROUNDS and monotonic() < until:
            found = _handed_over(file)
            count += sum(_kill(pid, spare) for pid in found if not _bury(pid))
            calm = 0 if found else calm + 1
    return count


def become_subreaper() -> bool:
    """Ask the kernel to hand orphaned descendants to this process, and say whether it does.

    Children that are there before are never taken for strays.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with _lock:
        if not _is_subreaper(libc):
            _before.update(_own_children())
            libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        return _is_subreaper(libc)


def _is_subreaper(libc: ctypes.CDLL) -> bool:
    held = ctypes.c_int(0)
    return libc.prctl(_GET_CHILD_SUBREAPER, ctypes.byref(held), 0, 0, 0) == 0 and held.value == 1


def _own_children() -> dict[int, int]:
    own = os.getpid()
    return {process.pid: process.ticks for process in processes().values() if process.parent == own}


def _is_stray(process: Process, started: frozenset[int]) -> bool:
    return (
        process.parent == os.getpid()
        and process.pid not in started
        and process.session != os.getsid(0)
        and _before.get(process.pid) != process.ticks
    )


def _living() -> frozenset[int]:
    """Those started here and not waited for yet: later, the pid may be anybody's."""
    return frozenset(pid for pid, process in _started.items() if process.returncode is None)


def _bury(pid: int) -> bool:
    """Wait for a stray if it is dead; gives False where it lives."""
    # Never any child (-1): that could be one whose owner waits for it.
    with suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return True


def _handed_over(file: int) -> list[int]:
    """Give the strays as the kernel lists them."""
    known, own = _living() | set(_before), os.getsid(0)
    listed = [int(pid) for pid in os.pread(file, LISTED_MAX, 0).rpartition(b" ")[0].split()]
    return [pid for pid in listed if pid not in known and _session(pid) != own]


def _session(pid: int) -> int:
    # Also of a zombie. One that is gone was somebody else's to wait for: no stray.
    with suppress(ProcessLookupError):
        return os.getsid(pid)
    return os.getsid(0)


def _kill(pid: int, spare: Callable[[Process], bool]) -> bool:
    process = read(pid)
    if process is None or spare(process):
        return False
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
    return True


@contextmanager
def _children() -> Iterator[int]:
    """Open the list of the first thread's children: strays are handed to that one."""
    path = f"/proc/self/task/{os.getpid()}/children"
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)
