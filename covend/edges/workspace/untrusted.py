"""Opens what an agent had in its hands: as the plain file or directory that it should be, or not at
all; follows no link, waits for no pipe, reads no more than is allowed.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TRUSTED = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
FOLDER = _TRUSTED | os.O_NOFOLLOW
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class OddError(Exception):
    """It is not the plain thing that it should be; the message goes on after its name."""


@contextmanager
def opened_folder(trusted: Path | int, *names: str) -> Iterator[int]:
    """Open a directory some names below one that no agent can replace; gives its descriptor.

    Raises FileNotFoundError where one of them is missing, and `OddError`.
    """
    folder = os.dup(trusted) if isinstance(trusted, int) else os.open(trusted, _TRUSTED)
    try:
        for name in names:
            inner = _open(name, FOLDER, folder)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


@contextmanager
def opened_file(folder: int, name: str) -> Iterator[int]:
    """Open a regular file; raises FileNotFoundError and `OddError`."""
    file = _open(name, FILE, folder)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OddError("is no regular file")
        yield file
    finally:
        os.close(file)


def read_file(folder: int, name: str, bytes_max: int) -> bytes:
    """Read a regular file whole; raises FileNotFoundError and `OddError`."""
    with opened_file(folder, name) as file, os.fdopen(os.dup(file), "rb") as opened:
        data = opened.read(bytes_max + 1)
    if len(data) > bytes_max:
        raise OddError(f"is larger than {bytes_max} bytes")
    return data


def _open(name: str, flags: int, folder: int) -> int:
    assert "/" not in name
    try:
        return os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise OddError(f"is not readable: {_why(error)}") from None


def _why(error: OSError) -> str:
    # ENOTDIR: what O_DIRECTORY says of a link to a directory.
    is_link = error.errno in {errno.ELOOP, errno.ENOTDIR}
    return "a symbolic link is in its place" if is_link else str(error.strerror)
