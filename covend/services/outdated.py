"""Finds the reviews of covend's own that the end of a task outdates.

Refuses to look further back than needed: what an earlier end has put away already is behind it.
What was asked for later is outdated by nothing that was asked for earlier, however late that ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from covend.core.effects.dismissals import dismissal_slot, outdates, review_slots
from covend.core.ending import Ending
from covend.core.errors import StoreError
from covend.core.model import Effect, Task
from covend.core.settings import Policy
from covend.telemetry.logs import Log

log = Log("outdated")


class Visible(Protocol):
    """What is needed of the outbox."""

    async def visible(self, slot_prefix: str) -> Sequence[Effect]:
        """List what is done in slots that begin so, newest first, and not endlessly many."""
        ...


class Outdated:
    """Looks for earlier reviews of the same rule on the same pull request."""

    def __init__(self, effects: Visible) -> None:
        """Look among what is visible by `effects`."""
        self._effects = effects

    async def find(self, task: Task, policy: Policy, ending: Ending) -> tuple[str, ...]:
        """Give the ids of reviews that nobody has put away yet, newest first; none where the store
        does not tell, which keeps no task from its end.
        """
        if not outdates(task, policy, ending):
            return ()
        try:
            return await self._find(task, policy)
        except StoreError as error:
            log.warning("earlier reviews are not told", code=error.code, error=str(error))
            return ()

    async def _find(self, task: Task, policy: Policy) -> tuple[str, ...]:
        found: list[str] = []
        for review in await self._effects.visible(review_slots(task, policy)):
            # Ids of tasks sort by when they were asked for.
            is_later = review.task is not None and review.task > task.id
            if review.remote_id is None or is_later:
                continue
            if await self._is_put_away(review.remote_id):
                break
            found.append(review.remote_id)
        return tuple(found)

    async def _is_put_away(self, review_id: str) -> bool:
        slot = dismissal_slot(review_id)
        return any(each.slot == slot for each in await self._effects.visible(slot))
