"""No agent runs before it is held and noted; and starting many holds nobody up."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from mmap import MADV_NOHUGEPAGE, MAP_ANONYMOUS, MAP_PRIVATE, PAGESIZE, mmap
from pathlib import Path
from statistics import median
from threading import Barrier
from time import monotonic
from typing import NoReturn

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from anyio._backends._asyncio import WorkerThread

from covend.core.contract.outcome import StopReason
from covend.core.errors import ClaimLostError
from covend.core.settings import AgentLimits
from covend.edges import children
from covend.edges.agents.process import Agent
from covend.edges.agents.program import start_gated
from covend.edges.agents.spec import Spec
from covend.edges.agents.tree import Containment
from tests.edges.agent_process import (
    CONTAINMENTS,
    LEFT_WITHIN_S,
    SOON,
    Heard,
    agent,
    cancelled,
    ignore,
    is_gone,
    left_of,
    poll_until_dead,
    ran,
    shell,
    spec,
)

LAG_S = 0.005
LARGE = 512 << 20
AT_ONCE = 16


@pytest.fixture(params=CONTAINMENTS)
def containment(request: pytest.FixtureRequest) -> Containment:
    return CONTAINMENTS[request.param]


async def linger(seconds: float) -> None:
    """Let time pass that the agent must not notice."""
    with anyio.move_on_after(seconds):
        await anyio.sleep_forever()


async def test_nothing_of_it_runs_before_it_is_held_and_noted(
    tmp_path: Path, containment: Containment
) -> None:
    what = shell(tmp_path, "echo ran >ran")
    tree = containment.tree(f"{what.environment['COVEND_TASK']}-1", AgentLimits())
    held: list[bool] = []

    async def on_start(pid: int, ticks: int) -> None:
        await linger(0.3)
        held.append(pid in tree.members() and not (tmp_path / "ran").exists())

    exit_ = await Agent(what, tree, Heard()).run(on_start)
    assert held == [True]
    assert exit_.code == 0
    assert (tmp_path / "ran").exists()


async def test_an_agent_whose_start_cannot_be_noted_never_runs(
    tmp_path: Path, containment: Containment
) -> None:
    async def refuse(pid: int, ticks: int) -> None:
        raise ClaimLostError("taken")

    what = shell(tmp_path, "echo ran >ran", grace_s=SOON)
    one = agent(what, containment=containment)
    asked_at = monotonic()
    with pytest.raises(ClaimLostError, match="taken"):
        await one.run(refuse)
    assert monotonic() - asked_at < LEFT_WITHIN_S
    assert one.exit is not None
    assert is_gone(one.exit.pid)
    assert not (tmp_path / "ran").exists()
    assert left_of(what) == []


async def test_a_run_that_is_cancelled_before_it_begins_starts_nothing(tmp_path: Path) -> None:
    one = agent(shell(tmp_path, "echo ran >ran"))
    with anyio.CancelScope() as scope:
        scope.cancel()
        await one.run(ignore)
    assert scope.cancelled_caught
    assert one.exit is None
    assert not (tmp_path / "ran").exists()


async def test_a_run_that_is_cancelled_while_it_starts_ends_unrun(
    tmp_path: Path, containment: Containment
) -> None:
    async def soon(_: Heard) -> None:
        await anyio.lowlevel.checkpoint()

    told: list[int] = []

    async def on_start(pid: int, ticks: int) -> None:
        told.append(pid)
        await anyio.lowlevel.checkpoint()

    what = shell(tmp_path, "echo ran >ran", grace_s=SOON)
    it = await cancelled(what, soon, containment, on_start)
    assert it.seconds < LEFT_WITHIN_S
    assert is_gone(it.exit.pid)
    assert not (tmp_path / "ran").exists()


async def test_a_run_that_is_cancelled_before_its_gate_opens_waits_for_no_store(
    tmp_path: Path, containment: Containment
) -> None:
    reached = anyio.Event()

    async def on_start(pid: int, ticks: int) -> None:
        reached.set()
        await anyio.sleep_forever()

    async def when(_: Heard) -> None:
        await reached.wait()

    what = shell(tmp_path, "echo ran >ran", grace_s=SOON)
    it = await cancelled(what, when, containment, on_start)
    assert it.seconds < LEFT_WITHIN_S
    assert it.exit.stopped is StopReason.INTERRUPTED
    assert is_gone(it.exit.pid)
    assert not (tmp_path / "ran").exists()


async def test_its_time_begins_when_its_gate_opens(tmp_path: Path) -> None:
    async def on_start(pid: int, ticks: int) -> None:
        await linger(1.2)

    exit_, _ = await ran(spec(tmp_path, "true", timeout_s=1.0, idle_timeout_s=1.0), on_start)
    assert (exit_.code, exit_.stopped) == (0, None)


async def test_a_gate_that_somebody_kills_is_an_agent_that_was_killed(tmp_path: Path) -> None:
    async def on_start(pid: int, ticks: int) -> None:
        os.kill(pid, signal.SIGKILL)
        await linger(0.1)

    exit_, _ = await ran(shell(tmp_path, "echo ran >ran", stdin=b"x" * 1_000_000), on_start)
    assert (exit_.signal, exit_.stopped) == ("SIGKILL", None)
    assert not (tmp_path / "ran").exists()


DIES = """
import asyncio, os, sys
from pathlib import Path
from tests.edges.agent_process import agent, shell

async def die(pid, ticks):
    print(pid, flush=True)
    os.kill(os.getpid(), 9)

asyncio.run(agent(shell(Path(sys.argv[1]), "echo ran >ran", stdin=b"prompt")).run(die))
"""


def test_a_gate_ends_by_itself_when_covend_dies_before_it_opens(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    daemon = subprocess.run(
        [sys.executable, "-c", DIES, str(tmp_path)], stdout=subprocess.PIPE, cwd=root, check=False
    )
    assert daemon.returncode == -signal.SIGKILL
    poll_until_dead(int(daemon.stdout))
    assert not (tmp_path / "ran").exists()


async def lags_until(done: anyio.Event, limit_s: float = SOON) -> list[float]:
    """How much later than asked for the event loop came back, each time."""
    lags: list[float] = []
    with anyio.fail_after(limit_s):
        while not done.is_set():
            before = monotonic()
            await anyio.sleep(0.001)
            lags.append(monotonic() - before - 0.001)
    return lags


async def test_many_starts_at_once_leave_the_event_loop_its_turn(
    tmp_path: Path, containment: Containment
) -> None:
    lags: list[float] = []
    started, all_started = 0, anyio.Event()

    async def on_start(pid: int, ticks: int) -> None:
        nonlocal started
        started += 1
        if started == AT_ONCE:
            all_started.set()
        await all_started.wait()

    async def measure() -> None:
        lags.extend(await lags_until(all_started))

    async with anyio.create_task_group() as group:
        group.start_soon(measure)
        for _ in range(AT_ONCE):
            group.start_soon(agent(spec(tmp_path, "true"), containment=containment).run, on_start)
    assert median(lags) < LAG_S


async def use_threads(count: int) -> None:
    """All of them at the same time."""
    together = Barrier(count)
    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(anyio.to_thread.run_sync, together.wait, SOON)


async def test_what_dies_with_the_thread_that_started_it_lives_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: Callable[[str], NoReturn]
) -> None:
    # anyio ends its threads when they were idle for a while: here at once.
    monkeypatch.setattr(WorkerThread, "MAX_IDLE_TIME", 0)
    setpriv = shutil.which("setpriv") or lacking("setpriv")
    what = shell(
        tmp_path,
        "echo up; until [ -e go ]; do sleep 0.05; done; exit 3",
        prefix=(setpriv, "--pdeathsig", "KILL"),
    )
    one = agent(what, heard := Heard())
    async with anyio.create_task_group() as group:
        group.start_soon(one.run, ignore)
        await heard.wait_for("up")
        for _ in range(2):
            await use_threads(5)
            await anyio.to_thread.run_sync(int)
        (tmp_path / "go").touch()
    assert one.exit is not None
    assert (one.exit.code, one.exit.signal) == (3, None)


def pages(size: int) -> mmap:
    """Memory that is there, in small pages as a program's own is."""
    memory = mmap(-1, size, flags=MAP_PRIVATE | MAP_ANONYMOUS)
    memory.madvise(MADV_NOHUGEPAGE)
    for at in range(0, size, PAGESIZE):
        memory[at] = 1
    return memory


def least_seconds(what: Spec, times: int = 15) -> float:
    took: list[float] = []
    for _ in range(times):
        before = monotonic()
        gate = start_gated(what)
        took.append(monotonic() - before)
        gate.communicate()
        children.forget(gate)
    return min(took)


def test_a_large_daemon_starts_agents_as_fast_as_a_small_one(tmp_path: Path) -> None:
    what = spec(tmp_path, "true")
    small = least_seconds(what)
    ballast = pages(LARGE)
    large = least_seconds(what)
    ballast.close()
    assert large < 4 * small
