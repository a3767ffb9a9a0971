"""Finds what a program needs to be seen, so that it runs where nothing else of the machine is;
refuses to show a home, or a directory that holds one.

A tool may lie in /opt, ~/.local, a Node version of nvm, a virtual environment: behind links, in a
package of many files, with an interpreter of its own. What loads still more when it runs (pyenv's
and asdf's shims do) is not seen through: the operator names that in `readable`.
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path

from covend.edges.agents.program import beginning

LINKS_MAX = 40
"""As the kernel's own, path_resolution(7)."""
INTERPRETERS_MAX = 3
"""A script's interpreter may be a script."""
FIRST_LINE_MAX = 256
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""What every sandbox shows."""

_SHARED_DEPTH_MIN = 2
"""How far below / or a home a directory lies at least that can be one program's own: not /opt, and
not ~/.local.
"""


def places_of(program: str, path: str) -> list[Path]:
    """Give what has to be seen for a program (a whole path) beside the system, outermost first.

    `path` is the PATH by which a script's `#!/usr/bin/env` finds its interpreter.
    """
    found: dict[Path, None] = {}
    for name in _with_interpreters(program, path):
        for hop in _hops(name):
            if not _is_system(hop):
                found[_place(hop)] = None
    return sorted(place for place in found if not found.keys() & set(place.parents))


def _with_interpreters(program: str, path: str) -> Iterator[Path]:
    name: str | None = program
    for _ in range(INTERPRETERS_MAX + 1):
        if name is None:
            return
        yield Path(name)
        name = _interpreter(Path(name), path)


def _interpreter(script: Path, path: str) -> str | None:
    """Read the first line of a script, execve(2)."""
    try:
        line = beginning(script, FIRST_LINE_MAX).partition(b"\n")[0]
    except OSError:
        return None
    if not line.startswith(b"#!"):
        return None
    words = os.fsdecode(line[2:]).split()
    if words and Path(words[0]).name == "env":
        named = next((word for word in words[1:] if "=" not in word and word[0] != "-"), "")
        return shutil.which(named, path=path)
    return words[0] if words else None


def _hops(name: Path) -> Iterator[Path]:
    """Give every name on the way to the file: each link as it is written, and where it ends."""
    hop = Path(os.path.normpath(name))
    for _ in range(LINKS_MAX):
        yield hop
        if not hop.is_symlink():
            break
        # As written, for inside there are no links but these: their directories are plain ones.
        hop = Path(os.path.normpath(hop.parent / hop.readlink()))
    yield Path(os.path.realpath(name))


def _place(file: Path) -> Path:
    """Give what to show of a file's surroundings: its package, else its directory, else itself."""
    if "node_modules" in file.parts:
        end = file.parts.index("node_modules") + 1
        return Path(*file.parts[:end])
    homes = _homes()
    directory, above = file.parent, file.parent.parent
    if directory.name == "bin" and _is_one_programs(above, homes):
        return above
    return file if _holds_more(directory, homes) else directory


def _is_one_programs(prefix: Path, homes: frozenset[Path]) -> bool:
    if _holds_more(prefix, homes):
        return False
    if (prefix / "pyvenv.cfg").is_file():
        return True
    home = next((home for home in prefix.parents if home in homes), Path("/"))
    is_deep = len(prefix.relative_to(home).parts) >= _SHARED_DEPTH_MIN
    return is_deep and (prefix / "lib").is_dir()


def _holds_more(directory: Path, homes: frozenset[Path]) -> bool:
    return directory in homes or any(directory in home.parents for home in homes)


def _homes() -> frozenset[Path]:
    known = {Path(entry.pw_dir) for entry in pwd.getpwall()} | {Path.home(), Path("/home/x")}
    return frozenset(home for home in known if not _is_system(home) and home != Path("/"))


def _is_system(path: Path) -> bool:
    return any(path.is_relative_to(system) for system in SYSTEM)
