"""What the API says would become of an event: each clause, each gate, the key and what it meets."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.web.desk import READERS_TOKEN, Answer, Desk
from tests.web.test_admin_submissions import OPENED, opened, post, told

PAYLOAD = orjson.loads(OPENED)
KEY = f"review:1:pull_request:7:{'a' * 40}"


async def explained(desk: Desk, **given: Any) -> Any:
    answer = await post(desk, "explain", given)
    assert answer.status == 200, answer.text
    return answer.data


def stands(rule: Any) -> dict[str, str]:
    return {gate["name"]: gate["stand"] for gate in rule["gates"]}


async def test_a_payload_is_explained_clause_by_clause_and_gate_by_gate(desk: Desk) -> None:
    found = await explained(desk, event="pull_request", payload=PAYLOAD)
    (rule,) = found["rules"]
    assert (found["starts"], found["state"], found["reason"]) == (True, "routed", "matched")
    assert found["end"] == f"would start task of rule review with key {KEY}, by agent echo"
    assert rule["clauses"][0] == {
        "name": "on",
        "satisfied": True,
        "values": ["pull_request.opened"],
        "conditions": ["pull_request.opened"],
        "need": None,
    }
    assert list(stands(rule)) == [
        *("trust", "permission", "look_up", "queue"),
        *("pause", "key", "loop", "agent", "host", "budget", "rate", "concurrency"),
    ]
    assert set(stands(rule).values()) == {"pass"}
    work = rule["work"]
    assert (work["agent"], work["sandbox"], work["checkout"]) == ("echo", "none", "head")
    assert work["permissions"] == {"contents": "read", "metadata": "read", "pull_requests": "read"}
    assert work["budget"] == {"usd": 50.0, "tokens": None}


async def test_explaining_writes_nothing(desk: Desk) -> None:
    await explained(desk, event="pull_request", payload=PAYLOAD)
    assert (await desk.get("deliveries"))["items"] == []
    assert (await desk.get("tasks"))["items"] == []


async def test_a_key_that_is_held_names_the_task_and_starts_nothing(desk: Desk) -> None:
    delivery = await opened(desk)
    replayed = await post(desk, f"deliveries/{delivery}/replay")
    (task,) = replayed.data["tasks"]
    found = await desk.get(f"deliveries/{delivery}/explain")
    assert not found["starts"]
    meets = found["rules"][0]["work"]["meets"]
    assert meets == {
        "reason": "same_work",
        "task": task,
        "state": "queued",
        "generation": 1,
        "supersedes": [],
    }
    assert f"task {task} (queued) does it" in found["end"]


async def test_a_pause_holds_and_says_who_lets_it_go(desk: Desk) -> None:
    await post(desk, "pause", {"scope": "rule:review", "reason": "looking"})
    found = await explained(desk, event="pull_request", payload=PAYLOAD)
    (held,) = [gate for gate in found["rules"][0]["gates"] if gate["stand"] == "hold"]
    assert (held["name"], held["by"]) == ("pause", "pause/rule:review")
    assert "covend resume --rule review" in held["why"]
    assert found["starts"]
    assert "waits first" in found["end"]


async def test_what_no_rule_wants_says_so_with_the_values(desk: Desk) -> None:
    found = await explained(desk, event="pull_request", payload=PAYLOAD | {"action": "edited"})
    assert (found["starts"], found["reason"]) == (False, "event_not_wanted")
    assert found["end"] == "starts nothing: no rule listens to pull_request.edited"
    clause = found["rules"][0]["clauses"][0]
    assert (clause["values"], clause["satisfied"]) == (["pull_request.edited"], False)


async def test_a_fork_waits_for_approval(desk: Desk) -> None:
    fork = orjson.loads(OPENED)
    fork["pull_request"]["head"]["repo"] = {"id": 2, "full_name": "eve/r1"}
    found = await explained(desk, event="pull_request", payload=fork)
    assert stands(found["rules"][0])["trust"] == "hold"
    assert "approves it" in found["end"]


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 400),
        ({"event": "push"}, 400),
        ({"event": "push", "payload": []}, 400),
        ({"event": "Push!", "payload": {}}, 400),
        ({"pull_request": "nonsense"}, 400),
        # It becomes a part of URLs.
        ({"pull_request": "../..#1"}, 400),
        ({"pull_request": "acme/..#1"}, 400),
        ({"delivery": "a", "pull_request": "a/b#1"}, 400),
        ({"delivery": "a", "why": 1}, 400),
        ({"delivery": "a", "live": "yes"}, 400),
        ({"delivery": "a"}, 404),
        ({"pull_request": "acme/gone#1"}, 404),
    ],
    ids=str,
)
async def test_what_cannot_be_explained_is_a_clear_error(
    desk: Desk, given: Any, status: int
) -> None:
    answer = await post(desk, "explain", given)
    assert told(answer)[0] == status


async def test_a_payload_without_a_bottom_is_a_clear_error(desk: Desk) -> None:
    body = b'{"event": "push", "payload": ' + b'{"a": ' * 500 + b"1" + b"}" * 501
    assert told(await post(desk, "explain", body))[0] == 400


async def test_whoever_may_only_look_may_ask_for_an_explanation(desk: Desk) -> None:
    reader = {"Authorization": f"Bearer {READERS_TOKEN}"}
    body = orjson.dumps({"event": "pull_request", "payload": PAYLOAD})
    answer: Answer = await desk.ask("/api/v1/explain", "POST", headers=reader, body=body)
    assert answer.status == 200


@pytest.mark.parametrize(
    "given",
    [{"pull_request": "acme/till#7"}, {"delivery": "x", "live": True}],
    ids=["pull", "live"],
)
async def test_whoever_may_only_look_spends_nothing_of_what_github_lets_be_asked(
    desk: Desk, given: dict[str, object]
) -> None:
    reader = {"Authorization": f"Bearer {READERS_TOKEN}"}
    body = orjson.dumps(given)
    answer = await desk.ask("/api/v1/explain", "POST", headers=reader, body=body)
    assert (answer.status, answer.data["error"]["code"]) == (403, "not_permitted")
    stored = await desk.ask("/api/v1/deliveries/x/explain?live=1", headers=reader)
    assert stored.status == 403
