"""`POST /api/v1/tasks/{id}/cancel`: who may, what it does, and what it says."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Any

import orjson
import pytest

from covend.core.ending import Ending, Result
from covend.core.model import EffectKind, TaskId
from covend.core.policy import policy_of
from covend.core.states import Outcome, TaskState
from covend.services.clock import Clock
from covend.services.settling import Publishing, Settlements
from covend.store.protocol import Settlement
from tests.store.arrivals import NOW, POLICY, arrival, draft
from tests.web.desk import BEARER, Answer, Desk, completion

AT = NOW + 60_000
WRITTEN = "2026-09-21T14:14:20.000Z"
OPERATOR = "operator: wrong branch"
SETTLEMENTS = Settlements(clock=Clock(), publishing=Publishing(is_app=True, key=b"a key"))


async def cancel(desk: Desk, task: str, body: Any = None) -> Answer:
    given = None if body is None else orjson.dumps(body)
    return await desk.ask(f"/api/v1/tasks/{task}/cancel", "POST", body=given)


async def timeline(desk: Desk, task: str) -> list[tuple[str, str, str]]:
    moves = (await desk.get(f"tasks/{task}"))["timeline"]
    return [(move["from"], move["what"], move["why"]) for move in moves[1:]]


def again(outcome: Outcome = Outcome.FAILED) -> Settlement:
    ending = Ending(outcome=outcome, result=Result(), error_code="exit_code", retryable=True)
    return Settlement(
        target=TaskState.QUEUED, reason="retry", ending=ending, not_before_at=NOW + 2_000
    )


# --- what waits -----------------------------------------------------------------------------------


async def test_what_waits_is_cancelled_at_once(desk: Desk) -> None:
    task = await desk.arrive()
    answer = await cancel(desk, task, {"reason": "wrong\n branch"})
    assert (answer.status, answer.data["state"]) == (200, "cancelled")
    assert answer.data["reason"] == OPERATOR
    assert answer.data["finished_at"] == answer.data["cancel_requested_at"] == WRITTEN
    assert await timeline(desk, task) == [("queued", "cancelled", OPERATOR)]
    assert desk.stopped == []


@pytest.mark.parametrize("body", [None, {}, {"reason": ""}, {"reason": None}])
async def test_no_reason_has_to_be_given(desk: Desk, body: Any) -> None:
    assert (await cancel(desk, await desk.arrive(), body)).data["reason"] == "operator"


async def test_what_was_cancelled_is_never_claimed(desk: Desk) -> None:
    await cancel(desk, await desk.arrive())
    with pytest.raises(AssertionError):
        await desk.claim()


async def arrive_checked(desk: Desk) -> TaskId:
    """As `arrive`, by a rule that publishes a check."""
    rule = replace(POLICY.rule, publish=(EffectKind.CHECK,))
    policy = policy_of(rule, POLICY.agent)
    await desk.deliveries.save_policy(policy, NOW)
    accepted = await desk.deliveries.accept(arrival(draft(policy=policy.sha256)))
    return accepted.tasks[0]


async def test_a_check_that_is_in_progress_is_concluded(desk: Desk) -> None:
    task = await arrive_checked(desk)
    await desk.tasks.settle(await desk.claim(), again(), NOW + 1_500)
    await cancel(desk, task)
    [effect] = await desk.effects.sendable(now=AT, limit=9)
    assert effect.request["body"]["conclusion"] == "cancelled"


async def test_a_check_of_an_attempt_that_ran_on_is_concluded_as_cancelled(desk: Desk) -> None:
    await arrive_checked(desk)
    claim = await desk.claim()
    await cancel(desk, claim.task.id)
    policy = await desk.tasks.policy_of(claim.task)
    ending = Ending(outcome=Outcome.SUCCEEDED, result=Result(summary="All is well."))
    planned = SETTLEMENTS.plan(claim, policy, ending)
    assert planned.target is TaskState.COMPLETED
    await desk.tasks.settle(claim, planned, AT)
    [effect] = await desk.effects.sendable(now=AT, limit=9)
    assert effect.request["body"]["conclusion"] == "cancelled"
    assert "All is well" not in str(effect.request)


async def test_a_task_without_an_attempt_has_no_check_to_conclude(desk: Desk) -> None:
    task = await arrive_checked(desk)
    await cancel(desk, task)
    assert (await desk.get(f"tasks/{task}"))["effects"] == []


async def test_a_task_whose_policy_is_broken_can_still_be_cancelled(
    desk: Desk, database: sqlite3.Connection
) -> None:
    task = await desk.arrive()
    await desk.tasks.settle(await desk.claim(), again(), NOW + 1_500)
    database.execute("UPDATE policies SET body = x'00'")
    assert (await cancel(desk, task)).data["state"] == "cancelled"


# --- what runs ------------------------------------------------------------------------------------


async def test_what_runs_is_asked_to_stop(desk: Desk) -> None:
    task = await desk.arrive()
    await desk.claim()
    answer = await cancel(desk, task, {"reason": "wrong branch"})
    assert (answer.status, answer.data["state"]) == (202, "running")
    assert answer.data["cancel_requested_at"] == WRITTEN
    assert desk.stopped == [task]
    assert (await timeline(desk, task))[1:] == [
        ("running", "running", f"cancel requested by {OPERATOR}")
    ]


async def test_to_cancel_twice_is_to_cancel_once(desk: Desk) -> None:
    task = await desk.arrive()
    claim = await desk.claim()
    await cancel(desk, task, {"reason": "wrong branch"})
    assert (await cancel(desk, task, {"reason": "really"})).status == 202
    assert len(await timeline(desk, task)) == 2
    await desk.tasks.settle(claim, again(), AT)
    answer = await cancel(desk, task)
    assert (answer.status, answer.data["state"], answer.data["reason"]) == (
        200,
        "cancelled",
        OPERATOR,
    )
    assert desk.stopped == [task, task]


@pytest.mark.parametrize(
    "settlement",
    [again(), again(Outcome.LOST), again(Outcome.INTERRUPTED), completion("Fine.")],
    ids=["retried", "lost", "interrupted", "completed"],
)
async def test_a_task_whose_cancel_was_asked_ends_cancelled(
    desk: Desk, settlement: Settlement
) -> None:
    """Whatever its attempt came to, also over a restart: it is neither retried nor published."""
    task = await desk.arrive()
    claim = await desk.claim()
    await cancel(desk, task, {"reason": "wrong branch"})
    written = await desk.tasks.settle(claim, settlement, AT)
    assert written.target is TaskState.CANCELLED
    story = await desk.get(f"tasks/{task}")
    assert (story["state"], story["reason"]) == ("cancelled", OPERATOR)
    assert story["attempts_list"][0]["outcome"] == "cancelled"
    assert (story["effects"], story["summary"]) == ([], None)


async def test_what_a_cancelled_attempt_cost_is_known(desk: Desk) -> None:
    task = await desk.arrive()
    claim = await desk.claim()
    await cancel(desk, task)
    await desk.complete(claim)
    assert (await desk.get(f"tasks/{task}"))["cost_usd"] == 0.25


async def test_the_schema_lets_no_task_escape_its_cancel(
    desk: Desk, database: sqlite3.Connection
) -> None:
    task = await desk.arrive()
    await desk.claim()
    await cancel(desk, task)
    with pytest.raises(sqlite3.IntegrityError, match="task_cancel_is_final"):
        database.execute("UPDATE tasks SET state = 'queued', claim = NULL, lease_until_at = NULL")


# --- what cannot be cancelled ---------------------------------------------------------------------


async def test_what_has_ended_is_a_conflict_that_says_how(desk: Desk) -> None:
    task = await desk.arrive()
    await desk.complete(await desk.claim())
    answer = await cancel(desk, task)
    assert (answer.status, answer.data["error"]["code"]) == (409, "already_ended")
    assert answer.data["error"]["details"] == {"id": task, "state": "completed"}


async def test_a_task_that_is_not_there_is_not_found(desk: Desk) -> None:
    assert (await cancel(desk, "zzz")).status == 404


async def test_a_beginning_of_two_ids_is_refused(desk: Desk) -> None:
    one, two = await desk.arrive(), await desk.arrive()
    answer = await cancel(desk, _common(one, two))
    assert (answer.status, answer.data["error"]["code"]) == (400, "ambiguous_id")
    assert (await desk.get(f"tasks/{one}"))["state"] == "queued"


def _common(one: TaskId, two: TaskId) -> str:
    return next(one[:end] for end in range(len(one), 0, -1) if two.startswith(one[:end]))


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"x"',
        b"reason=x",
        b"[" * 100_000,
        b'{"why": "x"}',
        b'{"reason": 7}',
        b'{"reason": "\\u001b[2J"}',
        b'{"reason": "%s"}' % (b"x" * 501),
    ],
)
async def test_a_body_that_makes_no_sense_changes_nothing(desk: Desk, body: bytes) -> None:
    task = await desk.arrive()
    answer = await desk.ask(f"/api/v1/tasks/{task}/cancel", "POST", body=body)
    assert (answer.status, answer.data["error"]["code"]) == (400, "bad_request")
    assert (await desk.get(f"tasks/{task}"))["state"] == "queued"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({**BEARER, "Origin": "https://evil.example"}, 403),
        ({**BEARER, "Host": "evil.example"}, 421),
    ],
)
async def test_only_the_operator_may(desk: Desk, headers: dict[str, str], status: int) -> None:
    task = await desk.arrive()
    answer = await desk.ask(f"/api/v1/tasks/{task}/cancel", "POST", headers=headers)
    assert answer.status == status
    assert (await desk.get(f"tasks/{task}"))["state"] == "queued"


async def test_get_changes_nothing(desk: Desk) -> None:
    task = await desk.arrive()
    answer = await desk.ask(f"/api/v1/tasks/{task}/cancel")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    assert (await desk.get(f"tasks/{task}"))["state"] == "queued"
