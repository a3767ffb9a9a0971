"""Pushes one commit of a mirror to one branch of its forge, and says what became of it.

Refuses to write over what covend did not push itself: the branch must be as it was when it was
looked at, by `--force-with-lease`. The mirror is only read, as the clones that borrow from it do,
so its lock is not taken. The token is in no argument and no file, and no hook runs.
https://git-scm.com/docs/git-push
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import anyio.to_thread

from covend.core.errors import GitError
from covend.edges.workspace.faults import Fault, fault_of
from covend.edges.workspace.git import Access, git
from covend.edges.workspace.harvest import ATTEMPTS

PUSH_S = 300.0
LOOK_S = 60.0
_NOWHERE = Path("/")
SAID_MAX = 500
"""Characters of the forge's own words in an error."""


class Became(StrEnum):
    """What became of a push. Only of `UNKNOWN` it is open whether the branch was moved."""

    PUSHED = "pushed"
    THERE_ALREADY = "there_already"
    FOREIGN = "foreign"
    """The branch is at a commit that covend did not push, which is what is `said`."""
    NOT_ALLOWED = "not_allowed"
    """The token may not."""
    NOT_ACCEPTED = "not_accepted"
    """The token is not taken for one."""
    WORKFLOW = "workflow"
    """It changes a workflow file, for which a token needs a permission of its own."""
    REFUSED = "refused"
    """By a rule of the repository or the forge; the same commits will be refused again."""
    LOST = "lost"
    """The commits are on this disk no more."""
    NOT_REACHED = "not_reached"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What became of it, and what git or the forge said of that."""

    became: Became
    said: str = ""
    is_overdue: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """Where a branch is on the forge: None where there is none; or why that is not known."""

    sha: str | None = None
    failed: Pushed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """One branch of one repository on its forge."""

    url: str
    branch: str
    access: Access | None = None

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"


async def find_tip(mirror: Path, remote: Remote) -> Tip:
    """Ask where the branch is now; the mirror need not be there."""
    try:
        told = await git(
            *("ls-remote", "--quiet", "--refs", "--", remote.url, remote.ref),
            cwd=_NOWHERE,
            git_dir=mirror,
            timeout_s=LOOK_S,
            access=remote.access,
        )
    except GitError as error:
        return Tip(failed=_of_question(error))
    found = (line.partition("\t") for line in told.splitlines())
    return Tip(sha=next((sha for sha, _, ref in found if ref == remote.ref), None))


async def push(mirror: Path, remote: Remote, sha: str, attempt: str) -> Pushed:
    """Bring the branch to `sha`, where it is not there, or at another commit of the same task;
    `attempt` is the name of the one that made it.

    Safe to be asked again, whatever became of it the last time.
    """
    tip = await find_tip(mirror, remote)
    if tip.failed is not None:
        return tip.failed
    if tip.sha == sha:
        return Pushed(became=Became.THERE_ALREADY)
    try:
        own = await _own(mirror, attempt)
    except GitError as error:
        return Pushed(became=Became.NOT_REACHED, said=_words(error))
    if sha not in own:
        return Pushed(became=Became.LOST)
    return await _push_over(mirror, remote, sha, tip.sha, own)


async def _push_over(
    mirror: Path, remote: Remote, sha: str, former: str | None, own: Collection[str]
) -> Pushed:
    """Push over nothing, or over covend's own; what went wrong on the way is looked up."""
    if former is not None and former not in own:
        return Pushed(became=Became.FOREIGN, said=former)
    done = await _push(mirror, remote, sha, expected=former or "")
    if done.became not in {Became.UNKNOWN, Became.FOREIGN}:
        return done
    return await _looked_up(mirror, remote, sha, done)


async def _push(mirror: Path, remote: Remote, sha: str, *, expected: str) -> Pushed:
    options = (
        *("--quiet", "--no-follow-tags", "--no-recurse-submodules", "--no-signed"),
        f"--force-with-lease={remote.ref}:{expected}",
    )
    try:
        await git(
            *("push", *options, "--", remote.url, f"{sha}:{remote.ref}"),
            cwd=mirror,
            git_dir=mirror,
            timeout_s=PUSH_S,
            access=remote.access,
        )
    except GitError as error:
        return _of_push(error)
    return Pushed(became=Became.PUSHED)


async def _looked_up(mirror: Path, remote: Remote, sha: str, done: Pushed) -> Pushed:
    """Say where the branch has come to. Git sends a request again by itself where it got no answer:
    a refused lease may be covend's own push.
    """
    tip = await find_tip(mirror, remote)
    if tip.sha == sha:
        return Pushed(became=Became.PUSHED)
    if done.became is Became.FOREIGN and tip.sha is not None:
        return Pushed(became=Became.FOREIGN, said=tip.sha)
    return Pushed(became=Became.UNKNOWN, said=done.said, is_overdue=done.is_overdue)


async def _own(mirror: Path, attempt: str) -> frozenset[str]:
    """List what was taken out of the attempts at the same task: covend pushes nothing else."""
    task = attempt.rpartition("-")[0]
    assert task
    if not await anyio.to_thread.run_sync(mirror.is_dir):
        return frozenset()
    pattern = f"{ATTEMPTS}/{task}-*"
    told = await git(
        *("for-each-ref", "--format=%(objectname)", "--", pattern),
        cwd=mirror,
        git_dir=mirror,
        timeout_s=LOOK_S,
    )
    return frozenset(told.split())


# --- what git says --------------------------------------------------------------------------------

_REJECTED = re.compile(r"^ ?! \[(?:remote )?rejected\]\s.* \((?P<why>.*)\)$", re.MULTILINE)
_WORKFLOW = re.compile(r"refusing to allow .* to create or update workflow")
_LEASE = re.compile(
    r"stale info|fetch first|non-fast-forward|cannot lock ref|failed to update ref"
    r"|reference already exists|incorrect old value"
)
_AT_FAULT = re.compile(r"[Ii]nternal [Ss]erver [Ee]rror|unpacker error|atomic")
"""What the forge says when it is its own fault."""
_NOT_ACCEPTED = re.compile(r"returned error: 401|Authentication failed|could not read Username")
_NOT_ALLOWED = re.compile(r"returned error: 403|HTTP 403")
_AT_THE_DOOR = re.compile(r"^fatal: (?:unable to access|repository .* not found)", re.MULTILINE)
"""What git says before it has sent anything."""


def _of_question(error: GitError) -> Pushed:
    """Read the failure of a command that changes nothing."""
    became, fault = Became.NOT_REACHED, fault_of(error)
    if _NOT_ACCEPTED.search(str(error)):
        became = Became.NOT_ACCEPTED
    elif _NOT_ALLOWED.search(str(error)):
        became = Became.NOT_ALLOWED
    elif fault is Fault.REFUSED:
        became = Became.REFUSED
    return Pushed(became=became, said=_words(error), is_overdue=fault is Fault.OVERDUE)


def _of_push(error: GitError) -> Pushed:
    said = _told(error)
    rejected = _REJECTED.search(said)
    if rejected is not None:
        return Pushed(became=_rejection(rejected["why"]), said=_words(error))
    if _AT_THE_DOOR.search(said) or _NOT_ACCEPTED.search(said) or _NOT_ALLOWED.search(said):
        return _of_question(error)
    is_overdue = fault_of(error) is Fault.OVERDUE
    return Pushed(became=Became.UNKNOWN, said=_words(error), is_overdue=is_overdue)


def _rejection(why: str) -> Became:
    if _WORKFLOW.search(why):
        return Became.WORKFLOW
    if _LEASE.search(why):
        return Became.FOREIGN
    return Became.NOT_REACHED if _AT_FAULT.search(why) else Became.REFUSED


def _words(error: GitError) -> str:
    """Keep what tells a person why: the forge's own lines, and git's verdict."""
    lines = [line.strip() for line in _told(error).splitlines()]
    forge = [line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")]
    verdict = [line for line in lines if line.startswith("! [")] or lines[-1:]
    return " ".join(line for line in (*forge, *verdict) if line)[-SAID_MAX:]


def _told(error: GitError) -> str:
    """Give git's own words, without what `git` puts before them."""
    return str(error).partition(" failed: ")[2] or str(error)
