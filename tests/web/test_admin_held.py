"""The operator's verbs by HTTP: what holds work back and lets it go, and what is asked of tasks."""

from __future__ import annotations

import sqlite3
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from covend.core.ending import Ending, Result
from covend.core.model import EffectKind, Need, TaskId, Trust
from covend.core.safeguards.shapes import Safeguard, SafeguardKind
from covend.core.states import Outcome, TaskState
from covend.store.protocol import Settlement
from tests.store.arrivals import NOW, arrival, draft
from tests.web.desk import BEARER, Answer, Desk

AT = NOW + 60_000
WRITTEN = "2026-09-21T14:14:20.000Z"


async def post(desk: Desk, path: str, body: Any = None, **options: Any) -> Answer:
    given = None if body is None else orjson.dumps(body)
    return await desk.ask(f"/api/v1/{path}", "POST", body=given, **options)


async def held_fork(desk: Desk) -> TaskId:
    waits = draft(needs=frozenset({Need.APPROVAL}), trust=Trust.FORK)
    return (await desk.deliveries.accept(arrival(waits))).tasks[0]


async def failed(desk: Desk) -> TaskId:
    task = await desk.arrive()
    ending = Ending(outcome=Outcome.FAILED, result=Result(), error_code="exit_code")
    await desk.tasks.settle(
        await desk.claim(),
        Settlement(target=TaskState.FAILED, reason="exit_code: final", ending=ending),
        NOW + 2_000,
    )
    return task


def guard(identifier: str, state: str = "holding", **changed: Any) -> Safeguard:
    kind, _, scope = identifier.partition("/")
    plain: dict[str, Any] = {"reason": "20 turns without progress", "until": None}
    plain["values"] = {"turns": 20}
    return Safeguard(
        id=identifier, kind=SafeguardKind(kind), scope=scope, state=state, **plain | changed
    )


# --- tasks ----------------------------------------------------------------------------------------


async def test_a_failed_task_is_retried(desk: Desk) -> None:
    task = await failed(desk)
    answer = await post(desk, f"tasks/{task}/retry", {"reason": "mended"})
    assert (answer.status, answer.data["state"], answer.data["generation"]) == (200, "queued", 2)
    assert answer.data["reason"] == "operator: mended"
    assert answer.data["error"] is None
    assert (await desk.claim(at=AT)).task.id == task


async def test_what_cannot_be_retried_is_a_conflict(desk: Desk) -> None:
    answer = await post(desk, f"tasks/{await desk.arrive()}/retry")
    assert (answer.status, answer.data["error"]["code"]) == (409, "conflict")
    assert "is queued already" in answer.data["error"]["message"]
    assert (await post(desk, "tasks/zzz/retry")).status == 404


async def test_an_approved_task_says_by_whom_and_when(desk: Desk) -> None:
    task = await held_fork(desk)
    waits = await desk.get(f"tasks/{task}")
    assert (waits["state"], waits["reason"], waits["not_before"]) == ("received", "approval", None)
    assert waits["explanation"].startswith("it comes from a fork; `covend approve ")
    assert (waits["trust"], waits["approved_by"], waits["approved_at"]) == ("fork", None, None)
    answer = await post(desk, f"tasks/{task}/approve")
    assert (answer.status, answer.data["state"]) == (200, "queued")
    assert (answer.data["approved_by"], answer.data["approved_at"]) == ("operator", WRITTEN)


async def test_what_waits_for_something_else_cannot_be_approved(desk: Desk) -> None:
    answer = await post(desk, f"tasks/{await desk.arrive()}/approve", {})
    assert (answer.status, answer.data["error"]["code"]) == (409, "conflict")
    assert "does not wait to be approved: it runs as" in answer.data["error"]["message"]


async def test_a_task_tells_where_it_comes_from_and_what_replaces_it(desk: Desk) -> None:
    told = await desk.get(f"tasks/{await desk.arrive()}")
    assert (told["parent"], told["depth"], told["superseded_by"]) == (None, 0, None)


# --- pauses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [None, {}, {"scope": "all"}, {"scope": None, "reason": None}])
async def test_without_a_scope_everything_is_paused(desk: Desk, body: Any) -> None:
    answer = await post(desk, "pause", body)
    assert answer.status == 200
    assert answer.data == {
        "id": "pause/all",
        "kind": "pause",
        "scope": "all",
        "state": "paused",
        "holds": True,
        "reason": "operator",
        "explanation": "everything is paused, by operator",
        "release": "covend resume",
        "until": None,
        "values": {"by": "operator", "why": ""},
        "created_at": WRITTEN,
        "updated_at": WRITTEN,
    }


async def test_what_is_paused_says_so_in_lists_and_stories(desk: Desk) -> None:
    task = await desk.arrive()
    await post(desk, "pause", {"scope": "rule:review", "reason": "deploy"})
    with pytest.raises(AssertionError):
        await desk.claim()
    (listed,) = (await desk.get("tasks"))["items"]
    told = await desk.get(f"tasks/{task}")
    for each in (listed, told):
        assert (each["reason"], each["not_before"]) == ("paused", None)
        assert each["explanation"] == (
            "rule review is paused, by operator: deploy; "
            "`covend resume --rule review` lets it go on"
        )
    answer = await post(desk, "resume", {"scope": "rule:review"})
    assert [each["id"] for each in answer.data["items"]] == ["pause/rule:review"]
    assert (await desk.claim(at=AT)).task.id == task


async def test_what_nobody_has_looked_at_since_the_drain_does_not_promise_to_run(
    desk: Desk,
) -> None:
    task = await desk.arrive()
    await post(desk, "drain")
    told = await desk.get(f"tasks/{task}")
    assert told["reason"] == "new"
    assert told["explanation"].startswith("nothing is taken in and nothing starts, by operator")


async def test_to_resume_nothing_is_no_fault(desk: Desk) -> None:
    answer = await post(desk, "resume", {"scope": "agent:echo"})
    assert (answer.status, answer.data) == (200, {"items": [], "next_cursor": None})


async def test_a_drain_reaches_the_daemon(desk: Desk) -> None:
    assert (await post(desk, "drain", {"reason": "new disk"})).data["id"] == "drain/all"
    assert (await post(desk, "resume")).data["items"][0]["state"] == "draining"
    assert desk.drains == [True, False]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("pause", b'{"scope": "everything"}'),
        ("pause", b'{"scope": 7}'),
        ("pause", b'{"scopes": "all"}'),
        ("pause", b'{"reason": "\\u001b[2J"}'),
        ("pause", b"[]"),
        ("pause", b'{"scope": "repository:%s/x"}' % (b"x" * 300)),
        ("resume", b'{"scope": "rule:"}'),
        ("drain", b'{"scope": "rule:review"}'),
        ("drain", b"{"),
        ("pause?scope=all", b""),
        ("tasks/1/approve", b'{"reason": "x"}'),
        ("safeguards/pause/all/reset", b'{"why": "x"}'),
    ],
)
async def test_a_wish_that_makes_no_sense_changes_nothing(
    desk: Desk, path: str, body: bytes
) -> None:
    answer = await desk.ask(f"/api/v1/{path}", "POST", body=body)
    assert (answer.status, answer.data["error"]["code"]) == (400, "bad_request")
    assert (await desk.get("safeguards"))["items"] == []
    assert desk.drains == []


@pytest.mark.parametrize("path", ["pause", "resume", "drain", "safeguards/pause/all/reset"])
async def test_get_neither_pauses_nor_resumes(desk: Desk, path: str) -> None:
    answer = await desk.ask(f"/api/v1/{path}")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["pause", "drain"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({**BEARER, "Origin": "https://evil.example"}, 403)],
)
async def test_only_the_operator_may_hold(
    desk: Desk, path: str, headers: dict[str, str], status: int
) -> None:
    assert (await post(desk, path, headers=headers)).status == status
    assert (await desk.get("safeguards"))["items"] == []


# --- safeguards -----------------------------------------------------------------------------------


async def test_safeguards_lists_what_holds_or_counts_and_nothing_that_is_over(desk: Desk) -> None:
    await desk.guards.put(guard("rate/rule=review", until=AT), NOW)
    await desk.guards.put(guard("rate/rule=fix", until=AT + 1), NOW)
    await desk.guards.put(guard("loop/acme/till#7", "counting"), NOW)
    await desk.guards.put(guard("loop/acme/till#8", "blocked"), NOW)
    found = (await desk.get("safeguards"))["items"]
    assert [(each["id"], each["state"], each["holds"]) for each in found] == [
        ("loop/acme/till#7", "counting", False),
        ("loop/acme/till#8", "blocked", True),
        ("rate/rule=fix", "holding", True),
    ]
    told = "acme/till#8 goes round in circles: 20 turns without progress"
    assert found[1]["explanation"] == told
    assert found[1]["release"] == "covend unblock acme/till#8"
    assert (found[1]["until"], found[1]["values"]) == (None, {"turns": 20})
    assert found[2]["until"] == "2026-09-21T14:14:20.001Z"


@pytest.mark.parametrize("is_encoded", [False, True])
async def test_a_safeguard_is_reset_by_its_id_however_its_slashes_come(
    desk: Desk, is_encoded: bool
) -> None:
    await desk.guards.put(guard("loop/acme/till#7", "blocked"), NOW)
    written = quote("loop/acme/till#7", safe="" if is_encoded else "/")
    answer = await post(desk, f"safeguards/{written}/reset", {"reason": "looked at it"})
    assert (answer.status, answer.data["state"]) == (200, "blocked")
    assert (await desk.get("safeguards"))["items"] == []


async def test_an_unknown_safeguard_names_the_nearest(desk: Desk) -> None:
    await desk.guards.put(guard("loop/acme/till#7", "blocked"), NOW)
    answer = await post(desk, "safeguards/loop/acme/till%238/reset")
    assert (answer.status, answer.data["error"]["code"]) == (404, "not_found")
    assert answer.data["error"]["details"]["nearest"] == ["loop/acme/till#7"]


# --- effects --------------------------------------------------------------------------------------


async def test_an_effect_that_answers_a_command_has_no_task(
    desk: Desk, database: sqlite3.Connection
) -> None:
    await desk.arrive()
    await desk.complete(await desk.claim())
    database.execute("UPDATE effects SET task_id = NULL")
    (effect,) = (await desk.get("effects"))["items"]
    assert (effect["task"], effect["kind"]) == (None, EffectKind.COMMENT)


async def failed_effect(desk: Desk) -> str:
    """A comment that GitHub refused."""
    await desk.arrive()
    await desk.complete(await desk.claim())
    (waits,) = await desk.effects.sendable(now=AT, limit=9)
    await desk.effects.begin(waits.id, AT)
    await desk.effects.fail(waits.id, error="github_permission: issues=write", now=AT)
    return waits.id


async def test_an_effect_that_has_failed_is_sent_again(desk: Desk) -> None:
    effect = await failed_effect(desk)
    answer = await post(desk, f"effects/{effect}/retry", {"reason": "it has the permission"})
    assert (answer.status, answer.data["id"]) == (200, effect)
    assert (answer.data["state"], answer.data["tries"]) == ("pending", 0)
    assert (answer.data["error"], answer.data["done_at"]) == (None, None)
    assert (await desk.get("effects"))["items"] == [answer.data]


async def test_an_effect_that_has_not_failed_is_not_sent_again_and_says_why(desk: Desk) -> None:
    effect = await failed_effect(desk)
    await post(desk, f"effects/{effect}/retry")
    answer = await post(desk, f"effects/{effect}/retry")
    assert (answer.status, answer.data["error"]["code"]) == (409, "conflict")
    assert "it is sent without being asked for" in answer.data["error"]["message"]
    assert (await post(desk, "effects/zzz/retry")).status == 404
    assert (await post(desk, f"effects/{effect}/retry", {"why": "x"})).status == 400
    assert (await post(desk, f"effects/{effect}/retry?x=1")).status == 400
