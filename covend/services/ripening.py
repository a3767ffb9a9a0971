"""Out of `received`: look up what the payload lacked, judge the rule once more, and queue or
refuse.

Whoever may not be let in is refused, and so is whoever cannot be asked about: a permission that
GitHub does
not tell is no permission. What merely cannot be looked up now waits, and the task says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import anyio
from msgspec.structs import replace

from covend.core import intake
from covend.core.errors import GitHubError, StoreError
from covend.core.intake import Refused as Unreadable
from covend.core.model import Event, Moment, Need, Subject, Task
from covend.core.rules.routing import judge_again
from covend.core.rules.verdicts import Known
from covend.core.states import TaskState
from covend.edges.github.client import GitHubClient
from covend.edges.github.errors import NotFound, RateLimited
from covend.edges.github.permissions import permission_of
from covend.edges.github.pulls import PullHead, changed_paths, get_pull
from covend.services.clock import Clock
from covend.services.side_by_side import SideBySide
from covend.services.wakeups import Wakeups
from covend.store.protocol import Deliveries, Tasks
from covend.telemetry.logs import Log, about

AT_ONCE = 8
LOOK_EVERY_S = 15.0
STORE_WAIT_S = 1.0
WAIT_MIN_MS = 5_000
WAIT_MAX_MS = 300_000
GIVE_UP_MS = 24 * 3_600_000
FAULT = "fault"
log = Log("ripening")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a task is not to be queued: a stable reason, and a sentence."""

    reason: str
    message: str


class Ripening:
    """Works on received tasks whose time has come."""

    def __init__(
        self,
        *,
        tasks: Tasks,
        deliveries: Deliveries,
        github: GitHubClient,
        clock: Clock,
        wakeups: Wakeups,
        mention: str | None,
    ) -> None:
        """Look up through `github`."""
        self._tasks = tasks
        self._deliveries = deliveries
        self._github = github
        self._clock = clock
        self._wakeups = wakeups
        self._mention = mention

    async def run(self) -> None:
        """Ripen until cancelled."""
        async with anyio.create_task_group() as group:
            looks = SideBySide(group, at_once=AT_ONCE, bell=self._wakeups.received)
            while True:
                try:
                    await self.ripen_due(looks)
                    pause = await self._pause_s()
                except StoreError as error:
                    log.error("received tasks cannot be read", code=error.code, error=str(error))
                    pause = STORE_WAIT_S
                await self._wakeups.received.wait(pause)

    async def ripen_due(self, looks: SideBySide) -> int:
        """Start to attend to the received tasks that are due; say how many that is."""
        due = await self._tasks.ripe(now=self._clock.now(), limit=looks.limit)
        return sum(
            looks.start(task.id, partial(self._attend, task), partial(self._put_off, task))
            for task in due
        )

    async def _attend(self, task: Task) -> None:
        with about(task=task.id):
            try:
                found = await self._judge(task)
            except NotFound as error:
                found = Refusal(reason="subject_gone", message=str(error))
            except GitHubError as error:
                await self._postpone(task, error)
                return
            if isinstance(found, Refusal):
                await self._refuse(task, found)
            elif await self._tasks.ripen(task.id, found, self._clock.now()):
                log.info("ripe", head_sha=found.head_sha)
                self._wakeups.queued.wake()

    async def _judge(self, task: Task) -> Subject | Refusal:
        """Give the subject as it is now, or why the task is not wanted."""
        if not task.needs:
            return task.subject
        event = await self._event_of(task)
        if event is None:
            return Refusal(reason="delivery_gone", message="its delivery cannot be read any more")
        pull = await self._pull_of(task) if Need.HEAD in task.needs else None
        if pull is not None and pull.state == "closed":
            return Refusal(reason="closed", message=f"pull request #{pull.number} is closed")
        known = await self._look_up(task, event, pull)
        if isinstance(known, Refusal):
            return known
        policy = await self._tasks.policy_of(task)
        verdict = judge_again(policy.rule, event, known)
        if verdict.matched is not True:
            return Refusal(reason=verdict.reason, message=f"{verdict.reason} does not hold")
        return _completed(task.subject, pull)

    async def _look_up(self, task: Task, event: Event, pull: PullHead | None) -> Known | Refusal:
        known = _known_of(pull, task.repository) if pull is not None else Known()
        if Need.PERMISSION in task.needs:
            permission = await self._permission(task, event)
            if isinstance(permission, Refusal):
                return permission
            known = replace(known, permission=permission)
        if Need.PATHS in task.needs:
            if task.subject.number is None:
                message = (
                    "the changed paths of a commit cannot be looked up yet, only a pull request's"
                )
                return Refusal(reason="paths_unknown", message=message)
            known = replace(known, paths=await self._paths(task))
        return known

    async def _permission(self, task: Task, event: Event) -> str | Refusal:
        """Ask for the live permission of whoever asks for the work; any doubt refuses."""
        actor = task.command.actor if task.command else event.sender
        if not actor or not task.repository:
            return Refusal(reason="allow", message="nobody is known who asks for this")
        try:
            return await permission_of(self._github, task.installation_id, task.repository, actor)
        except GitHubError as error:
            message = f"the permission of {actor} cannot be looked up: {error}"
            return Refusal(reason="permission_unknown", message=message)

    async def _paths(self, task: Task) -> tuple[str, ...]:
        if task.repository is None or task.subject.number is None:
            return ()
        return await changed_paths(
            self._github, task.installation_id, task.repository, task.subject.number
        )

    async def _pull_of(self, task: Task) -> PullHead | None:
        if task.repository is None or task.subject.number is None:
            return None
        return await get_pull(
            self._github, task.installation_id, task.repository, task.subject.number
        )

    async def _event_of(self, task: Task) -> Event | None:
        """Read the stored delivery again, as it was read when it came."""
        stored = await self._deliveries.find(task.delivery) if task.delivery else None
        if stored is None:
            return None
        read = intake.reopen(stored.headers, stored.body, self._mention)
        return None if isinstance(read, Unreadable) else read.event

    async def _refuse(self, task: Task, refusal: Refusal) -> None:
        reason, message = refusal.reason, refusal.message
        if await self._tasks.refuse(task.id, reason=reason, message=message, now=self._clock.now()):
            log.info("refused", reason=reason, why=message)

    async def _postpone(self, task: Task, error: GitHubError) -> None:
        """Wait for about as long as the task has waited already; after a day give up."""
        now = self._clock.now()
        if now - task.created_at > GIVE_UP_MS:
            await self._refuse(task, Refusal(reason="look_up_failed", message=str(error)))
            return
        until = error.retry_at if isinstance(error, RateLimited) else _later(task, now)
        log.warning("a look-up failed", code=error.code, error=str(error), until=until)
        await self._tasks.postpone(task.id, reason=f"look_up: {error.code}", until=until, now=now)

    async def _put_off(self, task: Task) -> None:
        """Let others go first after a fault of covend's own; after a day give up."""
        now = self._clock.now()
        if now - task.created_at > GIVE_UP_MS:
            await self._refuse(task, Refusal(reason=FAULT, message="covend itself fails at this"))
        else:
            until = _later(task, now)
            await self._tasks.postpone(task.id, reason=FAULT, until=until, now=now)

    async def _pause_s(self) -> float:
        now = self._clock.now()
        due = await self._tasks.next_due_at(TaskState.RECEIVED, now)
        return LOOK_EVERY_S if due is None else min(LOOK_EVERY_S, max(0.01, (due - now) / 1000))


def _later(task: Task, now: Moment) -> Moment:
    return now + min(WAIT_MAX_MS, max(WAIT_MIN_MS, now - task.created_at))


def _known_of(pull: PullHead, repository: str | None) -> Known:
    return Known(
        head_sha=pull.head_sha,
        base_sha=pull.base_sha,
        head_ref=pull.head_ref,
        base_ref=pull.base_ref,
        draft=pull.draft,
        fork=pull.head_repository != repository,
    )


def _completed(subject: Subject, pull: PullHead | None) -> Subject:
    """Fill in what the payload lacked."""
    if pull is None:
        return subject
    return replace(
        subject,
        head_sha=pull.head_sha,
        base_sha=pull.base_sha,
        head_ref=pull.head_ref,
        base_ref=pull.base_ref,
        head_repository=pull.head_repository,
    )
