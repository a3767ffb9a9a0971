"""A forge with one large repository, as a process that speaks git over HTTP on loopback.

It prints the repository's URL; for each line it is given it moves the branch on by one commit, and
prints its SHA. It ends with its input.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from covend.demo.git import git
from covend.demo.github import StandInGitHub
from covend.demo.payloads import TILL
from covend.demo.repository import BareRepository

FILES = 20_000
FOLDERS = 200
COMMITS = 300
"""Before the first checkout."""
CHANGED = 20
"""Files in each commit after the first."""
_LINE = 60
_DIGITS = 1400
"""Of a file's text: source code is about as hard to compress, and most files are small."""
_AUTHOR = "Mara Quist <mara@till.example>"


def build(path: Path, files: int) -> BareRepository:
    """Make the repository, packed as a forge keeps it."""
    repository = BareRepository.create(path, {"README": "A large one.\n"})
    stream = b"".join(_commit(number, files) for number in range(COMMITS))
    git(path, "fast-import", "--quiet", "--force", stdin=stream)
    git(path, "repack", "-a", "-d", "--quiet", "--write-bitmap-index")
    return repository


def _commit(number: int, files: int, after: str = "") -> bytes:
    """Write the first commit with every file, or a later one with some of them changed."""
    when = datetime(2026, 1, 1, tzinfo=UTC).timestamp() + 60 * number
    message = f"Commit {number}"
    head = (
        f"commit refs/heads/main\ncommitter {_AUTHOR} {when:.0f} +0000\n"
        f"data {len(message)}\n{message}\n{after}"
    )
    return head.encode() + b"".join(_file(index, number) for index in _changed(number, files))


def _changed(number: int, files: int) -> Iterator[int]:
    if not number:
        yield from range(files)
    else:
        yield from ((number * 7919 + step * 997) % files for step in range(CHANGED))


def _file(index: int, number: int) -> bytes:
    digits = hashlib.shake_128(f"{index} {number}".encode()).hexdigest(_DIGITS // 2)
    lines = [digits[at : at + _LINE] for at in range(0, _DIGITS, _LINE)]
    text = "\n".join([f"# revision {number}", *lines, ""]).encode()
    path = f"part-{index % FOLDERS:03}/module-{index // FOLDERS:03}.py"
    return f"M 100644 inline {path}\ndata {len(text)}\n".encode() + text + b"\n"


async def serve(folder: Path, files: int) -> None:
    """Serve until the input ends."""
    repository = build(folder / "large.git", files)
    async with StandInGitHub() as github:
        github.host(TILL, repository)
        print(github.clone_url(*TILL.full_name.split("/")), flush=True)  # noqa: T201
        number = COMMITS
        while await asyncio.to_thread(sys.stdin.readline):
            stream = _commit(number, files, "from refs/heads/main^0\n")
            await asyncio.to_thread(
                git, repository.path, "fast-import", "--quiet", "--force", stdin=stream
            )
            print(repository.commit_at("refs/heads/main"), flush=True)  # noqa: T201
            number += 1


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
