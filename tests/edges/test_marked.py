"""What carries a task's marker ends, in whatever session it hides; all else is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from covend.edges.agents.marked import end_marked
from tests.services.alive import is_alive

ESCAPE = """
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        os.close(1)
        import signal
        signal.pause()
    os._exit(0)
os.wait()
"""


@pytest.fixture
def mine() -> Iterator[list[int]]:
    """Processes of a test, ended with it whatever happens."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, 9)


def escaped(task: str, mine: list[int]) -> int:
    """Start a program whose grandchild leaves its session and outlives it."""
    done = subprocess.run(
        [sys.executable, "-c", ESCAPE],
        env={"PATH": os.environ["PATH"], "COVEND_TASK": task},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    mine.append(int(done.stdout))
    return mine[-1]


def test_a_process_that_left_its_agents_session_is_ended(mine: list[int]) -> None:
    pid = escaped("task-a", mine)
    assert is_alive(pid)
    assert end_marked(["task-a"]) == 1
    assert not is_alive(pid)


def test_another_tasks_process_is_left_alone(mine: list[int]) -> None:
    pid = escaped("task-ab", mine)
    assert end_marked(["task-a", "task-b"]) == 0
    assert is_alive(pid)


def test_without_tasks_nothing_is_looked_for(mine: list[int]) -> None:
    pid = escaped("", mine)
    assert end_marked([]) == 0
    assert is_alive(pid)


def test_a_process_that_keeps_forking_is_ended_with_all_of_them(mine: list[int]) -> None:
    script = "while :; do sleep 60 & sleep 60 & wait -n; done"
    process = subprocess.Popen(
        ["bash", "-c", script], env={"PATH": os.environ["PATH"], "COVEND_TASK": "storm"}
    )
    mine.append(process.pid)
    assert end_marked(["storm"]) >= 1
    process.wait(10)
    assert end_marked(["storm"]) == 0
