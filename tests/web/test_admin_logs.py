from __future__ import annotations

import orjson
import pytest

from covend.edges.agents.output import READ_MAX, Log, Stream
from tests.store.arrivals import NOW
from tests.web.desk import Desk


async def logged(desk: Desk, *texts: str) -> str:
    """A task whose attempt has printed."""
    task = await desk.arrive()
    await desk.claim()
    with Log(desk.logs / f"{task}-1.jsonl", limit=1 << 26, clock=lambda: NOW) as log:
        for text in texts:
            log.write(Stream.OUT, text)
        log.write(Stream.ERROR, "oh")
    return f"tasks/{task}/attempts/1/log"


async def test_a_log_is_told_line_by_line(desk: Desk) -> None:
    page = await desk.get(await logged(desk, "one", "zwei\r\u2028é\x1b[31m\0"))
    assert [(line["stream"], line["text"]) for line in page["items"]] == [
        ("stdout", "one"),
        ("stdout", "zwei\r\u2028é\x1b[31m\0"),
        ("stderr", "oh"),
    ]
    assert page["items"][0]["at"] == "2026-09-21T14:13:20.000Z"
    assert page["items"][-1]["next_offset"] == page["next_offset"]


async def test_a_log_goes_on_where_the_last_answer_ended(desk: Desk) -> None:
    path = await logged(desk, "one", "two")
    whole = await desk.get(path)
    rest = await desk.get(f"{path}?offset={whole['next_offset']}")
    assert (rest["items"], rest["next_offset"]) == ([], whole["next_offset"])
    first, second, _ = whole["items"]
    assert (await desk.get(f"{path}?offset={first['next_offset']}"))["items"][0] == second
    middle = await desk.get(f"{path}?offset=3")
    assert [line["text"] for line in middle["items"]] == ["two", "oh"]


async def test_an_offset_that_no_file_has_gives_nothing(desk: Desk) -> None:
    path, far = await logged(desk, "one"), 10**18 - 1
    page = await desk.get(f"{path}?offset={far}")
    assert (page["items"], page["next_offset"]) == ([], far)


async def test_a_large_log_comes_in_pages(desk: Desk) -> None:
    path = await logged(desk, *(f"{number} {'x' * 1000}" for number in range(3000)))
    texts, offset, pages = [], 0, 0
    while (page := await desk.get(f"{path}?offset={offset}"))["items"]:
        assert page["next_offset"] - offset <= READ_MAX
        texts += [line["text"].partition(" ")[0] for line in page["items"]]
        offset, pages = page["next_offset"], pages + 1
    assert texts == [*map(str, range(3000)), "oh"]
    assert pages == 3


async def test_a_log_says_whether_more_may_come(desk: Desk) -> None:
    task = await desk.arrive()
    claim = await desk.claim()
    path = f"tasks/{task}/attempts/1/log"
    empty = {"items": [], "next_offset": 0}
    assert await desk.get(path) == empty | {"attempt_ended": False}
    await desk.complete(claim)
    assert await desk.get(path) == empty | {"attempt_ended": True}


async def test_what_a_crash_broke_off_is_passed_over(desk: Desk) -> None:
    path = await logged(desk, "one")
    (file,) = desk.logs.iterdir()
    with file.open("ab") as log:
        log.write(b'[1,"o","half')
    assert [line["text"] for line in (await desk.get(path))["items"]] == ["one", "oh"]
    with Log(file, limit=1 << 20, clock=lambda: NOW) as again:
        again.write(Stream.OUT, "two")
    assert [line["text"] for line in (await desk.get(path))["items"]] == ["one", "oh", "two"]


async def test_a_short_id_that_is_unique_will_do(desk: Desk) -> None:
    path = await logged(desk, "one")
    task = path.split("/")[1]
    assert (await desk.get(path.replace(task, task[:8])))["items"]


@pytest.mark.parametrize("query", ["", "?follow=1"])
@pytest.mark.parametrize("number", ["3", "0", "01", "1.jsonl", "-1", "..%2F1", "9" * 20])
async def test_an_attempt_that_was_not_made_has_no_log(desk: Desk, number: str, query: str) -> None:
    path = await logged(desk, "one")
    answer = await desk.ask(f"/api/v1/{path.replace('/1/log', f'/{number}/log')}{query}")
    assert (answer.status, answer.data["error"]["code"]) == (404, "not_found")


async def test_the_next_attempt_has_no_log_yet(desk: Desk) -> None:
    path = await logged(desk, "one")
    assert (await desk.ask(f"/api/v1/{path.replace('/1/log', '/2/log')}")).status == 404


@pytest.mark.parametrize(
    "query", ["offset=-1", "offset=x", f"offset={'9' * 30}", "follow=yes", "follow=2", "since=1"]
)
async def test_a_query_that_makes_no_sense_is_refused(desk: Desk, query: str) -> None:
    path = await logged(desk, "one")
    answer = await desk.ask(f"/api/v1/{path}?{query}")
    assert (answer.status, answer.data["error"]["code"]) == (400, "bad_request")


async def test_bytes_that_json_cannot_say_are_replaced(desk: Desk) -> None:
    path = await logged(desk, "a\udc80b")
    assert (await desk.get(path))["items"][0]["text"] == "a?b"
    assert orjson.loads((await desk.ask(f"/api/v1/{path}")).text)
