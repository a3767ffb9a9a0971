"""One covend on a state directory: made private, and locked by what the kernel gives back however
the process ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from covend.core.errors import StateDirectoryInUseError

NAME = "covend.lock"
FOLDERS = ("logs", "workspaces")
PRIVATE = 0o700


def make_state_directory(directory: Path) -> None:
    """Make what is missing; from here on this process makes nothing that others may read."""
    os.umask(0o077)
    for path in (directory, *(directory / name for name in FOLDERS)):
        path.mkdir(mode=PRIVATE, parents=True, exist_ok=True)


@contextmanager
def hold_state_directory(directory: Path) -> Iterator[None]:
    """Hold the directory for this process; raise StateDirectoryInUseError where another one does.

    Source: flock(2). The descriptor is not inherited, so no agent keeps the lock alive.
    """
    descriptor = os.open(directory / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StateDirectoryInUseError(_message(directory, descriptor)) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


def held_by(directory: Path) -> int | None:
    """Give the pid of the covend that holds the directory, as far as this process can see it; never
    takes the lock, which would keep a covend from starting.

    Source: proc_locks(5); of the device's number only the inode's is compared, since some file
    systems show two.
    """
    try:
        inode = (directory / NAME).stat().st_ino
        locks = Path("/proc/locks").read_text("ascii").splitlines()
    except OSError:
        return None
    for fields in map(str.split, locks):
        if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == str(inode):
            return int(fields[4])
    return None


def _message(directory: Path, descriptor: int) -> str:
    pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
    return (
        f"another covend (pid {pid}) already runs on {directory}: "
        "stop it first, or give this one its own state_dir"
    )
