"""Keeps the workspaces of failed attempts for a while, and what they and the mirrors take of the
disk within a budget.

    STATE/workspaces/     attempts at work
    STATE/kept/           failed ones, named by task and attempt; their age counts from here
    STATE/mirrors/        see `mirror`

Refuses to delete where a process still is: that is left for the next round, and named in the log.
A living attempt, and a mirror that anything borrows from, are not touched whatever they take.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio.to_thread

from covend.edges.workspace import removal
from covend.edges.workspace.directory import MIRROR_NOTE, Directory, clear_directories
from covend.edges.workspace.mirror import Mirror, Mirrors
from covend.edges.workspace.occupants import occupants
from covend.edges.workspace.sizes import disk_bytes
from covend.edges.workspace.untrusted import OddError, opened_folder, read_file
from covend.telemetry.logs import Log

SIZES_S = 30.0
"""All counting of one round together; what was not counted by then counts as nothing."""
REST_S = 3600.0
"""A mirror used so lately stays: the next attempt may be about to borrow from it."""
NAMES_MAX = 1000
_NOTE_BYTES_MAX = 1024
log = Log("keeping")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tidied:
    """What one round has removed, and what is left on the disk."""

    kept_count: int
    mirrors_count: int
    left_bytes: int


class _Over:
    """How much more is used than may be, while it gets less."""

    def __init__(self, count: int) -> None:
        self.bytes = count

    @property
    def is_exceeded(self) -> bool:
        return self.bytes > 0

    def relieve(self, count: int) -> None:
        self.bytes -= count


class Workspaces:
    """The three directories below a state directory."""

    def __init__(self, state_dir: Path) -> None:
        """Begin with what is there; each directory is made when it is needed."""
        self.root = state_dir / "workspaces"
        self.kept = state_dir / "kept"
        self.mirrors = Mirrors(state_dir / "mirrors")

    async def clean_up(self) -> None:
        """At start, when no attempt runs: clear away what a former covend left half done; what was
        kept stays.
        """
        await clear_directories(self.root)
        await self.mirrors.clean_up_locks()

    async def keep(self, directory: Directory) -> Path:
        """Move a failed attempt's directory to those that are kept, and say where it is now; raises
        OSError.
        """
        return await anyio.to_thread.run_sync(self._keep, directory.root)

    async def tidy(self, *, age_s: float, budget_bytes: int) -> Tidied:
        """Remove kept workspaces beyond their age, and then the oldest beyond the budget; at last
        the mirrors least recently used.
        """
        await anyio.to_thread.run_sync(self._clear_aside)
        await self.mirrors.maintain()
        expired = await anyio.to_thread.run_sync(self._remove_expired, age_s)
        stale = await self._remove_stale_mirrors()
        sizes = await anyio.to_thread.run_sync(self._sizes)
        over = _Over(sum(sizes.values()) - budget_bytes)
        crowding = await anyio.to_thread.run_sync(self._remove_crowding, over, sizes)
        unused = await self._remove_crowding_mirrors(over, sizes)
        if over.is_exceeded:
            log.warning("limits.workspaces is exceeded by what is in use", bytes=over.bytes)
        return Tidied(
            kept_count=expired + crowding,
            mirrors_count=stale + unused,
            left_bytes=over.bytes + budget_bytes,
        )

    async def forget(self, attempts: Collection[str], repository_keys: Collection[str]) -> None:
        """Remove what was kept of these attempts, and the mirrors of these repositories, where
        nobody needs them; raises OSError.
        """
        await anyio.to_thread.run_sync(self._forget_kept, frozenset(attempts))
        for mirror in self.mirrors.all():
            if mirror.key.partition("-")[0] in repository_keys:
                for name in attempts:
                    mirror.let_go(name)
                await self.mirrors.remove(mirror, partial(self._is_needed, mirror))

    def _forget_kept(self, attempts: Collection[str]) -> None:
        list(_removed([path for path in self._oldest_first() if path.stem in attempts]))

    def _keep(self, root: Path) -> Path:
        self.kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = (root.name if n == 0 else f"{root.name}.{n}" for n in range(NAMES_MAX))
        place = next(self.kept / name for name in names if not os.path.lexists(self.kept / name))
        root.rename(place)
        os.utime(place, follow_symlinks=False)
        return place

    def _clear_aside(self) -> None:
        removal.clear_aside(self.root)
        removal.clear_aside(self.kept)

    # --- what was kept ---

    def _oldest_first(self) -> list[Path]:
        if not self.kept.is_dir():
            return []
        return sorted(self.kept.iterdir(), key=lambda path: path.lstat().st_mtime)

    def _remove_expired(self, age_s: float) -> int:
        before = time.time() - age_s
        expired = [path for path in self._oldest_first() if path.lstat().st_mtime <= before]
        return sum(_removed(expired))

    def _remove_crowding(self, over: _Over, sizes: Mapping[Path, int]) -> int:
        count = 0
        for path in self._oldest_first():
            if over.is_exceeded and all(_removed([path])):
                over.relieve(sizes.get(path, 0))
                count += 1
        return count

    def _sizes(self) -> dict[Path, int]:
        """Count what each of the kept and of the mirrors takes."""
        until = time.monotonic() + SIZES_S
        paths = [*self._oldest_first(), *(mirror.path for mirror in self.mirrors.all())]
        sizes = {path: disk_bytes(path, until) for path in paths}
        if time.monotonic() >= until:
            log.warning("not all of the workspaces could be counted", seconds=SIZES_S)
        return sizes

    # --- mirrors ---

    async def _remove_stale_mirrors(self) -> int:
        """Remove the generations that could not be read any more."""
        stale = [each for each in self.mirrors.all() if not self.mirrors.is_current(each)]
        return sum([await self._remove_mirror(each) for each in stale])

    async def _remove_crowding_mirrors(self, over: _Over, sizes: Mapping[Path, int]) -> int:
        count = 0
        for mirror in self.mirrors.all():
            if over.is_exceeded and await self._remove_mirror(mirror):
                over.relieve(sizes.get(mirror.path, 0))
                count += 1
        return count

    async def _remove_mirror(self, mirror: Mirror) -> bool:
        return await self.mirrors.remove(mirror, partial(self._is_in_use, mirror))

    def _is_in_use(self, mirror: Mirror) -> bool:
        is_rested = time.time() - mirror.used_at >= REST_S
        return not is_rested or self._is_needed(mirror)

    def _is_needed(self, mirror: Mirror) -> bool:
        return mirror.is_waited_for or mirror.path.name in set(self._borrowed())

    def _borrowed(self) -> Iterator[str]:
        """Give the names of the mirrors that attempts, living or kept, have borrowed from."""
        for root in (self.root, self.kept):
            if root.is_dir():
                for entry in root.iterdir():
                    try:
                        with opened_folder(root, entry.name) as folder:
                            yield read_file(folder, MIRROR_NOTE, _NOTE_BYTES_MAX).decode()
                    except (FileNotFoundError, OddError, UnicodeDecodeError):
                        continue


def _removed(paths: Collection[Path]) -> Iterator[bool]:
    """Remove each where no process is; say of each whether it was."""
    occupied = occupants(paths)
    for path in paths:
        if pids := occupied.get(path):
            log.warning(
                "a kept workspace is left: processes are in it", path=path, pids=sorted(pids)
            )
        else:
            removal.remove(path)
        yield not pids
