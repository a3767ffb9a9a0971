"""Reads what the kernel tells of processes; changes nothing, and takes what it may not read for not
there.

A pid alone means nothing: with the moment the process started (in clock ticks since boot) and the
boot's id it names one process. Source: proc(5), https://man7.org/linux/man-pages/man5/proc.5.html
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_DEAD = frozenset([b"Z", b"X"])
_NOT_THERE = (FileNotFoundError, ProcessLookupError, PermissionError)
"""Only these: out of file descriptors, everybody would seem to be gone. A mount of /proc with
`hidepid` refuses other users' processes, which could not be ended either.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process as it was at one moment; the numbers of another pid namespace's are 0."""

    pid: int
    parent: int
    group: int
    session: int
    ticks: int
    """When it started, in clock ticks since boot."""
    is_alive: bool
    """False for a zombie; a program whose first thread has ended and others live is alive."""


def processes() -> dict[int, Process]:
    """Give every process that can be seen, zombies too, by its pid."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208
    return {pid: process for pid in pids if (process := read(pid)) is not None}


def read(pid: int) -> Process | None:
    """Give one process, or None where there is none; raises OSError where that cannot be known."""
    try:
        stat = _line(f"/proc/{pid}/stat")
    except _NOT_THERE:
        return None
    # The second field is the program's name, which may hold spaces and parentheses: the fields
    # after it are counted from the third, the state.
    fields = stat.rpartition(b")")[2].split()
    return Process(
        pid=pid,
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        ticks=int(fields[19]),
        is_alive=fields[0] not in _DEAD or int(fields[17]) > 1,
    )


def _line(path: str) -> bytes:
    """Read a short file of the kernel's: for all processes at once, `Path` takes twice as long."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, PAGE_BYTES)
    finally:
        os.close(file)


def start_ticks(pid: int) -> int | None:
    """Give the moment a process started, in clock ticks since boot, or None where there is none."""
    process = read(pid)
    return None if process is None else process.ticks


def boot_id() -> str:
    """Give the id of the machine's current boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def environment(pid: int) -> frozenset[bytes]:
    """Give what a program was started with, as `NAME=value`; empty where that may not be read."""
    try:
        return frozenset(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    except _NOT_THERE:
        return frozenset()


def private_bytes(pid: int) -> int:
    """Give the memory a process has to itself: resident and not shared; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_bytes().split()
    except _NOT_THERE:
        return 0
    return (int(fields[1]) - int(fields[2])) * PAGE_BYTES


def ancestors(pid: int, among: Mapping[int, Process]) -> frozenset[int]:
    """Give a process's parent, its parent and so on."""
    found: set[int] = set()
    while (process := among.get(pid)) is not None and process.parent not in found | {0}:
        pid = process.parent
        found.add(pid)
    return frozenset(found)
