"""What attempts print, for those who read it: a page, or on and on until the attempt has ended.

Refuses to hold anything up or to keep anything in memory: everybody reads the log's file, at a pace
of their own.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from covend.core.errors import NotFoundError
from covend.core.model import TaskId
from covend.core.states import OPEN_TASK
from covend.edges.agents.output import LOG_LINE_MAX, READ_MAX, Line, read_lines
from covend.services.wakeups import Bells, Wakeup
from covend.store.protocol import Progress, Tasks

LOOK_EVERY_S = 1.0
"""A wake-up may be lost; so often a follower looks by itself."""
GATHER_S = 0.05
"""So long a follower lets lines gather between two looks, however fast they come."""
FOLLOW_MAX = 1 << 15
"""Bytes of the log that a follower is given at once, or one line where that is longer."""
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """Lines of an attempt's log, and where it goes on."""

    lines: Sequence[Line]
    next_offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Nothing more will come of this attempt; what became of its task then is in `progress`."""

    progress: Progress
    next_offset: int


class Live:
    """Reads the logs of attempts."""

    def __init__(self, *, tasks: Tasks, bells: Bells, logs: Path) -> None:
        """Attempts have their logs in the folder `logs`."""
        self._tasks = tasks
        self._bells = bells
        self._logs = logs

    async def page(self, task: str, number: str, offset: int) -> tuple[Printed, Progress]:
        """Give what an attempt has printed from a byte on, a MiB or so of it, and how far it is.

        The task may be named by the beginning of its id. Raises NotFoundError for what has not
        begun.
        """
        found, attempt = await self._find(task, number)
        progress = await _progress(self._tasks, found, attempt)
        if not progress.has_begun:
            raise _no_attempt(found, number)
        path = log_path(self._logs, found, attempt)
        lines, following = await asyncio.to_thread(read_lines, path, offset, READ_MAX)
        return Printed(lines=lines, next_offset=following), progress

    async def tail(self, task: str, number: str, size: int) -> tuple[Printed, bool]:
        """Give the last `size` bytes or so of what an attempt has printed, and whether there is
        more before them. Raises NotFoundError for what has not begun.
        """
        found, attempt = await self._find(task, number)
        if not (await _progress(self._tasks, found, attempt)).has_begun:
            raise _no_attempt(found, number)
        return await asyncio.to_thread(_tail, log_path(self._logs, found, attempt), size)

    async def follower(self, task: str, number: str, offset: int) -> Follower:
        """Make a reader that goes on from a byte of an attempt's log, also of the task's next
        attempt, which has not begun, or never will. Raises NotFoundError for any later one.
        """
        found, attempt = await self._find(task, number)
        progress = await _progress(self._tasks, found, attempt)
        if attempt > progress.attempts + 1:
            raise _no_attempt(found, number)
        path = log_path(self._logs, found, attempt)
        return Follower(self._tasks, self._bells, found, attempt, path, offset)

    async def _find(self, task: str, number: str) -> tuple[TaskId, int]:
        story = await self._tasks.story(task)
        if story is None:
            raise _no_task(task)
        if not _NUMBER.fullmatch(number):
            raise _no_attempt(story.task.id, number)
        return story.task.id, int(number)


class Follower:
    """One reader of one attempt's log; belongs to one task of the event loop."""

    def __init__(
        self, tasks: Tasks, bells: Bells, task: TaskId, attempt: int, path: Path, offset: int
    ) -> None:
        """Made by `Live.follower`."""
        self.attempt = attempt
        self._tasks = tasks
        self._bells = bells
        self._task = task
        self._path = path
        self._offset = offset
        self._bell = Wakeup()
        self._last: Progress | None = None
        """Set when the attempt is over: then what is in the log is all there will be."""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Be woken as long as this lasts; without it, a look each second is all there is."""
        with self._bells.hung(self._task) as self._bell:
            yield

    async def next(self) -> Printed | Ended | None:
        """Give what comes next; None where there is nothing new, after a second at most.

        Raises NotFoundError where the task is not there any more.
        """
        lines, following = await asyncio.to_thread(read_lines, self._path, self._offset, FOLLOW_MAX)
        if following > self._offset:
            self._offset = following
            return Printed(lines=lines, next_offset=following)
        if self._last is not None:
            return Ended(progress=self._last, next_offset=self._offset)
        progress = await _progress(self._tasks, self._task, self.attempt)
        if _is_over(progress):
            self._last = progress
            return None
        await anyio.sleep(GATHER_S)
        await self._bell.wait(LOOK_EVERY_S)
        return None


def log_path(logs: Path, task: TaskId, attempt: int) -> Path:
    """Say where the output of an attempt is kept."""
    return logs / f"{task}-{attempt}.jsonl"


def _tail(path: Path, size: int) -> tuple[Printed, bool]:
    try:
        end = path.stat().st_size
    except FileNotFoundError:
        end = 0
    begin = max(0, end - size)
    lines, following = read_lines(path, begin, READ_MAX)
    if begin and not lines:
        # All of it is the rest of one line: that line is the tail, however long it is.
        begin = max(0, end - LOG_LINE_MAX - size)
        before, following = read_lines(path, begin, end - begin)
        lines = before[-1:]
        return Printed(lines=lines, next_offset=following), len(before) > 1 or begin > 0
    return Printed(lines=lines, next_offset=following), begin > 0


def _is_over(progress: Progress) -> bool:
    """Say whether an attempt has ended, or can never begin."""
    return progress.outcome is not None if progress.has_begun else progress.state not in OPEN_TASK


async def _progress(tasks: Tasks, task: TaskId, attempt: int) -> Progress:
    progress = await tasks.progress(task, attempt)
    if progress is None:
        raise _no_task(task)
    return progress


def _no_task(task: str) -> NotFoundError:
    return NotFoundError(f"There is no task {task}.", id=task)


def _no_attempt(task: TaskId, number: str) -> NotFoundError:
    return NotFoundError(f"Task {task} has no attempt {number}.", id=task)
