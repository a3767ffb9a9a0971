"""Fills the workspace of one attempt: a clone of its own without credentials, which borrows its
objects from the repository's mirror.

The clone is made before an agent has had it in its hands; no git command runs in it afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from covend.core import settings
from covend.core.errors import GitError
from covend.edges.workspace import removal
from covend.edges.workspace.directory import Directory
from covend.edges.workspace.faults import Fault, fault_of
from covend.edges.workspace.fetching import Commits, fetch
from covend.edges.workspace.git import EMAIL, NAME, git
from covend.edges.workspace.handover import hand_over, share_objects
from covend.edges.workspace.mirror import Mirror, Mirrors
from covend.edges.workspace.spec import Spec, check
from covend.edges.workspace.steps import Step, take

HEAD = "refs/covend/head"
BASE = "refs/covend/base"
_FAST = (
    *("-c", "checkout.workers=4"),  # beyond it, more of them are no faster
    # A checkout that a power cut spoils is made anew, not repaired.
    *("-c", "core.fsync=none"),
)
_CONFIG = f"""\
[remote "origin"]
\turl = "{{url}}"
\tfetch = +refs/heads/*:refs/remotes/origin/*
[gc]
\tauto = 0
[maintenance]
\tauto = false
[user]
\tname = {NAME}
\temail = {EMAIL}
"""
"""No upkeep that git would begin by itself, in the background, beside the agent; and a name for its
commits, which an empty home has none of: GIT_AUTHOR_NAME and the like come before it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """What lies in the workspace; a SHA is None where that commit was not asked for."""

    path: Path
    head_sha: str | None = None
    base_sha: str | None = None
    start_sha: str | None = None
    """What is checked out, and the agent's commits come after."""
    borrows: Path | None = None
    """The directory of objects that must stay readable, by its own path; None: none beside its own.
    """
    mirror: Mirror | None = None


async def checkout(spec: Spec, directory: Directory, mirrors: Mirrors) -> Checkout:
    """Fill the workspace by the rule's `checkout`; raises `GitError`.

    `head` and `base` are detached at the exact commit, `merge` merges the one into the other here
    (GitHub's own merge ref may be of another head by now). Where base is known it is there too, as
    `origin/BRANCH` and whole enough for `git diff origin/BRANCH...HEAD`. A mirror that cannot be
    read is fetched anew, once.
    """
    if spec.kind is settings.Checkout.NONE:
        if spec.owner is not None:
            await anyio.to_thread.run_sync(hand_over, directory, spec.owner)
        return Checkout(path=directory.workspace)
    check(spec)
    preparation = _Preparation(spec, directory, mirrors)
    try:
        return await preparation.run()
    except GitError as error:
        if fault_of(error) is not Fault.BROKEN:
            raise
    await preparation.renew_mirror()
    return await preparation.run()


class _Preparation:
    """One checkout while it is made."""

    def __init__(self, spec: Spec, directory: Directory, mirrors: Mirrors) -> None:
        self._spec = spec
        self._directory = directory
        self._mirrors = mirrors
        self._path = directory.workspace
        self._mirror: Mirror | None = None
        self._commits: Commits | None = None
        self._start_sha: str | None = None

    async def run(self) -> Checkout:
        for step in self._steps():
            await take(step)
        mirror, commits = self._fetched
        return Checkout(
            path=self._path,
            head_sha=commits.head,
            base_sha=commits.base,
            start_sha=self._start_sha,
            borrows=mirror.objects if self._spec.owner is None else None,
            mirror=mirror,
        )

    async def renew_mirror(self) -> None:
        if self._mirror is not None:
            await self._mirrors.renew(self._mirror)

    def _steps(self) -> tuple[Step, ...]:
        return (
            Step(name="fetch", take=self._fetch),
            Step(name="clone", take=self._clone, clear=self._empty),
            Step(name="hand over", take=self._hand_over),
        )

    @property
    def _fetched(self) -> tuple[Mirror, Commits]:
        assert self._mirror is not None
        assert self._commits is not None
        return self._mirror, self._commits

    async def _fetch(self) -> None:
        """Fetch what is missing; from then on the mirror is known to be in use."""
        async with self._mirrors.held(self._spec.mirror_key) as mirror:
            self._mirror = mirror
            self._directory.mirror_note.write_text(mirror.path.name)
            self._commits = await fetch(self._spec, mirror)

    async def _empty(self) -> None:
        await anyio.to_thread.run_sync(removal.remove, self._path)
        self._path.mkdir(mode=0o700)

    async def _clone(self) -> None:
        mirror, commits = self._fetched
        await self._init(mirror)
        for name, sha in self._refs(commits).items():
            await self._git("update-ref", name, sha)
        await self._check_out(commits)
        self._start_sha = (await self._git("rev-parse", "--verify", "HEAD^{commit}")).strip()

    async def _init(self, mirror: Mirror) -> None:
        options = ("--quiet", "--template=", "--initial-branch=covend")
        await git("init", *options, ".", cwd=self._path, timeout_s=self._spec.timeout_s)
        objects = self._path / ".git" / "objects"
        if self._spec.owner is None:
            (objects / "info" / "alternates").write_text(f"{mirror.objects}\n")
        else:
            async with mirror.lock:  # packs may be put together meanwhile, and change their names
                await anyio.to_thread.run_sync(share_objects, mirror.objects, objects)
        url = self._spec.url.replace("\\", "\\\\").replace('"', '\\"')
        with (self._path / ".git" / "config").open("a") as config:
            config.write(_CONFIG.format(url=url))

    def _refs(self, commits: Commits) -> dict[str, str]:
        refs = {HEAD: commits.head}
        if commits.base is not None:
            refs[BASE] = commits.base
            if self._spec.base_ref:
                refs[f"refs/remotes/origin/{self._spec.base_ref}"] = commits.base
        return refs

    async def _check_out(self, commits: Commits) -> None:
        head, base = commits.head, commits.base
        match self._spec.kind:
            case settings.Checkout.BASE:
                await self._detach(base or head)
            case settings.Checkout.MERGE if base and base != head:
                await self._detach(base)
                await self._merge(head)
            case _:
                await self._detach(head)

    async def _detach(self, sha: str) -> None:
        await self._git(*_FAST, "checkout", "--quiet", "--detach", sha, "--")

    async def _merge(self, sha: str) -> None:
        try:
            await self._git(*_FAST, "merge", "--quiet", "--no-ff", "--no-edit", sha)
        except GitError as error:
            if fault_of(error) is not Fault.OTHER:
                raise
            raise GitError(f"head does not merge into base: {error}") from error

    async def _hand_over(self) -> None:
        if self._spec.owner is not None:
            await anyio.to_thread.run_sync(hand_over, self._directory, self._spec.owner)

    async def _git(self, *arguments: str) -> str:
        git_dir = self._path / ".git"
        return await git(
            *arguments, cwd=self._path, git_dir=git_dir, timeout_s=self._spec.timeout_s
        )
