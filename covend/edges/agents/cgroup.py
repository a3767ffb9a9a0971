"""Finds or makes the place where trees' cgroups are made; refuses to move anybody else's process.

Under this process's own cgroup (version 2) lies `covend-OWNER`, and in it one cgroup for each tree.
Source: https://docs.kernel.org/admin-guide/cgroup-v2.html, "No Internal Process Constraint" and
"Delegation"; cgroups(7); https://systemd.io/CGROUP_DELEGATION/
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from covend.edges import children
from covend.edges.agents.group import Group
from covend.edges.proc import ancestors, processes

BEGINNING = "covend-"
LEAF = "daemon"
"""Where the daemon moves itself, so that its own cgroup may hand controllers down."""
PROBE = "probe"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
"""No dot, so never a file of the kernel's own nor a way out."""
CONTROLLERS = {"memory": "memory", "pids": "pids", "cpus": "cpu"}
"""By the limit that each is for."""
FILES = {"memory": "memory.max", "pids": "pids.max", "cpus": "cpu.max"}
PROBE_S = 5.0


class NoCgroupError(Exception):
    """No cgroup can be made; the message says why, in the words of a reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where trees' cgroups are made."""

    mount: Path
    path: Path
    """Of `covend-OWNER`."""
    refusals: Mapping[str, str]
    """By limit, why the kernel does not hold it here; what it does hold is not in it."""

    def group(self, name: str) -> Group:
        """Make the cgroup of a tree; what a former one of that name holds is ended first. Raises
        OSError.
        """
        group = Group(self._under(name))
        if group.path.is_dir():
            group.kill()
            group.remove()
        group.path.mkdir(parents=True)
        return group

    def groups(self) -> Iterator[Group]:
        """Give every tree's cgroup that is there."""
        with suppress(OSError):
            yield from [Group(path) for path in self.path.iterdir() if path.is_dir()]

    def remove(self) -> None:
        """Remove it, unless a tree's cgroup is still there."""
        with suppress(OSError):
            self.path.rmdir()

    def recorded(self, path: str) -> Group | None:
        """Give the cgroup that was written down, or None where it cannot be one of covend's."""
        return recorded_group(self.mount, path)

    def _under(self, name: str) -> Path:
        assert NAME.fullmatch(name), "a tree's name is plain"
        return self.path / name


def recorded_group(mount: Path, path: str) -> Group | None:
    """Give a cgroup that lies in a `covend-` directory of this mount, as written; None for any
    other path, since whatever is in it would be killed.
    """
    wanted = Path(path)
    if ".." in wanted.parts or not wanted.is_relative_to(mount):
        return None
    *above, name = ("", *wanted.relative_to(mount).parts)
    is_covends = bool(above) and above[-1].startswith(BEGINNING) and bool(NAME.fullmatch(name))
    return Group(wanted) if is_covends else None


def find_place(owner: str) -> Place:
    """Make `covend-OWNER` and try it with a real process; raises NoCgroupError."""
    assert NAME.fullmatch(owner), "an owner is a plain word"
    mount, root = find_mount(read_table(Path("/proc/self/mountinfo")))
    base = find_base(mount, root, read_table(Path("/proc/self/cgroup")))
    with _reasons():
        path = base / f"{BEGINNING}{owner}"
        path.mkdir(exist_ok=True)
        place = Place(mount=mount, path=path, refusals={})
        try:
            reasons = _hand_down(base, path)
            return Place(mount=mount, path=path, refusals=_tried(place, reasons))
        except (OSError, NoCgroupError):
            place.remove()
            raise


def read_table(path: Path) -> str:
    """Read a table of the kernel's; a name in it may be any bytes."""
    return os.fsdecode(path.read_bytes())


def find_mount(mounts: str) -> tuple[Path, str]:
    """Give where cgroup v2 is mounted, also beside version 1, and which part of it is there, from
    the text of `mountinfo` (proc(5)).
    """
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        if after.split(" ", 1)[0] == "cgroup2":
            fields = before.split()
            return Path(_unescaped(fields[4])), _unescaped(fields[3])
    raise NoCgroupError("cgroup v2 is not mounted")


def find_base(mount: Path, root: str, own: str) -> Path:
    """Give the directory of this process's own cgroup, or its parent where this one is the leaf
    that an earlier start has made.
    """
    line = next((line for line in own.splitlines() if line.startswith("0::")), None)
    if line is None:
        raise NoCgroupError("this process is in no cgroup v2")
    path = Path(line.removeprefix("0::"))
    if not path.is_relative_to(root) or ".." in path.parts:
        raise NoCgroupError(f"the own cgroup {path} is not seen at {mount}")
    base = mount / path.relative_to(root)
    return base.parent if _is_leaf(base) else base


def _is_leaf(base: Path) -> bool:
    """A leaf of ours, or of systemd's DelegateSubgroup=: nobody is in its parent, which we own."""
    parent = base.parent
    return (
        base.name == LEAF
        and (parent / "cgroup.events").exists()
        and os.access(parent / "cgroup.procs", os.W_OK)
        and not Group(parent).direct_pids()
        and all(path.name == LEAF or path.name.startswith(BEGINNING) for path in _below(parent))
    )


def _below(path: Path) -> list[Path]:
    return [each for each in path.iterdir() if each.is_dir()]


def _hand_down(base: Path, path: Path) -> dict[str, str]:
    """Hand the controllers down to the trees where that is ours to do; gives why not, by limit."""
    reasons: dict[str, str] = {}
    missing = [limit for limit in CONTROLLERS if not _has(base, limit)]
    for limit in missing:
        reasons[limit] = f"no {CONTROLLERS[limit]} controller in {base}"
    wanted = [CONTROLLERS[limit] for limit in CONTROLLERS if limit not in missing]
    refusal = _enable(base, wanted) if wanted else None
    refusal = refusal or (_write_controllers(path, wanted) if wanted else None)
    if refusal is not None:
        reasons |= {limit: refusal for limit in CONTROLLERS if limit not in missing}
    return reasons


def _has(base: Path, limit: str) -> bool:
    return CONTROLLERS[limit] in (base / "cgroup.controllers").read_text("ascii").split()


def _enable(base: Path, wanted: Sequence[str]) -> str | None:
    """Enable controllers for what is below the own cgroup; gives why not."""
    enabled = (base / "cgroup.subtree_control").read_text("ascii").split()
    if set(wanted) <= set(enabled):
        return None
    # Only the machine's root has no events: what it hands down is not ours to say.
    if not (base / "cgroup.events").exists():
        return f"{base} does not hand its controllers down"
    moved = _move_to_leaf(base)
    if isinstance(moved, str):
        return moved
    refusal = _write_controllers(base, wanted)
    if refusal is not None:
        _move_back(base, moved)
    return refusal


def _write_controllers(path: Path, wanted: Sequence[str]) -> str | None:
    try:
        Group(path).hand_down(wanted)
    except OSError as error:
        return f"{path}: {error.strerror}"
    return None


def _move_to_leaf(base: Path) -> frozenset[int] | str:
    """Move this process and what it started out of a cgroup that nobody else is in; gives who was
    moved, or why nobody was.
    """
    inside = Group(base).direct_pids()
    others = inside - _family()
    if others:
        return f"{len(others)} processes of others are in {base}"
    try:
        (base / LEAF).mkdir(exist_ok=True)
        for pid in inside:
            Group(base / LEAF).add(pid)
    except OSError as error:
        _move_back(base, inside)
        return f"{base / LEAF}: {error.strerror}"
    return inside


def _move_back(base: Path, moved: frozenset[int]) -> None:
    for pid in moved:
        with suppress(OSError):
            Group(base).add(pid)
    with suppress(OSError):
        (base / LEAF).rmdir()


def _family() -> set[int]:
    """This process and its descendants."""
    seen = processes()
    own = os.getpid()
    return {pid for pid in seen if pid == own or own in ancestors(pid, seen)}


def _tried(place: Place, reasons: Mapping[str, str]) -> dict[str, str]:
    """Hold and kill a real process; gives why a limit is not held, by limit."""
    group = place.group(f"{PROBE}-{os.getpid()}")
    try:
        _hold_and_kill(group)
        held = {limit for limit, name in FILES.items() if (group.path / name).exists()}
    finally:
        with suppress(OSError):
            group.remove()
    why = "the kernel offers no such limit there"
    return {limit: reasons.get(limit, why) for limit in FILES if limit not in held}


def _hold_and_kill(group: Group) -> None:
    process = children.start(["/bin/sh", "-c", "read -r never"], stdin=subprocess.PIPE)
    assert process.stdin is not None
    try:
        group.add(process.pid)
        group.kill()
        if process.wait(PROBE_S * 2) != -signal.SIGKILL or group.is_populated():
            raise NoCgroupError(f"a process in {group.path} could not be killed by it")
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        children.forget(process)


@contextmanager
def _reasons() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NoCgroupError(f"{error.filename}: {error.strerror}") from error


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
