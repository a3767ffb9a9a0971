from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from covend.core.contract.outcome import StopReason
from covend.core.errors import (
    AgentArgumentsError,
    AgentError,
    AgentNotFoundError,
)
from covend.edges.agents.leftovers import start_ticks
from covend.edges.agents.output import CUT_LINE, LINE_MAX, Stream
from covend.edges.agents.process import Stop, run
from tests.edges.agent_process import (
    ENVIRONMENT,
    SOON,
    Heard,
    ignore,
    is_gone,
    python,
    ran,
    shell,
    spec,
)


@pytest.fixture(autouse=True)
def no_file_descriptor_is_left() -> Any:
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    assert (
        len(list(Path("/proc/self/fd").iterdir())) <= before + 4
    )  # the event loop's own come once


async def test_output_and_exit_code_come_back(tmp_path: Path) -> None:
    exit_, heard = await ran(shell(tmp_path, "echo one; echo two >&2; printf three; exit 7"))
    assert (exit_.code, exit_.signal, exit_.stopped) == (7, None, None)
    assert heard.of() == ["one", "three"]
    assert heard.of(Stream.ERROR) == ["two"]


async def test_a_signal_comes_back_by_name(tmp_path: Path) -> None:
    exit_, _ = await ran(shell(tmp_path, "kill -SEGV $$"))
    assert (exit_.code, exit_.signal) == (None, "SIGSEGV")


async def test_the_environment_is_exactly_what_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVEND_WEBHOOK_SECRET", "s")
    _, heard = await ran(spec(tmp_path, "env"))
    assert sorted(heard.of()) == sorted(f"{name}={value}" for name, value in ENVIRONMENT.items())


async def test_no_descriptor_of_the_daemon_reaches_the_agent(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        _, heard = await ran(shell(tmp_path, "ls /proc/self/fd", stdin=b""))
    assert len(heard.of()) <= 4


async def test_the_agent_works_in_its_workspace_in_a_session_of_its_own(tmp_path: Path) -> None:
    _, heard = await ran(
        python(tmp_path, "import os; print(os.getcwd(), os.getsid(0) == os.getpid())")
    )
    assert heard.of() == [f"{tmp_path} True"]


async def test_on_start_gets_what_tells_the_process_from_a_later_one(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None, int]] = []

    async def on_start(pid: int, ticks: int) -> None:
        seen.append((pid, start_ticks(pid), ticks))

    exit_, _ = await ran(shell(tmp_path, "exit 0"), on_start)
    assert seen == [(exit_.pid, exit_.start_ticks, exit_.start_ticks)]


async def test_a_large_prompt_arrives_whole_and_closed(tmp_path: Path) -> None:
    _, heard = await ran(spec(tmp_path, "wc", "-c", stdin=b"x" * 5_000_000))
    assert heard.of() == ["5000000"]


async def test_a_prompt_that_nobody_reads_does_no_harm(tmp_path: Path) -> None:
    exit_, _ = await ran(shell(tmp_path, "exec <&-; exit 3", stdin=b"x" * 5_000_000))
    assert exit_.code == 3


async def test_closed_standard_input_is_at_its_end(tmp_path: Path) -> None:
    exit_, _ = await ran(spec(tmp_path, "cat"))
    assert exit_.code == 0


@pytest.mark.parametrize(
    ("argv", "error", "words"),
    [
        (("nonesuch-agent",), AgentNotFoundError, "nonesuch-agent"),
        (("/etc/hostname",), AgentNotFoundError, "cannot be executed"),
        (("/nonesuch/agent",), AgentNotFoundError, "/nonesuch/agent"),
        (("echo", "x" * 200_000), AgentArgumentsError, "standard input"),
        (("echo", "a\0b"), AgentArgumentsError, "standard input"),
    ],
)
async def test_what_cannot_start_says_why_and_how_to_mend_it(
    tmp_path: Path, argv: tuple[str, ...], error: type[AgentError], words: str
) -> None:
    with pytest.raises(error, match=words):
        await ran(spec(tmp_path, *argv))


async def test_a_missing_workspace_is_not_taken_for_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="workspace") as caught:
        await ran(spec(tmp_path / "gone", "true"))
    assert caught.value.code == "agent"


async def test_over_its_time_it_is_stopped(tmp_path: Path) -> None:
    exit_, _ = await ran(spec(tmp_path, "sleep", "100", timeout_s=0.1))
    assert (exit_.stopped, exit_.signal) == (StopReason.TIMED_OUT, "SIGTERM")
    assert is_gone(exit_.pid)


async def test_silence_is_not_the_same_as_time(tmp_path: Path) -> None:
    exit_, _ = await ran(spec(tmp_path, "sleep", "100", idle_timeout_s=0.1))
    assert exit_.stopped is StopReason.IDLE_TIMED_OUT


async def test_output_puts_the_idle_timeout_off(tmp_path: Path) -> None:
    script = "for i in 1 2 3 4 5 6; do echo $i; sleep 0.1; done"
    exit_, heard = await ran(shell(tmp_path, script, idle_timeout_s=0.5))
    assert (exit_.code, len(heard.lines)) == (0, 6)


STUBBORN = """
import signal, time
for number in (2, 15):
    signal.signal(number, signal.SIG_IGN)
print("up", flush=True)
time.sleep(100)
"""


async def test_who_ignores_the_signals_is_killed_after_the_grace(tmp_path: Path) -> None:
    heard, stop = Heard(), Stop()
    async with anyio.create_task_group() as group:

        async def stop_it() -> None:
            await heard.wait_for("up")
            stop.request(StopReason.CANCELLED)

        group.start_soon(stop_it)
        exit_ = await run(
            python(tmp_path, STUBBORN, grace_s=0.2), on_start=ignore, on_line=heard, stop=stop
        )
    assert (exit_.stopped, exit_.signal) == (StopReason.CANCELLED, "SIGKILL")
    assert is_gone(exit_.pid)


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


@pytest.mark.parametrize(("name", "number"), [("SIGINT", 2), ("SIGTERM", 15)])
async def test_the_first_signal_is_the_tools_own_and_its_last_words_are_heard(
    tmp_path: Path, name: str, number: int
) -> None:
    heard, stop = Heard(), Stop()

    async def stop_it() -> None:
        await heard.wait_for("up")
        stop.request(StopReason.SUPERSEDED)
        stop.request(StopReason.CANCELLED)

    async with anyio.create_task_group() as group:
        group.start_soon(stop_it)
        what = python(tmp_path, WRITES_ITS_BOOKS, stop_signal=name, grace_s=5.0)
        exit_ = await run(what, on_start=ignore, on_line=heard, stop=stop)
    assert heard.of() == ["up", f"signal {number}"]
    assert (exit_.code, exit_.stopped) == (9, StopReason.SUPERSEDED)


async def test_who_ignores_sigint_gets_sigterm(tmp_path: Path) -> None:
    script = "import signal, time; signal.signal(2, signal.SIG_IGN); time.sleep(100)"
    what = python(tmp_path, script, stop_signal="SIGINT", timeout_s=0.5, grace_s=4.0)
    exit_, _ = await ran(what)
    assert exit_.signal == "SIGTERM"


async def test_a_stop_before_the_start_still_stops(tmp_path: Path) -> None:
    stop = Stop()
    stop.request(StopReason.INTERRUPTED)
    exit_ = await run(spec(tmp_path, "sleep", "100"), on_start=ignore, on_line=Heard(), stop=stop)
    assert exit_.stopped is StopReason.INTERRUPTED


async def test_a_stop_after_the_exit_changes_nothing(tmp_path: Path) -> None:
    stop = Stop()

    async def on_start(pid: int, ticks: int) -> None:
        pidfd = os.pidfd_open(pid)
        await anyio.wait_readable(pidfd)
        os.close(pidfd)
        stop.request(StopReason.CANCELLED)

    exit_ = await run(
        shell(tmp_path, "read go", stdin=b"go\n"), on_start=on_start, on_line=Heard(), stop=stop
    )
    assert (exit_.code, exit_.stopped) == (0, None)


async def test_cancellation_ends_the_whole_group_before_it_goes_on(tmp_path: Path) -> None:
    heard = Heard()
    pids: list[int] = []
    async with anyio.create_task_group() as group:

        async def cancel() -> None:
            pids.extend(int(pid) for pid in (await heard.wait_for("pids")).split()[1:])
            group.cancel_scope.cancel()

        group.start_soon(cancel)
        await run(
            shell(tmp_path, "sleep 100 & echo pids $$ $!; wait"), on_start=ignore, on_line=heard
        )
    assert len(pids) == 2
    assert all(is_gone(pid) for pid in pids)


async def test_an_agent_whose_start_cannot_be_recorded_is_ended(tmp_path: Path) -> None:
    pids: list[int] = []

    async def on_start(pid: int, ticks: int) -> None:
        pids.append(pid)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await ran(spec(tmp_path, "sleep", "100"), on_start)
    assert is_gone(pids[0])


async def test_a_listener_that_fails_ends_the_agent(tmp_path: Path) -> None:
    pids: list[int] = []

    async def on_start(pid: int, ticks: int) -> None:
        pids.append(pid)

    def on_line(stream: Stream, line: str) -> None:
        raise ValueError(line)

    with pytest.raises(ExceptionGroup):
        await run(shell(tmp_path, "echo x; sleep 100"), on_start=on_start, on_line=on_line)
    assert is_gone(pids[0])


async def test_what_the_agent_leaves_in_its_group_is_killed_after_it(tmp_path: Path) -> None:
    exit_, heard = await ran(shell(tmp_path, "sleep 100 & echo $!"))
    assert exit_.code == 0
    assert is_gone(int(heard.of()[0]))


async def test_a_grandchild_that_holds_the_output_holds_nothing_up(tmp_path: Path) -> None:
    away = "echo $$; echo >away; exec sleep 100"
    script = f"mkfifo away; setsid sh -c '{away}' & read line <away"
    started = time.monotonic()
    exit_, heard = await ran(shell(tmp_path, script))
    os.kill(int(heard.of()[0]), signal.SIGKILL)
    assert exit_.code == 0
    assert time.monotonic() - started < SOON / 2


async def test_a_line_without_end_is_cut_and_memory_stays_small(tmp_path: Path) -> None:
    exit_, heard = await ran(
        shell(tmp_path, "head -c 50000000 /dev/zero | tr '\\0' x; echo; echo after")
    )
    assert exit_.code == 0
    assert heard.of() == ["x" * LINE_MAX + CUT_LINE, "after"]


async def test_binary_output_is_heard_as_text(tmp_path: Path) -> None:
    _, heard = await ran(shell(tmp_path, "printf '\\377\\000\\376ok\\n'"))
    assert heard.of() == ["\ufffd\0\ufffdok"]


async def test_known_secrets_never_leave_even_where_reads_meet(tmp_path: Path) -> None:
    script = "printf hunter2; sleep 0.05; echo hunter2 now; printf hunter2hunter2 >&2"
    _, heard = await ran(shell(tmp_path, script, secrets=("hunter2hunter2",)))
    assert [line for _, line in heard.lines] == ["[redacted] now", "[redacted]"]


async def test_many_at_once_all_come_back(tmp_path: Path) -> None:
    codes: list[int | None] = []

    async def one(number: int) -> None:
        exit_, _ = await ran(shell(tmp_path, f"echo {number}; exit {number}"))
        codes.append(exit_.code)

    async with anyio.create_task_group() as group:
        for number in range(30):
            group.start_soon(one, number)
    assert sorted(code or 0 for code in codes) == list(range(30))


async def test_out_of_descriptors_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids: list[int] = []

    def fail(pid: int) -> int:
        pids.append(pid)
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", fail)
    with pytest.raises(AgentError, match="Too many open files"):
        await ran(spec(tmp_path, "sleep", "100"))
    assert is_gone(pids[0])
