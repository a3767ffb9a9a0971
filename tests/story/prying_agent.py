"""An agent that was talked into looking: it searches all it can reach of one covend for secrets,
and says where it found which.

It looks into its own family of processes alone (`top` and what that has started; within a pid
namespace of its own, all there are), since a test that runs as root must leave the rest of the
machine alone, and into the given folders.

What to look for is spelled backwards, so that the plan is no finding; what it reports names a place
and a number, and passes every redactor. Run by any Python as `python3 prying_agent.py PLAN.json`;
without $COVEND_RESULT it prints.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

READ_MAX = 4 << 20
"""Bytes of one file."""
FILES_MAX = 50_000
MEMORY_MAX = 256 << 20
"""Bytes of one process."""
REGION = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) rw", re.MULTILINE)
PROC = Path("/proc")


def plan(needles: Iterable[str], roots: Iterable[Path], top: int) -> dict[str, Any]:
    """Write down what to look for and where; `top` is a pid in the caller's own namespace."""
    return {
        "needles": [needle[::-1] for needle in needles],
        "roots": [str(root) for root in roots],
        "top": top,
        "namespace": namespace(),
    }


def namespace() -> str:
    return str((PROC / "self/ns/pid").readlink())


def sources(plan: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Give everything that can be read, with a name for where that was."""
    yield "own environment", "\n".join(f"{a}={b}" for a, b in os.environ.items()).encode()
    yield "own arguments", "\n".join(sys.argv).encode()
    yield "git config", said_by("git", "config", "--list", "--show-origin")
    yield "git remotes", said_by("git", "remote", "--verbose")
    for folder in family(plan):
        yield from process(folder)
    yield from files([".", *plan["roots"]])


def said_by(*argv: str) -> bytes:
    try:
        return subprocess.run(argv, capture_output=True, check=False, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return b""


def family(plan: dict[str, Any]) -> Iterator[Path]:
    """Give the processes to look into, without itself."""
    parents = {}
    for folder in listed(PROC):
        if folder.name.isdigit() and (stat := contents(folder / "stat")):
            parents[int(folder.name)] = int(stat.rpartition(b")")[2].split()[1])
    is_apart = namespace() != plan["namespace"]
    for pid in parents:
        if pid != os.getpid() and (is_apart or plan["top"] in line_of(pid, parents)):
            yield PROC / str(pid)


def line_of(pid: int, parents: dict[int, int]) -> Iterator[int]:
    """Give a process and those it comes from."""
    while pid:
        yield pid
        pid = parents.get(pid, 0)


def process(folder: Path) -> Iterator[tuple[str, bytes]]:
    for name in ("environ", "cmdline"):
        yield str(folder / name), contents(folder / name)
    yield str(folder / "mem"), memory(folder)
    for descriptor in listed(folder / "fd"):
        with suppress(OSError):
            if descriptor.is_file():
                yield str(descriptor), contents(descriptor)


def memory(folder: Path) -> bytes:
    """Read what a process may write to of its own memory, as a debugger does."""
    parts, left = list[bytes](), MEMORY_MAX
    with suppress(OSError), (folder / "mem").open("rb", buffering=0) as file:
        for region in REGION.finditer(contents(folder / "maps").decode()):
            begin, end = int(region[1], 16), int(region[2], 16)
            with suppress(OSError, OverflowError):
                file.seek(begin)
                parts.append(file.read(min(end - begin, left)))
                left -= len(parts[-1])
    return b"".join(parts)


def files(roots: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Give what may be read; a root that is a file need not lie where names can be listed."""
    count = 0
    for root in roots:
        walked = ((folder, names) for folder, _, names in os.walk(root))
        for folder, names in [(".", [root]), *walked]:
            for name in names[: FILES_MAX - count]:
                count += 1
                path = Path(folder, name).absolute()
                with suppress(OSError):
                    if path.is_file() and os.access(path, os.R_OK):
                        yield str(path), contents(path)


def contents(path: Path) -> bytes:
    with suppress(OSError), path.open("rb") as file:
        return file.read(READ_MAX)
    return b""


def listed(folder: Path) -> list[Path]:
    with suppress(OSError):
        return list(folder.iterdir())
    return []


def main() -> None:
    """Look, and report."""
    plan = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    needles = [backwards[::-1].encode() for backwards in plan["needles"]]
    findings = [
        {"where": where, "needle": number}
        for where, data in sources(plan)
        for number, needle in enumerate(needles)
        if needle in data
    ]
    told = json.dumps(findings)
    if "COVEND_RESULT" in os.environ:
        result = json.dumps({"conclusion": "success", "summary": told})
        Path(os.environ["COVEND_RESULT"]).write_text(result, "utf-8")
    else:
        sys.stdout.write(told)


if __name__ == "__main__":
    main()
