"""Finds the processes of one tree among all by what ties them to it; refuses what only looks like
it, and touches nothing.

A process belongs to a tree when it is the agent or was found before, when its parent belongs to it,
when it is in a session that one of the tree began, or when it carries the attempt's marker in its
environment. Never: this process, its ancestors and its session, another child of it, and what was
there before the agent. Only the last tie can be forged, and then only by an agent for its own.

A process that has wiped its marker, left its session and lost its parents belongs to nobody. As the
daemon is a subreaper it is a stray by then, and nobody's processes do not live on: they are
`nobodys`, to be ended with the next tree that is.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from threading import Lock

from covend.edges.children import Survey
from covend.edges.proc import Process, ancestors, environment

MARKER = "COVEND_TASK"
ATTEMPT_MARKER = "COVEND_ATTEMPT"
Members = dict[int, Process]
"""Living processes by their pid."""

_INIT = 1


class Walk:
    """What is known of one tree's processes; what it finds it remembers."""

    def __init__(self, task: str, attempt: int) -> None:
        """Look for the marker of this attempt."""
        self._marker = frozenset(
            [f"{MARKER}={task}".encode(), f"{ATTEMPT_MARKER}={attempt}".encode()]
        )
        self._lock = Lock()
        self._root: Process | None = None
        self._known: dict[int, int] = {}
        """Start ticks by pid."""
        self._sessions: frozenset[int] = frozenset()
        """Begun by a member: such a number means this session as long as anybody is in it."""

    @property
    def root(self) -> Process | None:
        return self._root

    def adopt(self, root: Process) -> None:
        """Begin with the agent; once."""
        with self._lock:
            assert self._root is None, "a tree has one root"
            self._root = root
            self._known[root.pid] = root.ticks
            if root.session == root.pid:
                self._sessions |= {root.session}

    def find(self, survey: Survey) -> Members:
        """Give the members that live, and remember them."""
        allowed = self._allowed(survey)
        with self._lock:
            self._forget_ended(survey)
            first = [each for each in allowed.values() if self.is_tied(each, survey.environment)]
            found = closure(first, allowed)
            self._remember(found.values())
        return {pid: process for pid, process in found.items() if process.is_alive}

    def is_tied(
        self, process: Process, look: Callable[[int], frozenset[bytes]] = environment
    ) -> bool:
        """Say whether a process is known, in a session of the tree, or carries its marker, which
        `look` reads.
        """
        return (
            self._known.get(process.pid) == process.ticks
            or process.session in self._sessions
            or self._marker <= look(process.pid)
        )

    def _allowed(self, survey: Survey) -> Members:
        since = 0 if self._root is None else self._root.ticks
        own = set() if self._root is None else {self._root.pid}
        barred = protected(survey) | (survey.started - own)
        session = os.getsid(0)
        return {
            pid: process
            for pid, process in survey.processes.items()
            if pid not in barred and process.ticks >= since and process.session != session
        }

    def _forget_ended(self, survey: Survey) -> None:
        seen = survey.processes
        self._known = {
            pid: ticks
            for pid, ticks in self._known.items()
            if pid in seen and seen[pid].ticks == ticks
        }
        self._sessions &= {process.session for process in seen.values()}

    def _remember(self, found: Iterable[Process]) -> None:
        for process in found:
            self._known[process.pid] = process.ticks
            if process.session == process.pid:
                self._sessions |= {process.pid}


def closure(first: Iterable[Process], allowed: Mapping[int, Process]) -> Members:
    """Give these, all that descend from them, and all in the sessions that any of them leads."""
    children, sessions = defaultdict(list), defaultdict(list)
    for process in allowed.values():
        children[process.parent].append(process)
        sessions[process.session].append(process)
    found: Members = {}
    ahead = list(first)
    while ahead:
        process = ahead.pop()
        if process.pid in found:
            continue
        found[process.pid] = process
        ahead += children[process.pid]
        if process.session == process.pid:
            ahead += sessions[process.pid]
    return found


def nobodys(survey: Survey, held: Collection[int]) -> Members:
    """Give the strays that are not `held` by a tree nor in the session of a child that lives, and
    what descends from them.
    """
    barred = protected(survey) | survey.started | set(held)
    allowed = {pid: each for pid, each in survey.processes.items() if pid not in barred}
    first = [
        allowed[pid]
        for pid in survey.strays
        if pid in allowed and allowed[pid].session not in survey.started
    ]
    found = closure(first, allowed)
    return {pid: process for pid, process in found.items() if process.is_alive}


def protected(survey: Survey) -> set[int]:
    """Give who is never ended, whatever they carry: this process and all above it."""
    own = os.getpid()
    return {own, _INIT, *ancestors(own, survey.processes)}
