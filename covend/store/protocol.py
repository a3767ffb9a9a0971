"""What services may ask of the store, in words of the domain; one method is one transaction.

Every method may raise StoreError: nothing of it was written then. A method with a `Claim` raises
ClaimLostError, and writes nothing, where the claim is not the task's any more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from covend.core.commanding import CommandWish
from covend.core.model import (
    Delivery,
    DeliveryId,
    Effect,
    EffectDraft,
    EffectId,
    EffectKind,
    Moment,
    Task,
)
from covend.core.reconciling import Hook
from covend.core.safeguards.shapes import Lesson, Safeguard, SpendingId, Spent
from covend.core.settings import Policy
from covend.core.states import DeliveryState, EffectState
from covend.store.house_protocol import Audit, Happenings, Insight, Outlook, Retention
from covend.store.outside_protocol import Cursors, Installations, LeftOpen, Reruns
from covend.store.records import (
    Accepted,
    Arrival,
    Attended,
    Foreseen,
    Forgotten,
    Gauges,
    Gone,
    Installation,
    LessonOf,
    Meeting,
    Move,
    Overdue,
    PastDelivery,
    Progress,
    Renewed,
    Settlement,
    Started,
    StoredDelivery,
    Taken,
    TaskStory,
    Wanted,
)
from covend.store.searching import DeliverySearch
from covend.store.task_protocol import Tasks

__all__ = [
    "Accepted",
    "Arrival",
    "Attended",
    "Audit",
    "Callbacks",
    "Commands",
    "Cursors",
    "Deliveries",
    "Effects",
    "Foreseen",
    "Forgotten",
    "Gauges",
    "Gone",
    "Guards",
    "Happenings",
    "Insight",
    "Installation",
    "Installations",
    "LeftOpen",
    "LessonOf",
    "Meeting",
    "Move",
    "Outlook",
    "Overdue",
    "PastDelivery",
    "Progress",
    "Renewed",
    "Reruns",
    "Retention",
    "Settlement",
    "Started",
    "StoredDelivery",
    "Taken",
    "TaskStory",
    "Tasks",
    "Upkeep",
    "Wanted",
]


class Deliveries(Protocol):
    """Deliveries: the way in."""

    async def accept(self, arrival: Arrival) -> Accepted:
        """Keep a delivery, its verdicts and its tasks, once; on disk when this returns.

        Raises QueueFullError where it asks for tasks and there is no room; a repetition is never
        refused.
        """
        ...

    async def foresee(self, arrival: Arrival) -> Foreseen:
        """Say what `accept` would make of it now, and keep nothing."""
        ...

    async def find(self, delivery: DeliveryId) -> StoredDelivery | None:
        """Give one delivery with its body."""
        ...

    async def page(
        self,
        *,
        limit: int,
        cursor: str | None = None,
        state: DeliveryState | None = None,
        event: str | None = None,
        repository: str | None = None,
        search: DeliverySearch | None = None,
    ) -> tuple[Sequence[Delivery], str | None]:
        """List deliveries, newest first, and the cursor of the next page; searched as `Tasks.page`
        does.
        """
        ...

    async def unknown(self, ids: Sequence[DeliveryId]) -> frozenset[DeliveryId]:
        """Say which of these are not here."""
        ...

    async def hooks(self) -> Sequence[Hook]:
        """List the repositories' webhooks by which some of the newest deliveries came."""
        ...

    async def save_policy(self, policy: Policy, now: Moment) -> None:
        """Keep a policy, before any delivery is routed by it."""
        ...


class Guards(Protocol):
    """The safeguards that have something to say."""

    async def list(self) -> Sequence[Safeguard]:
        """List all, by id."""
        ...

    async def find(self, safeguard: str) -> Safeguard | None:
        """Give one by its id."""
        ...

    async def put(self, safeguard: Safeguard, now: Moment) -> Safeguard:
        """Write one, such as a pause; give it as it is then."""
        ...

    async def reset(self, safeguard: str, now: Moment) -> Safeguard | None:
        """Put at rest, and release what waits for it; give what it was, None where it was that
        already.
        """
        ...

    async def learn(self, lesson: LessonOf, now: Moment) -> Lesson:
        """Read, decide and write in one transaction, outside of any settlement."""
        ...

    async def tidy(self, now: Moment) -> int:
        """Remove some of what has come to rest by itself, and the sums of days long past; say how
        many rows. What holds anything, or waits for somebody, stays.
        """
        ...


class Commands(Protocol):
    """What people have said to covend itself."""

    async def due(self, *, now: Moment, limit: int) -> Sequence[CommandWish]:
        """List of each subject the first command that nobody has attended to, where it is due."""
        ...

    async def end(
        self,
        delivery: DeliveryId,
        *,
        state: str,
        reason: str,
        effects: Sequence[tuple[EffectId, EffectDraft]],
        now: Moment,
    ) -> bool:
        """Mark as `done` or `refused`, with its answers, once; False where it was ended before."""
        ...

    async def postpone(self, delivery: DeliveryId, *, reason: str, until: Moment) -> None:
        """Leave as it is until a moment."""
        ...

    async def next_due_at(self, now: Moment) -> Moment | None:
        """Say when the next one is due."""
        ...

    async def tasks_on(self, wish: CommandWish, *, limit: int) -> Sequence[Task]:
        """List the tasks on the command's subject that are open, and the newest of all that was
        not refused, newest first; `limit` bounds only the latter.
        """
        ...


class Callbacks(Protocol):
    """The lines of callbacks before their receivers; `Effects` begins and ends them."""

    async def due(self, now: Moment) -> Sequence[Effect]:
        """List of each target the oldest callback that is due, oldest first."""
        ...

    async def next_due_at(self, now: Moment) -> Moment | None:
        """Say when another one is due."""
        ...

    async def return_forgotten(
        self, *, under_way: Iterable[EffectId], error: str, now: Moment
    ) -> int:
        """Back to `pending`: those that are marked as sent or as unknown, and nobody is at; say how
        many.
        """
        ...


class Effects(Protocol):
    """The outbox."""

    async def sendable(
        self, *, now: Moment, limit: int, busy: Collection[int | None] = ()
    ) -> Sequence[Effect]:
        """List the oldest open effect of each subject that is due, none of `busy` installations
        and no callback (see `Callbacks`).
        """
        ...

    async def doubtful(
        self, *, now: Moment, limit: int, busy: Collection[int | None] = ()
    ) -> Sequence[Effect]:
        """List effects whose outcome is to be looked up now: of those as `sendable`."""
        ...

    async def sending(self, *, limit: int) -> Sequence[Effect]:
        """List effects that are marked as under way, oldest first."""
        ...

    async def begin(self, effect: EffectId, now: Moment) -> Effect | None:
        """Mark as `sending`, before the request leaves.

        None where another was faster or has put it off; or where it shows findings of a superseded
        task, or a text older than the one in its place: it is `withheld` then.
        """
        ...

    async def slot(self, slot: str) -> Effect | None:
        """Give the newest effect by which something is visible in the slot; its `remote_id` names
        that.
        """
        ...

    async def visible(self, slot_prefix: str) -> Sequence[Effect]:
        """List what is done in slots that begin so, newest first, 20 at most."""
        ...

    async def find(self, effect: str) -> Effect | None:
        """Give one by its id or a beginning of it.

        Raises AmbiguousIdError where the beginning fits several.
        """
        ...

    async def finish(
        self,
        effect: EffectId,
        *,
        remote_id: str | None,
        remote_url: str | None,
        now: Moment,
        dismissal: tuple[EffectId, EffectDraft] | None = None,
    ) -> bool:
        """Mark as `done`; a review with its `dismissal`, where a later one of its rule and subject
        is visible or on its way, and none is written yet. Say whether it was put away so.
        """
        ...

    async def fail(
        self, effect: EffectId, *, error: str, now: Moment, is_doubtful: bool = False
    ) -> None:
        """Mark as `failed`; with `is_doubtful` it may be visible, and keeps its `sent_at`."""
        ...

    async def ask_again(self, effect: EffectId, now: Moment) -> Effect | None:
        """From `failed` back to `pending`, with all its tries and the same request; None where it
        has not failed.

        Raises ConflictError where something newer has its slot, or its task is superseded.
        """
        ...

    async def retry(self, effect: EffectId, *, error: str, until: Moment) -> None:
        """Back to `pending`: it certainly had no effect."""
        ...

    async def postpone(self, effect: EffectId, *, error: str, until: Moment) -> None:
        """Leave in `pending` until a moment."""
        ...

    async def postpone_installation(self, effect: Effect, *, error: str, until: Moment) -> int:
        """Leave all that is `pending` of an installation until a moment, and with it the one that
        met its limit: back to `pending`, or still `unknown`, and no try counted. Say how many.
        """
        ...

    async def doubt(self, effect: EffectId, *, error: str, until: Moment) -> bool:
        """Mark as `unknown`, to be looked up at a moment; False where it was not being sent."""
        ...

    async def look_again(self, effect: EffectId, *, error: str, until: Moment) -> None:
        """Leave in `unknown` until a moment."""
        ...

    async def doubt_all_sending(self, until: Moment) -> int:
        """After a start: what was being sent has an unknown outcome; say how many."""
        ...

    async def withhold_overtaken(self, now: Moment) -> int:
        """Withhold what is pending of the findings of superseded tasks; say how many."""
        ...

    async def next_due_at(self, now: Moment) -> Moment | None:
        """Say when something is due again."""
        ...

    async def page(
        self,
        *,
        limit: int,
        cursor: str | None = None,
        state: EffectState | None = None,
        task: str | None = None,
        kind: EffectKind | None = None,
    ) -> tuple[Sequence[Effect], str | None]:
        """List effects, newest first, and the cursor of the next page; those of a kind, as
        `Tasks.page` searches.
        """
        ...


class Upkeep(Protocol):
    """Sizes and moments of the store itself."""

    async def gauges(self, now: Moment) -> Gauges:
        """Measure."""
        ...

    async def spent(self, budget: SpendingId) -> Spent:
        """Say what has been spent of a budget."""
        ...

    async def newest_moment(self) -> Moment:
        """Give the latest moment that was ever stored; 0 in an empty store."""
        ...

    async def ping(self) -> None:
        """Read something; raise StoreError where that fails."""
        ...
