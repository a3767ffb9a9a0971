from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote_plus

import pytest

from covend.core.rules.verdicts import ClauseResult, Routing, Verdict
from covend.core.states import DeliveryState
from tests.store.arrivals import NOW, arrival
from tests.web.desk import Desk

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SUBJECT = "type number title url author head_sha base_sha"
DELIVERY = (
    "id source via event action installation_id repository_id repository sender state reason"
    " received_at body_sha256 duplicates tasks"
)
TASK = (
    "id state reason not_before rule agent priority key generation policy trust installation_id"
    " repository_id repository subject delivery attempts created_at updated_at finished_at"
    " conclusion summary error cost_usd"
)
ATTEMPT = (
    "number agent node mode phase outcome error_code exit_code signal pid started_at ended_at"
    " session usage log_bytes"
)
EFFECT = "id task kind target state tries remote_id remote_url error created_at done_at"


def missing(shape: dict[str, Any], promised: str) -> set[str]:
    return set(promised.split()) - shape.keys()


async def pages(desk: Desk, path: str) -> list[list[str]]:
    """Follow the cursors to the end; the ids of each page."""
    found, cursor = [], ""
    while True:
        page = await desk.get(f"{path}limit=2{cursor}")
        found.append([item["id"] for item in page["items"]])
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


# --- what is promised -----------------------------------------------------------------------------


async def test_every_field_that_scripts_rely_on_is_there(desk: Desk) -> None:
    task = await desk.arrive()
    await desk.complete(await desk.claim())
    story = await desk.get(f"tasks/{task}")
    [listed] = (await desk.get("tasks"))["items"]
    [delivery] = (await desk.get("deliveries"))["items"]
    [effect] = (await desk.get("effects"))["items"]
    [attempt] = (await desk.get(f"tasks/{task}/attempts"))["items"]
    assert missing(listed, TASK) == set()
    assert missing(listed["subject"], SUBJECT) == set()
    assert missing(delivery, DELIVERY) == set()
    assert missing(await desk.get(f"deliveries/{delivery['id']}"), DELIVERY) == set()
    assert missing(effect, EFFECT) == set()
    assert missing(attempt, ATTEMPT) == set()
    assert missing(attempt["usage"], "input_tokens output_tokens cost_usd") == set()
    assert missing(story, f"{TASK} timeline attempts_list effects") == set()
    assert story["attempts_list"] == [attempt]
    assert story["effects"] == [effect]
    assert story.items() >= listed.items()


async def test_moments_are_utc_with_milliseconds(desk: Desk) -> None:
    await desk.arrive(now=NOW + 7)
    [task] = (await desk.get("tasks"))["items"]
    assert task["created_at"] == "2026-09-21T14:13:20.007Z"
    for name in ("created_at", "updated_at", "not_before"):
        assert MOMENT.fullmatch(task[name])
    assert task["finished_at"] is None


async def test_a_task_tells_its_whole_story(desk: Desk) -> None:
    task = await desk.arrive()
    await desk.complete(await desk.claim(), "All good.")
    story = await desk.get(f"tasks/{task}")
    assert [line["what"] for line in story["timeline"]] == ["queued", "running", "completed"]
    assert all(line["why"] and MOMENT.fullmatch(line["moment"]) for line in story["timeline"])
    assert (story["state"], story["conclusion"], story["summary"]) == (
        "completed",
        "success",
        "All good.",
    )
    assert story["error"] is None
    assert story["attempts_list"][0]["outcome"] == "succeeded"
    assert story["effects"][0]["state"] == "pending"


async def test_a_delivery_tells_what_came_and_what_each_rule_said(desk: Desk) -> None:
    clause = ClauseResult(
        name="when.draft", satisfied=False, values=("true",), conditions=("false",)
    )
    verdict = Verdict(rule="review", matched=False, reason="draft", clauses=(clause,))
    routing = Routing(state=DeliveryState.IGNORED, reason="no_match", verdicts=(verdict,))
    come = arrival(body=b'{"deep": [1, {"x": null}]}')
    accepted = await desk.deliveries.accept(replaced(come, routing))
    told = await desk.get(f"deliveries/{accepted.delivery}")
    assert told["payload"] == {"deep": [1, {"x": None}]}
    assert told["headers"] == {"x-github-event": "pull_request"}
    assert told["verdicts"] == [
        {
            "rule": "review",
            "matched": False,
            "reason": "draft",
            "clauses": [
                {
                    "name": "when.draft",
                    "satisfied": False,
                    "values": ["true"],
                    "conditions": ["false"],
                    "need": None,
                }
            ],
        }
    ]


def replaced(come: Any, routing: Routing) -> Any:
    return type(come)(
        envelope=come.envelope,
        event=come.event,
        via=come.via,
        routing=routing,
        received_at=come.received_at,
        task_ids=(),
    )


async def test_a_form_is_told_as_its_payload(desk: Desk) -> None:
    body = b"payload=" + quote_plus('{"a": "é"}').encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    accepted = await desk.deliveries.accept(arrival(body=body, headers=headers))
    assert (await desk.get(f"deliveries/{accepted.delivery}"))["payload"] == {"a": "é"}


# --- lists ----------------------------------------------------------------------------------------


async def test_pages_of_tasks_give_each_once_and_newest_first(desk: Desk) -> None:
    made = [await desk.arrive() for _ in range(5)]
    assert await pages(desk, "tasks?") == [[made[4], made[3]], [made[2], made[1]], [made[0]]]


async def test_a_page_of_tasks_stays_where_it_was_when_new_ones_come(desk: Desk) -> None:
    made = [await desk.arrive() for _ in range(3)]
    first = await desk.get("tasks?limit=2")
    await desk.arrive()
    second = await desk.get(f"tasks?limit=2&cursor={first['next_cursor']}")
    assert [item["id"] for item in second["items"]] == [made[0]]


async def test_pages_of_deliveries_give_each_once(desk: Desk) -> None:
    made = [(await desk.deliveries.accept(arrival())).delivery for _ in range(5)]
    found = await pages(desk, "deliveries?")
    assert [len(page) for page in found] == [2, 2, 1]
    assert [one for page in found for one in page] == made[::-1]


async def test_pages_of_effects_give_each_once(desk: Desk) -> None:
    for _ in range(3):
        await desk.arrive()
        await desk.complete(await desk.claim())
    found = [one for page in await pages(desk, "effects?") for one in page]
    assert len(found) == len(set(found)) == 3


async def test_a_full_last_page_has_no_next(desk: Desk) -> None:
    for _ in range(4):
        await desk.arrive()
    assert [len(page) for page in await pages(desk, "tasks?")] == [2, 2]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 3),
        ("state=queued", 2),
        ("state=completed", 1),
        ("state=failed", 0),
        ("rule=review", 3),
        ("rule=other", 0),
        ("repository=acme/r1", 2),
        ("repository=acme/r2&state=queued", 1),
        ("state=&rule=", 3),
    ],
)
async def test_filters_of_tasks_are_joined(desk: Desk, query: str, count: int) -> None:
    await desk.arrive()
    await desk.complete(await desk.claim())
    await desk.arrive()
    await desk.arrive(repository_id=2)
    assert len((await desk.get(f"tasks?{query}"))["items"]) == count


@pytest.mark.parametrize(
    ("query", "count"),
    [("state=routed", 1), ("state=ignored", 1), ("event=ping", 1), ("repository=acme/r9", 0)],
)
async def test_filters_of_deliveries(desk: Desk, query: str, count: int) -> None:
    await desk.arrive()
    await desk.deliveries.accept(arrival(event="ping"))
    assert len((await desk.get(f"deliveries?{query}"))["items"]) == count


async def test_filters_of_effects(desk: Desk) -> None:
    task = await desk.arrive()
    await desk.complete(await desk.claim())
    assert len((await desk.get(f"effects?task={task}&state=pending"))["items"]) == 1
    assert (await desk.get("effects?state=done"))["items"] == []
    assert (await desk.get("effects?task=0"))["items"] == []


@pytest.mark.parametrize(
    "path",
    [
        "tasks?state=finished",
        "tasks?limit=0",
        "tasks?limit=201",
        "tasks?limit=-1",
        "tasks?limit=1e2",
        "tasks?limit=٣",
        "tasks?limit=99999999999999999999",
        "tasks?cursor=%00",
        "tasks?cursor=..",
        "tasks?states=failed",
        "tasks?limit=1&limit=2",
        "deliveries?cursor=abc",
        "deliveries?cursor=99999999999999999999",
        "deliveries?rule=review",
        "effects?state=queued",
        "stats?x=1",
        "tasks/1?full=1",
    ],
)
async def test_what_cannot_be_read_is_refused_and_never_passed_over(desk: Desk, path: str) -> None:
    answer = await desk.ask(f"/api/v1/{path}")
    assert (answer.status, answer.data["error"]["code"]) == (400, "bad_request")
    assert answer.data["error"]["message"]


# --- one of them ----------------------------------------------------------------------------------


async def test_a_task_is_found_by_a_beginning_that_only_it_has(desk: Desk) -> None:
    task = await desk.arrive()
    assert (await desk.get(f"tasks/{task[:4]}"))["id"] == task
    assert (await desk.get(f"tasks/{task.upper()}"))["id"] == task


async def test_a_beginning_that_fits_two_is_refused(desk: Desk) -> None:
    first, second = await desk.arrive(), await desk.arrive()
    beginning = "".join(
        a for place, a in enumerate(first) if first[: place + 1] == second[: place + 1]
    )
    answer = await desk.ask(f"/api/v1/tasks/{beginning}")
    assert (answer.status, answer.data["error"]["code"]) == (400, "ambiguous_id")
    assert beginning in answer.data["error"]["message"]


@pytest.mark.parametrize(
    "path",
    [
        "tasks/zzz",
        "tasks/%00",
        "tasks/%25",
        "tasks/..%2F..%2Fetc%2Fpasswd",
        "deliveries/zzz",
        "tasks/zzz/attempts",
        "tasks/zzz/attempts/1/log",
    ],
)
async def test_what_is_not_there_is_not_found(desk: Desk, path: str) -> None:
    await desk.arrive()
    answer = await desk.ask(f"/api/v1/{path}")
    assert (answer.status, answer.data["error"]["code"]) == (404, "not_found")
