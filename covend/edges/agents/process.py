"""Runs one agent: start, gate, feed, watch, deadline, and always an end; leaves no process behind.

Every way out is one path: the stop signal, SIGTERM, the grace, SIGKILL for the whole tree, and the
proof that it is empty. Who else wants an end, and why, is not its business: that is a cancel scope
around it. Whatever blocks is done in a thread, and the agent is awaited through a pidfd: that holds
the event loop up least.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from math import inf
from typing import TypeVar

import anyio
import anyio.lowlevel

from covend.core.contract.outcome import Exceeded, Exit, StopReason
from covend.edges.agents.child import Child
from covend.edges.agents.pipes import OnLine, Pipes
from covend.edges.agents.program import SHORTAGES
from covend.edges.agents.spec import Spec
from covend.edges.agents.threads import in_starter, in_thread
from covend.edges.agents.tree import Tree

GENTLE_S = 5.0
"""How long a signal to the agent alone is given, at most half of the grace."""
DRAIN_S = 0.5
"""How long output is still read after the end."""
WATCH_S = 1.0
"""How often the tree is compared with its limits; sooner at first, beginning with ..."""
WATCH_FIRST_S = 0.05

OnStart = Callable[[int, int], Awaitable[None]]
"""(pid, start ticks)"""
_T = TypeVar("_T")


class Agent:
    """One agent and all that it starts; `run` is called once.

    `exit` is known as soon as a started agent has ended, also where `run` was cancelled.
    """

    def __init__(self, spec: Spec, tree: Tree, on_line: OnLine) -> None:
        """Hold the agent in `tree`, which is closed with it."""
        self.exit: Exit | None = None
        self._spec = spec
        self._tree = tree
        self._on_line = on_line
        self._life: _Life | None = None

    def stop(self, reason: StopReason) -> None:
        """Ask an agent that runs to end, as at the end of its time; `exit.stopped` says the reason.

        The first reason counts; nothing happens where it has ended, or was not started yet.
        """
        if self._life is not None:
            self._life.stop(reason)

    async def run(self, on_start: OnStart) -> Exit:
        """Run the agent to its end: by itself, a timeout, a limit, `stop`, or by cancellation.

        Raises `AgentError` where it cannot start. It runs only once `on_start` has returned; what
        that or `OnLine` raises ends the agent and goes on to the caller.

        Cancellation waits for the end: the grace and a few seconds at most. `exit.stopped` is then
        INTERRUPTED, unless the agent had ended by itself already; whoever cancels knows the reason.
        """
        try:
            await anyio.lowlevel.checkpoint_if_cancelled()
            with anyio.CancelScope(shield=True):
                child = await in_starter(partial(Child, self._spec, self._tree))
            life = self._life = _Life(child, self._spec, self._tree, self._on_line)
            try:
                await life.live(on_start)
            finally:
                self.exit = life.exit()
                child.close()
        finally:
            if self.exit is None or not self.exit.unended:
                with anyio.CancelScope(shield=True):
                    await in_thread(self._tree.close)
        return self.exit


class _Life:
    """A started agent, from before its gate opens until nothing is left of it."""

    def __init__(self, child: Child, spec: Spec, tree: Tree, on_line: OnLine) -> None:
        self._child = child
        self._spec = spec
        self._tree = tree
        self._pipes = Pipes(child.process, spec, on_line)
        self._attendance = anyio.CancelScope(shield=True)
        self._looks = anyio.Lock()
        self._is_open = False
        self._deadline = inf
        self._over = anyio.Event()
        """It shall end, or has."""
        self._final = anyio.Event()
        """It has ended, or shall without any grace."""
        self._stopped: StopReason | None = StopReason.INTERRUPTED
        self._asked: StopReason | None = None
        self._exceeded: Exceeded | None = None
        self._failure: Exception | None = None

    async def live(self, on_start: OnStart) -> None:
        """Attend to the agent until its end, which is one whatever happens."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._attend)
            try:
                await on_start(self._child.pid, self._child.ticks)
                self._open_gate()
                self._stopped = await self._until_over()
            except Exception as error:  # noqa: BLE001  raised below, without a group around it
                self._failure = error
            finally:
                try:
                    with anyio.CancelScope(shield=True):
                        await self._end()
                finally:
                    self._attendance.cancel()
        if self._failure is not None:
            raise self._failure

    def stop(self, reason: StopReason) -> None:
        if not self._over.is_set():
            self._asked = reason
            self._over.set()

    def exit(self) -> Exit:
        status = self._child.process.returncode
        is_signal = status is not None and status < 0
        return Exit(
            code=None if is_signal else status,
            signal=_name_of(-status) if is_signal else None,
            stopped=self._stopped,
            exceeded=self._exceeded,
            pid=self._child.pid,
            start_ticks=self._child.ticks,
            left_behind=self._child.left_behind,
            unended=self._child.unended,
        )

    def _open_gate(self) -> None:
        """Let the agent run; its time begins."""
        self._is_open = True
        self._deadline = anyio.current_time() + self._spec.timeout_s
        self._pipes.open_gate()

    # --- beside it ---

    async def _attend(self) -> None:
        """Do what goes on until the very end, also through a cancellation; its own is the last
        step.
        """
        pipes = self._pipes
        steps = (self._await_exit, self._watch, pipes.feed, pipes.read_output, pipes.read_errors)
        with self._attendance:
            async with anyio.create_task_group() as group:
                for step in steps:
                    group.start_soon(self._take, step)

    async def _take(self, step: Callable[[], Awaitable[None]]) -> None:
        """Take a step; where it fails the agent ends, and the other steps go on until then."""
        try:
            await step()
        except Exception as error:  # noqa: BLE001  raised by `live`
            self._failure = self._failure or error
            self._over.set()

    async def _await_exit(self) -> None:
        await anyio.wait_readable(self._child.pidfd)
        self._over.set()
        self._final.set()

    async def _watch(self) -> None:
        """Compare the tree with its limits, until it is over one; each look also remembers who was
        there.
        """
        pause = WATCH_FIRST_S
        while not self._final.is_set() and not await self._is_over_a_limit():
            await anyio.sleep(pause)
            pause = min(2 * pause, WATCH_S)
        self._over.set()
        self._final.set()

    async def _is_over_a_limit(self) -> bool:
        try:
            exceeded = await self._in_thread(self._tree.exceeded)
        except OSError as error:
            if error.errno not in SHORTAGES:
                raise
            return False  # the next look may see again
        self._exceeded = self._exceeded or exceeded
        return exceeded is not None

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
        return self._asked

    def _silent_until(self) -> float:
        return self._pipes.heard_at + (self._spec.idle_timeout_s or inf)

    # --- its end ---

    async def _end(self) -> None:
        """Stop the agent if it still runs, and bury it with all that it has left."""
        if self._child.has_exited():
            await self._look_at_the_exit()
        elif self._is_open and not self._final.is_set():
            await self._ask_to_stop()
        await self._in_thread(self._child.bury)
        with anyio.move_on_after(DRAIN_S):
            await self._pipes.drained.wait()

    async def _look_at_the_exit(self) -> None:
        """What ended by itself was not stopped; where the kernel killed it, look whether for a
        limit.
        """
        if self._is_open:
            self._stopped = None
        if self._child.was_killed():
            await self._is_over_a_limit()

    async def _ask_to_stop(self) -> None:
        for ask, number, seconds in self._requests():
            with suppress(OSError):  # out of file descriptors: what is polite may fail
                await in_thread(partial(ask, number))
            with anyio.move_on_after(seconds):
                await self._final.wait()
            if self._final.is_set():
                return

    def _requests(self) -> Iterator[tuple[Callable[[signal.Signals], None], signal.Signals, float]]:
        first, grace = signal.Signals[self._spec.stop_signal], self._spec.grace_s
        gentle = 0.0 if first is signal.SIGTERM else min(GENTLE_S, grace / 2)
        if gentle:
            yield self._child.ask, first, gentle
        yield self._child.ask_all, signal.SIGTERM, grace - gentle

    async def _in_thread(self, look: Callable[[], _T]) -> _T:
        """Look at the tree, or change it; one at a time."""
        async with self._looks:
            return await in_thread(look)


def _name_of(number: int) -> str:
    """Name a signal; those between SIGRTMIN and SIGRTMAX have no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"
