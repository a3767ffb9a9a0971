"""The pages of tasks: what they tell, and what can be done on them."""

from __future__ import annotations

import re
import sqlite3

import orjson
import pytest

from covend.core.model import DeliveryId
from covend.core.states import TaskState
from covend.edges.agents.output import LINE_MAX, Log, Stream
from covend.store.deliveries import StoredDeliveries
from covend.store.protocol import StoredDelivery
from covend.web.dashboard.logs import LINE_SHOWN_MAX, TAIL_BYTES
from tests.store.arrivals import NOW
from tests.web.browsing import Browser, forms, words
from tests.web.desk import READERS_TOKEN, Desk
from tests.web.full_house import fill
from tests.web.reading_html import parse
from tests.web.test_admin_cancel import again


async def state_of(desk: Desk, task: str) -> str:
    return str((await desk.get(f"tasks/{task}"))["state"])


# --- one task -------------------------------------------------------------------------------------


async def test_a_task_is_told_from_its_delivery_to_its_last_effect(
    desk: Desk, database: sqlite3.Connection
) -> None:
    full = await fill(desk, database)
    async with Browser(desk) as browser:
        page = await browser.see(f"/tasks/{full.done}")
    shown = words(page)
    for told in ("delivery", "queued new", "running claimed", "attempt 1 echo", "completed"):
        assert told in shown
    assert "$0.25 dollars 1,234,567 tokens in 89 tokens out" in shown
    assert "Exit code 0" in shown
    assert "1 remark on lines" in shown
    assert "marker" not in shown
    assert "Review." in shown  # the rule's prompt


async def test_every_link_of_a_task_leads_somewhere(
    desk: Desk, database: sqlite3.Connection
) -> None:
    full = await fill(desk, database)
    async with Browser(desk) as browser:
        page = parse(await browser.see(f"/tasks/{full.failed}"))
        for link in page.all("a"):
            path, _, anchor = link["href"].partition("#")
            there = await browser.ask(
                path if path.startswith("/") else f"/tasks/{full.failed}{path}"
            )
            assert there.status == 200, link
            assert not anchor or f'id="{anchor}"' in there.text, link


async def test_the_bars_of_a_task_lie_on_one_axis(desk: Desk, database: sqlite3.Connection) -> None:
    full = await fill(desk, database)
    async with Browser(desk) as browser:
        rects = parse(await browser.see(f"/tasks/{full.failed}")).all("rect")
    bars = [(float(each["x"]), float(each["width"])) for each in rects if "fill" in each["class"]]
    # It came at 0, was claimed after 6 s and failed after 7 s, which is the end of the axis.
    assert (0.0, 857.1) in bars
    assert (857.1, 142.9) in bars
    assert all(0 <= begin <= 1000 and width <= 1000 for begin, width in bars)


async def test_a_task_that_waits_says_why_and_what_lets_it_go_on(
    desk: Desk, database: sqlite3.Connection
) -> None:
    full = await fill(desk, database)
    async with Browser(desk) as browser:
        held = words(await browser.see(f"/tasks/{full.held}"))
        queued = words(await browser.see(f"/tasks/{full.queued}"))
    assert f"It waits: it comes from a fork; covend approve {full.held}" in held
    assert "covend resume --rule review" in queued


async def test_a_log_is_shown_in_its_colours_and_does_nothing_else(
    desk: Desk, database: sqlite3.Connection
) -> None:
    full = await fill(desk, database)
    async with Browser(desk) as browser:
        page = await browser.see(f"/tasks/{full.done}")
    assert '<span class="f2">reading</span><span class=""> a file</span>' in page
    assert "a link and &lt;script&gt;alert(2)&lt;/script&gt;" in page
    assert "data-follow" not in page


async def test_a_running_attempt_can_be_followed_from_where_the_page_ends(
    desk: Desk, database: sqlite3.Connection
) -> None:
    full = await fill(desk, database)
    log = desk.logs / f"{full.running}-1.jsonl"
    async with Browser(desk) as browser:
        page = await browser.see(f"/tasks/{full.running}")
        assert f'data-offset="{log.stat().st_size}"' in page
        assert f'data-follow="/tasks/{full.running}/attempts/1/log?follow=1"' in page


async def test_what_is_followed_comes_as_harmless_pieces(desk: Desk) -> None:
    task = await desk.arrive()
    claim = await desk.claim()
    with Log(desk.logs / f"{task}-1.jsonl", limit=1 << 20, clock=lambda: NOW) as log:
        log.write(Stream.OUT, "\x1b[31mone\x1b]0;title\x07")
        log.write(Stream.ERROR, "two\x1b[0m<b>")
    await desk.complete(claim)
    answer = await desk.ask(f"/tasks/{task}/attempts/1/log?follow=1")
    frames = re.findall(r"event: (\w+)\ndata: (.*)\n", answer.text)
    assert [(event, orjson.loads(data)) for event, data in frames] == [
        ("line", ["stdout", [["f1", "one"]]]),
        ("line", ["stderr", [["f1", "two"], ["", "<b>"]]]),
        ("end", "succeeded"),
    ]


async def test_without_scripts_the_address_of_a_log_leads_to_its_page(desk: Desk) -> None:
    task = await desk.arrive()
    await desk.claim()
    async with Browser(desk) as browser:
        answer = await browser.ask(f"/tasks/{task}/attempts/1/log")
        assert answer.headers["Location"] == f"/tasks/{task}?attempt=1#log"
        assert (await browser.ask(f"/tasks/{task}?attempt=1")).status == 200
        assert (await browser.ask(f"/tasks/{task}?attempt=2")).status == 404


async def test_of_a_long_log_the_end_is_shown(desk: Desk) -> None:
    task = await desk.arrive()
    await desk.claim()
    with Log(desk.logs / f"{task}-1.jsonl", limit=1 << 26, clock=lambda: NOW) as log:
        for number in range(5_000):
            log.write(Stream.OUT, f"line {number} {'x' * 100}")
    async with Browser(desk) as browser:
        page = await browser.see(f"/tasks/{task}")
    assert "line 4999 " in page
    assert "line 0 " not in page
    assert len(page) < 6 * TAIL_BYTES
    assert "covend logs" in words(page)


@pytest.mark.parametrize("size", [TAIL_BYTES + 1, LINE_MAX // 2], ids=["tail", "large"])
@pytest.mark.parametrize("is_first", [True, False], ids=["alone", "after-others"])
async def test_a_last_line_that_is_longer_than_the_end_that_is_shown_is_shown_by_its_beginning(
    desk: Desk, size: int, *, is_first: bool
) -> None:
    task = await desk.arrive()
    claim = await desk.claim()
    with Log(desk.logs / f"{task}-1.jsonl", limit=1 << 26, clock=lambda: NOW) as log:
        for number in range(0 if is_first else 9):
            log.write(Stream.OUT, f"line {number} ")
        log.write(Stream.OUT, "it begins " + "\x1b[1ma\x1b[0mb" * (size // 10))
    await desk.complete(claim)
    async with Browser(desk) as browser:
        page = await browser.see(f"/tasks/{task}")
    assert "it begins" in page
    assert "more characters are left out" in page
    assert ("covend logs" in words(page)) is not is_first
    assert page.count("<span") < LINE_SHOWN_MAX


# --- what can be done -----------------------------------------------------------------------------


async def test_each_task_offers_what_can_be_done_to_it(
    desk: Desk, database: sqlite3.Connection
) -> None:
    full = await fill(desk, database)
    offered = {
        full.done: [],
        full.failed: ["retry"],
        full.running: ["cancel"],
        full.held: ["approve", "cancel"],
        full.queued: ["cancel"],
    }
    async with Browser(desk) as browser:
        for task, verbs in offered.items():
            page = await browser.see(f"/tasks/{task}")
            assert forms(page) == ["/logout", *(f"/tasks/{task}/{verb}" for verb in verbs)]


async def test_a_task_is_cancelled_retried_and_told_of(
    desk: Desk, database: sqlite3.Connection
) -> None:
    task = await desk.arrive()
    async with Browser(desk) as browser:
        page = words(await browser.send(f"/tasks/{task}/cancel", reason="not <b>now</b>"))
        assert "It is cancelled." in page
        assert "operator: not <b>now</b>" in page
        assert await state_of(desk, task) == TaskState.CANCELLED
        assert "It is queued once more." in words(await browser.send(f"/tasks/{task}/retry"))
    assert await state_of(desk, task) == TaskState.QUEUED
    rows = database.execute("SELECT verb, target, outcome FROM audit ORDER BY number").fetchall()
    assert rows == [("cancel", task, "ok"), ("retry", task, "ok")]


async def test_a_held_task_is_approved(desk: Desk, database: sqlite3.Connection) -> None:
    full = await fill(desk, database)
    async with Browser(desk) as browser:
        page = words(await browser.send(f"/tasks/{full.held}/approve"))
    assert "It is approved, and queued now." in page
    assert "approved by operator" in page


async def test_a_running_task_is_asked_to_stop(desk: Desk, database: sqlite3.Connection) -> None:
    full = await fill(desk, database)
    async with Browser(desk) as browser:
        page = await browser.send(f"/tasks/{full.running}/cancel")
    assert desk.stopped == [full.running]
    assert "its agent is being stopped" in words(page)
    assert f"/tasks/{full.running}/cancel" not in forms(page)


async def test_what_cannot_be_done_is_told_and_audited(
    desk: Desk, database: sqlite3.Connection
) -> None:
    full = await fill(desk, database)
    async with Browser(desk) as browser:
        page = await browser.send(f"/tasks/{full.done}/retry")
        assert "only what has failed or was cancelled is tried again" in words(page)
        await browser.send(f"/tasks/{full.failed}/retry", reason="x" * 501)
    assert await state_of(desk, full.failed) == TaskState.FAILED
    outcomes = database.execute("SELECT outcome FROM audit ORDER BY number").fetchall()
    assert outcomes == [("conflict",), ("bad_request",)]


async def test_a_change_without_the_sessions_mark_is_refused_as_a_page(desk: Desk) -> None:
    task = await desk.arrive()
    async with Browser(desk) as browser:
        answer = await browser.ask(f"/tasks/{task}/cancel", "POST", {"csrf": "0" * 64})
    assert answer.status == 403
    assert "This form is too old" in words(answer.text)
    assert await state_of(desk, task) == TaskState.QUEUED


async def test_what_is_said_after_a_change_is_no_part_of_an_address(desk: Desk) -> None:
    task = await desk.arrive()
    async with Browser(desk) as browser, Browser(desk) as other:
        await browser.send(f"/tasks/{task}/cancel")
        page = await other.see(f"/tasks/{task}?said=It+is+owned.")
    assert "owned" not in words(page)


async def test_what_is_said_after_a_change_is_said_to_nobody_else(desk: Desk) -> None:
    task = await desk.arrive()
    async with Browser(desk) as browser, Browser(desk, READERS_TOKEN) as other:
        csrf = parse(await browser.see("/")).all("input")[0]["value"]
        answer = await browser.ask(f"/tasks/{task}/cancel", "POST", {"csrf": csrf})
        there = answer.headers["Location"]
        assert "It is cancelled." not in words(await other.see(there))
        assert "It is cancelled." in words(await browser.see(there))


# --- several at once ------------------------------------------------------------------------------


async def test_several_tasks_are_cancelled_at_once(desk: Desk) -> None:
    tasks = [await desk.arrive() for _ in range(3)]
    async with Browser(desk) as browser:
        page = await browser.bulk("cancel", tasks[:2], state="queued")
    assert "Done for 2 of 2." in words(page)
    assert [await state_of(desk, task) for task in tasks] == ["cancelled", "cancelled", "queued"]
    assert tasks[2] in page
    assert tasks[0] not in page  # the list is still that of what is queued


async def test_of_several_what_cannot_be_done_hinders_nothing(
    desk: Desk, database: sqlite3.Connection
) -> None:
    full = await fill(desk, database)
    async with Browser(desk) as browser:
        page = words(await browser.bulk("retry", [full.done, full.failed, "01none"]))
    assert "Done for 1 of 3." in page
    assert "only what has failed or was cancelled is tried again" in page
    assert await state_of(desk, full.failed) == TaskState.QUEUED
    assert database.execute("SELECT verb, outcome FROM audit").fetchall() == [("bulk", "conflict")]


@pytest.mark.parametrize(
    ("do", "count", "told"),
    [("cancel", 0, "No task was chosen"), ("drop", 1, "cancel or retry"), ("cancel", 51, "50")],
)
async def test_a_choice_that_makes_no_sense_changes_nothing(
    desk: Desk, do: str, count: int, told: str
) -> None:
    tasks = [await desk.arrive() for _ in range(count)]
    async with Browser(desk) as browser:
        assert told in words(await browser.bulk(do, tasks))
    assert {await state_of(desk, task) for task in tasks} <= {"queued"}


# --- the list -------------------------------------------------------------------------------------


async def test_the_list_is_narrowed_and_keeps_what_it_was_narrowed_by(desk: Desk) -> None:
    first = await desk.arrive(title="The first one")
    second = await desk.arrive(title="Another")
    async with Browser(desk) as browser:
        page = await browser.see("/tasks?search=FIRST")
        assert first in page
        assert second not in page
        assert [each["value"] for each in parse(page).all("input") if each.get("name") == "search"]
        number = (await desk.get(f"tasks/{second}"))["subject"]["number"]
        page = await browser.see(f"/tasks?search=acme/r1%23{number}&state=queued")
        assert second in page
        assert first not in page
        assert "No task is like that." in words(await browser.see("/tasks?rule=none"))


async def test_a_long_list_comes_in_pages(desk: Desk) -> None:
    tasks = [await desk.arrive() for _ in range(60)]
    async with Browser(desk) as browser:
        page = await browser.see("/tasks?state=queued")
        (older,) = [each["href"] for each in parse(page).all("a") if each.get("rel") == "next"]
        rest = await browser.see(older)
    shown = [task for task in tasks if f'name="task" value="{task}"' in page]
    assert (len(shown), shown) == (50, tasks[10:])
    assert [task for task in tasks if f'name="task" value="{task}"' in rest] == tasks[:10]
    assert 'rel="first"' in rest


# --- the overview ---------------------------------------------------------------------------------


async def test_the_overview_tells_what_needs_somebody(
    desk: Desk, database: sqlite3.Connection
) -> None:
    full = await fill(desk, database)
    async with Browser(desk) as browser:
        page = await browser.see("/")
    shown = words(page)
    assert "1 running" in shown
    assert "1 failed" in shown
    assert f"/tasks/{full.held}/approve" in forms(page)
    assert "/safeguards/reset" in forms(page)
    assert any(form.startswith("/effects/") for form in forms(page))
    assert "Slots 1 of 100" in shown
    assert "Money today $0.25 of $50.00" in shown
    assert "4,321 of 5,000 requests left" in shown
    assert "rule review is paused" in shown
    assert "5 deliveries came in, 1 completed, 1 failed" in shown


async def test_the_hour_is_drawn_to_one_scale(desk: Desk, database: sqlite3.Connection) -> None:
    await fill(desk, database)
    async with Browser(desk) as browser:
        rects = parse(await browser.see("/")).all("rect")
    heights = {each["class"]: float(each["height"]) for each in rects if "fill" in each["class"]}
    # Five came in, and one each ended so.
    assert heights == {"fill is-completed": 20.0, "fill is-failed": 20.0}


async def test_a_pause_of_everything_is_told_on_every_page(desk: Desk) -> None:
    async with Browser(desk) as browser:
        answer = await desk.ask("/api/v1/pause", "POST", body=b'{"reason": "for a while"}')
        assert answer.status == 200
        assert "Nothing starts: operator: for a while." in words(await browser.see("/audit"))


async def test_an_attempt_that_begins_while_its_page_is_made_is_not_there_yet(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await desk.arrive()
    claim = await desk.claim()
    find = StoredDeliveries.find

    async def begin(self: StoredDeliveries, delivery: DeliveryId) -> StoredDelivery | None:
        await desk.tasks.settle(claim, again(), NOW + 2_000)
        await desk.claim(NOW + 3_000)
        return await find(self, delivery)

    monkeypatch.setattr(StoredDeliveries, "find", begin)
    async with Browser(desk) as browser:
        await browser.see(f"/tasks/{task}?attempt=2", 404)


async def test_after_a_change_one_is_on_the_page_of_the_list_where_it_was_asked_for(
    desk: Desk,
) -> None:
    task = await desk.arrive()
    async with Browser(desk) as browser:
        page = await browser.see("/tasks?cursor=zzzz&rule=review")
        hidden = dict(re.findall(r'type="hidden" name="(cursor|rule)" value="([^"]*)"', page))
        assert hidden == {"cursor": "zzzz", "rule": "review"}
        pairs = {"csrf": await browser.csrf(), "do": "cancel", "task": task, **hidden}
        answer = await browser.ask("/tasks/bulk", "POST", pairs)
    assert answer.headers["Location"].startswith("/tasks?rule=review&cursor=zzzz&said=")
