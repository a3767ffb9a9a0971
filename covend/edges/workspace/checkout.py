"""Prepares the directory of one attempt: a fresh clone without credentials, and a place for the
result.

    ROOT/TASK-ATTEMPT/            0700
        workspace/                the checkout; the agent's working directory
        exchange/                 outside the checkout, so that nothing of it is ever committed
            brief.json            to read
            result.json           to write

Nothing in it is trusted once an agent has run there: the result is read as a plain file or not at
all.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import anyio.to_thread

from covend.core import settings
from covend.core.contract.brief import Places
from covend.core.contract.result import RESULT_BYTES_MAX
from covend.core.errors import GitError, InvalidResultError
from covend.core.model import TaskId
from covend.core.settings import Secret
from covend.edges.workspace import removal
from covend.edges.workspace.git import Access, git

HEAD = "refs/covend/head"
BASE = "refs/covend/base"
_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_PLAIN_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Where one attempt lives."""

    root: Path

    @property
    def workspace(self) -> Path:
        return self.root / "workspace"

    @property
    def exchange(self) -> Path:
        return self.root / "exchange"

    @property
    def brief(self) -> Path:
        return self.exchange / "brief.json"

    @property
    def result(self) -> Path:
        return self.exchange / "result.json"

    @property
    def places(self) -> Places:
        return Places(workspace=self.workspace, brief=self.brief, result=self.result)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What to check out. The URL must already be known to be the repository's own."""

    kind: settings.Checkout
    url: str
    token: Secret | None = None
    number: int | None = None
    """The pull request's."""
    head_sha: str | None = None
    base_sha: str | None = None
    base_ref: str | None = None
    default_branch: str | None = None
    timeout_s: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """What lies in the workspace; a SHA is None where that commit was not asked for."""

    path: Path
    head_sha: str | None = None
    base_sha: str | None = None


async def make_directory(root: Path, task: TaskId, attempt: int) -> Directory:
    """Make the attempt's directory, empty; what an earlier start of the same attempt left is
    removed.
    """
    assert _PLAIN_NAME.fullmatch(task)
    directory = Directory(root=root / f"{task}-{attempt}")
    await remove_directory(directory)
    for path in (directory.workspace, directory.exchange):
        path.mkdir(parents=True, mode=0o700)
    directory.root.chmod(0o700)
    return directory


async def remove_directory(directory: Directory) -> None:
    """Remove it with all that an agent made in it; what cannot be removed is moved aside."""
    await anyio.to_thread.run_sync(removal.remove, directory.root)


async def clear_directories(root: Path) -> None:
    """Remove the directory of every attempt, where no attempt runs; a missing `root` has none.

    What cannot be removed is moved aside.
    """
    await anyio.to_thread.run_sync(removal.clear, root)


def write_brief(directory: Directory, data: bytes) -> None:
    """Write the brief for the agent to read."""
    directory.brief.write_bytes(data)


def read_result(path: Path) -> bytes | None:
    """Read the agent's result file, None where there is none; raises `InvalidResultError`.

    Only a regular file of at most `RESULT_BYTES_MAX`, reached through no symbolic link: not a pipe
    that never ends, and nothing that the daemon may read and the agent may not.
    """
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            file = os.open(path.name, flags, dir_fd=folder)
        finally:
            os.close(folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidResultError(f"the result is not readable: {_why(error)}") from None
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise InvalidResultError("the result is no regular file")
    with os.fdopen(file, "rb") as opened:
        data = opened.read(RESULT_BYTES_MAX + 1)
    if len(data) > RESULT_BYTES_MAX:
        raise InvalidResultError(f"the result is larger than {RESULT_BYTES_MAX} bytes")
    return data


async def checkout(spec: Spec, directory: Directory) -> Checkout:
    """Fill the workspace by the rule's `checkout`; raises `GitError`.

    `head` and `base` are detached at the exact commit, `merge` merges the one into the other here
    (GitHub's own merge ref may be of another head by now). Where base is known it is there too, as
    `origin/BRANCH` and whole enough for `git diff origin/BRANCH...HEAD`.
    """
    if spec.kind is settings.Checkout.NONE:
        return Checkout(path=directory.workspace)
    clone = _Clone(_checked(spec), directory.workspace)
    await clone.make()
    return await clone.check_out()


class _Clone:
    """The clone while it is made: every git command in it runs before an agent does."""

    def __init__(self, spec: Spec, path: Path) -> None:
        self._spec = spec
        self._path = path
        self._access = Access(url=spec.url, token=spec.token) if spec.token else None

    async def make(self) -> None:
        await self._git("init", "--quiet", "--template=", "--initial-branch=covend", ".")
        await self._git("remote", "add", "--", "origin", self._spec.url)

    async def check_out(self) -> Checkout:
        head, base = await self._head(), await self._base()
        match self._spec.kind:
            case settings.Checkout.BASE:
                await self._detach(base or head)
            case settings.Checkout.MERGE if base and base != head:
                await self._detach(base)
                await self._merge(head)
            case _:
                await self._detach(head)
        return Checkout(path=self._path, head_sha=head, base_sha=base)

    async def _head(self) -> str:
        sha, number = self._spec.head_sha, self._spec.number
        if sha is None:
            branch = self._spec.default_branch
            return await self._fetch_ref(f"refs/heads/{branch}" if branch else "HEAD", HEAD)
        also = f"refs/pull/{number}/head" if number else None
        await self._fetch_sha(sha, HEAD, also)
        return sha

    async def _base(self) -> str | None:
        sha, branch = self._spec.base_sha, self._spec.base_ref
        ref = f"refs/heads/{branch}" if branch else None
        if sha is not None:
            await self._fetch_sha(sha, BASE, ref)
        elif ref is not None:
            sha = await self._fetch_ref(ref, BASE)
        if sha is not None and branch is not None:
            await self._git("update-ref", f"refs/remotes/origin/{branch}", sha)
        return sha

    async def _fetch_sha(self, sha: str, name: str, ref: str | None) -> None:
        """Fetch one exact commit, by itself or, from a server that does not give those, with its
        ref.
        """
        if await self._has(sha):
            return await self._name(sha, name)
        try:
            return await self._fetch(sha, name)
        except GitError:
            if ref is None:
                raise
        await self._fetch(ref, name)
        if not await self._has(sha):
            raise GitError(f"commit {sha} is not in {ref} any more")
        return await self._name(sha, name)

    async def _fetch_ref(self, ref: str, name: str) -> str:
        await self._fetch(ref, name)
        return (await self._git("rev-parse", "--verify", f"{name}^{{commit}}")).strip()

    async def _fetch(self, source: str, name: str) -> None:
        options = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head")
        await self._git("fetch", *options, "--", "origin", f"+{source}:{name}")

    async def _has(self, sha: str) -> bool:
        try:
            await self._git("cat-file", "-e", f"{sha}^{{commit}}")
        except GitError:
            return False
        return True

    async def _name(self, sha: str, name: str) -> None:
        await self._git("update-ref", name, sha)

    async def _detach(self, sha: str) -> None:
        await self._git("checkout", "--quiet", "--detach", sha, "--")

    async def _merge(self, sha: str) -> None:
        try:
            await self._git("merge", "--quiet", "--no-ff", "--no-edit", sha)
        except GitError as error:
            raise GitError(f"head does not merge into base: {error}") from error

    async def _git(self, *arguments: str) -> str:
        return await git(
            *arguments,
            cwd=self._path,
            timeout_s=self._spec.timeout_s,
            access=self._access,
        )


def _checked(spec: Spec) -> Spec:
    for sha in (spec.head_sha, spec.base_sha):
        if sha is not None and not _SHA.fullmatch(sha):
            raise GitError(f"{sha!r} is no commit's SHA")
    parts = urlsplit(spec.url)
    if "@" in parts.netloc:
        raise GitError("the repository's URL has credentials in it")
    if parts.scheme not in {"http", "https", "file"}:
        raise GitError(f"a repository is fetched by http, https or file, not {parts.scheme!r}")
    return spec


def _why(error: OSError) -> str:
    # ENOTDIR: what O_DIRECTORY says of a link to a directory.
    is_link = error.errno in {errno.ELOOP, errno.ENOTDIR}
    return "a symbolic link is in its place" if is_link else str(error.strerror)
