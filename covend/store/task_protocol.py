"""What services may ask of tasks and their attempts, in words of the domain; one method is one
transaction. `protocol` gives it on, with what it promises of errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from covend.core.model import (
    Attempt,
    Claim,
    ClaimToken,
    EffectDraft,
    EffectId,
    Mode,
    Moment,
    Phase,
    Repository,
    Subject,
    Task,
    TaskId,
    Trust,
)
from covend.core.safeguards.shapes import Terms
from covend.core.sessions import Session
from covend.core.settings import Policy
from covend.core.states import TaskState
from covend.store.records import (
    Arrival,
    Overdue,
    Progress,
    Renewed,
    Settlement,
    Started,
    Taken,
    TaskStory,
)
from covend.store.searching import TaskSearch


class Tasks(Protocol):
    """Tasks and their attempts."""

    async def claim(
        self, *, node: str, token: ClaimToken, now: Moment, lease_s: float, terms: Terms
    ) -> Taken:
        """Take the next task in the total order that `terms` let pass; whatever they hold back on
        the way waits with its reason, in the same transaction.
        """
        ...

    async def policy_of(self, task: Task) -> Policy:
        """Give the settings that the task was routed by."""
        ...

    async def repository(self, full_name: str) -> Repository | None:
        """Give a repository as its newest task knows it, by a name in any case; None where none
        of the last ones is in it.
        """
        ...

    async def repositories(self) -> Sequence[str]:
        """List the repositories of the last tasks by name."""
        ...

    async def waits_for(self, *, rule: str | None = None, agent: str | None = None) -> bool:
        """Say whether any task that is received or queued is a rule's, or waits for an agent."""
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
    ) -> Renewed:
        """Renew leases; a claim that is not `held` after it is lost."""
        ...

    async def running(self) -> Sequence[tuple[Task, ClaimToken, Attempt]]:
        """List what is running, with the open attempts."""
        ...

    async def expired(
        self, now: Moment, *, limit: int
    ) -> Sequence[tuple[Task, ClaimToken, Attempt]]:
        """List, as `running` does, only what has a lease that is over, the oldest first."""
        ...

    async def ripe(self, *, now: Moment, limit: int) -> Sequence[Task]:
        """List tasks in `received` whose time has come."""
        ...

    async def ripen(
        self,
        task: TaskId,
        subject: Subject,
        now: Moment,
        *,
        trust: Trust | None = None,
        policy: Policy | None = None,
        effects: Sequence[tuple[EffectId, EffectDraft]] = (),
    ) -> bool:
        """Move to `queued` with what was looked up; False where it is not there any more.

        `trust` and `policy` replace the task's own where the look-up has changed them; `policy`
        must have been saved.
        """
        ...

    async def hold(
        self,
        task: TaskId,
        subject: Subject,
        now: Moment,
        *,
        trust: Trust | None = None,
        policy: Policy | None = None,
    ) -> bool:
        """Leave in `received` for an approval alone, with what was looked up, as in `ripen`."""
        ...

    async def approve(self, task: TaskId, *, by: str, now: Moment) -> Task | None:
        """Say yes to a task that waits for it; to `queued` at once where it waits for nothing else.

        None where it does not wait for an approval (any more).
        """
        ...

    async def retry(self, task: TaskId, *, reason: str, now: Moment) -> Task | None:
        """Move from `failed` or `cancelled` to `queued`, with a new generation, all its tries, its
        first agent, and no wish to end it; None where it is in neither.
        """
        ...

    async def overdue(self, now: Moment, *, limit: int) -> Sequence[Overdue]:
        """List tasks that nobody is at and that are to end: superseded or closed while they waited
        to be tried again, too old to be tried again, or completed and superseded before all was
        published.
        """
        ...

    async def end(
        self,
        overdue: Overdue,
        *,
        effects: Sequence[tuple[EffectId, EffectDraft]],
        now: Moment,
        follower: Arrival | None = None,
    ) -> Task | None:
        """End one of those, with its effects and the event of its end, and withhold what of it is
        still to be published; None where it has moved since it was listed.
        """
        ...

    async def withdraw(
        self,
        task: Task,
        *,
        effects: Sequence[tuple[EffectId, EffectDraft]],
        reason: str,
        now: Moment,
    ) -> Task | None:
        """Move from `completed` to `superseded`, with its effects, and withhold what of it is still
        to be published: its head moved. None where it is not completed; its findings are withheld
        all the same.
        """
        ...

    async def postpone(
        self,
        task: TaskId,
        *,
        reason: str,
        until: Moment,
        now: Moment,
        seen_at: Moment | None = None,
    ) -> bool:
        """Leave in `received` until a moment; with `seen_at` only where the task has not been
        touched since, so that news which came meanwhile is looked at now.
        """
        ...

    async def refuse(
        self,
        task: TaskId,
        *,
        reason: str,
        message: str,
        now: Moment,
        effects: Sequence[tuple[EffectId, EffectDraft]] = (),
    ) -> bool:
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
        search: TaskSearch | None = None,
    ) -> tuple[Sequence[Task], str | None]:
        """List tasks, newest first, and the cursor of the next page; what is searched for, only
        among so many of them a page that it may have none, and still a next one.
        """
        ...
