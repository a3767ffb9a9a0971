"""Holds the process of one agent by its pidfd, in its tree: starts it behind the gate, signals it,
buries it; everything here blocks, and belongs into a thread.

The thread that starts it stands still from vfork(2) to execve(2), with the interpreter's lock in
its hand; fork(2) would copy the page tables of a large daemon meanwhile, and everything would wait
for that. So nothing here may ask `Popen` for what makes it fork instead: a `preexec_fn`, another
user or another group.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from time import monotonic, sleep

from covend.core.errors import TreeNotEmptyError
from covend.edges import children
from covend.edges.agents.bubblewrap import inner_group
from covend.edges.agents.program import start_gated, why_not
from covend.edges.agents.spec import Spec
from covend.edges.agents.tree import Tree
from covend.edges.proc import start_ticks

REAP_S = 5.0
"""How long the agent itself may take to be gone after SIGKILL."""
LOOK_S = 5.0
"""How long it is tried to look at the tree, where covend is out of file descriptors."""
LOOK_AGAIN_S = 0.1


class Child:
    """A started agent, held back by its gate; `bury` and then `close` are called once each."""

    def __init__(self, spec: Spec, tree: Tree) -> None:
        """Start it, and let the tree adopt it; raises `AgentError`, and leaves nothing then."""
        self._tree = tree
        self._is_held = spec.is_held
        self.left_behind = 0
        """Processes that outlived the agent and were killed."""
        self.unended: tuple[int, ...] = ()
        """Those that even SIGKILL did not end."""
        self.process = start_gated(spec)
        self.pid = self.process.pid
        self.pidfd = -1
        try:
            self.pidfd = os.pidfd_open(self.pid)
            self.ticks = start_ticks(self.pid) or 0
            tree.adopt(self.pid, self.ticks)
        except OSError as error:  # out of file descriptors, for one
            self._abandon()
            raise why_not(spec.argv[0], error) from error

    def has_exited(self) -> bool:
        """Look without reaping."""
        return self._status() is not None

    def was_killed(self) -> bool:
        """Say whether SIGKILL ended it."""
        status = self._status()
        return (
            status is not None
            and status.si_code == os.CLD_KILLED
            and status.si_status == signal.SIGKILL
        )

    def ask(self, number: signal.Signals) -> None:
        """Send a signal to the agent alone, and wake it where it is stopped."""
        if self._is_held:
            self._ask_inside(number)
            return
        with suppress(OSError):
            signal.pidfd_send_signal(self.pidfd, number)
            signal.pidfd_send_signal(self.pidfd, signal.SIGCONT)

    def ask_all(self, number: signal.Signals) -> None:
        """Send a signal to all that the agent has started as well; tools have sessions of their
        own.
        """
        if self._is_held:
            self._ask_inside(number)
        else:
            self._tree.signal(number, everyone=True)

    def bury(self) -> None:
        """Kill what is left of the tree, and reap the agent, whatever goes wrong; bounded."""
        with_agent = 0 if self.has_exited() else 1
        try:
            self.left_behind = max(0, self._kill_tree() - with_agent)
        except (TreeNotEmptyError, OSError):
            self.unended = self._left()
        finally:
            self._reap()

    def _kill_tree(self) -> int:
        until = monotonic() + LOOK_S
        while True:
            try:
                return self._tree.kill()
            except OSError:
                if monotonic() > until:
                    raise
            sleep(LOOK_AGAIN_S)

    def _left(self) -> tuple[int, ...]:
        """Name who is left; the agent stands for those that nobody could see."""
        with suppress(OSError):
            return tuple(sorted(self._tree.members())) or (self.pid,)
        return (self.pid,)

    def _reap(self) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        # Reaped last: until then its pid is ours, and cannot mean another's process.
        if _is_readable_within(self.pidfd, REAP_S):
            self.process.wait()
            children.forget(self.process)

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        os.close(self.pidfd)

    def _ask_inside(self, number: signal.Signals) -> None:
        """Pass by the sandbox's outer process, whose end would be the agent's at once."""
        group = inner_group(self.pid)
        with suppress(OSError):
            os.killpg(group or self.pid, number)
            os.killpg(group or self.pid, signal.SIGCONT)

    def _status(self) -> os.waitid_result | None:
        return os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)

    def _abandon(self) -> None:
        self.process.kill()
        self.process.communicate()
        children.forget(self.process)
        if self.pidfd >= 0:
            os.close(self.pidfd)


def _is_readable_within(descriptor: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
