"""Every way out of an agent ends all that it has started, and soon after its grace."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import NoReturn

import anyio
import anyio.lowlevel
import pytest

from covend.core.contract.outcome import StopReason
from covend.core.errors import TreeNotEmptyError
from covend.edges.agents.output import Stream
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
    python,
    ran,
    shell,
    spec,
)

GRACE_S = 0.6


@pytest.fixture(params=CONTAINMENTS)
def containment(request: pytest.FixtureRequest) -> Containment:
    return CONTAINMENTS[request.param]


async def up(heard: Heard) -> None:
    await heard.wait_for("up")


QUIET = "import time; print('pids', os.getpid()); print('up', flush=True); time.sleep(100)"

STUBBORN = """
import os, signal, time
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
print("up", flush=True)
while True:
    time.sleep(100)
"""

ESCAPER = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    if sys.argv[1:] == ["wiped"]:
        os.execve("/bin/sh", ["sh", "-c", "echo pids $$; echo up; exec sleep 100"], {})
    print("pids", os.getpid())
    print("up", flush=True)
    time.sleep(100)
os.wait()
time.sleep(100)
"""

STOPPED = """
import os, signal, time
if os.fork() == 0:
    time.sleep(0.1)  # until its parent stands still
    print("up", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
os.kill(os.getpid(), signal.SIGSTOP)
time.sleep(100)
"""

LISTENING_ESCAPER = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(5))
if os.fork() == 0:
    os.setsid()
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    print("up", flush=True)
while True:
    time.sleep(100)
"""

GRANDCHILDREN = """
import os, time
for _ in range(40):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        time.sleep(100)
print("up", flush=True)
time.sleep(100)
"""

WAYS = {
    "sleeps": ("import os; " + QUIET, (), "SIGTERM", None),
    "ignores every signal": (STUBBORN, (), "SIGKILL", None),
    "has a child that left": (ESCAPER, (), "SIGTERM", None),
    "has a child that left without a name": (ESCAPER, ("wiped",), "SIGTERM", None),
    "stands still": (STOPPED, (), "SIGTERM", None),
    "obeys, with a child that does not": (LISTENING_ESCAPER, (), None, 5),
    "has forty that left": (GRANDCHILDREN, (), "SIGTERM", None),
}


@pytest.mark.parametrize("way", ["ignores every signal", "has a child that left", "stands still"])
async def test_over_its_time_it_ends_with_all_it_started(
    tmp_path: Path, containment: Containment, way: str
) -> None:
    script, words, ended_by, code = WAYS[way]
    what = spec(tmp_path, *python(tmp_path, script).argv, *words, timeout_s=1.5, grace_s=GRACE_S)
    began = monotonic()
    exit_, heard = await ran(what, containment=containment)
    assert monotonic() - began < 1.5 + GRACE_S + LEFT_WITHIN_S
    assert exit_.stopped is StopReason.TIMED_OUT
    assert "up" in heard.of(), "it was not there yet"
    assert (exit_.signal, exit_.code) == (ended_by, code)
    assert exit_.unended == ()
    assert all(is_gone(pid) for pid in [exit_.pid, *await heard.pids(0)])


@pytest.mark.parametrize("way", WAYS)
async def test_cancellation_ends_it_with_all_it_started_before_it_goes_on(
    tmp_path: Path, containment: Containment, way: str
) -> None:
    script, words, ended_by, code = WAYS[way]
    what = spec(tmp_path, *python(tmp_path, script).argv, *words, grace_s=GRACE_S)
    it = await cancelled(what, up, containment)
    assert it.seconds < GRACE_S + LEFT_WITHIN_S
    assert (it.exit.signal, it.exit.code) == (ended_by, code)
    assert it.exit.stopped is StopReason.INTERRUPTED
    assert all(is_gone(pid) for pid in [it.exit.pid, *await it.heard.pids(0)])


@pytest.fixture
def bwrap(lacking: Callable[[str], NoReturn]) -> tuple[str, ...]:
    path = shutil.which("bwrap") or lacking("bwrap")
    separate = ("--unshare-user", "--unshare-pid", "--die-with-parent", "--new-session")
    return (path, *separate, "--dev-bind", "/", "/", "--proc", "/proc", "--")


@pytest.mark.parametrize("stop_signal", ["SIGINT", "SIGTERM"])
async def test_within_bubblewrap_it_is_the_agent_that_hears_the_signals(
    tmp_path: Path, containment: Containment, bwrap: tuple[str, ...], stop_signal: str
) -> None:
    what = python(
        tmp_path,
        WRITES_ITS_BOOKS,
        prefix=bwrap,
        is_held=True,
        stop_signal=stop_signal,
        grace_s=SOON,
    )
    it = await cancelled(what, up, containment)
    assert it.heard.of() == ["up", f"signal {signal.Signals[stop_signal].value}"]
    assert it.exit.code == 9


async def test_who_hears_nothing_within_bubblewrap_is_killed_with_it(
    tmp_path: Path, containment: Containment, bwrap: tuple[str, ...]
) -> None:
    what = python(tmp_path, STUBBORN, prefix=bwrap, is_held=True, grace_s=GRACE_S)
    it = await cancelled(what, up, containment)
    assert it.seconds < GRACE_S + LEFT_WITHIN_S
    assert it.exit.signal == "SIGKILL"


@pytest.mark.parametrize("stop_signal", ["SIGINT", "SIGTERM"])
async def test_who_is_asked_to_stop_has_its_grace_and_says_why_it_ended(
    tmp_path: Path, containment: Containment, stop_signal: str
) -> None:
    what = python(tmp_path, WRITES_ITS_BOOKS, stop_signal=stop_signal, grace_s=SOON)
    heard = Heard()
    it = agent(what, heard, containment)

    async def stop() -> None:
        await up(heard)
        it.stop(StopReason.BUDGET)
        it.stop(StopReason.CANCELLED)

    with anyio.fail_after(SOON + 5):
        async with anyio.create_task_group() as group:
            group.start_soon(stop)
            exit_ = await it.run(ignore)
    assert heard.of() == ["up", f"signal {signal.Signals[stop_signal].value}"]
    assert (exit_.code, exit_.stopped) == (9, StopReason.BUDGET)
    assert left_of(what) == []


async def test_who_has_ended_by_itself_cannot_be_stopped(tmp_path: Path) -> None:
    it = agent(shell(tmp_path, "exit 3"))
    it.stop(StopReason.BUDGET)
    exit_ = await it.run(ignore)
    it.stop(StopReason.BUDGET)
    assert (exit_.code, exit_.stopped) == (3, None)


async def test_silence_is_not_the_same_as_time(tmp_path: Path) -> None:
    exit_, _ = await ran(spec(tmp_path, "sleep", "100", idle_timeout_s=0.1))
    assert exit_.stopped is StopReason.IDLE_TIMED_OUT


async def test_any_byte_puts_the_idle_timeout_off(tmp_path: Path) -> None:
    script = "for i in 1 2 3 4 5 6; do printf $i; sleep 0.2; done"
    exit_, heard = await ran(shell(tmp_path, script, idle_timeout_s=1.0))
    assert (exit_.code, heard.of()) == (0, ["123456"])


async def test_only_progress_puts_the_idle_timeout_off_where_output_does_not(
    tmp_path: Path,
) -> None:
    heard = Heard()
    heard.progress = lambda line: line == "step"
    steps = "for i in 1 2 3 4; do echo step; sleep 0.3; done"
    noise = "while :; do echo noise; sleep 0.05; done"
    what = shell(tmp_path, f"{steps}; {noise}", idle_timeout_s=1.0, idle_by_output=False)
    exit_ = await agent(what, heard).run(ignore)
    assert exit_.stopped is StopReason.IDLE_TIMED_OUT
    assert heard.of().count("step") == 4
    assert heard.of().count("noise") > 3
    assert left_of(what) == []


WRITES_ITS_BOOKS = """
import os, signal, time
def close(number, frame):
    os.write(1, b"signal %d" % number)
    os._exit(9)
signal.signal(2, close)
signal.signal(15, close)
os.write(1, b"up\\n")
time.sleep(100)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
async def test_the_first_signal_is_the_tools_own_and_its_last_words_are_heard(
    tmp_path: Path, containment: Containment, name: str
) -> None:
    what = python(tmp_path, WRITES_ITS_BOOKS, stop_signal=name, grace_s=SOON)
    it = await cancelled(what, up, containment)
    assert it.heard.of() == ["up", f"signal {signal.Signals[name].value}"]
    assert (it.exit.code, it.exit.signal) == (9, None)


TWO_WHO_HEAR = """
import os, signal, sys, time
who = "parent" if os.fork() else "child"
def hear(number, frame):
    os.write(1, f"{who} heard {number}\\n".encode())
    time.sleep(0.2)  # for what the other one may still say
    os._exit(0)
signal.signal(2, hear)
os.write(1, b"up\\n")
time.sleep(100)
"""


async def test_the_tools_own_signal_is_for_itself_alone(tmp_path: Path) -> None:
    async def both_up(heard: Heard) -> None:
        await heard.wait_for("up")
        while len(heard.lines) < 2:
            await anyio.lowlevel.checkpoint()

    what = python(tmp_path, TWO_WHO_HEAR, stop_signal="SIGINT", grace_s=SOON)
    it = await cancelled(what, both_up)
    assert it.heard.of() == ["up", "up", "parent heard 2"]
    assert it.exit.left_behind == 1


async def test_who_ignores_the_tools_own_signal_gets_sigterm(tmp_path: Path) -> None:
    script = "import signal, time; signal.signal(2, 1); print('up', flush=True); time.sleep(100)"
    what = python(tmp_path, script, stop_signal="SIGINT", grace_s=2.0)
    it = await cancelled(what, up)
    assert it.exit.signal == "SIGTERM"


async def test_who_stands_still_is_woken_to_hear_the_tools_own_signal(tmp_path: Path) -> None:
    it = await cancelled(python(tmp_path, STOPPED, stop_signal="SIGINT", grace_s=SOON), up)
    assert it.exit.signal == "SIGINT"


async def test_tools_in_sessions_of_their_own_get_sigterm_as_well(
    tmp_path: Path, containment: Containment
) -> None:
    tool = "trap 'echo >told; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    script = f"setsid sh -c \"{tool}\" & trap 'while [ ! -e told ]; do :; done; exit 3' TERM; wait"
    it = await cancelled(shell(tmp_path, script, grace_s=SOON), up, containment)
    assert it.exit.code == 3


async def test_what_it_leaves_behind_is_ended_after_it(
    tmp_path: Path, containment: Containment
) -> None:
    what = shell(tmp_path, "sleep 100 & setsid sleep 100 & echo pids $! $$; exit 4")
    began = monotonic()
    exit_, heard = await ran(what, containment=containment)
    assert monotonic() - began < LEFT_WITHIN_S
    assert (exit_.code, exit_.stopped, exit_.left_behind) == (4, None, 2)
    assert all(is_gone(pid) for pid in await heard.pids())


async def test_a_grandchild_that_holds_the_output_holds_nothing_up(
    tmp_path: Path, containment: Containment
) -> None:
    away = "echo pids $$; echo >away; exec sleep 100"
    script = f"mkfifo away; setsid sh -c '{away}' & read line <away"
    began = monotonic()
    exit_, heard = await ran(shell(tmp_path, script), containment=containment)
    assert monotonic() - began < LEFT_WITHIN_S
    assert (exit_.code, exit_.left_behind) == (0, 1)
    assert all(is_gone(pid) for pid in await heard.pids())


async def test_what_comes_after_the_end_has_no_effect(tmp_path: Path) -> None:
    script = """
import os, signal, time
signal.signal(15, signal.SIG_IGN)
print("up", flush=True)
while True:
    print("more", flush=True)
    open("touched", "a").write("x")
    time.sleep(0.01)
"""
    it = await cancelled(python(tmp_path, script, grace_s=0.2), up)
    lines, size = len(it.heard.lines), (tmp_path / "touched").stat().st_size
    with anyio.move_on_after(0.3):
        await anyio.sleep_forever()
    assert (len(it.heard.lines), (tmp_path / "touched").stat().st_size) == (lines, size)


async def test_cancelled_while_it_is_ending_it_ends_all_the_same(
    tmp_path: Path, containment: Containment
) -> None:
    what = python(tmp_path, STUBBORN, timeout_s=1.0, grace_s=1.0)
    one = agent(what, containment=containment)
    with anyio.fail_after(SOON), anyio.move_on_after(1.5) as scope:
        await one.run(ignore)
    assert scope.cancel_called
    assert one.exit is not None
    assert (one.exit.stopped, one.exit.signal) == (StopReason.TIMED_OUT, "SIGKILL")
    assert left_of(what) == []


async def test_cancelled_after_it_has_ended_by_itself_it_keeps_its_exit(tmp_path: Path) -> None:
    scope, pids = anyio.CancelScope(), list[int]()

    async def on_start(pid: int, ticks: int) -> None:
        pids.append(pid)

    class Late(Heard):
        def __call__(self, stream: Stream, line: str) -> bool:
            poll_until_dead(pids[0])
            scope.cancel()
            return True

    what = shell(tmp_path, "echo up; exit 7")
    one = agent(what, Late())
    with scope:
        await one.run(on_start)
    assert one.exit is not None
    assert (one.exit.code, one.exit.stopped) == (7, None)
    assert left_of(what) == []


async def test_who_outlives_sigkill_is_named_and_its_tree_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = shell(tmp_path, "exit 0")
    one, closed = agent(what), []
    tree = one._tree  # noqa: SLF001  no process of a test outlives SIGKILL

    def kill() -> int:
        raise TreeNotEmptyError(pids=[4711])

    monkeypatch.setattr(tree, "kill", kill)
    monkeypatch.setattr(tree, "members", lambda: frozenset([4711]))
    monkeypatch.setattr(tree, "close", lambda: closed.append(True))
    exit_ = await one.run(ignore)
    assert (exit_.code, exit_.unended) == (0, (4711,))
    assert closed == []
