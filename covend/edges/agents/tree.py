"""Holds the whole process tree of each attempt, and ends it with proof; refuses to touch anybody
else's processes.

Where a cgroup of version 2 can be made, the kernel keeps the tree together. Where not, this process
is a child subreaper and finds the tree among all processes (see `walk`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from threading import Lock

from covend.core.contract.outcome import Exceeded
from covend.core.settings import AgentLimits
from covend.edges import children
from covend.edges.agents.cgroup import NoCgroupError, Place, find_place
from covend.edges.agents.ending import Sight, end_all, end_group, in_groups, whole_groups
from covend.edges.agents.group import Group
from covend.edges.agents.leftovers import Leftover, end_left
from covend.edges.agents.sending import send, send_group
from covend.edges.agents.walk import Members, Walk, nobodys
from covend.edges.children import Survey
from covend.edges.proc import Process, private_bytes, read


class Limit(StrEnum):
    """What can be bounded for a tree."""

    MEMORY = "memory"
    PIDS = "pids"
    CPUS = "cpus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a tree uses at one moment."""

    memory_bytes: int
    """As the kernel counts it for a cgroup, else the sum of what each process has to itself."""
    pids: int


class Containment:
    """How this daemon holds trees; made once by `probe`, knows every tree that is open."""

    def __init__(self, place: Place | str, *, is_subreaper: bool) -> None:
        """Hold trees by cgroups in this place, or without, for the reason that is given."""
        self._place = place if isinstance(place, Place) else None
        self._why_none = place if isinstance(place, str) else ""
        self._is_subreaper = is_subreaper
        self._lock = Lock()
        self._open: dict[str, Tree] = {}

    def tree(self, name: str, limits: AgentLimits) -> Tree:
        """Make an empty tree; `name` is TASK-NUMBER of the attempt. Never fails: where no cgroup
        can be made now, this tree is walked.
        """
        assert name not in self._open, "a tree has a name of its own"
        # Together: a cgroup that nobody is known to have would be ended as a leftover.
        with self._lock:
            self._open[name] = tree = Tree(name, limits, self._group(name), self)
        return tree

    def describe(self) -> Mapping[str, str]:
        """Say how trees are held (`trees`), and how each limit is (`memory`, `pids`, `cpus`):
        "cgroup", "watched" or "not enforced: why".
        """
        return {"trees": self._how(), **{limit.value: self._how_bounded(limit) for limit in Limit}}

    def enforces(self, limit: Limit) -> bool:
        """Say whether a limit is held at all, by the kernel or by watching."""
        return limit is not Limit.CPUS or self._why_not(limit) is None

    def end_left(self, leftovers: Sequence[Leftover]) -> int:
        """End what attempts of a former daemon left running, and every cgroup of this owner that
        is not an open tree's; says how many processes that were, blocks.

        Raises TreeNotEmptyError with the pids that the kernel does not let go.
        """
        with self._lock:
            return end_left(leftovers, self._place, set(self._open))

    def close(self) -> None:
        """Leave nothing behind on this machine, once every tree is closed."""
        if self._place is not None:
            self._place.remove()

    def open_trees(self) -> list[Tree]:
        return list(self._open.values())

    def forget(self, tree: Tree) -> None:
        with self._lock:
            self._open.pop(tree.name, None)

    def _group(self, name: str) -> Group | None:
        with suppress(OSError):
            return self._place.group(name) if self._place else None
        return None

    def _how(self) -> str:
        if self._place is not None:
            return f"cgroup v2 at {self._place.path}"
        means = "subreaper and marker" if self._is_subreaper else "marker, and no subreaper"
        return f"{means}: {self._why_none}"

    def _how_bounded(self, limit: Limit) -> str:
        why_not = self._why_not(limit)
        if why_not is None:
            return "cgroup"
        return f"not enforced: {why_not}" if limit is Limit.CPUS else "watched"

    def _why_not(self, limit: Limit) -> str | None:
        return self._why_none if self._place is None else self._place.refusals.get(limit)


class Tree:
    """The processes of one attempt; every method may be called from any thread, and blocks."""

    def __init__(
        self, name: str, limits: AgentLimits, group: Group | None, containment: Containment
    ) -> None:
        """Made by `Containment.tree`."""
        self.name = name
        self._limits = limits
        self._group = group
        self._held = group.bound(limits) if group else frozenset()
        self._containment = containment
        task, _, attempt = name.rpartition("-")
        self._walk = Walk(task, int(attempt))

    @property
    def cgroup(self) -> str | None:
        """The absolute path of its cgroup, or None."""
        return str(self._group.path) if self._group else None

    def adopt(self, pid: int, ticks: int) -> None:
        """Take the agent in, before it does anything; once. One that is gone by now is no error."""
        process = read(pid)
        if process is None or process.ticks != ticks:
            return
        assert process.parent == os.getpid(), "an agent is a child of this process"
        self._walk.adopt(process)
        try:
            if self._group is not None:
                self._group.add(pid)
        except OSError:
            self._walk_only()

    def signal(self, number: int, *, everyone: bool = False) -> None:
        """Send a signal to the agent's process group, or to every member; wakes what is stopped, so
        that it can obey.
        """
        root = self._walk.root
        if root is None:
            return
        survey, members = self._look()
        # With everyone in the group, also one that is forked just now; else just the agent.
        if root.pid in whole_groups(survey, members):
            send_group(root.pid, number)
        elif root.pid in members:
            send(root, number)
        for process in members.values():
            if everyone and process.group != root.pid:
                send(process, number)

    def members(self) -> frozenset[int]:
        """Give the pids of all that live."""
        return frozenset(self._look()[1])

    def usage(self) -> Usage:
        members = self.members()
        counted = self._group.memory_bytes() if self._group else None
        if counted is None:
            counted = sum(private_bytes(pid) for pid in members)
        return Usage(memory_bytes=counted, pids=len(members))

    def exceeded(self) -> Exceeded | None:
        """Say which limit the tree is over, or was ended for by the kernel."""
        if self._group is not None and self._group.ran_out_of_memory():
            return Exceeded.MEMORY
        watched = {
            Exceeded.MEMORY: self._limits.memory_bytes,
            Exceeded.PIDS: self._limits.pids,
        }
        for held in self._held & set(watched):
            del watched[Exceeded(held)]
        return self._over(watched) if any(watched.values()) else None

    def kill(self) -> int:
        """Kill every member, prove that none is left, and say how many were killed; bounded.

        Strays of nobody are ended with it: a process that has wiped its marker, left its session
        and lost its parents cannot be told from another tree's that did the same.
        Raises TreeNotEmptyError with the pids that the kernel does not let go.
        """
        return self._kill_group() + end_all(self._look_with_nobodys)

    def close(self) -> None:
        """Forget the tree and remove its cgroup; after `kill`. One that is busy stays, and is
        removed at the next start.
        """
        self._containment.forget(self)
        if self._group is not None:
            with suppress(OSError):
                self._group.remove()

    def find(self, survey: Survey) -> Members:
        """Give the members among what was seen."""
        groups = [self._group] if self._group else []
        return self._walk.find(survey) | in_groups(groups, survey)

    def claims(self, process: Process) -> bool:
        """Say whether a process is one of this tree by itself, not by its parents."""
        return self._walk.is_tied(process) or (
            self._group is not None and process.pid in self._group.pids()
        )

    def _kill_group(self) -> int:
        if self._group is None or not self._group.is_populated():
            return 0
        survey, _ = self._look()  # before parents die, by whom others are found
        return end_group(self._group, survey)

    def _look(self) -> tuple[Survey, Members]:
        survey = children.survey()
        return survey, self.find(survey)

    def _look_with_nobodys(self) -> Sight:
        survey, mine = self._look()
        spare = partial(self._is_elsewhere, survey.started)
        if not survey.strays - set(mine):
            return Sight(survey=survey, members=mine, spare=spare)
        held = set(mine)
        for tree in self._others():
            held |= set(tree.find(survey))
        return Sight(survey=survey, members=mine | nobodys(survey, held), spare=spare)

    def _is_elsewhere(self, started: frozenset[int], process: Process) -> bool:
        """Say whether a stray is of another tree, or of another child that lives."""
        # Asked of what may be gone in a moment: nothing is read where nobody else is open.
        is_others = any(tree.claims(process) for tree in self._others())
        return (is_others or process.session in started) and not self.claims(process)

    def _walk_only(self) -> None:
        assert self._group is not None
        with suppress(OSError):
            self._group.remove()
        self._group, self._held = None, frozenset()

    def _others(self) -> list[Tree]:
        return [tree for tree in self._containment.open_trees() if tree is not self]

    def _over(self, watched: Mapping[Exceeded, int | None]) -> Exceeded | None:
        usage = self.usage()
        used = {Exceeded.MEMORY: usage.memory_bytes, Exceeded.PIDS: usage.pids}
        over = [each for each, limit in watched.items() if limit is not None and used[each] > limit]
        return over[0] if over else None


def probe(owner: str) -> Containment:
    """Find out how trees can be held on this machine; blocks, never fails.

    `owner` is a short stable id of the state directory: letters, digits, "-" and "_".
    """
    is_subreaper = children.become_subreaper()
    try:
        return Containment(find_place(owner), is_subreaper=is_subreaper)
    except NoCgroupError as error:
        return Containment(str(error), is_subreaper=is_subreaper)
