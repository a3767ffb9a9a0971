"""Removes what an agent has left, however deep, locked or odd; follows no link and raises nothing.

Every directory is first moved up to the top and emptied there, so that no depth exhausts the stack,
the descriptors or the length of a path. What still cannot be removed is logged and moved aside: no
agent can keep covend from starting, nor from beginning another attempt.
"""

from __future__ import annotations

import errno
import math
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from uuid import uuid4

from covend.edges.workspace.occupants import occupants
from covend.telemetry.logs import Log

ASIDE = ".unremovable-"
"""What the name of a directory begins with that was moved aside; the next round tries again."""
OCCUPIED = ".occupied-"
"""As `ASIDE`, of one in which a process still lives."""
LEAVING_S = 1.0
"""How long a process that was killed may take to be gone."""
TRIES = 5
PAUSE_S = 0.05
"""Between tries: somebody may still be writing there."""
REMOVAL_S = 300.0
"""All tries of one directory together: whoever writes on and on does not hold covend up for ever.
"""
CLEAR_S = 10.0
"""All that is left at a start, together: nothing is let in before, and the rounds take the rest."""
NAMES_MAX = 10_000
"""Names read at once of one directory, which may hold millions."""
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
log = Log("workspace")


def clear(root: Path) -> None:
    """Remove all that lies in a directory, or move it aside where that takes longer than `CLEAR_S`;
    one that is missing has nothing. Blocks.
    """
    try:
        paths = list(root.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        log.error("the workspaces cannot be looked at", path=root, error=str(error))
        return
    until = time.monotonic() + CLEAR_S
    for path in paths:
        remove_left(path, until)


def clear_aside(root: Path) -> None:
    """Try again to remove what was moved aside; an attempt beside it is left alone. Blocks."""
    if root.is_dir():
        for path in root.iterdir():
            if path.name.startswith((ASIDE, OCCUPIED)):
                remove_left(path)


def remove_left(path: Path, until: float = math.inf) -> None:
    """Remove it where no process has a place in it any more, else move it aside for the next round.
    Blocks, until the monotonic clock reaches `until` at most.
    """
    if not os.path.lexists(path):
        return None
    gone_by = min(until, time.monotonic() + LEAVING_S)
    while (pids := occupants([path]).get(path)) and time.monotonic() < gone_by:
        time.sleep(PAUSE_S)
    if not pids:
        return remove(path, until)
    where = _moved(path, OCCUPIED)
    log.warning("a workspace is left: processes are in it", path=where, pids=sorted(pids))
    return None


def remove(path: Path, until: float = math.inf) -> None:
    """Remove a file or a directory with all that is in it, or move it aside. Blocks.

    At most `REMOVAL_S`, and until the monotonic clock reaches `until`; in that time `TRIES` times.
    """
    until = min(until, time.monotonic() + REMOVAL_S)
    for _ in range(TRIES):
        try:
            _remove(path, until)
        except FileNotFoundError:
            return
        except OSError as error:
            why = str(error)
        else:
            return
        if time.monotonic() >= until:
            break
        time.sleep(PAUSE_S)
    _set_aside(path, why)


def _set_aside(path: Path, why: str) -> None:
    aside = _moved(path, ASIDE)
    told = "a workspace could not be removed; if this is told again and again, remove it by hand"
    log.error(told, path=aside, error=why)


def _moved(path: Path, prefix: str) -> Path:
    """Give it another name beside its own, unless it has such a one; its own where that fails."""
    if path.name.startswith(prefix):
        return path
    aside = path.with_name(f"{prefix}{uuid4().hex}")
    try:
        path.rename(aside)
    except OSError:
        return path
    return aside


def _remove(path: Path, until: float) -> None:
    if not stat.S_ISDIR(path.lstat().st_mode):
        path.unlink()
        return
    with _opened(str(path)) as top:
        while names := _names(top):
            for name in names:
                _require_time(until)
                # Somebody may be faster: the next look shows what is still there.
                with suppress(FileNotFoundError):
                    _take(name, top, until)
    path.rmdir()


def _take(name: str, top: int, until: float) -> None:
    """Remove one entry of the top; the directories in it become entries of the top."""
    if not stat.S_ISDIR(os.lstat(name, dir_fd=top).st_mode):
        os.unlink(name, dir_fd=top)
        return
    with _opened(name, top) as folder:
        while names := _names(folder):
            _require_time(until)
            for inner in names:
                _take_out(inner, folder, top)
    os.rmdir(name, dir_fd=top)


def _take_out(name: str, folder: int, top: int) -> None:
    if not stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
        os.unlink(name, dir_fd=folder)
        return
    # To move a directory changes its `..`, for which it has to be writable itself.
    with _opened(name, folder):
        os.rename(name, uuid4().hex, src_dir_fd=folder, dst_dir_fd=top)


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in islice(entries, NAMES_MAX)]


@contextmanager
def _opened(name: str, within: int | None = None) -> Iterator[int]:
    """Open a directory, by its owner's right also one that is locked, and unlock it."""
    try:
        folder = os.open(name, _OPEN, dir_fd=within)
    except PermissionError:
        _unlock(name, within)
        folder = os.open(name, _OPEN, dir_fd=within)
    try:
        if stat.S_IMODE(os.fstat(folder).st_mode) & stat.S_IRWXU != stat.S_IRWXU:
            os.fchmod(folder, stat.S_IRWXU)
        yield folder
    finally:
        os.close(folder)


def _unlock(name: str, within: int | None) -> None:
    # By way of /proc, because chmod by name follows a link that takes the directory's place.
    looked_at = os.open(name, _LOOK, dir_fd=within)
    try:
        os.chmod(f"/proc/self/fd/{looked_at}", stat.S_IRWXU)  # noqa: PTH101  no path of anybody's
    finally:
        os.close(looked_at)


def _require_time(until: float) -> None:
    if time.monotonic() >= until:
        raise TimeoutError(errno.ETIMEDOUT, "there is more in it than its time was enough for")
