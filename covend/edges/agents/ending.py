"""Kills all that a look finds, however it forks meanwhile, and looks again until nothing is found;
refuses to go on for ever.

First everything is stopped, until a look finds nothing new: what is stopped does not fork. Whole
process groups are stopped at once, since the kernel lets no fork slip through that (a process with
a signal waiting does not fork). Then everything is killed and waited for.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic

from covend.core.errors import TreeNotEmptyError
from covend.edges import children
from covend.edges.agents.group import Group
from covend.edges.agents.sending import send, send_group, wait_gone
from covend.edges.agents.walk import Members, protected
from covend.edges.children import Survey
from covend.edges.proc import Process, read

END_S = 5.0
"""How long it may take the kernel to let everything go."""
ROUNDS_MAX = 50
"""How often new ones are looked for before what was found is killed."""
NAMED_MAX = 10
"""How many pids stand in a message."""

CHASE_S = 0.2
"""How long children may not be started because strays are chased."""

Identities = set[tuple[int, int]]
"""(pid, start ticks)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a look sees: everything, and of that what shall end."""

    survey: Survey
    members: Members
    spare: Callable[[Process], bool] = field(default=lambda _: True)
    """What must live of the strays that turn up now."""


Look = Callable[[], Sight]


def end_all(look: Look, limit_s: float = END_S) -> int:
    """Kill until a look finds nothing, and say how many were killed; blocks.

    Where strays have died that nobody had seen alive, something may fork and leave faster than all
    processes can be looked at: then strays are chased before the next look.
    Raises TreeNotEmptyError with the pids that are left when the time is over.
    """
    until, chased = monotonic() + limit_s, 0
    ended: Identities = set()
    while True:
        sight = _stop(look, ended)
        if not sight.members and not _left_unseen(sight, ended):
            return len(ended) + chased
        if monotonic() > until:
            raise _not_empty(sight.members)
        _kill(sight.members, until)
        if not sight.members:
            chased += children.chase(CHASE_S, sight.spare)


def end_group(group: Group, survey: Survey) -> int:
    """Let the kernel kill a cgroup at once, and say how many were in it."""
    inside = group.pids()
    # An agent that is root may have moved anybody in: what must live is never killed with the
    # rest, which is then left to `end_all`. Who is above this process can only become fewer.
    if inside & protected(survey):
        return 0
    group.kill()
    return len(inside)


def in_groups(groups: Iterable[Group], survey: Survey) -> Members:
    """Give what lives in these cgroups by now, without what must live."""
    pids = {pid for group in groups for pid in group.pids()}
    found = [read(pid) for pid in pids - protected(survey)]
    return {each.pid: each for each in found if each is not None and each.is_alive}


def whole_groups(survey: Survey, members: Members) -> set[int]:
    """Give the process groups that have nobody else in them."""
    everybody = Counter(each.group for each in survey.processes.values() if each.is_alive)
    inside = Counter(each.group for each in members.values())
    return {group for group, count in inside.items() if group > 1 and everybody[group] == count}


def _left_unseen(sight: Sight, ended: Identities) -> bool:
    """Say whether a stray has died that was nobody's to end, yet not ended here."""
    dead = sight.survey.buried
    return any(_identity(each) not in ended and not sight.spare(each) for each in dead)


def _kill(members: Members, until: float) -> None:
    for process in members.values():
        send(process, signal.SIGKILL)
    wait_gone(members.values(), until)


def _stop(look: Look, ended: Identities) -> Sight:
    """Stop all that is found until nothing new is; gives the last look."""
    stopped: Identities = set()
    sight = look()
    for _ in range(ROUNDS_MAX):
        new = {pid: it for pid, it in sight.members.items() if _identity(it) not in stopped}
        if not new:
            break
        _stop_all(new, whole_groups(sight.survey, sight.members))
        stopped |= {_identity(process) for process in new.values()}
        sight = look()
    ended |= stopped
    return sight


def _stop_all(new: Members, whole: set[int]) -> None:
    for group in whole & {process.group for process in new.values()}:
        send_group(group, signal.SIGSTOP)
    for process in new.values():
        if process.group not in whole:
            send(process, signal.SIGSTOP)


def _identity(process: Process) -> tuple[int, int]:
    return process.pid, process.ticks


def _not_empty(members: Members) -> TreeNotEmptyError:
    pids = sorted(members)
    if not pids:
        mend = "set the agent's `limits.pids`, or give covend a cgroup of its own"
        return TreeNotEmptyError(f"an agent forks faster than it can be ended; {mend}", pids=[])
    named = ", ".join(map(str, pids[:NAMED_MAX])) + (" …" if len(pids) > NAMED_MAX else "")
    mend = "`ps -o pid,user,state,wchan -p PID` says what holds each"
    return TreeNotEmptyError(f"processes of an agent outlive SIGKILL: {named}; {mend}", pids=pids)
