from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from covend.edges.agents.leftovers import boot_id, end_leftover, start_ticks


@pytest.fixture
def agent() -> Iterator[subprocess.Popen[bytes]]:
    script = "import time; print(flush=True); time.sleep(100)"
    with subprocess.Popen(
        [sys.executable, "-c", script], start_new_session=True, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        yield process
        process.kill()


def test_the_same_process_is_killed(agent: subprocess.Popen[bytes]) -> None:
    ticks = start_ticks(agent.pid)
    assert ticks is not None
    assert end_leftover(agent.pid, ticks, boot_id())
    assert agent.wait(5) == -9


def test_a_pid_of_another_start_or_boot_is_left_alone(agent: subprocess.Popen[bytes]) -> None:
    ticks = start_ticks(agent.pid) or 0
    assert not end_leftover(agent.pid, ticks + 1, boot_id())
    assert not end_leftover(agent.pid, ticks, "another boot")
    assert agent.poll() is None


def test_a_pid_that_is_gone_is_nothing_to_end() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert start_ticks(process.pid) is None
    assert not end_leftover(process.pid, 1, boot_id())


def test_a_name_with_spaces_and_parentheses_does_not_confuse_the_reading() -> None:
    own = start_ticks(os.getpid())
    name = "import ctypes; ctypes.CDLL(None).prctl(15, b'a) (b 1 2', 0, 0, 0)"
    odd = f"{name}; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", odd], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        ticks = start_ticks(process.pid)
        process.kill()
    assert own is not None
    assert ticks is not None
    assert ticks >= own
