"""Fetches the commits of one attempt into its mirror: exact commits first, with their refs where a
server does not give those, and nothing else.

What the mirror has already is not asked for again: git then does not even call the forge. Each
commit is kept by a ref of ours, set only once all that it needs is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from covend.core.errors import GitError
from covend.edges.workspace.faults import Fault, fault_of
from covend.edges.workspace.git import Access, git
from covend.edges.workspace.mirror import Mirror, has_commit, run_git
from covend.edges.workspace.spec import Spec

KEPT = "refs/covend/commits"
ARRIVED = "refs/covend/arrived"
"""Where a ref's commit stands until its SHA is known."""
_OPTIONS = (
    *("--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"),
    *("--no-auto-maintenance", "--no-show-forced-updates"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commits:
    """What was asked for, by SHA; base is None where the spec names none."""

    head: str
    base: str | None


async def fetch(spec: Spec, mirror: Mirror) -> Commits:
    """Fetch head and base, with all that they need; raises `GitError`."""
    fetching = _Fetching(spec, mirror)
    await fetching.exact(_exact(spec))
    head_ref = f"refs/heads/{spec.default_branch}" if spec.default_branch else "HEAD"
    base_ref = _branch(spec.base_ref)
    head = spec.head_sha or await fetching.tip(head_ref)
    base = spec.base_sha or (await fetching.tip(base_ref) if base_ref else None)
    return Commits(head=head, base=base)


def _exact(spec: Spec) -> dict[str, str | None]:
    """Give the SHAs that are known, each with the ref that it should be found in."""
    found: dict[str, str | None] = {}
    if spec.base_sha is not None:
        found[spec.base_sha] = _branch(spec.base_ref)
    if spec.head_sha is not None:
        found[spec.head_sha] = f"refs/pull/{spec.number}/head" if spec.number else None
    return found


def _branch(name: str | None) -> str | None:
    return f"refs/heads/{name}" if name else None


class _Fetching:
    def __init__(self, spec: Spec, mirror: Mirror) -> None:
        self._spec = spec
        self._mirror = mirror
        self._access = Access(url=spec.url, token=spec.token) if spec.token else None

    async def exact(self, wanted: Mapping[str, str | None]) -> None:
        """Fetch commits, all at once; where that is refused, one by one and by their refs."""
        if not wanted:
            return
        try:
            await self._fetch(*(f"+{sha}:{KEPT}/{sha}" for sha in wanted))
        except GitError as error:
            if not _may_be_had_otherwise(error) or not any(wanted.values()):
                raise
            for sha, ref in wanted.items():
                await self._one(sha, ref, is_refused=len(wanted) == 1)

    async def _one(self, sha: str, ref: str | None, *, is_refused: bool) -> None:
        if not is_refused or ref is None:
            try:
                return await self._fetch(f"+{sha}:{KEPT}/{sha}")
            except GitError as error:
                if not _may_be_had_otherwise(error) or ref is None:
                    raise
        await self._fetch(f"+{ref}:{ARRIVED}")
        if not await has_commit(self._mirror, sha):
            raise GitError(f"commit {sha} is not in {ref} any more", fault=Fault.REFUSED)
        return await self._keep(sha)

    async def tip(self, ref: str) -> str:
        """Fetch what a ref points at now, and give its SHA."""
        await self._fetch(f"+{ref}:{ARRIVED}")
        sha = await run_git(self._mirror, "rev-parse", "--verify", f"{ARRIVED}^{{commit}}")
        await self._keep(sha.strip())
        return sha.strip()

    async def _keep(self, sha: str) -> None:
        await run_git(self._mirror, "update-ref", f"{KEPT}/{sha}", sha)

    async def _fetch(self, *refspecs: str) -> None:
        await git(
            *("-c", "fetch.unpackLimit=1"),
            *("fetch", *_OPTIONS, "--", self._spec.url, *refspecs),
            cwd=self._mirror.path,
            git_dir=self._mirror.path,
            timeout_s=self._spec.timeout_s,
            access=self._access,
        )


def _may_be_had_otherwise(error: GitError) -> bool:
    return fault_of(error) in {Fault.REFUSED, Fault.OTHER}
