"""The directory that one attempt lives in; refuses to read or write through anything but itself.

    ROOT/TASK-ATTEMPT/            0700
        workspace/                the checkout; the agent's working directory
        exchange/                 outside the checkout, so that nothing of it is ever committed
            brief.json            to read
            result.json           to write
        home/                     a home of its own, for an agent that is given no other
        mirror                    names the mirror whose objects the checkout borrows

Nothing in it is trusted once an agent has run there: the result is read as a plain file or not at
all.
"""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from covend.core.contract.brief import Places
from covend.core.contract.result import RESULT_BYTES_MAX
from covend.core.errors import GitError, InvalidResultError
from covend.edges.workspace import removal
from covend.edges.workspace.untrusted import OddError, opened_folder, read_file

MIRROR_NOTE = "mirror"
_PLAIN_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READABLE = 0o644
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


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
    def home(self) -> Path:
        return self.root / "home"

    @property
    def brief(self) -> Path:
        return self.exchange / "brief.json"

    @property
    def result(self) -> Path:
        return self.exchange / "result.json"

    @property
    def mirror_note(self) -> Path:
        return self.root / MIRROR_NOTE

    @property
    def places(self) -> Places:
        return Places(workspace=self.workspace, brief=self.brief, result=self.result)


async def make_directory(root: Path, name: str) -> Directory:
    """Make the directory of that name, TASK-ATTEMPT, empty; what an earlier attempt left there is
    removed. Raises `GitError` where the disk is full.
    """
    assert _PLAIN_NAME.fullmatch(name)
    directory = Directory(root=root / name)
    await remove_directory(directory)
    try:
        for path in (directory.workspace, directory.exchange, directory.home):
            path.mkdir(parents=True, mode=0o700)
        directory.root.chmod(0o700)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise GitError(f"the workspace cannot be made: {error}") from error
    return directory


async def remove_directory(directory: Directory) -> None:
    """Remove it with all that an agent made in it; what cannot be removed, or is still somebody's
    place, is moved aside.
    """
    await anyio.to_thread.run_sync(removal.remove_left, directory.root)


async def clear_directories(root: Path) -> None:
    """Remove the directory of every attempt, where no attempt runs; a missing `root` has none.

    What cannot be removed, or is still somebody's place, is moved aside.
    """
    await anyio.to_thread.run_sync(removal.clear, root)


def write_brief(directory: Directory, data: bytes) -> None:
    """Write the brief for the agent to read, in place of whatever stands there by its name.

    The directory's mode keeps it from everybody else.
    """
    root = directory.root
    with opened_folder(root.parent, root.name, directory.exchange.name) as folder:
        name = directory.brief.name
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        with os.fdopen(os.open(name, _NEW, _READABLE, dir_fd=folder), "wb") as file:
            os.fchmod(file.fileno(), _READABLE)
            file.write(data)


def discard_result(directory: Directory) -> None:
    """Remove the result of an earlier run; what is no file stays, and is no result either."""
    root = directory.root
    with (
        suppress(OSError, OddError),
        opened_folder(root.parent, root.name, directory.exchange.name) as folder,
    ):
        os.unlink(directory.result.name, dir_fd=folder)


def read_result(path: Path) -> bytes | None:
    """Read the agent's result file, None where there is none; raises `InvalidResultError`.

    Only a regular file of at most `RESULT_BYTES_MAX`, reached through no symbolic link, be it in
    place of the file, of `exchange` or of the attempt's whole directory: not a pipe that never
    ends, and nothing that the daemon may read and the agent may not.
    """
    root = path.parent.parent
    try:
        with opened_folder(root.parent, root.name, path.parent.name) as folder:
            return read_file(folder, path.name, RESULT_BYTES_MAX)
    except FileNotFoundError:
        return None
    except OddError as odd:
        raise InvalidResultError(f"the result {odd}") from None
