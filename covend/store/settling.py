"""Ends an attempt: its task is moved, and with it in one transaction goes all that follows from it.

Refuses what the claim is not the owner of any more, and what others have wished to end otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias, assert_never

import orjson

from covend.core.errors import ClaimLostError
from covend.core.model import Claim, Moment
from covend.core.safeguards.spending import ids_at
from covend.core.states import Outcome, TaskState
from covend.store import guards, spending
from covend.store.attempts import fenced
from covend.store.claiming import after
from covend.store.connection import Ask, Script
from covend.store.effects import effect_rows
from covend.store.protocol import Arrival, Settlement

KeepFollower: TypeAlias = Callable[[Arrival], Script[None]]
"""Accepts the event of a task's own end in the transaction that ends it."""


def settle(
    claim: Claim, settlement: Settlement, now: Moment, keep_follower: KeepFollower
) -> Script[Settlement]:
    """See `Tasks.settle`. The task is moved first: if the claim is lost, nothing is written."""
    written = yield from _move(claim, settlement, now)
    yield from fenced(claim, _ending(claim, written, now))
    yield Ask("insert_effects", each=effect_rows(claim.task, written.effects, now))
    yield Ask("release_key", {"key": claim.task.key, "now": now})
    yield from spending.add(ids_at(claim.task, now), written.ending.result.usage)
    if written.lesson is not None:
        yield from guards.learn(written.lesson, now)
    if written.follower is not None:
        yield from keep_follower(written.follower)
    return written


def _move(claim: Claim, settlement: Settlement, now: Moment) -> Script[Settlement]:
    """Move the task, and say by which settlement: by another one where somebody has wished so."""
    answer = yield _moving(claim, settlement, now)
    if answer.rows:
        return settlement
    mine = {"id": claim.task.id, "claim": claim.token}
    wishes = (yield from fenced(claim, Ask("find_wishes", mine))).rows[0]
    if wishes["cancel_requested_at"] is not None:
        other = settlement.if_cancelled or _bare(settlement, Outcome.CANCELLED)
    elif wishes["superseded_by"] is not None:
        other = settlement.if_superseded or _bare(settlement, Outcome.SUPERSEDED)
    else:
        raise ClaimLostError(f"the lease of task {claim.task.id} was renewed meanwhile")
    other = replace(other, only_if_expired=settlement.only_if_expired)
    yield from fenced(claim, _moving(claim, other, now))
    return other


def _bare(settlement: Settlement, outcome: Outcome) -> Settlement:
    """Give the end that somebody has wished for, with nothing to see of it."""
    ending = replace(settlement.ending, outcome=outcome)
    return Settlement(
        target=TaskState(outcome.value),
        reason=outcome,
        ending=ending,
        log_bytes=settlement.log_bytes,
    )


def _moving(claim: Claim, settlement: Settlement, now: Moment) -> Ask:
    """Choose the one statement that makes this move."""
    ending, result = settlement.ending, settlement.ending.result
    common: dict[str, object] = {
        "id": claim.task.id,
        "claim": claim.token,
        "now": now,
        "reason": settlement.reason,
        "cost_usd": result.usage.cost_usd,
        "only_if_expired": settlement.only_if_expired,
    }
    match settlement.target:
        case TaskState.COMPLETED | TaskState.FAILED:
            said = {"conclusion": result.conclusion, "summary": result.summary}
            errors = {"error_code": ending.error_code, "error_message": ending.error_message}
            return Ask("settle_task", common | said | errors | {"state": settlement.target})
        case TaskState.SUPERSEDED:
            return Ask("supersede_running_task", common)
        case TaskState.QUEUED:
            return _queueing(claim, settlement, common)
        case TaskState.CANCELLED:
            return Ask("cancel_running_task", common)
        case TaskState.RECEIVED | TaskState.RUNNING | TaskState.IGNORED:
            raise ValueError(f"a running task cannot be settled as {settlement.target}")
        case _:
            assert_never(settlement.target)


def _queueing(claim: Claim, settlement: Settlement, common: dict[str, object]) -> Ask:
    """Choose how the task goes back to the queue, by what is counted against whom."""
    ending = settlement.ending
    again = common | {
        "not_before_at": settlement.not_before_at,
        "retry_until_at": settlement.retry_until_at,
        "is_afresh": settlement.is_afresh,
    }
    errors = {"error_code": ending.error_code, "error_message": ending.error_message}
    if settlement.agent is not None:
        left = orjson.dumps(after(settlement.agent, claim.task.fallbacks)).decode()
        named = {"agent": settlement.agent, "fallbacks": left}
        return Ask("fall_back_task", again | errors | named)
    if settlement.is_deferred:
        return Ask("defer_task", again | errors)
    if ending.outcome in (Outcome.INTERRUPTED, Outcome.LOST):
        return Ask("return_task", again)
    return Ask("retry_task", again | errors)


def _ending(claim: Claim, settlement: Settlement, now: Moment) -> Ask:
    ending, usage = settlement.ending, settlement.ending.result.usage
    return Ask(
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
    )
