"""What goes on beside an agent is never held up by it, nor the agent by that."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from covend.core.contract.outcome import StopReason
from covend.core.errors import ClaimLostError
from covend.edges.agents.output import Stream
from covend.edges.agents.process import LINES_MAX, Stop, run
from tests.edges.agent_process import SOON, Heard, ignore, is_gone, shell, spec


@dataclass
class HeldStore:
    """An `on_start` that is not over before it is let go; `error` is raised then."""

    error: Exception | None = None
    pids: list[int] = field(default_factory=list)
    let_go: anyio.Event = field(default_factory=anyio.Event)

    async def __call__(self, pid: int, ticks: int) -> None:
        self.pids.append(pid)
        await self.let_go.wait()
        if self.error is not None:
            raise self.error

    async def let_go_at_the_end(self) -> None:
        """Wait for the process's end; that fails where nothing ends it."""
        while not self.pids:
            await anyio.lowlevel.checkpoint()
        pidfd = os.pidfd_open(self.pids[0])
        try:
            with anyio.fail_after(SOON / 2):
                await anyio.wait_readable(pidfd)
        finally:
            os.close(pidfd)
            self.let_go.set()


@pytest.mark.parametrize(
    ("seconds", "reason"), [(0.2, StopReason.TIMED_OUT), (100.0, StopReason.CANCELLED)]
)
async def test_a_held_store_delays_neither_timeout_nor_stop(
    tmp_path: Path, seconds: float, reason: StopReason
) -> None:
    store, stop = HeldStore(), Stop()
    if reason is StopReason.CANCELLED:
        stop.request(reason)
    what = spec(tmp_path, "sleep", "100", timeout_s=seconds)
    async with anyio.create_task_group() as group:
        group.start_soon(store.let_go_at_the_end)
        exit_ = await run(what, on_start=store, on_line=Heard(), stop=stop)
    assert exit_.stopped is reason


async def test_an_agent_that_is_known_to_be_lost_later_on_is_ended(tmp_path: Path) -> None:
    store, heard = HeldStore(ClaimLostError("taken")), Heard()

    async def lose() -> None:
        await heard.wait_for("up")
        store.let_go.set()

    async with anyio.create_task_group() as group:
        group.start_soon(lose)
        with pytest.raises(ClaimLostError):
            await run(shell(tmp_path, "echo up; sleep 100"), on_start=store, on_line=heard)
    assert is_gone(store.pids[0])


async def test_a_cancelled_run_waits_for_no_store(tmp_path: Path) -> None:
    store = HeldStore()
    with anyio.fail_after(SOON / 2), anyio.move_on_after(0.2) as scope:
        await run(spec(tmp_path, "sleep", "100"), on_start=store, on_line=Heard())
    assert scope.cancelled_caught
    assert is_gone(store.pids[0])


async def test_a_flood_of_lines_lets_everything_else_go_on(tmp_path: Path) -> None:
    told, turns = 0, 0

    def on_line(stream: Stream, line: str) -> None:
        nonlocal told
        told += 1

    async def turn() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += bool(told)

    async with anyio.create_task_group() as group:
        group.start_soon(turn)
        await run(shell(tmp_path, "yes '' | head -n 300000"), on_start=ignore, on_line=on_line)
        group.cancel_scope.cancel()
    assert told == 300_000
    assert turns >= told / LINES_MAX


async def test_a_flood_that_is_stopped_loses_no_line_that_was_read(tmp_path: Path) -> None:
    told: list[str] = []
    stop = Stop()

    def on_line(stream: Stream, line: str) -> None:
        told.append(line)
        stop.request(StopReason.CANCELLED)

    what = shell(tmp_path, "exec seq 100000000", grace_s=0.1)
    await run(what, on_start=ignore, on_line=on_line, stop=stop)
    assert told[:-1] == [str(number) for number in range(1, len(told))]
