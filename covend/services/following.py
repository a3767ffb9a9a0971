"""Tells the rules in force that a task has ended, and gives the delivery that is to be kept of it.

Refuses to keep what nobody follows: the end itself is told by the task. What cannot be routed ends
the task all the same, and the log says that nothing follows.
"""

from __future__ import annotations

from collections.abc import Callable

from covend.core.ending import Ending
from covend.core.model import Event, Task, TaskId, Via
from covend.core.rules.verdicts import Routing
from covend.core.sources.own import ENDS, ended_event
from covend.core.states import TaskState
from covend.services.clock import Clock
from covend.store.protocol import Arrival
from covend.telemetry.logs import Log

Route = Callable[[Event], Routing]
TOO_DEEP = "chain_too_deep"
"""Why a chain of tasks ends here: kept as a delivery, so that somebody can see it."""
log = Log("following")


class Following:
    """Makes the delivery of a task's end."""

    def __init__(self, *, route: Route, clock: Clock) -> None:
        """Ask the rules in force through `route`."""
        self._route = route
        self._clock = clock

    def arrival(self, task: Task, ending: Ending, target: TaskState) -> Arrival | None:
        """Give the delivery of this end, where a rule wants it or a chain has become too long."""
        if target not in ENDS:
            return None
        try:
            return self._arrival(task, ending, target)
        except Exception:
            log.exception("nothing follows the end of a task", task=task.id)
            return None

    def _arrival(self, task: Task, ending: Ending, target: TaskState) -> Arrival | None:
        now = self._clock.now()
        envelope, event = ended_event(task, ending, target, now)
        routing = self._route(event)
        if not routing.drafts and routing.reason != TOO_DEEP:
            return None
        return Arrival(
            envelope=envelope,
            event=event,
            via=Via.API,
            routing=routing,
            received_at=now,
            task_ids=tuple(TaskId(self._clock.new_id()) for _ in routing.drafts),
        )
