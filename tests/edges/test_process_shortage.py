"""An agent ends also where covend is out of file descriptors or of threads."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import NoReturn

import anyio
import anyio.to_thread
import pytest
from anyio._backends._asyncio import WorkerThread

from covend.core.contract.outcome import Exceeded, StopReason
from covend.core.settings import AgentLimits
from covend.edges.agents import child, process
from covend.edges.agents.process import Agent
from covend.edges.agents.tree import Containment
from tests.edges.agent_process import (
    CONTAINMENTS,
    SOON,
    Heard,
    agent,
    ignore,
    is_gone,
    left_of,
    python,
    ran,
    shell,
)

FEW = 3
"""File descriptors: those three that are always open."""
WATCHED = AgentLimits(memory_bytes=1 << 40)
LEAVER = """
import os, time
if os.fork() == 0:
    os.setsid()
    time.sleep(100)
print("pids", os.getpid())
print("up", flush=True)
time.sleep(100)
"""


@pytest.fixture(params=CONTAINMENTS)
def containment(request: pytest.FixtureRequest) -> Containment:
    return CONTAINMENTS[request.param]


@contextmanager
def no_more_files() -> Iterator[None]:
    """Whatever is open stays so; nothing else can be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def tell_of_kills(one: Agent, monkeypatch: pytest.MonkeyPatch) -> Event:
    tree, tried = one._tree, Event()  # noqa: SLF001  whether it came to that
    kill = tree.kill

    def tell() -> int:
        try:
            return kill()
        finally:
            tried.set()

    monkeypatch.setattr(tree, "kill", tell)
    return tried


async def test_a_tree_ends_once_there_are_file_descriptors_again(
    tmp_path: Path, containment: Containment, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = python(tmp_path, LEAVER, timeout_s=1.0, grace_s=0.1)
    one = agent(what, heard := Heard(), containment, WATCHED)
    tried = tell_of_kills(one, monkeypatch)
    with anyio.fail_after(SOON):
        async with anyio.create_task_group() as group:
            group.start_soon(one.run, ignore)
            await heard.wait_for("up")
            with no_more_files():
                await anyio.to_thread.run_sync(tried.wait, SOON)
    assert one.exit is not None
    assert (one.exit.stopped, one.exit.unended) == (StopReason.TIMED_OUT, ())
    assert left_of(what) == []


async def test_the_agent_itself_ends_without_any_file_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "LOOK_S", 0.0)
    what = python(tmp_path, LEAVER, timeout_s=1.0, grace_s=0.1)
    one = agent(what, heard := Heard(), limits=WATCHED)
    with anyio.fail_after(SOON):
        await _run_without_files(one, heard)
    assert one.exit is not None
    pid = one.exit.pid
    assert pid is not None
    assert is_gone(pid)
    assert one.exit.unended == (pid,), "nobody could see that its tree is empty"
    one._tree.kill()  # noqa: SLF001
    one._tree.close()  # noqa: SLF001


async def _run_without_files(one: Agent, heard: Heard) -> None:
    ended = anyio.Event()

    async def run() -> None:
        await one.run(ignore)
        ended.set()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await heard.wait_for("up")
        with no_more_files():
            await ended.wait()


async def test_a_moment_without_file_descriptors_ends_no_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "WATCH_S", process.WATCH_FIRST_S)
    what = shell(tmp_path, "echo up; until [ -e go ]; do sleep 0.05; done")
    one, looks = agent(what, heard := Heard(), limits=WATCHED), Event()
    look = one._tree.exceeded  # noqa: SLF001  whether it came to that

    def exceeded() -> Exceeded | None:
        looks.set()
        return look()

    monkeypatch.setattr(one._tree, "exceeded", exceeded)  # noqa: SLF001
    with anyio.fail_after(SOON):
        async with anyio.create_task_group() as group:
            group.start_soon(one.run, ignore)
            await heard.wait_for("up")
            with no_more_files():
                for _ in range(2):  # the first may have begun before
                    looks.clear()
                    await anyio.to_thread.run_sync(looks.wait, SOON)
            (tmp_path / "go").touch()
    assert one.exit is not None
    assert (one.exit.code, one.exit.stopped) == (0, None)


async def test_an_agent_ends_while_others_hold_all_of_the_usual_threads(tmp_path: Path) -> None:
    enough, usual = Event(), anyio.to_thread.current_default_thread_limiter()
    try:
        async with anyio.create_task_group() as group:
            for _ in range(int(usual.total_tokens)):
                group.start_soon(anyio.to_thread.run_sync, enough.wait, SOON)
            await ran(shell(tmp_path, "exec sleep 100", timeout_s=0.2))
            assert usual.available_tokens == 0
            enough.set()
    finally:
        enough.set()


async def test_an_agent_ends_where_no_thread_can_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: WorkerThread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    async def use_up_threads(pid: int, ticks: int) -> None:
        monkeypatch.setattr(WorkerThread, "start", refuse)
        monkeypatch.setattr(WorkerThread, "MAX_IDLE_TIME", 0)

    exit_, _ = await ran(python(tmp_path, LEAVER, timeout_s=0.5), use_up_threads)
    assert exit_.stopped is StopReason.TIMED_OUT
