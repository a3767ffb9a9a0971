"""Tasks and their attempts, as services ask for them: each verb is one transaction, and every move
one guarded statement with its claim token.

How a claim goes, says `claiming`; how a settlement goes, `settling`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import orjson

from covend.core.errors import AmbiguousIdError
from covend.core.model import (
    Attempt,
    Claim,
    ClaimToken,
    Mode,
    Moment,
    Phase,
    Repository,
    Subject,
    Task,
    TaskId,
    Trust,
)
from covend.core.safeguards import gate as safeguards_gate
from covend.core.safeguards.shapes import FOREVER, Terms
from covend.core.sessions import Session
from covend.core.settings import Policy
from covend.core.states import Outcome, TaskState
from covend.store import attempts, claiming, waiting
from covend.store.accepting import keep_follower as keep_by_accepting
from covend.store.claiming import Gate, Wish
from covend.store.connection import Ask, Connection, Row, Script, one, rows
from covend.store.effects import AFTER_ALL_IDS, effect_rows
from covend.store.kept_policies import KeptPolicies
from covend.store.overdue import end, list_overdue, withdraw
from covend.store.protocol import (
    Arrival,
    Move,
    Overdue,
    Progress,
    Renewed,
    Settlement,
    Started,
    Taken,
    TaskStory,
)
from covend.store.rows import attempt_of, effect_of, repository_of, task_of
from covend.store.searching import TaskSearch, find_tasks
from covend.store.settling import KeepFollower, settle
from covend.store.waiting import Effects

NEWEST_MAX = 10_000
"""So many tasks are looked at for a repository by its name."""


class StoredTasks:
    """`store.protocol.Tasks` over any dialect."""

    def __init__(
        self,
        connection: Connection,
        *,
        gate: Gate = safeguards_gate,
        keep_follower: KeepFollower = keep_by_accepting,
    ) -> None:
        """Let `gate` decide what may be claimed, and `keep_follower` keep what an end asks for."""
        self._connection = connection
        self._gate = gate
        self._keep_follower = keep_follower
        self._policies = KeptPolicies()

    async def claim(
        self, *, node: str, token: ClaimToken, now: Moment, lease_s: float, terms: Terms
    ) -> Taken:
        """See `Tasks.claim`."""
        wish = Wish(node=node, token=token, now=now, lease_s=lease_s, terms=terms)
        return await self._connection.write(claiming.claim(wish, self._policies, self._gate))

    async def policy_of(self, task: Task) -> Policy:
        """See `Tasks.policy_of`."""
        known = self._policies.known(task.policy)
        if known is not None:
            return known
        return await self._connection.read(self._policies.find(task.policy))

    async def repository(self, full_name: str) -> Repository | None:
        """See `Tasks.repository`."""
        row = await self._connection.read(
            one("find_repository", repository=full_name, newest=NEWEST_MAX)
        )
        return repository_of(row) if row else None

    async def repositories(self) -> Sequence[str]:
        """See `Tasks.repositories`."""
        found = await self._connection.read(rows("list_repositories", newest=NEWEST_MAX))
        return [row["repository"] for row in found]

    async def waits_for(self, *, rule: str | None = None, agent: str | None = None) -> bool:
        """See `Tasks.waits_for`."""
        return await self._connection.read(one("find_waiting", rule=rule, agent=agent)) is not None

    async def note_process(self, claim: Claim, started: Started) -> None:
        """See `Tasks.note_process`."""
        await self._connection.write(attempts.note_process(claim, started))

    async def note_mode(
        self, claim: Claim, *, mode: Mode, workspace: str, resumes: Session | None = None
    ) -> bool:
        """See `Tasks.note_mode`."""
        return await self._connection.write(attempts.note_mode(claim, mode, workspace, resumes))

    async def note_session(self, claim: Claim, session: str) -> None:
        """See `Tasks.note_session`."""
        await self._connection.write(attempts.note_session(claim, session))

    async def last_session(self, task: Task, now: Moment) -> Session | None:
        """See `Tasks.last_session`."""
        return await self._connection.read(attempts.last_session(task, now))

    async def note_phase(self, claim: Claim, phase: Phase) -> None:
        """See `Tasks.note_phase`."""
        await self._connection.write(attempts.note_phase(claim, phase))

    async def announce(self, claim: Claim, effects: Effects, now: Moment) -> None:
        """See `Tasks.announce`."""
        await self._connection.write(_announce(claim, effects, now))

    async def settle(self, claim: Claim, settlement: Settlement, now: Moment) -> Settlement:
        """See `Tasks.settle`."""
        return await self._connection.write(settle(claim, settlement, now, self._keep_follower))

    async def renew(
        self, claims: Mapping[ClaimToken, TaskId], *, now: Moment, lease_s: float
    ) -> Renewed:
        """See `Tasks.renew`."""
        return await self._connection.write(_renew(claims, now + round(lease_s * 1000)))

    async def running(self) -> Sequence[tuple[Task, ClaimToken, Attempt]]:
        """See `Tasks.running`."""
        return await self._connection.read(_held("list_running_tasks"))

    async def expired(
        self, now: Moment, *, limit: int
    ) -> Sequence[tuple[Task, ClaimToken, Attempt]]:
        """See `Tasks.expired`."""
        return await self._connection.read(_held("list_expired_tasks", now=now, limit=limit))

    async def ripe(self, *, now: Moment, limit: int) -> Sequence[Task]:
        """See `Tasks.ripe`."""
        found = await self._connection.read(rows("list_ripe_tasks", now=now, limit=limit))
        return [task_of(row) for row in found]

    async def ripen(
        self,
        task: TaskId,
        subject: Subject,
        now: Moment,
        *,
        trust: Trust | None = None,
        policy: Policy | None = None,
        effects: Effects = (),
    ) -> bool:
        """See `Tasks.ripen`."""
        asked = waiting.known(subject, trust) | waiting.by_policy(policy) | {"id": task, "now": now}
        moved = await self._connection.write(
            waiting.with_effects(Ask("ripen_task", asked), effects, now)
        )
        return moved is not None

    async def hold(
        self,
        task: TaskId,
        subject: Subject,
        now: Moment,
        *,
        trust: Trust | None = None,
        policy: Policy | None = None,
    ) -> bool:
        """See `Tasks.hold`."""
        asked = waiting.known(subject, trust) | waiting.by_policy(policy)
        return await self._moved("hold_for_approval", **asked, id=task, forever=FOREVER, now=now)

    async def approve(self, task: TaskId, *, by: str, now: Moment) -> Task | None:
        """See `Tasks.approve`."""
        return await self._connection.write(waiting.approve(task, by, now))

    async def retry(self, task: TaskId, *, reason: str, now: Moment) -> Task | None:
        """See `Tasks.retry`. Raises ConflictError where it was cancelled before it was known
        whether it may run at all.
        """
        return await self._connection.write(waiting.retry(task, reason, now, self._policies))

    async def overdue(self, now: Moment, *, limit: int) -> Sequence[Overdue]:
        """See `Tasks.overdue`."""
        return await self._connection.read(list_overdue(now, limit))

    async def end(
        self, overdue: Overdue, *, effects: Effects, now: Moment, follower: Arrival | None = None
    ) -> Task | None:
        """See `Tasks.end`."""
        following = self._keep_follower(follower) if follower is not None else None
        return await self._connection.write(end(overdue, effects, following, now))

    async def withdraw(
        self, task: Task, *, effects: Effects, reason: str, now: Moment
    ) -> Task | None:
        """See `Tasks.withdraw`."""
        return await self._connection.write(withdraw(task, effects, reason, now))

    async def postpone(
        self,
        task: TaskId,
        *,
        reason: str,
        until: Moment,
        now: Moment,
        seen_at: Moment | None = None,
    ) -> bool:
        """See `Tasks.postpone`."""
        return await self._moved(
            "postpone_received_task",
            id=task,
            reason=reason,
            not_before_at=until,
            now=now,
            seen_at=seen_at,
        )

    async def refuse(
        self, task: TaskId, *, reason: str, message: str, now: Moment, effects: Effects = ()
    ) -> bool:
        """See `Tasks.refuse`."""
        asked = {"id": task, "reason": reason, "message": message, "now": now}
        moved = await self._connection.write(
            waiting.with_effects(Ask("refuse_task", asked), effects, now)
        )
        return moved is not None

    async def cancel(
        self,
        task: Task,
        *,
        reason: str,
        effects: Effects,
        now: Moment,
    ) -> Task | None:
        """See `Tasks.cancel`."""
        return await self._connection.write(_cancel(task, reason, effects, now))

    async def request_cancel(self, task: TaskId, *, reason: str, now: Moment) -> Task | None:
        """See `Tasks.request_cancel`."""
        row = await self._connection.write(one("request_cancel", id=task, reason=reason, now=now))
        return task_of(row) if row else None

    async def progress(self, task: TaskId, number: int) -> Progress | None:
        """See `Tasks.progress`."""
        row = await self._connection.read(one("find_progress", id=task, number=number))
        return _progress_of(row) if row else None

    async def next_due_at(self, state: TaskState, now: Moment) -> Moment | None:
        """See `Tasks.next_due_at`."""
        if state not in _DUE_QUERIES:
            return None
        query = _DUE_QUERIES[state]
        row = await self._connection.read(one(query, now=now, forever=FOREVER))
        return row["at"] if row else None

    async def story(self, task: str) -> TaskStory | None:
        """See `Tasks.story`."""
        return await self._connection.read(_story(task))

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
        """See `Tasks.page`."""
        below = cursor or AFTER_ALL_IDS
        if search is not None:
            looked = find_tasks(
                search, limit=limit, cursor=below, state=state, rule=rule, repository=repository
            )
            some, following = await self._connection.read(looked)
            return [task_of(row) for row in some], following
        found = await self._connection.read(
            rows(
                "list_tasks_in_state" if state else "list_tasks",
                limit=limit + 1,
                cursor=below,
                state=state,
                rule=rule,
                repository=repository,
            )
        )
        items = [task_of(row) for row in found[:limit]]
        return items, items[-1].id if len(found) > limit else None

    async def _moved(self, query: str, **parameters: object) -> bool:
        return await self._connection.write(one(query, **parameters)) is not None


_DUE_QUERIES = {
    TaskState.RECEIVED: "next_received_due_at",
    TaskState.QUEUED: "next_queued_due_at",
}
"""The states in which a task waits for a moment."""


def _announce(claim: Claim, effects: Effects, now: Moment) -> Script[None]:
    yield from attempts.note_phase(claim, Phase.CHECKOUT)
    yield Ask("insert_effects", each=effect_rows(claim.task, effects, now))


def _cancel(task: Task, reason: str, effects: Effects, now: Moment) -> Script[Task | None]:
    row = yield from one("cancel_task", id=task.id, attempts=task.attempts, reason=reason, now=now)
    if row is None:
        return None
    yield Ask("insert_effects", each=effect_rows(task, effects, now))
    return task_of(row)


def _renew(claims: Mapping[ClaimToken, TaskId], until: Moment) -> Script[Renewed]:
    asked = orjson.dumps(claims).decode()
    found = yield from rows("renew_leases", claims=asked, lease_until_at=until)
    return Renewed(
        held=_tokens(found),
        cancelled=_tokens(row for row in found if row["cancel_requested_at"] is not None),
        superseded=_tokens(row for row in found if row["superseded_by"] is not None),
    )


def _tokens(found: Iterable[Row]) -> frozenset[ClaimToken]:
    return frozenset(ClaimToken(row["claim"]) for row in found)


def _progress_of(row: Row) -> Progress:
    return Progress(
        state=TaskState(row["state"]),
        attempts=row["attempts"],
        has_begun=row["number"] is not None,
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        error_code=row["error_code"],
    )


def _held(query: str, **parameters: object) -> Script[Sequence[tuple[Task, ClaimToken, Attempt]]]:
    found = yield from rows(query, **parameters)
    running: list[tuple[Task, ClaimToken, Attempt]] = []
    for row in found:
        attempt = yield from one("find_open_attempt", task_id=row["id"])
        assert attempt is not None, "a running task has an open attempt"
        running.append((task_of(row), ClaimToken(row["claim"]), attempt_of(attempt)))
    return running


def _story(prefix: str) -> Script[TaskStory | None]:
    found = yield from rows("find_tasks_by_prefix", prefix=prefix.lower())
    if len(found) > 1:
        raise AmbiguousIdError(f"{prefix} is the beginning of several tasks: give more of it")
    if not found:
        return None
    task = task_of(found[0])
    timeline = yield from rows("find_timeline", id=task.id)
    attempts = yield from rows("list_attempts", task_id=task.id)
    effects = yield from rows("list_task_effects", task_id=task.id)
    return TaskStory(
        task=task,
        timeline=tuple(
            Move(
                at=row["at"],
                source=TaskState(row["source"]) if row["source"] else None,
                target=TaskState(row["target"]),
                reason=row["reason"],
            )
            for row in timeline
        ),
        attempts=tuple(attempt_of(row) for row in attempts),
        effects=tuple(effect_of(row) for row in effects),
    )
