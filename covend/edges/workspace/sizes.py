"""Counts how much of the disk a directory takes; follows no link and raises nothing."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

BLOCK_BYTES = 512
"""The unit of `st_blocks` (stat(2)), whatever the file system's own is."""


def disk_bytes(path: Path, until: float) -> int:
    """Count what lies in a file or directory, a file of several names once. Blocks, and gives what
    it has counted when the monotonic clock reaches `until`.
    """
    total, seen = 0, set[int]()
    for found in _all_in(str(path)):
        if time.monotonic() >= until:
            break
        if stat.S_ISDIR(found.st_mode) or found.st_nlink == 1 or found.st_ino not in seen:
            total += found.st_blocks * BLOCK_BYTES
        if found.st_nlink > 1:
            seen.add(found.st_ino)
    return total


def _all_in(place: str) -> Iterator[os.stat_result]:
    """Give the place itself and what is below it, one by one: there may be millions. What is gone,
    or deeper than any path, is passed over.
    """
    with suppress(OSError):
        found = os.lstat(place)
        yield found
        if not stat.S_ISDIR(found.st_mode):
            return
    folders = [place]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                with suppress(OSError):
                    yield entry.stat(follow_symlinks=False)
