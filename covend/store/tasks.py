"""Claim tasks, settle them, and give them back: every move is one guarded statement with its claim
token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import assert_never

import orjson

from covend.core import policy as policies
from covend.core.errors import AmbiguousIdError, NotFoundError
from covend.core.model import (
    Attempt,
    Claim,
    ClaimToken,
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
from covend.core.states import Outcome, TaskState
from covend.store import attempts
from covend.store.attempts import fenced
from covend.store.connection import Ask, Connection, Row, Script, one, rows
from covend.store.effects import AFTER_ALL_IDS, effect_rows
from covend.store.protocol import Move, Progress, Settlement, Started, TaskStory
from covend.store.rows import attempt_of, effect_of, task_of


class StoredTasks:
    """`store.protocol.Tasks` over any dialect."""

    def __init__(self, connection: Connection) -> None:
        """Keep the connection; the rest is in the rows."""
        self._connection = connection

    async def claim(
        self,
        *,
        node: str,
        token: ClaimToken,
        now: Moment,
        lease_s: float,
        agents: Mapping[str, int],
    ) -> Claim | None:
        """See `Tasks.claim`."""
        return await self._connection.write(_claim(node, token, now, lease_s, agents))

    async def policy_of(self, task: Task) -> Policy:
        """See `Tasks.policy_of`."""
        row = await self._connection.read(one("find_policy", sha256=task.policy))
        if row is None:
            message = f"task {task.id} points to a policy that is not there"
            raise NotFoundError(message)
        return policies.load(row["body"])

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

    async def announce(
        self, claim: Claim, effects: Sequence[tuple[EffectId, EffectDraft]], now: Moment
    ) -> None:
        """See `Tasks.announce`."""
        await self._connection.write(_announce(claim, effects, now))

    async def settle(self, claim: Claim, settlement: Settlement, now: Moment) -> Settlement:
        """See `Tasks.settle`."""
        return await self._connection.write(_settle(claim, settlement, now))

    async def renew(
        self, claims: Mapping[ClaimToken, TaskId], *, now: Moment, lease_s: float
    ) -> frozenset[ClaimToken]:
        """See `Tasks.renew`."""
        found = await self._connection.write(
            rows(
                "renew_leases",
                claims=orjson.dumps(claims).decode(),
                lease_until_at=now + round(lease_s * 1000),
            )
        )
        return frozenset(ClaimToken(row["claim"]) for row in found)

    async def running(self) -> Sequence[tuple[Task, ClaimToken, Attempt]]:
        """See `Tasks.running`."""
        return await self._connection.read(_held("list_running_tasks"))

    async def expired(self, now: Moment) -> Sequence[tuple[Task, ClaimToken, Attempt]]:
        """See `Tasks.expired`."""
        return await self._connection.read(_held("list_expired_tasks", now=now))

    async def ripe(self, *, now: Moment, limit: int) -> Sequence[Task]:
        """See `Tasks.ripe`."""
        found = await self._connection.read(rows("list_ripe_tasks", now=now, limit=limit))
        return [task_of(row) for row in found]

    async def ripen(self, task: TaskId, subject: Subject, now: Moment) -> bool:
        """See `Tasks.ripen`."""
        return await self._moved(
            "ripen_task",
            id=task,
            head_sha=subject.head_sha,
            base_sha=subject.base_sha,
            head_ref=subject.head_ref,
            base_ref=subject.base_ref,
            head_repository=subject.head_repository,
            now=now,
        )

    async def postpone(self, task: TaskId, *, reason: str, until: Moment, now: Moment) -> bool:
        """See `Tasks.postpone`."""
        return await self._moved(
            "postpone_received_task", id=task, reason=reason, not_before_at=until, now=now
        )

    async def refuse(self, task: TaskId, *, reason: str, message: str, now: Moment) -> bool:
        """See `Tasks.refuse`."""
        return await self._moved("refuse_task", id=task, reason=reason, message=message, now=now)

    async def cancel(
        self,
        task: Task,
        *,
        reason: str,
        effects: Sequence[tuple[EffectId, EffectDraft]],
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
        row = await self._connection.read(one("next_due_at", state=state, now=now))
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
    ) -> tuple[Sequence[Task], str | None]:
        """See `Tasks.page`."""
        found = await self._connection.read(
            rows(
                "list_tasks_in_state" if state else "list_tasks",
                limit=limit + 1,
                cursor=cursor or AFTER_ALL_IDS,
                state=state,
                rule=rule,
                repository=repository,
            )
        )
        items = [task_of(row) for row in found[:limit]]
        return items, items[-1].id if len(found) > limit else None

    async def _moved(self, query: str, **parameters: object) -> bool:
        return await self._connection.write(one(query, **parameters)) is not None


def _claim(
    node: str, token: ClaimToken, now: Moment, lease_s: float, agents: Mapping[str, int]
) -> Script[Claim | None]:
    """Find, take, write the attempt and the turn: all or nothing."""
    found = yield from one("find_claimable", now=now, agent_limits=orjson.dumps(agents).decode())
    if found is None:
        return None
    lease_until = now + round(lease_s * 1000)
    row = yield from one(
        "claim_task", id=found["id"], claim=token, lease_until_at=lease_until, now=now
    )
    if row is None:
        return None
    task = task_of(row)
    yield Ask(
        "insert_attempt",
        {
            "task_id": task.id,
            "number": task.attempts,
            "claim": token,
            "agent": task.agent,
            "node": node,
            "mode": Mode.FRESH,
            "phase": Phase.CHECKOUT,
            "now": now,
        },
    )
    yield Ask("take_turn", {"repository_key": row["repository_key"]})
    return Claim(
        task=task, attempt=task.attempts, token=token, lease_until=lease_until, started_at=now
    )


def _announce(
    claim: Claim, effects: Sequence[tuple[EffectId, EffectDraft]], now: Moment
) -> Script[None]:
    yield from attempts.note_phase(claim, Phase.CHECKOUT)
    yield Ask("insert_effects", each=effect_rows(claim.task, effects, now))


def _cancel(
    task: Task, reason: str, effects: Sequence[tuple[EffectId, EffectDraft]], now: Moment
) -> Script[Task | None]:
    row = yield from one("cancel_task", id=task.id, attempts=task.attempts, reason=reason, now=now)
    if row is None:
        return None
    yield Ask("insert_effects", each=effect_rows(task, effects, now))
    return task_of(row)


def _settle(claim: Claim, settlement: Settlement, now: Moment) -> Script[Settlement]:
    """Move the task first: if the claim is lost, nothing else is written."""
    settlement = yield from _move(claim, settlement, now)
    ending, usage = settlement.ending, settlement.ending.result.usage
    yield from fenced(
        claim,
        Ask(
            "end_attempt",
            {
                "task_id": claim.task.id,
                "claim": claim.token,
                "outcome": ending.outcome,
                "error_code": ending.error_code,
                "error_message": ending.error_message,
                "exit_code": ending.exit_code,
                "signal": ending.signal,
                "session": ending.result.session,
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cost_usd": usage.cost_usd,
                "log_bytes": settlement.log_bytes,
                "now": now,
            },
        ),
    )
    yield Ask("insert_effects", each=effect_rows(claim.task, settlement.effects, now))
    return settlement


def _move(claim: Claim, settlement: Settlement, now: Moment) -> Script[Settlement]:
    """Move the task, and say by which settlement: by another one where its cancel was asked."""
    answer = yield _moving(claim, settlement, now)
    if answer.rows:
        return settlement
    cancelled = settlement.if_cancelled or _without_effects(settlement)
    yield from fenced(claim, _moving(claim, cancelled, now))
    return cancelled


def _without_effects(settlement: Settlement) -> Settlement:
    ending = replace(settlement.ending, outcome=Outcome.CANCELLED)
    return replace(settlement, target=TaskState.CANCELLED, ending=ending, effects=())


def _moving(claim: Claim, settlement: Settlement, now: Moment) -> Ask:
    """Choose the one statement that makes this move."""
    ending, result = settlement.ending, settlement.ending.result
    common: dict[str, object] = {
        "id": claim.task.id,
        "claim": claim.token,
        "now": now,
        "reason": settlement.reason,
    }
    errors = {"error_code": ending.error_code, "error_message": ending.error_message}
    cost = {"cost_usd": result.usage.cost_usd}
    match settlement.target:
        case TaskState.COMPLETED | TaskState.FAILED:
            said = {"conclusion": result.conclusion, "summary": result.summary}
            state = {"state": settlement.target}
            return Ask("settle_task", common | state | said | errors | cost)
        case TaskState.SUPERSEDED:
            return Ask("supersede_running_task", common | cost)
        case TaskState.QUEUED:
            again = cost | {"not_before_at": settlement.not_before_at}
            if ending.outcome in (Outcome.INTERRUPTED, Outcome.LOST):
                return Ask("return_task", common | again)
            return Ask("retry_task", common | again | errors)
        case TaskState.CANCELLED:
            return Ask("cancel_running_task", common | cost)
        case TaskState.RECEIVED | TaskState.RUNNING | TaskState.IGNORED:
            message = f"a running task cannot be settled as {settlement.target}"
            raise ValueError(message)
        case _:
            assert_never(settlement.target)


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
