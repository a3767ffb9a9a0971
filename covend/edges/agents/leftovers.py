"""Ends what the attempts of a former daemon left running; refuses a pid that has come to mean
another process, and a cgroup that cannot be one of covend's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from covend.edges import children
from covend.edges.agents.cgroup import Place
from covend.edges.agents.ending import Sight, end_all, end_group, in_groups
from covend.edges.agents.group import Group
from covend.edges.agents.walk import Walk
from covend.edges.proc import boot_id, read


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """What was written down of an attempt; None where it did not get that far."""

    task: str
    attempt: int
    pid: int | None = None
    ticks: int | None = None
    boot_id: str | None = None
    cgroup: str | None = None

    @property
    def name(self) -> str:
        """Of its tree."""
        return f"{self.task}-{self.attempt}"


def end_left(leftovers: Sequence[Leftover], place: Place | None, busy: Collection[str]) -> int:
    """Kill them all together, with all else in the place, and say how many processes that were;
    blocks. The trees that are `busy`, by name, are this daemon's own and left alone.

    Raises TreeNotEmptyError with the pids that the kernel does not let go.
    """
    wanted = [leftover for leftover in leftovers if leftover.name not in busy]
    groups = _groups(wanted, place, busy)
    walks = [_walk(leftover) for leftover in wanted]

    def look() -> Sight:
        survey = children.survey()
        found = in_groups(groups, survey)
        for walk in walks:
            found |= walk.find(survey)
        return Sight(survey=survey, members=found)

    survey = look().survey  # before parents die, by whom others are found
    count = sum(end_group(group, survey) for group in groups)
    count += end_all(look)
    for group in groups:
        with suppress(OSError):
            group.remove()
    return count


def _groups(
    leftovers: Sequence[Leftover], place: Place | None, busy: Collection[str]
) -> list[Group]:
    """Give what was written down and what lies there, each once."""
    if place is None:
        return []
    found = [*_recorded(leftovers, place), *place.groups()]
    return list({group.path: group for group in found if group.path.name not in busy}.values())


def _recorded(leftovers: Sequence[Leftover], place: Place) -> Iterator[Group]:
    boot = boot_id()
    for leftover in leftovers:
        if leftover.cgroup is not None and leftover.boot_id == boot:
            group = place.recorded(leftover.cgroup)
            if group is not None:
                yield group


def _walk(leftover: Leftover) -> Walk:
    walk = Walk(leftover.task, leftover.attempt)
    if leftover.pid is None or leftover.boot_id != boot_id():
        return walk
    process = read(leftover.pid)
    if process is not None and process.ticks == leftover.ticks:
        walk.adopt(process)
    return walk
