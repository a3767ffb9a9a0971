"""Gives a finished checkout to an agent that is another user than covend; follows no link.

Objects come as hard links to the mirror's files, which stay covend's own and read-only, or as
copies where that cannot be: what is the agent's to change is never the mirror's.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from covend.edges.workspace.directory import Directory

_READABLE_BY_ALL = stat.S_IROTH
_PASSABLE = 0o711


def share_objects(mirror: Path, clone: Path) -> None:
    """Put all objects of a mirror into a clone's directory of objects. Blocks."""
    for folder, _, names in os.walk(mirror):
        target = clone / Path(folder).relative_to(mirror)
        target.mkdir(exist_ok=True)
        for name in names:
            # `info` holds what is about the mirror's packs, not ours.
            if target.name != "info" and not name.startswith(("tmp_", ".")):
                _share(Path(folder, name), target / name)


def _share(source: Path, target: Path) -> None:
    if source.stat().st_mode & _READABLE_BY_ALL:
        try:
            return target.hardlink_to(source)
        except OSError:
            pass  # another file system, or a kernel that is strict about links
    shutil.copyfile(source, target)
    return None


def hand_over(directory: Directory, owner: tuple[int, int]) -> None:
    """Make everything in an attempt's directory its agent's, but for the directory itself and the
    files that are the mirror's too. Blocks.
    """
    for path in (directory.workspace, directory.exchange, directory.home):
        os.chown(path, *owner, follow_symlinks=False)
        for _, folders, files, within in os.fwalk(path, follow_symlinks=False):
            for name in folders:
                os.chown(name, *owner, dir_fd=within, follow_symlinks=False)
            for name in files:
                if os.stat(name, dir_fd=within, follow_symlinks=False).st_nlink == 1:
                    os.chown(name, *owner, dir_fd=within, follow_symlinks=False)
    directory.root.chmod(_PASSABLE)
