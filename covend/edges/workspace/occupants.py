"""Finds the processes that still have a place in a directory, so that nothing is deleted under
them.

Looked at are the working directory, the root, the program and the open files of every process
(proc(5), https://man7.org/linux/man-pages/man5/proc.5.html), and the mounts of those in a mount
namespace of their own, in which a directory may have any name. What this user may not look at is
passed over.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

_PLACES = ("cwd", "root", "exe")
_ROOT, _MOUNT_POINT = 3, 4
"""Fields of mountinfo: the directory of its file system that is mounted, and where."""


def occupants(directories: Collection[Path]) -> Mapping[Path, frozenset[int]]:
    """Give the pids of the other processes in each directory that has any. Blocks for a walk
    through /proc.
    """
    found: dict[Path, set[int]] = defaultdict(set)
    if not directories:
        return {}
    by_name = {os.path.realpath(each.parent) + "/" + each.name: each for each in directories}
    by_mount = {_within_its_file_system(name): each for name, each in by_name.items()}
    namespaces: dict[str, frozenset[Path]] = {_link(Path("/proc/self/ns/mnt")): frozenset()}
    for pid in _others():
        found_here = {each for place in _links(pid) for each in _holding(place, by_name)}
        found_here |= _mounted(pid, by_mount, namespaces)
        for each in found_here:
            found[each].add(pid)
    return {each: frozenset(pids) for each, pids in found.items()}


def _others() -> Iterator[int]:
    own = os.getpid()
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    return (pid for pid in pids if pid != own)


def _links(pid: int) -> Iterator[str]:
    yield from (_link(Path(f"/proc/{pid}/{place}")) for place in _PLACES)
    # It ends, or is another user's.
    with suppress(OSError):
        yield from (_link(entry) for entry in Path(f"/proc/{pid}/fd").iterdir())


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


def _holding(place: str, directories: Mapping[str, Path]) -> Iterator[Path]:
    """Give the directory that a path lies in, or is."""
    if not place.startswith("/"):
        return
    for name, each in directories.items():
        if place == name or place.startswith(f"{name}/"):
            yield each


def _mounted(
    pid: int, directories: Mapping[str, Path], known: dict[str, frozenset[Path]]
) -> frozenset[Path]:
    """Give the directories that a process sees by a mount; each namespace is read once."""
    namespace = _link(Path(f"/proc/{pid}/ns/mnt"))
    if namespace not in known:
        roots = (fields[_ROOT] for fields in _mounts(str(pid)))
        known[namespace] = frozenset(each for root in roots for each in _holding(root, directories))
    return known[namespace]


def _within_its_file_system(path: str) -> str:
    """Say what a path is called by the mountinfo of whoever mounts it: from the root of its file
    system.
    """
    point, root = "/", "/"
    for fields in _mounts("self"):
        here = fields[_MOUNT_POINT]
        if len(here) >= len(point) and (path == here or path.startswith(here.rstrip("/") + "/")):
            point, root = here, fields[_ROOT]
    return root.rstrip("/") + "/" + path[len(point) :].lstrip("/")


def _mounts(process: str) -> Iterator[list[str]]:
    try:
        text = Path(f"/proc/{process}/mountinfo").read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return
    for line in text.splitlines():
        yield [_unescaped(field) for field in line.split(" ")]


def _unescaped(field: str) -> str:
    """Undo what the kernel does to spaces, tabs, newlines and backslashes."""
    for escape, character in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
        field = field.replace(f"\\{escape}", character)
    return field
