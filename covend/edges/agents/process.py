"""Runs one agent: start, feed, wait, deadline, and always an end; leaves neither zombie nor group
behind.

The environment is exactly what it is given. Processes that leave the agent's process group (double
fork and setsid) are not followed here. Started with `Popen` in a thread and awaited through a
pidfd, because that holds the event loop up least.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import IO

import anyio
import anyio.lowlevel
import anyio.to_thread

from covend.core.contract.outcome import Exit, StopReason
from covend.core.errors import AgentArgumentsError, AgentError, AgentNotFoundError
from covend.core.redact import Redactor
from covend.edges.agents.leftovers import KILL_WAIT_S, start_ticks
from covend.edges.agents.output import Lines, Stream

GENTLE_S = 5.0
"""How long a first signal that is not SIGTERM is given, at most half of the grace."""
DRAIN_S = 0.5
"""How long output is still read after the exit: a grandchild that holds it open holds nothing else
up.
"""
CHUNK = 1 << 16
LINES_MAX = 100
"""How many lines are told at once: everything else goes on between, however many there are."""

OnStart = Callable[[int, int], Awaitable[None]]
"""(pid, start ticks)"""
OnLine = Callable[[Stream, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What to run; `stdin` None closes standard input, `secrets` are taken out of every line."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: Path
    stdin: bytes | None
    timeout_s: float
    idle_timeout_s: float = 0.0
    """Without any output; 0 switches it off."""
    stop_signal: str = "SIGTERM"
    grace_s: float = 10.0
    secrets: tuple[str, ...] = ()


class Stop:
    """A request to end an agent from elsewhere; the first reason counts."""

    def __init__(self) -> None:
        self.reason: StopReason | None = None
        self._asked = anyio.Event()

    def request(self, reason: StopReason) -> None:
        self.reason = self.reason or reason
        self._asked.set()

    async def wait(self) -> None:
        await self._asked.wait()


async def run(spec: Spec, *, on_start: OnStart, on_line: OnLine, stop: Stop | None = None) -> Exit:
    """Run the agent to its end, by itself or by timeout, `stop` or cancellation; raises
    `AgentError`.

    Every way out passes through the same end: the stop signal, SIGTERM, and after the grace
    SIGKILL, all to the process group; then the agent is reaped. `on_start` runs beside the agent
    and is waited for; where it raises, the agent is ended and the error goes on.

    Cancellation waits for the end, which takes at most the grace and a few seconds. To learn what a
    stopped agent has cost, use `stop` instead of cancelling.
    """
    with anyio.CancelScope(shield=True):
        process, pidfd = await anyio.to_thread.run_sync(_start, spec)
    agent = _Running(spec, process, pidfd, on_line, stop or Stop())
    try:
        return await agent.live_beside(on_start)
    finally:
        with anyio.CancelScope(shield=True):
            await agent.end()
        agent.close()


class _Running:
    """A started agent; `live_beside` and then `end` are called once each, whatever happens."""

    def __init__(
        self,
        spec: Spec,
        process: subprocess.Popen[bytes],
        pidfd: int,
        on_line: OnLine,
        stop: Stop,
    ) -> None:
        self.pid = process.pid
        self.start_ticks = start_ticks(process.pid) or 0
        self._spec = spec
        self._process = process
        self._pidfd = pidfd
        self._on_line = on_line
        self._stop = stop
        self._over = anyio.Event()
        self._is_abandoned = False
        self._is_ended = False
        self._deadline = anyio.current_time() + spec.timeout_s
        self._heard_at = anyio.current_time()

    async def live_beside(self, on_start: OnStart) -> Exit:
        """Live while its start is told, which takes as long as a held store; ends where that
        fails.
        """
        refusals: list[Exception] = []
        life = anyio.CancelScope()

        async def announce() -> None:
            try:
                await on_start(self.pid, self.start_ticks)
            except Exception as error:  # noqa: BLE001  raised below, without a group around it
                refusals.append(error)
                life.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(announce)
            with life:
                ended = await self._live()
        if refusals:
            raise refusals[0]
        return ended

    async def _live(self) -> Exit:
        async with anyio.create_task_group() as group:
            group.start_soon(self._mind_cancellation)
            with anyio.CancelScope(shield=True):
                ended = await self._attend()
            group.cancel_scope.cancel()
        await anyio.lowlevel.checkpoint_if_cancelled()
        return ended

    async def end(self) -> None:
        """Stop the agent if it still runs, kill what is left of its group, and reap it."""
        if self._is_ended:
            return
        self._is_ended = True
        if not self._has_exited():
            await self._ask_to_stop()
        # Its pid is ours until it is reaped, so the group's number cannot mean another one yet.
        self._signal(signal.SIGKILL)
        if await self._has_exited_within(KILL_WAIT_S):
            self._process.wait()

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        os.close(self._pidfd)

    async def _attend(self) -> Exit:
        async with anyio.create_task_group() as group:
            silent = anyio.Event()
            for step in (self._watch, self._heed, self._feed):
                group.start_soon(step)
            group.start_soon(self._read_all, silent)
            stopped = await self._until_over()
            await self.end()
            with anyio.move_on_after(DRAIN_S):
                await silent.wait()
            group.cancel_scope.cancel()
        return self._exit(stopped)

    # --- what can end it ---

    async def _until_over(self) -> StopReason | None:
        while not self._over.is_set():
            with anyio.move_on_at(min(self._deadline, self._silent_until())):
                await self._over.wait()
            if self._over.is_set():
                break
            if anyio.current_time() >= self._deadline:
                return StopReason.TIMED_OUT
            if anyio.current_time() >= self._silent_until():
                return StopReason.IDLE_TIMED_OUT
        if self._has_exited():
            return None
        return self._stop.reason or (StopReason.INTERRUPTED if self._is_abandoned else None)

    def _silent_until(self) -> float:
        return self._heard_at + (self._spec.idle_timeout_s or inf)

    async def _watch(self) -> None:
        await anyio.wait_readable(self._pidfd)
        self._over.set()

    async def _heed(self) -> None:
        await self._stop.wait()
        self._over.set()

    async def _mind_cancellation(self) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            self._is_abandoned = True
            self._over.set()

    # --- its pipes ---

    async def _feed(self) -> None:
        pipe = self._process.stdin
        if pipe is None:
            return
        rest = memoryview(self._spec.stdin or b"")
        # An agent need not read its prompt to the end.
        with suppress(BrokenPipeError, ConnectionResetError):
            while rest:
                await anyio.wait_writable(pipe)
                with suppress(BlockingIOError):
                    rest = rest[os.write(pipe.fileno(), rest[:CHUNK]) :]
        pipe.close()

    async def _read_all(self, silent: anyio.Event) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._read, Stream.OUT, self._process.stdout)
            group.start_soon(self._read, Stream.ERROR, self._process.stderr)
        silent.set()

    async def _read(self, stream: Stream, pipe: IO[bytes] | None) -> None:
        assert pipe is not None
        redactor, lines = Redactor(self._spec.secrets), Lines()
        try:
            while chunk := await _chunk(pipe):
                self._heard_at = anyio.current_time()
                await self._tell(stream, lines.feed(redactor.feed(chunk)))
        finally:
            await self._tell(stream, lines.feed(redactor.finish()))
            await self._tell(stream, lines.finish())

    async def _tell(self, stream: Stream, lines: Iterator[str]) -> None:
        """Tell all of them, whatever is cancelled meanwhile: what was read is not lost."""
        for number, line in enumerate(lines, 1):
            self._on_line(stream, line)
            if number % LINES_MAX == 0:
                await anyio.lowlevel.cancel_shielded_checkpoint()

    # --- its end ---

    async def _ask_to_stop(self) -> None:
        for number, seconds in self._requests():
            self._signal(number)
            if await self._has_exited_within(seconds):
                return

    def _requests(self) -> Iterator[tuple[signal.Signals, float]]:
        first, grace = signal.Signals[self._spec.stop_signal], self._spec.grace_s
        gentle = 0.0 if first is signal.SIGTERM else min(GENTLE_S, grace / 2)
        if gentle:
            yield first, gentle
        yield signal.SIGTERM, grace - gentle

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def _has_exited_within(self, seconds: float) -> bool:
        # A descriptor of its own: only one task at a time may wait for one.
        pidfd = os.dup(self._pidfd)
        try:
            with anyio.move_on_after(seconds):
                await anyio.wait_readable(pidfd)
        finally:
            os.close(pidfd)
        return self._has_exited()

    def _has_exited(self) -> bool:
        """Look without reaping."""
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PIDFD, self._pidfd, how) is not None

    def _exit(self, stopped: StopReason | None) -> Exit:
        status = self._process.returncode
        is_signal = status is not None and status < 0
        return Exit(
            code=None if is_signal else status,
            signal=signal.Signals(-status).name if is_signal else None,
            stopped=stopped,
            pid=self.pid,
            start_ticks=self.start_ticks,
        )


async def _chunk(pipe: IO[bytes]) -> bytes:
    while True:
        await anyio.wait_readable(pipe)
        with suppress(BlockingIOError):
            return os.read(pipe.fileno(), CHUNK)


def _start(spec: Spec) -> tuple[subprocess.Popen[bytes], int]:
    process = _popen(spec)
    try:
        pidfd = os.pidfd_open(process.pid)
    except OSError as error:  # out of file descriptors
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise _start_error(spec, error) from error
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            os.set_blocking(pipe.fileno(), False)
    return process, pidfd


def _popen(spec: Spec) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            spec.argv,
            bufsize=0,
            stdin=subprocess.DEVNULL if spec.stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=spec.cwd,
            env=dict(spec.environment),
            start_new_session=True,
        )
    except OSError as error:
        raise _start_error(spec, error) from error
    except ValueError as error:
        mend = "pass the prompt by standard input"
        raise AgentArgumentsError(f"a NUL stands in the agent's command line: {mend}") from error


def _start_error(spec: Spec, error: OSError) -> AgentError:
    program = spec.argv[0]
    if not spec.cwd.is_dir():
        return AgentError(f"the workspace {spec.cwd} is not there")
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            path = spec.environment.get("PATH", "")
            return AgentNotFoundError(f"no program {program!r} on the agent's PATH ({path})")
        case errno.EACCES | errno.ENOEXEC:
            return AgentNotFoundError(f"{program!r} cannot be executed: {error.strerror}")
        case errno.E2BIG:
            mend = "take {prompt} out of its command, then the prompt comes by standard input"
            return AgentArgumentsError(f"the agent's command line is too long: {mend}")
        case _:
            return AgentError(f"{program!r} could not be started: {error.strerror}")
