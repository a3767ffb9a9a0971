"""Who uses more than its limits ends at once, and alone."""

from __future__ import annotations

from pathlib import Path
from time import monotonic

import anyio
import pytest

from covend.core.contract.outcome import Exceeded
from covend.core.settings import AgentLimits
from covend.edges.agents import process
from covend.edges.agents.process import WATCH_S
from covend.edges.agents.tree import Containment
from tests.edges.agent_process import (
    CONTAINMENTS,
    LEFT_WITHIN_S,
    SOON,
    Heard,
    agent,
    ignore,
    is_gone,
    left_of,
    python,
    shell,
    spec,
)
from tests.services.alive import is_alive

MIB = 1 << 20


@pytest.fixture(params=CONTAINMENTS)
def containment(request: pytest.FixtureRequest) -> Containment:
    return CONTAINMENTS[request.param]


HOG = """
import time
held = []
for _ in range(30):
    held.append(bytearray(b"x") * (10 << 20))
    if len(held) == 8:  # soon: who is over may be ended before it can say so
        print("over", flush=True)
    time.sleep(0.01)
time.sleep(100)
"""

# Its children hold the memory, each of them little, in sessions of their own.
HOGS = """
import os, time
for _ in range(8):
    if os.fork() == 0:
        os.setsid()
        held = bytearray(b"x") * (20 << 20)
        time.sleep(100)
print("over", flush=True)
time.sleep(100)
"""

# Half of them stay, the others are never met twice under the same pid.
STORM = """
import os, time
print("over", flush=True)
for _ in range(200):
    if os.fork() == 0:
        os.setsid()
        until = time.monotonic() + 20
        while os.getpid() % 2 and time.monotonic() < until:
            if os.fork():
                os._exit(0)
        time.sleep(100)
time.sleep(100)
"""


@pytest.mark.parametrize(
    ("script", "limits", "exceeded"),
    [
        (HOG, AgentLimits(memory_bytes=100 * MIB), Exceeded.MEMORY),
        (HOGS, AgentLimits(memory_bytes=100 * MIB), Exceeded.MEMORY),
        (STORM, AgentLimits(pids=50), Exceeded.PIDS),
    ],
    ids=["a hog", "many small hogs", "a fork storm"],
)
async def test_a_hog_ends_alone_and_gets_no_more_time(
    tmp_path: Path,
    containment: Containment,
    script: str,
    limits: AgentLimits,
    exceeded: Exceeded,
) -> None:
    other = shell(tmp_path, "echo up; until [ -e go ]; do sleep 0.05; done; echo went on; exit 3")
    heard_of_other = Heard()
    what, heard = python(tmp_path, script, grace_s=SOON), Heard()
    hog = agent(what, heard, containment, limits)
    beside = agent(other, heard_of_other, containment, limits)
    ended = anyio.Event()

    async def run_hog() -> None:
        await hog.run(ignore)
        ended.set()

    async with anyio.create_task_group() as group:
        group.start_soon(beside.run, ignore)
        await heard_of_other.wait_for("up")
        group.start_soon(run_hog)
        await heard.wait_for("over")
        over_at = monotonic()
        with anyio.fail_after(SOON):
            await ended.wait()
        assert monotonic() - over_at < WATCH_S + LEFT_WITHIN_S
        assert beside.exit is None
        (tmp_path / "go").touch()
    assert hog.exit is not None
    assert (hog.exit.exceeded, hog.exit.stopped, hog.exit.signal) == (exceeded, None, "SIGKILL")
    assert is_gone(hog.exit.pid)
    assert left_of(what) == []
    assert beside.exit is not None
    assert (beside.exit.code, beside.exit.exceeded, beside.exit.left_behind) == (3, None, 0)


async def test_whom_the_kernel_killed_between_two_looks_is_said_to_have_had_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "WATCH_FIRST_S", SOON)
    one = agent(shell(tmp_path, "kill -KILL $$"))
    pids: list[int] = []

    async def on_start(pid: int, ticks: int) -> None:
        pids.append(pid)

    def exceeded() -> Exceeded | None:
        is_over = bool(pids) and not is_alive(pids[0])
        return Exceeded.MEMORY if is_over else None

    monkeypatch.setattr(one._tree, "exceeded", exceeded)  # noqa: SLF001  no controllers in tests
    exit_ = await one.run(on_start)
    assert (exit_.signal, exit_.exceeded) == ("SIGKILL", Exceeded.MEMORY)


async def test_a_look_that_fails_ends_the_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = spec(tmp_path, "sleep", "100")
    one = agent(what)

    def fail() -> Exceeded | None:
        raise OSError("no such luck")

    monkeypatch.setattr(one._tree, "exceeded", fail)  # noqa: SLF001  /proc does not fail on request
    with pytest.raises(OSError, match="no such luck"):
        await one.run(ignore)
    assert left_of(what) == []
