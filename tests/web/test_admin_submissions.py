"""Work asked for by HTTP: submitted by a rule's name, or by routing a delivery again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from covend.core.errors import StoreBusyError, StoreFullError
from covend.core.model import TaskId
from covend.store.deliveries import StoredDeliveries
from covend.store.protocol import Accepted, Arrival
from covend.store.sqlite.connection import SqliteConnection
from tests.web.desk import BEARER, Answer, Desk, open_desk

ASKED = {"rule": "review", "repository": "acme/r1", "number": 7, "inputs": {"depth": 2}}
OPENED = orjson.dumps(
    {
        "action": "opened",
        "repository": {"id": 1, "full_name": "acme/r1"},
        "sender": {"login": "ada", "type": "User"},
        "pull_request": {
            "number": 7,
            "user": {"login": "ada"},
            "author_association": "OWNER",
            "head": {"sha": "a" * 40, "ref": "t", "repo": {"id": 1, "full_name": "acme/r1"}},
            "base": {"sha": "b" * 40, "ref": "main", "repo": {"id": 1}},
        },
    }
)


async def post(desk: Desk, path: str, body: Any = None, key: str | None = None) -> Answer:
    headers = BEARER if key is None else {**BEARER, "Idempotency-Key": key}
    given = body if isinstance(body, bytes | None) else orjson.dumps(body)
    return await desk.ask(f"/api/v1/{path}", "POST", headers=headers, body=given)


async def opened(desk: Desk) -> str:
    """Let a delivery in that can be read again, and give its id."""
    headers = {
        "x-github-event": "pull_request",
        "x-github-delivery": "00000000-0000-4000-8000-00000000abcd",
        "content-type": "application/json",
    }
    task = await desk.arrive(headers=headers, body=OPENED)
    delivery = (await desk.get(f"tasks/{task}"))["delivery"]
    assert isinstance(delivery, str)
    return delivery


def told(answer: Answer) -> tuple[int, str, str]:
    error = answer.data["error"]
    return answer.status, error["code"], error["message"]


# --- submissions ----------------------------------------------------------------------------------


async def test_new_work_is_answered_with_its_task(desk: Desk) -> None:
    await desk.arrive()
    answer = await post(desk, "tasks", ASKED)
    assert answer.status == 202
    task = answer.data
    assert (task["rule"], task["trust"], task["state"]) == ("review", "admin", "received")
    assert (task["repository"], task["subject"]["number"]) == ("acme/r1", 7)
    assert (task["event"], task["inputs"]) == ("submission", {"depth": 2})
    assert await desk.get(f"tasks/{task['id']}") == task | {
        "timeline": [
            {"moment": task["created_at"], "what": "received", "why": "look_up", "from": None}
        ],
        "attempts_list": [],
        "effects": [],
    }
    delivery = await desk.get(f"deliveries/{task['delivery']}")
    assert (delivery["source"], delivery["via"], delivery["event"]) == ("api", "api", "submission")
    assert delivery["sender"] is None


async def test_the_same_key_and_body_give_the_same_task(desk: Desk) -> None:
    await desk.arrive()
    first = await post(desk, "tasks", ASKED, key="nightly-1")
    again = await post(desk, "tasks", dict(reversed(ASKED.items())), key="nightly-1")
    assert (first.status, again.status) == (202, 200)
    assert again.data["id"] == first.data["id"]
    other = await post(desk, "tasks", ASKED, key="nightly-2")
    assert other.data["id"] != first.data["id"]


async def test_another_body_under_the_same_key_is_a_conflict(desk: Desk) -> None:
    await desk.arrive()
    await post(desk, "tasks", ASKED, key="k")
    answer = await post(desk, "tasks", ASKED | {"number": 8}, key="k")
    assert told(answer)[:2] == (409, "key_reused")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (None, 400, "rule must be"),
        (b"{", 400, "must be a JSON object"),
        (b"[]", 400, "must be a JSON object"),
        (ASKED | {"rule": "revue"}, 400, "did you mean 'review'"),
        (ASKED | {"repository": "r1"}, 400, "OWNER/NAME"),
        (ASKED | {"inputs": {"a": "x" * 20_000}}, 400, "16 KiB"),
        (ASKED | {"force": True}, 400, "no field 'force'"),
        (ASKED | {"repository": "acme/none"}, 404, "no repository acme/none"),
    ],
)
async def test_what_cannot_be_asked_for_is_told_and_not_kept(
    desk: Desk, body: Any, status: int, words: str
) -> None:
    await desk.arrive()
    answer = await post(desk, "tasks", body)
    assert told(answer)[0] == status
    assert words in told(answer)[2]
    assert len((await desk.get("tasks"))["items"]) == 1


async def test_two_keys_or_an_odd_one_are_refused(desk: Desk) -> None:
    headers = [*BEARER.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    answer = await desk.ask("/api/v1/tasks", "POST", headers=headers, body=orjson.dumps(ASKED))
    assert told(answer) == (400, "bad_request", "Idempotency-Key may be there once only.")
    answer = await post(desk, "tasks", ASKED, key="x" * 300)
    assert told(answer)[0] == 400


async def test_while_it_drains_covend_asks_to_come_again(desk: Desk) -> None:
    await desk.arrive()
    desk.readiness.state = "draining"
    for answer in (
        await post(desk, "tasks", ASKED),
        await post(desk, f"deliveries/{await opened(desk)}/replay"),
    ):
        assert told(answer)[:2] == (503, "draining")
        assert int(answer.headers["Retry-After"]) > 0


class Failing(StoredDeliveries):
    """A store that keeps nothing."""

    error: Exception

    async def accept(self, arrival: Arrival) -> Accepted:
        raise self.error


@pytest.mark.parametrize("error", [StoreBusyError("at 42"), StoreFullError("at 42")])
async def test_a_store_that_keeps_nothing_is_unavailable_and_never_a_duplicate(
    connection: SqliteConnection, tmp_path: Path, error: Exception
) -> None:
    failing = Failing(connection, queue_max=1)
    failing.error = error
    async with open_desk(connection, tmp_path, deliveries=failing) as desk:
        identifier = await opened(desk)
        for answer in (
            await post(desk, "tasks", ASKED, key="k"),
            await post(desk, f"deliveries/{identifier}/replay"),
        ):
            assert told(answer) == (503, "store_unavailable", "The store cannot answer now.")
        metrics = (await desk.ask("/metrics")).text
    counted = 'covend_deliveries_total{event="submission",result="store_unavailable",source="api"}'
    assert f"{counted} 1.0" in metrics
    assert "duplicate" not in metrics


async def test_a_full_queue_says_so(connection: SqliteConnection, tmp_path: Path) -> None:
    full = StoredDeliveries(connection, queue_max=0)
    async with open_desk(connection, tmp_path, deliveries=full) as desk:
        await desk.arrive()
        status, code, message = told(await post(desk, "tasks", ASKED))
    assert (status, code) == (503, "queue_full")
    assert "limits.queue_max" in message


# --- replays --------------------------------------------------------------------------------------


async def test_a_replay_is_answered_with_its_delivery_and_its_tasks(desk: Desk) -> None:
    identifier = await opened(desk)
    answer = await post(desk, f"deliveries/{identifier}/replay")
    assert answer.status == 202
    found = answer.data
    assert (found["replayed"], found["dry_run"]) == (identifier, False)
    assert (found["state"], found["reason"]) == ("routed", "matched")
    (task,) = found["tasks"]
    assert (await desk.get(f"tasks/{task}"))["delivery"] == found["delivery"]
    assert (await desk.get(f"deliveries/{found['delivery']}"))["via"] == "replay"
    (verdict,) = found["verdicts"]
    assert (verdict["rule"], verdict["matched"]) == ("review", True)


async def test_a_dry_run_tells_verdict_key_and_what_it_would_meet(desk: Desk) -> None:
    identifier = await opened(desk)
    before = await desk.get("deliveries")
    answer = await post(desk, f"deliveries/{identifier}/replay", {"dry_run": True})
    assert answer.status == 200
    found = answer.data
    assert (found["dry_run"], found["delivery"], found["tasks"]) == (True, None, [])
    assert found["has_room"] is True
    (meets,) = found["meets"]
    assert meets == {
        "rule": "review",
        "key": f"review:1:pull_request:7:{'a' * 40}",
        "reason": "new",
        "task": None,
        "generation": 1,
    }
    assert await desk.get("deliveries") == before
    kept = await post(desk, f"deliveries/{identifier}/replay", {"rule": "review"})
    answer = await post(desk, f"deliveries/{identifier}/replay", {"dry_run": True})
    assert answer.data["tasks"] == kept.data["tasks"]
    assert answer.data["reason"] == answer.data["meets"][0]["reason"] == "same_work"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"rule": "revue"}, 400, "did you mean 'review'"),
        ({"rule": 7}, 400, "rule must be the name"),
        ({"dry_run": "yes"}, 400, "true or false"),
        ({"since": "7d"}, 400, "no field 'since'"),
        (b"[]", 400, "must be a JSON object"),
    ],
)
async def test_a_replay_that_cannot_be_asked_for_is_told(
    desk: Desk, body: Any, status: int, words: str
) -> None:
    identifier = await opened(desk)
    answer = await post(desk, f"deliveries/{identifier}/replay", body)
    assert told(answer)[0] == status
    assert words in told(answer)[2]
    assert (await post(desk, "deliveries/none/replay")).status == 404


async def test_what_a_page_cannot_ask_for_is_not_asked_for_by_its_forms(desk: Desk) -> None:
    headers = {**BEARER, "Origin": "https://elsewhere.example"}
    for path in ("/api/v1/tasks", "/api/v1/deliveries/1/replay"):
        answer = await desk.ask(path, "POST", headers=headers, body=orjson.dumps(ASKED))
        assert told(answer)[:2] == (403, "foreign_origin")


async def test_a_task_that_nobody_submitted_has_no_inputs(desk: Desk) -> None:
    task: TaskId = await desk.arrive()
    assert (await desk.get(f"tasks/{task}"))["inputs"] == {}
