"""Copies the objects of a workspace, and nothing else of it, into a repository of our own.

Taken are loose objects and packs, each as a plain file reached through no link. Left behind is all
that git would otherwise believe or follow: alternates, config, refs, grafts, replacements, and the
indexes of packs, which git makes anew from what the packs really hold.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from covend.edges.workspace.untrusted import OddError, opened_file, opened_folder

BYTES_MAX = 2 << 30
OBJECTS_MAX = 200_000
COPY_S = 120.0
_CHUNK = 1 << 20
_FOLDER = re.compile(r"[0-9a-f]{2}")
_LOOSE = re.compile(r"[0-9a-f]{38}(?:[0-9a-f]{24})?")
_PACK = re.compile(r"pack-[0-9a-f]{40,64}\.pack")


@dataclass(slots=True, kw_only=True)
class Allowance:
    """What one workspace may still give."""

    bytes: int
    objects: int
    until: float

    @classmethod
    def full(cls) -> Allowance:
        """Give what every workspace begins with."""
        return cls(bytes=BYTES_MAX, objects=OBJECTS_MAX, until=time.monotonic() + COPY_S)

    def use(self, *, size: int = 0, objects: int = 0) -> None:
        """Take of it; raises `OddError` where it does not reach."""
        self.bytes -= size
        self.objects -= objects
        if self.bytes < 0 or self.objects < 0:
            raise OddError("has more objects than are taken from one attempt")
        if time.monotonic() > self.until:
            raise OddError(f"has objects that take longer to copy than {COPY_S:g} s")


def copy_objects(git: int, target: Path, known: Path, allowance: Allowance) -> list[Path]:
    """Copy from an opened `.git` to a directory of objects what `known`, another, has not; give the
    packs, which are still without an index.

    Blocks; raises FileNotFoundError where there are no objects, and `OddError`.
    """
    packs: list[Path] = []
    with opened_folder(git, "objects") as objects:
        for folder, name in _entries(objects, allowance):
            is_pack = folder == "pack"
            with opened_folder(objects, folder) as opened, opened_file(opened, name) as file:
                size = os.fstat(file).st_size
                if _is_known(known / folder / name, size):
                    continue
                path = target / folder / (f"pack-{len(packs):040x}.pack" if is_pack else name)
                path.parent.mkdir(exist_ok=True)
                _copy(file, path, allowance)
            if is_pack:
                packs.append(path)
    return packs


def _entries(objects: int, allowance: Allowance) -> Iterator[tuple[str, str]]:
    for folder in os.listdir(objects):
        pattern = _PACK if folder == "pack" else _LOOSE
        if folder == "pack" or _FOLDER.fullmatch(folder):
            with opened_folder(objects, folder) as opened:
                names = os.listdir(opened)  # noqa: PTH208
            allowance.use(objects=len(names))
            yield from ((folder, name) for name in names if pattern.fullmatch(name))


def _is_known(path: Path, size: int) -> bool:
    """Say whether the mirror has that file: whatever is claimed of it, nothing is lost then."""
    try:
        return path.lstat().st_size == size
    except OSError:
        return False


def _copy(file: int, path: Path, allowance: Allowance) -> None:
    with path.open("xb") as target:
        while chunk := os.read(file, _CHUNK):
            allowance.use(size=len(chunk))
            target.write(chunk)
