"""One way of holding trees, as a process: trees of escapers are ended as a daemon ends them when it
stops, all at once; it prints its figures as JSON, and fails where a process is left.

An escaper has forked twice and begun a session of its own: no signal to the agent's group reaches
it. Ways are `cgroup` and `walk`; the first may be missing on a machine (exit 69).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from covend.bench.figures import say
from covend.core.settings import AgentLimits
from covend.edges import children
from covend.edges.agents.cgroup import NoCgroupError, find_place
from covend.edges.agents.tree import Containment, Tree
from covend.edges.proc import environment, processes, start_ticks

TREES = 16
ESCAPERS = 8
MISSING = 69
_LIFE_S = 120
"""After so long an escaper ends by itself, should this benchmark be killed."""
_AGENT = f"""\
import os, signal
signal.alarm({_LIFE_S})
for _ in range({ESCAPERS}):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.alarm({_LIFE_S})
            signal.pause()
        os._exit(0)
    os.wait()
print("there", flush=True)
signal.pause()
"""
Planted = tuple[Tree, subprocess.Popen[bytes]]


def measure(containment: Containment) -> dict[str, float]:
    """Give trees ended per second, and how many processes of the machine had to be looked at."""
    with ThreadPoolExecutor(TREES) as threads:
        planted = [_plant(containment, number) for number in range(TREES)]
        for _, process in planted:
            _await(process)
        looked_at = len(processes())
        begun = time.perf_counter()
        killed = sum(threads.map(_end, planted))
        seconds = time.perf_counter() - begun
    left = _left()
    assert not left, f"processes are left: {left}"
    assert killed >= TREES * (ESCAPERS + 1), killed
    return {"per_second": TREES / seconds, "processes": looked_at}


def _plant(containment: Containment, number: int) -> Planted:
    task = f"{_task()}x{number}"
    tree = containment.tree(f"{task}-1", AgentLimits())
    process = children.start(
        ["/bin/sh", "-c", 'read -r go && exec "$@"', "gate", sys.executable, "-IS", "-c", _AGENT],
        env={"PATH": os.defpath, "COVEND_TASK": task, "COVEND_ATTEMPT": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    tree.adopt(process.pid, start_ticks(process.pid) or 0)
    assert process.stdin is not None
    process.stdin.write(b"go\n")
    process.stdin.close()
    return tree, process


def _await(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == b"there\n"


def _end(planted: Planted) -> int:
    tree, process = planted
    killed = tree.kill()
    process.wait()
    children.forget(process)
    tree.close()
    assert process.stdout is not None
    process.stdout.close()
    return killed


def _left() -> Sequence[int]:
    mark = f"COVEND_TASK={_task()}x".encode()
    return [
        pid
        for pid, process in processes().items()
        if process.is_alive and any(each.startswith(mark) for each in environment(pid))
    ]


def _task() -> str:
    return f"bench{os.getpid()}"


@contextmanager
def contained(way: str) -> Iterator[Containment]:
    """Hold trees in that way; raises `NoCgroupError`."""
    is_subreaper = children.become_subreaper()
    place = find_place(f"bench-{os.getpid()}") if way == "cgroup" else "only walked here"
    containment = Containment(place, is_subreaper=is_subreaper)
    try:
        yield containment
    finally:
        containment.close()


def main(way: str) -> int:
    """Measure one way."""
    try:
        with contained(way) as containment:
            figures = measure(containment)
    except NoCgroupError as error:
        say(f"no cgroups: {error}")
        return MISSING
    print(json.dumps(figures))  # noqa: T201  for the one who started it
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
