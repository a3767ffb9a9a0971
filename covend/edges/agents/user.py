"""Runs an agent as another user of the machine, with no privilege left; and opens the one way that
such a user needs to its workspace.

Needs root. What the other user can read by the machine's own permissions it still can: this keeps
an agent away from covend's files, not from the machine.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from covend.core.errors import SandboxError
from covend.edges.agents.briefly import ask

PASSABLE = 0o711
"""A directory that others may pass through to a name they know, and not list."""
ASK_S = 10.0
_FIND_CLOSED = 'for place; do test -x "$place" || { printf %s "$place"; exit 1; }; done'


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user of this machine."""

    name: str
    uid: int
    gid: int
    home: Path


def account_of(name: str) -> Account:
    """Look a user up; raises `SandboxError` where there is none, or it is root."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise SandboxError(
            f"there is no user {name!r}: useradd --system --create-home {name}"
        ) from None
    if entry.pw_uid == 0:
        raise SandboxError(f"the user {name!r} is root: name an ordinary one")
    return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid, home=Path(entry.pw_dir))


def become(account: Account, *, is_root: bool) -> tuple[str, ...]:
    """Give the words that make what follows them run as a user, with that user's groups, no
    capability and no way to one; raises `SandboxError` where covend may not.

    Source: setpriv(1), capabilities(7).
    """
    if not is_root:
        raise SandboxError(
            f"only root can run an agent as {account.name}: run covend as root, or take `user` out"
            ' and use sandbox = "bubblewrap"'
        )
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise SandboxError("setpriv is missing: install util-linux")
    identity = (f"--reuid={account.uid}", f"--regid={account.gid}", "--init-groups")
    nothing = ("--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all")
    return (setpriv, *identity, *nothing, "--no-new-privs", "--")


def environment_of(account: Account, environment: Mapping[str, str]) -> dict[str, str]:
    """Give an agent's environment as that user's."""
    own = {"HOME": str(account.home), "USER": account.name, "LOGNAME": account.name}
    return {**environment, **own}


def let_through(state_dir: Path, passages: Collection[Path]) -> None:
    """Let other users pass through the state directory to the directories of attempts, and shut
    everything else in it; may be called again, raises OSError.

    `passages` are directories in `state_dir` of which each attempt's own belongs to its user (the
    workspaces); a user who does not know a name in them cannot find it. Links are left alone.
    """
    for entry in list(os.scandir(state_dir)):
        if Path(entry.path) not in passages and not entry.is_symlink():
            _shut(Path(entry.path))
    for path in passages:
        path.chmod(PASSABLE)
    # Last: until here nobody could meet what was still open.
    state_dir.chmod(PASSABLE)


def closed_way(account: Account, place: Path, *, is_root: bool) -> Path | None:
    """Give the directory above `place` that a user cannot pass, or None."""
    above = [str(path) for path in reversed(place.parents)]
    words = (*become(account, is_root=is_root), "/bin/sh", "-c", _FIND_CLOSED, "sh", *above)
    said = ask(words, {"PATH": os.defpath}, ASK_S)
    if said.is_good:
        return None
    found = [path for path in place.parents if str(path) == said.text]
    return found[0] if found else place


def _shut(path: Path) -> None:
    mode = stat.S_IMODE(path.lstat().st_mode)
    if mode & 0o077:
        path.chmod(mode & 0o700)
