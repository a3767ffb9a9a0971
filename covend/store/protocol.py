"""What services may ask of the store, in words of the domain; one method is one transaction.

Every method may raise StoreError: nothing of it was written then. A method with a `Claim` raises
ClaimLostError, and writes nothing, where the claim is not the task's any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from covend.core.model import (
    Attempt,
    Claim,
    ClaimToken,
    Delivery,
    DeliveryId,
    Effect,
    EffectDraft,
    EffectId,
    Mode,
    Moment,
    Phase,
    Subject,
    Task,
    TaskId,
)
from covend.core.sessions import Session
from covend.core.settings import Policy
from covend.core.states import DeliveryState, EffectState, TaskState
from covend.store.records import (
    Accepted,
    Arrival,
    Gauges,
    Move,
    Progress,
    Settlement,
    Started,
    StoredDelivery,
    TaskStory,
)

__all__ = [
    "Accepted",
    "Arrival",
    "Deliveries",
    "Effects",
    "Gauges",
    "Move",
    "Progress",
    "Settlement",
    "Started",
    "StoredDelivery",
    "TaskStory",
    "Tasks",
    "Upkeep",
]


class Deliveries(Protocol):
    """Deliveries: the way in."""

    async def accept(self, arrival: Arrival) -> Accepted:
        """Keep a delivery, its verdicts and its tasks, once; on disk when this returns.

        Raises QueueFullError where it asks for tasks and there is no room; a repetition is never
        refused.
        """
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
    ) -> tuple[Sequence[Delivery], str | None]:
        """List deliveries, newest first, and the cursor of the next page."""
        ...

    async def save_policy(self, policy: Policy, now: Moment) -> None:
        """Keep a policy, before any delivery is routed by it."""
        ...


class Tasks(Protocol):
    """Tasks and their attempts."""

    async def claim(
        self,
        *,
        node: str,
        token: ClaimToken,
        now: Moment,
        lease_s: float,
        agents: Mapping[str, int],
    ) -> Claim | None:
        """Take the next task in the total order; `agents` says how many may run of each at once."""
        ...

    async def policy_of(self, task: Task) -> Policy:
        """Give the settings that the task was routed by."""
        ...

    async def note_process(self, claim: Claim, started: Started) -> None:
        """Remember which process the attempt is."""
        ...

    async def note_mode(
        self, claim: Claim, *, mode: Mode, workspace: str, resumes: Session | None = None
    ) -> bool:
        """Remember where the attempt works, and the session it is asked to go on with; False, and
        nothing written, where another attempt works in that directory.

        Fresh with `resumes`: that session could not be resumed, and nobody shall try again.
        """
        ...

    async def note_session(self, claim: Claim, session: str) -> None:
        """Remember the session as the agent tells it, so that not even a crash loses it."""
        ...

    async def last_session(self, task: Task, now: Moment) -> Session | None:
        """Give the newest session of rule and agent on the same pull request or issue and node.

        None where that one is too old, `UNUSABLE`, once not resumed, or its directory is in use.
        """
        ...

    async def note_phase(self, claim: Claim, phase: Phase) -> None:
        """Remember what the attempt is doing."""
        ...

    async def announce(
        self, claim: Claim, effects: Sequence[tuple[EffectId, EffectDraft]], now: Moment
    ) -> None:
        """Write effects of an attempt that has begun."""
        ...

    async def settle(self, claim: Claim, settlement: Settlement, now: Moment) -> Settlement:
        """End the attempt, move the task and write the effects, all or nothing; give what was
        written.

        A task whose cancel was asked is cancelled, whatever its attempt has come to; only one that
        is superseded stays so.
        """
        ...

    async def renew(
        self, claims: Mapping[ClaimToken, TaskId], *, now: Moment, lease_s: float
    ) -> frozenset[ClaimToken]:
        """Renew leases; a claim that is missing from the answer is lost."""
        ...

    async def running(self) -> Sequence[tuple[Task, ClaimToken, Attempt]]:
        """List what is running, with the open attempts."""
        ...

    async def expired(self, now: Moment) -> Sequence[tuple[Task, ClaimToken, Attempt]]:
        """List, as `running` does, only what has a lease that is over."""
        ...

    async def ripe(self, *, now: Moment, limit: int) -> Sequence[Task]:
        """List tasks in `received` whose time has come."""
        ...

    async def ripen(self, task: TaskId, subject: Subject, now: Moment) -> bool:
        """Move to `queued` with what was looked up; False where it is not there any more."""
        ...

    async def postpone(self, task: TaskId, *, reason: str, until: Moment, now: Moment) -> bool:
        """Leave in `received` until a moment."""
        ...

    async def refuse(self, task: TaskId, *, reason: str, message: str, now: Moment) -> bool:
        """Move from `received` to `ignored`."""
        ...

    async def cancel(
        self,
        task: Task,
        *,
        reason: str,
        effects: Sequence[tuple[EffectId, EffectDraft]],
        now: Moment,
    ) -> Task | None:
        """Move from `received` or `queued` to `cancelled`, with its effects; None where it is there
        no more, or was claimed since `task` was read.
        """
        ...

    async def request_cancel(self, task: TaskId, *, reason: str, now: Moment) -> Task | None:
        """Keep the wish to cancel what runs, the first one of several; None where it does not run.

        Its attempt is not told: that is for whoever runs it.
        """
        ...

    async def progress(self, task: TaskId, number: int) -> Progress | None:
        """Say how far an attempt is; None where there is no such task."""
        ...

    async def next_due_at(self, state: TaskState, now: Moment) -> Moment | None:
        """Say when the next waiting task of a state is due."""
        ...

    async def story(self, task: str) -> TaskStory | None:
        """Give everything of a task, by its id or a beginning of it.

        Raises AmbiguousIdError where the beginning fits several.
        """
        ...

    async def page(
        self,
        *,
        limit: int,
        cursor: str | None = None,
        state: TaskState | None = None,
        rule: str | None = None,
        repository: str | None = None,
    ) -> tuple[Sequence[Task], str | None]:
        """List tasks, newest first, and the cursor of the next page."""
        ...


class Effects(Protocol):
    """The outbox."""

    async def sendable(self, *, now: Moment, limit: int) -> Sequence[Effect]:
        """List the oldest open effect of each subject that is due."""
        ...

    async def doubtful(self, *, now: Moment, limit: int) -> Sequence[Effect]:
        """List effects whose outcome is to be looked up now."""
        ...

    async def sending(self, *, limit: int) -> Sequence[Effect]:
        """List effects that are marked as under way, oldest first."""
        ...

    async def begin(self, effect: EffectId, now: Moment) -> Effect | None:
        """Mark as `sending`, before the request leaves; None where another was faster."""
        ...

    async def slot(self, slot: str) -> tuple[str, str | None] | None:
        """Give id and address of the visible thing that the slot already has."""
        ...

    async def finish(
        self, effect: EffectId, *, remote_id: str | None, remote_url: str | None, now: Moment
    ) -> None:
        """Mark as `done`."""
        ...

    async def fail(self, effect: EffectId, *, error: str, now: Moment) -> None:
        """Mark as `failed`."""
        ...

    async def retry(self, effect: EffectId, *, error: str, until: Moment) -> None:
        """Back to `pending`: it certainly had no effect."""
        ...

    async def postpone(self, effect: EffectId, *, error: str, until: Moment) -> None:
        """Leave in `pending` until a moment."""
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
    ) -> tuple[Sequence[Effect], str | None]:
        """List effects, newest first, and the cursor of the next page."""
        ...


class Upkeep(Protocol):
    """Sizes and moments of the store itself."""

    async def gauges(self, now: Moment) -> Gauges:
        """Measure."""
        ...

    async def newest_moment(self) -> Moment:
        """Give the latest moment that was ever stored; 0 in an empty store."""
        ...

    async def ping(self) -> None:
        """Read something; raise StoreError where that fails."""
        ...
