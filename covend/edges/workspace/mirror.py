"""Keeps a bare mirror of each repository, which only the daemon touches: what is fetched once is
fetched once, and attempts borrow its objects.

    ROOT/KEY.GENERATION.git/      0700
        refs/covend/commits/SHA   keeps what was fetched
        refs/covend/attempts/NAME keeps what an agent committed
        used                      its time says when the mirror was last needed
        waiting/NAME              what NAME committed waits to be pushed

Nothing in a mirror is ever pruned, since a living clone may borrow it: a mirror goes as a whole or
not at all. One that cannot be read is not mended in place either; the next generation is made
beside it. Refuses a second process on the same root: its locks are this process's own.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import anyio
import anyio.to_thread

from covend.core.errors import GitError
from covend.edges.workspace import removal
from covend.edges.workspace.git import git
from covend.telemetry.logs import Log

PACKS_MAX = 24
"""Each fetch adds one; beyond this they are put together."""
WAITING_S = 30 * 86_400.0
"""So long what was not pushed keeps its mirror; as long as a completed task is kept by default."""
MAINTENANCE_S = 300.0
LOCAL_S = 60.0
"""For a git command that reaches no further than this disk."""
_PLAIN_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")
_NAME = re.compile(r"(?P<key>[0-9a-z-]+)\.(?P<generation>\d+)\.git")
_LEFTOVERS = (
    *("*.lock", "gc.pid", "refs/**/*.lock", "objects/*.lock", "objects/info/**/*.lock"),
    *("objects/tmp_*", "objects/pack/tmp_*", "objects/pack/.tmp-*", "objects/??/tmp_obj_*"),
)
"""What git leaves behind where it is killed; under the mirror's lock, nobody's any more."""
log = Log("mirror")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """One generation of a repository's mirror."""

    path: Path
    lock: anyio.Lock = field(compare=False, repr=False)
    """Its repository's: held by whoever runs git in it."""

    @property
    def key(self) -> str:
        return self._parts["key"]

    @property
    def generation(self) -> int:
        return int(self._parts["generation"])

    @property
    def objects(self) -> Path:
        return self.path / "objects"

    @property
    def used_at(self) -> float:
        """When it was last needed, in seconds since the epoch; long ago where that is unknown."""
        try:
            return (self.path / "used").lstat().st_mtime
        except OSError:
            return 0.0

    def keep_for(self, attempt: str) -> None:
        """Note that an attempt's commits wait here to be pushed, for `WAITING_S` at most."""
        assert _PLAIN_NAME.fullmatch(attempt)
        self._waiting.mkdir(mode=0o700, exist_ok=True)
        (self._waiting / attempt).touch(mode=0o600)

    def let_go(self, attempt: str) -> None:
        """Note that they are pushed."""
        assert _PLAIN_NAME.fullmatch(attempt)
        (self._waiting / attempt).unlink(missing_ok=True)

    @property
    def is_waited_for(self) -> bool:
        """Say whether there is something that may still be pushed."""
        return any(time.time() - each < WAITING_S for each in self._waiting_since())

    def _waiting_since(self) -> Iterator[float]:
        with suppress(FileNotFoundError):
            for note in self._waiting.iterdir():
                yield note.lstat().st_mtime

    @property
    def _waiting(self) -> Path:
        return self.path / "waiting"

    @property
    def _parts(self) -> re.Match[str]:
        parts = _NAME.fullmatch(self.path.name)
        assert parts is not None
        return parts


class Mirrors:
    """All mirrors below a directory, each under a lock of its own."""

    def __init__(self, root: Path) -> None:
        """Begin with those that are there; the directory is made when it is needed."""
        self.root = root
        self._locks: dict[str, anyio.Lock] = {}

    @asynccontextmanager
    async def held(self, key: str) -> AsyncIterator[Mirror]:
        """Hold the mirror of that key alone, made where it is missing; raises `GitError`."""
        async with self._lock_of(key):
            mirror = await anyio.to_thread.run_sync(self._current, key)
            if mirror is None:
                mirror = await self._make(key, 0)
            await anyio.to_thread.run_sync(_clear_leftovers, mirror.path)
            (mirror.path / "used").touch(mode=0o600)
            yield mirror

    async def renew(self, broken: Mirror) -> None:
        """Make the next generation of a mirror that cannot be read, unless somebody has."""
        async with broken.lock:
            if self._current(broken.key) == broken:
                log.warning("a mirror cannot be read; it is fetched anew", mirror=broken.path.name)
                await self._make(broken.key, broken.generation + 1)

    async def clean_up_locks(self) -> None:
        """At start, before anything is fetched: clear away what killed git commands left behind,
        and what was half made.
        """
        await anyio.to_thread.run_sync(self._clean_up)

    async def maintain(self) -> None:
        """Put packs together where there are many; no object is lost by it, reachable or not."""
        for mirror in await anyio.to_thread.run_sync(self.all):
            if _packs_count(mirror) > PACKS_MAX:
                await self._repack(mirror)

    async def remove(self, mirror: Mirror, unless: Callable[[], bool]) -> bool:
        """Remove one, unless that is so once its lock is held; say whether it is gone."""
        async with mirror.lock:
            if unless():
                return False
            going = self.root / f".going-{uuid4().hex}"
            mirror.path.rename(going)
        await anyio.to_thread.run_sync(removal.remove, going)
        return True

    def all(self) -> list[Mirror]:
        """List every generation of every mirror, the least recently used first."""
        return sorted(self._listed(), key=lambda mirror: mirror.used_at)

    def find(self, name: str) -> Mirror | None:
        """Give the one whose directory has that name; None where it is gone."""
        path = self.root / name
        return self._at(path) if _NAME.fullmatch(name) and path.is_dir() else None

    def is_current(self, mirror: Mirror) -> bool:
        return self._current(mirror.key) == mirror

    def _listed(self) -> Iterator[Mirror]:
        if not self.root.is_dir():
            return
        for path in self.root.iterdir():
            if _NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
                yield self._at(path)

    def _current(self, key: str) -> Mirror | None:
        generations = [mirror for mirror in self._listed() if mirror.key == key]
        return max(generations, key=lambda mirror: mirror.generation, default=None)

    def _at(self, path: Path) -> Mirror:
        return Mirror(path=path, lock=self._lock_of(path.name.partition(".")[0]))

    def _lock_of(self, key: str) -> anyio.Lock:
        # Threads ask too, and two of them must not be given two locks: one step does it.
        return self._locks.setdefault(key, anyio.Lock())

    async def _make(self, key: str, generation: int) -> Mirror:
        """Make an empty one beside its place, and put it there whole."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        making, path = self.root / f".making-{uuid4().hex}", self.root / f"{key}.{generation}.git"
        making.mkdir(mode=0o700)
        options = ("--quiet", "--bare", "--template=", "--initial-branch=covend")
        await git("init", *options, "--", str(making), cwd=making, timeout_s=LOCAL_S)
        await anyio.to_thread.run_sync(removal.remove, path)
        making.rename(path)
        return self._at(path)

    async def _repack(self, mirror: Mirror) -> None:
        async with mirror.lock:
            try:
                await anyio.to_thread.run_sync(_clear_leftovers, mirror.path)
                await run_git(mirror, "pack-refs", "--all", timeout_s=MAINTENANCE_S)
                options = ("--quiet", "-d", "--geometric=2", "--no-write-bitmap-index")
                await run_git(mirror, "repack", *options, timeout_s=MAINTENANCE_S)
            except GitError as error:
                log.warning("packs pile up", mirror=mirror.path.name, error=str(error))

    def _clean_up(self) -> None:
        if not self.root.is_dir():
            return
        for path in self.root.iterdir():
            if path.name.startswith("."):
                removal.remove(path)
        for mirror in self._listed():
            _clear_leftovers(mirror.path)


async def run_git(mirror: Mirror, *arguments: str, timeout_s: float = LOCAL_S) -> str:
    """Run a git command on a mirror, whose lock is held; raises `GitError`."""
    return await git(*arguments, cwd=mirror.path, git_dir=mirror.path, timeout_s=timeout_s)


async def has_commit(mirror: Mirror, sha: str) -> bool:
    """Say whether the mirror has that commit."""
    try:
        await run_git(mirror, "cat-file", "-e", f"{sha}^{{commit}}")
    except GitError:
        return False
    return True


def _packs_count(mirror: Mirror) -> int:
    return sum(1 for _ in mirror.objects.glob("pack/*.pack"))


def _clear_leftovers(path: Path) -> None:
    for pattern in _LEFTOVERS:
        for left in path.glob(pattern):
            log.info("left behind by a git that was killed", path=left)
            removal.remove(left)
