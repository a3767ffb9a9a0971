"""What services may ask of what GitHub tells beside the work itself: installations, checks to be
made again, and how far lists outside were followed. `protocol` gives it on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from covend.core.model import DeliveryId, Effect, EffectDraft, EffectId, Moment, Task
from covend.core.rerunning import RerunWish
from covend.store.records import Forgotten, Gone, Installation


class Cursors(Protocol):
    """How far lists and clocks outside have been followed, by name."""

    async def find(self, name: str) -> str | None:
        """Give what was put last under that name; None where nothing was."""
        ...

    async def put(self, name: str, value: str, now: Moment) -> None:
        """Keep; on disk when this returns."""
        ...


class Installations(Protocol):
    """Where the App is installed, as GitHub's events tell it."""

    async def list(self) -> Sequence[Installation]:
        """List all, the newest first."""
        ...

    async def gone(self, *, limit: int) -> Sequence[Gone]:
        """List open work of suspended or deleted installations, and of repositories that were
        deleted or taken from covend.
        """
        ...

    async def end(self, gone: Gone, now: Moment) -> Task | None:
        """End what nobody is at: `cancelled` with its installation, `ignored` with its repository;
        None where it runs, has ended, or is not gone any more.
        """
        ...

    async def ask_to_forget(self, installation: int, now: Moment) -> bool:
        """Let all that is known of it be deleted from now on; False where it is not known."""
        ...

    async def forget_some(
        self, now: Moment, *, deleted_before: Moment, limit: int
    ) -> Forgotten | None:
        """Delete so many rows of an installation that is to be forgotten, because somebody asked
        for it or it was deleted before that moment; None where there is none. What has not ended
        stays until it has.
        """
        ...


class LeftOpen(Protocol):
    """Visible checks that are in progress though nobody is at their task."""

    async def page(
        self,
        *,
        since: Moment,
        after: EffectId | None,
        before: Moment,
        tried_since: Moment,
        tries_max: int,
        limit: int,
    ) -> Sequence[Effect]:
        """List, oldest first, the newest visible check or status of each slot written since a
        moment, or after an effect of the last page, whose task ended before another moment; not
        those that failed to be concluded so often of late, nor those of an installation that is
        suspended or gone. What only adds annotations is passed by. Some of them may be concluded
        already: their requests tell.
        """
        ...

    async def conclude(
        self, left: EffectId, effects: Sequence[tuple[EffectId, EffectDraft]], now: Moment
    ) -> bool:
        """Write what concludes it; False, and nothing written, where somebody is at it again."""
        ...


class Reruns(Protocol):
    """What people have asked GitHub to have made again."""

    async def due(self, *, now: Moment, limit: int) -> Sequence[RerunWish]:
        """List those that nobody has attended to, where they are due, the oldest first."""
        ...

    async def tasks_of(self, wish: RerunWish, *, limit: int) -> Sequence[Task]:
        """List the tasks on the commit that is meant, newest first."""
        ...

    async def end(
        self,
        delivery: DeliveryId,
        *,
        state: str,
        reason: str,
        shown: Sequence[tuple[Task, Sequence[tuple[EffectId, EffectDraft]]]],
        now: Moment,
    ) -> bool:
        """Mark as `done` or `refused`, once, with what is to be seen of tasks that wait to be done
        again, or cannot be; False where it was ended before.
        """
        ...

    async def postpone(self, delivery: DeliveryId, *, reason: str, until: Moment) -> None:
        """Leave as it is until a moment."""
        ...

    async def next_due_at(self, now: Moment) -> Moment | None:
        """Say when the next one is due."""
        ...
