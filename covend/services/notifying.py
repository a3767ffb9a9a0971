"""Plans the callbacks of a task's end: one effect for each receiver that wants to know of it.

Refuses to keep a task from its end: what cannot be rendered is told to nobody, and the log says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from covend.core.effects.callback import Redact, plan_callbacks
from covend.core.ending import Ending
from covend.core.model import EffectDraft, EffectKind, Task
from covend.core.outside import Callback
from covend.core.settings import Policy
from covend.core.states import TaskState
from covend.services.clock import Clock
from covend.telemetry.logs import Log

Callbacks: TypeAlias = Callable[[], Mapping[str, Callback]]
"""Gives the callbacks in force, by name."""

log = Log("notifying")


class Notifying:
    """Knows who wants to be called back."""

    def __init__(self, *, callbacks: Callbacks, redact: Redact, clock: Clock) -> None:
        """Render what is told without anything that `redact` knows: once, for every try."""
        self._callbacks = callbacks
        self._redact = redact
        self._clock = clock

    def drafts(
        self, task: Task, policy: Policy, ending: Ending, target: TaskState
    ) -> tuple[EffectDraft, ...]:
        """Give the callbacks of this end, where the rule publishes any."""
        if EffectKind.CALLBACK not in policy.rule.publish:
            return ()
        try:
            return plan_callbacks(
                task,
                ending,
                target=target,
                callbacks=self._callbacks().values(),
                redact=self._redact,
                now=self._clock.now(),
            )
        except Exception:
            log.exception("nobody is called back", task=task.id)
            return ()
