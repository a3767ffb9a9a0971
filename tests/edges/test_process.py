"""An agent gets what it is given and no more; what it says and how it ends comes back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from covend.core.errors import AgentArgumentsError, AgentError, AgentNotFoundError
from covend.edges import proc
from covend.edges.agents.output import Stream
from tests.conftest import ROOT
from tests.edges.agent_process import (
    SOON,
    Heard,
    agent,
    ignore,
    is_gone,
    left_of,
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
    assert (exit_.code, exit_.signal, exit_.stopped, exit_.left_behind) == (7, None, None, 0)
    assert heard.of() == ["one", "three"]
    assert heard.of(Stream.ERROR) == ["two"]


@pytest.mark.parametrize(
    ("number", "name"), [("SEGV", "SIGSEGV"), ("KILL", "SIGKILL"), ("40", "SIG40")]
)
async def test_a_signal_comes_back_by_name(tmp_path: Path, number: str, name: str) -> None:
    exit_, _ = await ran(shell(tmp_path, f"kill -{number} $$"))
    assert (exit_.code, exit_.signal) == (None, name)
    assert exit_.exceeded is None


async def test_the_exit_is_known_by_the_agent_as_well(tmp_path: Path) -> None:
    one = agent(shell(tmp_path, "exit 4"))
    assert one.exit is None
    assert await one.run(ignore) is one.exit


async def test_the_environment_is_exactly_what_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVEND_WEBHOOK_SECRET", "s")
    what = spec(tmp_path, "env")
    _, heard = await ran(what)
    # bash in the place of sh adds two of its own.
    seen = {line for line in heard.of() if not line.startswith(("SHLVL=", "_="))}
    assert seen == {f"{name}={value}" for name, value in what.environment.items()}


async def test_no_descriptor_of_the_daemon_reaches_the_agent(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        _, heard = await ran(shell(tmp_path, "ls /proc/self/fd", stdin=b""))
    assert heard.of() == ["0", "1", "2", "3"]  # the last is the directory itself


async def test_no_descriptor_reaches_another_agent_that_starts_at_the_same_moment(
    tmp_path: Path,
) -> None:
    seen: list[list[str]] = []

    async def one() -> None:
        _, heard = await ran(shell(tmp_path, "ls /proc/self/fd", stdin=b""))
        seen.append(heard.of())

    async with anyio.create_task_group() as group:
        for _ in range(16):
            group.start_soon(one)
    assert seen == [["0", "1", "2", "3"]] * 16


async def test_the_agent_works_in_its_workspace_in_a_session_of_its_own(tmp_path: Path) -> None:
    _, heard = await ran(
        python(tmp_path, "import os; print(os.getcwd(), os.getsid(0) == os.getpid())")
    )
    assert heard.of() == [f"{tmp_path} True"]


async def test_on_start_gets_what_tells_the_process_from_a_later_one(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None, int]] = []

    async def on_start(pid: int, ticks: int) -> None:
        seen.append((pid, proc.start_ticks(pid), ticks))

    exit_, heard = await ran(shell(tmp_path, "echo $$"), on_start)
    assert seen == [(exit_.pid, exit_.start_ticks, exit_.start_ticks)]
    assert heard.of() == [str(exit_.pid)]


@pytest.mark.parametrize("prompt", [b"", b"go\n", b"\n\nfirst\n" + b"x" * 5_000_000])
async def test_a_prompt_arrives_whole_and_closed(tmp_path: Path, prompt: bytes) -> None:
    _, heard = await ran(shell(tmp_path, "cat >got; echo done", stdin=prompt))
    assert heard.of() == ["done"]
    assert (tmp_path / "got").read_bytes() == prompt


async def test_a_prompt_that_nobody_reads_does_no_harm(tmp_path: Path) -> None:
    exit_, _ = await ran(shell(tmp_path, "exec <&-; exit 3", stdin=b"x" * 5_000_000))
    assert exit_.code == 3


async def test_closed_standard_input_is_at_its_end(tmp_path: Path) -> None:
    exit_, heard = await ran(shell(tmp_path, "cat; readlink /proc/self/fd/0"))
    assert exit_.code == 0
    assert heard.of() == ["/dev/null"]


async def test_words_in_front_of_the_agent_run_it(tmp_path: Path) -> None:
    prefix = ("/usr/bin/env", "MORE=x y")
    what = spec(tmp_path, "sh", "-c", "echo $MORE; echo $0 $1", "$0;id", "-x", prefix=prefix)
    _, heard = await ran(what)
    assert heard.of() == ["x y", "$0;id -x"]


@pytest.mark.parametrize(
    ("argv", "error", "words"),
    [
        (("nonesuch-agent",), AgentNotFoundError, "nonesuch-agent.*install it"),
        (("./plain",), AgentNotFoundError, "cannot be executed.*chmod"),
        (("./script",), AgentNotFoundError, "cannot be executed.*#!"),
        (("/nonesuch/agent",), AgentNotFoundError, "/nonesuch/agent"),
        (("/" + "x" * 300,), AgentNotFoundError, "install it"),
        (("echo", "x" * 200_000), AgentArgumentsError, "standard input"),
        (("echo", "a\0b"), AgentArgumentsError, "standard input"),
    ],
)
async def test_what_cannot_start_says_why_and_how_to_mend_it(
    tmp_path: Path, argv: tuple[str, ...], error: type[AgentError], words: str
) -> None:
    for name, mode in (("plain", 0o644), ("script", 0o755)):
        (tmp_path / name).write_text("exit 0\n")
        (tmp_path / name).chmod(mode)
    what = spec(tmp_path, *argv)
    one = agent(what)
    with pytest.raises(error, match=words):
        await one.run(ignore)
    assert one.exit is None
    assert left_of(what) == []


def test_a_pipe_in_a_programs_place_is_not_waited_for(tmp_path: Path) -> None:
    """In the one thread that starts agents, no other would ever start."""
    os.mkfifo(tmp_path / "tool", 0o755)
    look = "from covend.edges.agents.program import *; find_program('./tool', {}, Path.cwd())"
    done = subprocess.run(
        [sys.executable, "-c", look],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        timeout=SOON,
        check=False,
    )
    assert b"cannot be executed, it is plain text" in done.stderr


async def test_a_missing_workspace_is_not_taken_for_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="workspace") as caught:
        await ran(spec(tmp_path / "gone", "true"))
    assert caught.value.code == "agent"


async def test_a_program_is_not_looked_for_where_it_is_of_an_image(tmp_path: Path) -> None:
    what = spec(tmp_path, "nonesuch-agent", "1", is_elsewhere=True, prefix=("/bin/echo", "run"))
    _, heard = await ran(what)
    assert heard.of() == ["run nonesuch-agent 1"]


async def test_a_program_of_that_name_in_the_checkout_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o755)
    environment = {
        "PATH": f".::bin:{os.environ['PATH']}",
        "COVEND_TASK": "t",
        "COVEND_ATTEMPT": "1",
    }
    with pytest.raises(AgentNotFoundError):
        await ran(spec(tmp_path, "tool", environment=environment))
    exit_, _ = await ran(spec(tmp_path, "./tool"))
    assert exit_.code == 0


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

    what = spec(tmp_path, "sleep", "100")
    one = agent(what)
    monkeypatch.setattr(os, "pidfd_open", fail)
    with pytest.raises(AgentError, match="Too many open files"):
        await one.run(ignore)
    monkeypatch.undo()
    assert is_gone(pids[0])


async def test_a_listener_that_fails_ends_the_agent(tmp_path: Path) -> None:
    class Deaf(Heard):
        def __call__(self, stream: Stream, line: str) -> bool:
            raise ValueError(line)

    what = shell(tmp_path, "echo x; exec sleep 100")
    one = agent(what, Deaf())
    with pytest.raises(ValueError, match="x"):
        await one.run(ignore)
    assert one.exit is not None
    assert is_gone(one.exit.pid)
    assert left_of(what) == []
