"""One contender of the start benchmark, as a process: programs started, fed, read and reaped, 16 at
once, while the event loop's lag is watched; it prints its figures as JSON.

The program is `cat`, with a prompt to give back. The lag is what a timer was late by; a moment at
which no timer could run for long counts as often as one would have.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path

import anyio.to_thread

from covend.core.settings import AgentLimits
from covend.edges.agents.output import Stream
from covend.edges.agents.process import Agent
from covend.edges.agents.spec import Spec
from covend.edges.agents.tree import Containment, probe

AT_ONCE = 16
BURSTS = 8
TICK_S = 0.002
PROGRAM = ("/bin/cat",)
PROMPT = b"Answer this.\n"
TIMEOUT_S = 60.0
_PAGE = mmap.PAGESIZE
_serials = count()
Start = Callable[[], Awaitable[None]]


async def measure(start: Start) -> dict[str, float]:
    """Start and reap so many bursts; gives ends per second, and lag in ms."""
    await _burst(start)
    lags: list[float] = []
    watch = asyncio.create_task(_watch(lags))
    begun = time.perf_counter()
    for _ in range(BURSTS):
        await _burst(start)
    rate = AT_ONCE * BURSTS / (time.perf_counter() - begun)
    watch.cancel()
    with suppress(asyncio.CancelledError):
        await watch
    return {
        "per_second": rate,
        "lag_median_ms": statistics.median(lags) * 1000,
        "lag_p99_ms": sorted(lags)[len(lags) * 99 // 100] * 1000,
    }


async def _burst(start: Start) -> None:
    await asyncio.gather(*(start() for _ in range(AT_ONCE)))


async def _watch(lags: list[float]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + TICK_S
        await asyncio.sleep(TICK_S)
        late = loop.time() - due
        lags.append(late)
        # The timers that would have come meanwhile, had this one not been late itself.
        lags.extend(late - n * TICK_S for n in range(1, int(late / TICK_S) + 1))


# --- contenders -----------------------------------------------------------------------------------


async def by_covend(containment: Containment, folder: Path) -> None:
    """As an attempt does it: a tree, the gate, adoption, a pidfd, and the proof at the end."""
    task, heard = f"bench{next(_serials)}", []

    def hear(_stream: Stream, line: str) -> bool:
        heard.append(line)
        return True

    spec = Spec(
        argv=PROGRAM,
        environment=_environment() | {"COVEND_TASK": task, "COVEND_ATTEMPT": "1"},
        cwd=folder,
        stdin=PROMPT,
        timeout_s=TIMEOUT_S,
    )
    tree = await anyio.to_thread.run_sync(containment.tree, f"{task}-1", AgentLimits())
    done = await Agent(spec, tree, hear).run(_note)
    assert done.code == 0
    assert heard == [PROMPT.decode().strip()]


async def _note(_pid: int, _ticks: int) -> None:
    """Where an attempt puts the process on disk."""


async def by_asyncio(folder: Path) -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *PROGRAM,
        cwd=folder,
        env=_environment(),
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        start_new_session=True,
    )
    output, _ = await process.communicate(PROMPT)
    assert output == PROMPT


async def by_popen(folder: Path) -> None:
    """Start, and wait, in a thread."""
    await anyio.to_thread.run_sync(_popen, folder)


def _popen(folder: Path) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        PROGRAM,
        cwd=folder,
        env=_environment(),
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        start_new_session=True,
    ) as process:
        output, _ = process.communicate(PROMPT)
    assert output == PROMPT


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath}


@contextmanager
def contained() -> Iterator[Containment]:
    """Hold trees as covend would here."""
    containment = probe(f"bench-{os.getpid()}")
    try:
        yield containment
    finally:
        containment.close()


def grown(size: int) -> mmap.mmap:
    """Make this process so much larger, page by page."""
    memory = mmap.mmap(-1, max(size, _PAGE))
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    for at in range(0, size, _PAGE):
        memory[at] = 1
    return memory


def main(name: str, size: int) -> None:
    """Measure one contender in a process of that many bytes."""
    temporary = tempfile.TemporaryDirectory(prefix="covend-bench-")
    with temporary as folder, grown(size), contained() as containment:
        contenders: dict[str, Start] = {
            "covend": partial(by_covend, containment, Path(folder)),
            "asyncio": partial(by_asyncio, Path(folder)),
            "popen": partial(by_popen, Path(folder)),
        }
        figures = asyncio.run(measure(contenders[name]))
    print(json.dumps(figures))  # noqa: T201  for the one who started it


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
