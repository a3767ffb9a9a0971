"""Takes an agent's commits out of its workspace into the mirror, without ever running git in it.

HEAD is read as a plain file, the objects are copied as plain files into a repository of ours that
borrows from the mirror, and the mirror fetches from there: git checks every object by its content,
and what belongs to another repository cannot come along. Refuses what exceeds its bounds whole.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import anyio
import anyio.to_thread

from covend.core.errors import GitError
from covend.edges.workspace import removal
from covend.edges.workspace.checkout import Checkout
from covend.edges.workspace.directory import Directory
from covend.edges.workspace.faults import Fault
from covend.edges.workspace.git import git
from covend.edges.workspace.mirror import Mirror
from covend.edges.workspace.quarantine import Allowance, copy_objects
from covend.edges.workspace.tip import read_tip
from covend.edges.workspace.untrusted import OddError, opened_folder

ATTEMPTS = "refs/covend/attempts"
HARVEST_S = 300.0
"""For all of it, together."""
COMMITS_MAX = 10_000
FILES_MAX = 10_000
_TAKEN = "refs/covend/taken"
_PLAIN_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")
DATA_BYTES_MAX = 1 << 30
"""The memory of each git process: a small tree may unfold to any number of files."""
_CAUTIOUS = (
    *("-c", "core.bigFileThreshold=32m", "-c", "fetch.fsckObjects=true"),
    *("-c", "fetch.unpackLimit=1", "-c", "core.commitGraph=false"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What the agent committed; it is kept in the mirror under `refs/covend/attempts/NAME`."""

    sha: str
    ref: str
    commits_count: int
    files_changed: tuple[str, ...]
    """Their paths against what was checked out, at most `FILES_MAX` of them."""


async def take_commits(directory: Directory, made: Checkout, name: str) -> Taken | None:
    """Take what is committed beyond the checkout; None where that is nothing, or the repository was
    taken away.

    Raises `GitError` where the repository is not what an honest agent would leave, or too large. No
    process of the agent may live any more.
    """
    assert _PLAIN_NAME.fullmatch(name)
    if made.mirror is None:
        return None
    try:
        with anyio.move_on_after(HARVEST_S):
            return await _Harvest(directory, made, made.mirror).take(f"{ATTEMPTS}/{name}")
    except OddError as odd:
        raise GitError(f"the workspace's repository {odd}") from None
    except OSError as error:
        raise GitError(f"the agent's commits could not be taken out: {error}") from error
    message = f"the agent's commits could not be taken out within {HARVEST_S:g} s"
    raise GitError(message, fault=Fault.OVERDUE)


class _Harvest:
    """One harvest, by way of a repository that lives no longer than it."""

    def __init__(self, directory: Directory, made: Checkout, mirror: Mirror) -> None:
        self._directory = directory
        self._made = made
        self._mirror = mirror
        self._path = mirror.path.parent / f".harvest-{uuid4().hex}"

    async def take(self, ref: str) -> Taken | None:
        tip = await anyio.to_thread.run_sync(self._read_tip)
        if tip is None or tip == self._made.start_sha:
            return None
        async with self._quarantine():
            await self._collect()
            sha = (await self._git("rev-parse", "--verify", f"{tip}^{{commit}}")).strip()
            (self._path / _TAKEN).parent.mkdir(parents=True, exist_ok=True)
            (self._path / _TAKEN).write_text(f"{sha}\n")
            known = await self._known()
            count = await self._count(sha, known)
            if count == 0:
                return None
            files = await self._files(sha, known)
            await self._fetch(ref)
        return Taken(sha=sha, ref=ref, commits_count=count, files_changed=files)

    def _read_tip(self) -> str | None:
        try:
            with self._opened() as git_dir:
                return read_tip(git_dir)
        except FileNotFoundError:
            return None

    @asynccontextmanager
    async def _quarantine(self) -> AsyncIterator[None]:
        self._path.mkdir(mode=0o700)
        try:
            options = ("--quiet", "--bare", "--template=", "--initial-branch=covend")
            await git("init", *options, ".", cwd=self._path, timeout_s=HARVEST_S)
            alternates = self._path / "objects" / "info" / "alternates"
            alternates.write_text(f"{self._mirror.objects}\n")
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(removal.remove, self._path)

    async def _collect(self) -> None:
        for pack in await anyio.to_thread.run_sync(self._copy):
            await self._git(*_CAUTIOUS, "index-pack", str(pack))

    def _copy(self) -> list[Path]:
        target, known = self._path / "objects", self._mirror.objects
        with self._opened() as git_dir:
            return copy_objects(git_dir, target, known, Allowance.full())

    def _opened(self) -> AbstractContextManager[int]:
        root = self._directory.root
        return opened_folder(root.parent, root.name, self._directory.workspace.name, ".git")

    async def _count(self, sha: str, known: Sequence[str]) -> int:
        """Count what is new, of as many as may be."""
        excluded = [f"^{one}" for one in known]
        options = ("--count", f"--max-count={COMMITS_MAX + 1}")
        count = int(await self._git(*_CAUTIOUS, "rev-list", *options, sha, *excluded, "--"))
        if count > COMMITS_MAX:
            raise OddError(f"has more than {COMMITS_MAX} new commits")
        return count

    async def _files(self, sha: str, known: Sequence[str]) -> tuple[str, ...]:
        if not known:
            return ()
        options = ("-r", "-z", "--name-only", "--no-renames", "--no-ext-diff", "--no-textconv")
        told = await self._git(*_CAUTIOUS, "diff-tree", *options, known[0], sha, "--")
        return tuple(told.split("\0")[:-1][:FILES_MAX])

    async def _known(self) -> list[str]:
        """Give what is still there of what was handed out; what was checked out comes first."""
        handed = (self._made.start_sha, self._made.head_sha, self._made.base_sha)
        return [sha for sha in dict.fromkeys(handed) if sha is not None and await self._has(sha)]

    async def _has(self, sha: str) -> bool:
        try:
            await self._git("cat-file", "-e", f"{sha}^{{commit}}")
        except GitError:
            return False
        return True

    async def _fetch(self, ref: str) -> None:
        async with self._mirror.lock:
            self._mirror.keep_for(ref.rpartition("/")[2])
            options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance")
            await git(
                *(*_CAUTIOUS, "fetch", *options, "--", str(self._path), f"+{_TAKEN}:{ref}"),
                cwd=self._mirror.path,
                git_dir=self._mirror.path,
                timeout_s=HARVEST_S,
                data_bytes_max=DATA_BYTES_MAX,
            )

    async def _git(self, *arguments: str) -> str:
        return await git(
            *arguments,
            cwd=self._path,
            git_dir=self._path,
            timeout_s=HARVEST_S,
            data_bytes_max=DATA_BYTES_MAX,
        )
