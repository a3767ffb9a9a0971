"""What the API answers to whoever asks for a look through GitHub's log."""

from __future__ import annotations

from typing import Any

import anyio
import orjson
import pytest

from covend.edges.github.errors import MissingPermission, RateLimited
from covend.web.api import reconciling
from tests.web.desk import Answer, Desk
from tests.web.paper_log import looking


async def asked(desk: Desk, body: Any = None) -> Answer:
    body = b"" if body is None else orjson.dumps(body)
    return await desk.ask("/api/v1/reconcile", "POST", body=body)


async def test_the_answer_is_what_the_look_came_to(desk: Desk) -> None:
    lost = [desk.paper.write() for _ in range(2)] + [desk.paper.write(status=202)]
    async with looking(desk.reconciler):
        answer = await asked(desk, {"since": "3d"})
    assert answer.status == 200
    assert answer.data == answer.data | {
        "id": 1,
        "state": "ended",
        "asked": True,
        "is_complete": True,
        "error": None,
        "logs": 1,
        "listed": 3,
        "known": 0,
        "fetched": 3,
        "kept": 3,
        "ignored": 3,
        "unknown_delivered": 1,
        "failed": 0,
    }
    assert answer.data["since"] < answer.data["started_at"] <= answer.data["ended_at"]
    assert await desk.get("reconcile") == {"items": [answer.data], "next_cursor": None}
    kept = (await desk.get("deliveries"))["items"]
    assert {(each["id"], each["via"]) for each in kept} == {(each, "reconcile") for each in lost}


async def test_a_long_look_is_told_of_while_it_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "WAIT_S", 0.5)
    desk.paper.gate = anyio.Event()
    async with looking(desk.reconciler):
        answer = await asked(desk)
        assert (answer.status, answer.data["state"]) == (202, "listing")
        assert answer.data["since"] is None
        desk.paper.gate.set()
        await desk.reconciler.looks()[0].ended.wait()
    (look,) = (await desk.get("reconcile"))["items"]
    assert (look["id"], look["state"], look["is_complete"]) == (answer.data["id"], "ended", True)


async def test_a_look_that_was_stopped_says_why_and_until_when(desk: Desk) -> None:
    desk.paper.error = RateLimited("GitHub asked to wait", retry_at=1_800_000_000_000)
    async with looking(desk.reconciler):
        answer = await asked(desk)
    assert (answer.status, answer.data["is_complete"]) == (200, False)
    assert answer.data["error"] == {
        "code": "github_rate_limited",
        "message": "GitHub asked to wait",
        "retry_at": "2027-01-15T08:00:00.000Z",
    }


async def test_a_log_that_is_not_shown_is_noted_where_readiness_is_asked(desk: Desk) -> None:
    desk.paper.error = MissingPermission("403", permission="")
    async with looking(desk.reconciler):
        assert (await asked(desk)).data["error"]["code"] == "not_permitted"
    told = (await desk.ask("/readyz")).data["reconcile"]
    assert told == "GitHub does not show the deliveries of the App: ask somebody"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"since": "soon"}, "since must be"),
        ({"since": 3}, "since must be"),
        ({"sinse": "3d"}, "'sinse'"),
        ([], "JSON object"),
    ],
)
async def test_what_cannot_be_read_is_refused(desk: Desk, body: Any, words: str) -> None:
    answer = await asked(desk, body)
    assert answer.status == 400
    assert words in answer.data["error"]["message"]
    assert desk.reconciler.looks() == ()


async def test_nothing_is_looked_for_while_covend_takes_nothing_in(desk: Desk) -> None:
    desk.readiness.state = "draining"
    answer = await asked(desk)
    assert (answer.status, answer.data["error"]["code"]) == (503, "draining")
