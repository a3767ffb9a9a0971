"""Finds the words for why tasks wait: what holds them now is read once for all that are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from covend.core.model import Task
from covend.core.states import TaskState
from covend.core.waiting import explain_waiting
from covend.services.clock import Clock
from covend.store.protocol import Guards
from covend.web.api import shapes


class Explaining:
    """Gives tasks the shape that says why they wait."""

    def __init__(self, *, guards: Guards, clock: Clock) -> None:
        """Ask `guards` what holds, and say by `clock` for how long."""
        self._guards = guards
        self._clock = clock

    async def shape(self, task: Task) -> shapes.Shape:
        """Give one task, explained."""
        return (await self.shaping([task]))(task)

    async def shaping(self, tasks: Sequence[Task]) -> Callable[[Task], shapes.Shape]:
        """Give what shapes each of these tasks, explained."""
        is_asked = any(task.state is TaskState.QUEUED for task in tasks)
        guards = await self._guards.list() if is_asked else ()
        now = self._clock.now()
        return lambda task: shapes.task(task, explain_waiting(task, now, guards))
