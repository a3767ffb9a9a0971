"""The pages of deliveries, as people read them."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest
from msgspec import structs

from covend.core.rules.verdicts import ClauseResult, Routing, Verdict
from covend.core.states import DeliveryState
from tests.store.arrivals import arrival, draft
from tests.web.browsing import Browser, forms, words
from tests.web.desk import READERS_TOKEN, Desk

HOSTILE = '<script>window.owned = 1</script>\u202e"><img src=x onerror=alert(1)>'
REFUSED = Verdict(
    rule="review",
    matched=False,
    reason="draft",
    clauses=(
        ClauseResult(name="on", satisfied=True, values=("pull_request.opened",)),
        ClauseResult(
            name="draft", satisfied=False, values=(HOSTILE,), conditions=("false",), need=None
        ),
    ),
)
IGNORED = Routing(state=DeliveryState.IGNORED, reason="no_match", verdicts=(REFUSED,))


async def keep(desk: Desk, routing: Routing | None = None, **changes: Any) -> str:
    """Let a delivery in, and give its id."""
    came = arrival(*(() if routing else (draft(),)), **changes)
    kept = structs.replace(came, routing=routing) if routing else came
    return (await desk.deliveries.accept(kept)).delivery


async def test_the_list_tells_what_came_in_and_what_was_made_of_it(desk: Desk) -> None:
    delivery = await keep(desk)
    ignored = await keep(desk, IGNORED)
    async with Browser(desk) as browser:
        page = await browser.see("/deliveries")
    assert f"/deliveries/{delivery}" in page
    assert f"/deliveries/{ignored}" in page
    assert "routed" in words(page)
    assert "ignored no match" in words(page)
    assert "1 min ago" in words(page)


@pytest.mark.parametrize(
    ("query", "is_there"),
    [
        ("state=routed", True),
        ("state=ignored", False),
        ("event=pull_request", True),
        ("event=push", False),
        ("repository=acme/r1", True),
        ("repository=acme/other", False),
        ("sender=nobody", False),
        ("search=acme", True),
        ("search=elsewhere", False),
    ],
)
async def test_the_list_can_be_narrowed(desk: Desk, query: str, is_there: bool) -> None:
    delivery = await keep(desk)
    async with Browser(desk) as browser:
        page = await browser.see(f"/deliveries?{query}")
    assert (f"/deliveries/{delivery}" in page) == is_there
    assert ("No delivery fits" in page) != is_there


async def test_the_list_has_pages(desk: Desk) -> None:
    for _ in range(3):
        await keep(desk)
    async with Browser(desk) as browser:
        page = await browser.see("/deliveries?limit=2")
        older = page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
        assert "Newest" not in page
        page = await browser.see(older)
    assert page.count('data-label="Event"') == 1
    assert "Newest" in page


@pytest.mark.parametrize("query", ["state=lost", "cursor=x", "limit=0", "nothing=1"])
async def test_what_the_list_cannot_read_is_told_as_a_page(desk: Desk, query: str) -> None:
    async with Browser(desk) as browser:
        assert "cannot be done" in words(await browser.see(f"/deliveries?{query}", 400))


async def test_an_empty_list_says_how_to_begin(desk: Desk) -> None:
    async with Browser(desk) as browser:
        assert "covend trigger" in words(await browser.see("/deliveries"))


async def test_a_delivery_tells_its_verdict_clause_by_clause(desk: Desk) -> None:
    delivery = await keep(desk, IGNORED)
    async with Browser(desk) as browser:
        told = words(await browser.see(f"/deliveries/{delivery}"))
    assert "did not match because of draft" in told
    assert "on yes pull_request.opened" in told
    assert "false" in told


async def test_a_delivery_shows_what_came_with_it(desk: Desk) -> None:
    delivery = await keep(desk, headers={"x-github-event": "pull_request", "x-hostile": HOSTILE})
    async with Browser(desk) as browser:
        page = await browser.see(f"/deliveries/{delivery}")
    told = words(page)
    assert "x-github-event pull_request" in told
    assert '"number"' in told
    assert "queued" in told
    assert f"/deliveries/{delivery}/payload.json" in page
    assert "covend explain --delivery" in told


async def test_a_delivery_says_what_would_become_of_it_now(desk: Desk) -> None:
    body = json.dumps(PULL).encode()
    delivery = await keep(desk, body=body, headers=HEADERS)
    async with Browser(desk) as browser:
        told = words(await browser.see(f"/deliveries/{delivery}"))
    assert "If it came in now" in told
    assert "review:1:" in told


async def test_nothing_from_outside_becomes_a_part_of_the_page(desk: Desk) -> None:
    hostile = {"x": HOSTILE, "url": "javascript:alert(1)"}
    delivery = await keep(
        desk, IGNORED, body=json.dumps(hostile).encode(), headers={HOSTILE: HOSTILE}
    )
    async with Browser(desk) as browser:
        for path in ("/deliveries", f"/deliveries/{delivery}"):
            page = await browser.see(path)
            assert "<script>window" not in page
            assert "<img src=x" not in page
            assert 'href="javascript' not in page
            assert "\u202e" not in page


async def test_a_large_payload_is_cut_and_whole_in_its_file(desk: Desk) -> None:
    body = json.dumps({"text": "x" * 3_000_000, "end": "of it"}).encode()
    delivery = await keep(desk, body=body)
    async with Browser(desk) as browser:
        page = await browser.see(f"/deliveries/{delivery}")
        file = await browser.ask(f"/deliveries/{delivery}/payload.json")
    assert len(page) < 200_000
    assert "It is cut here" in page
    assert "&#34;of it" not in page
    assert file.text == body.decode()


async def test_the_payload_is_a_file_that_no_browser_shows(desk: Desk) -> None:
    delivery = await keep(desk, body=b"<script>not json")
    async with Browser(desk) as browser:
        file = await browser.ask(f"/deliveries/{delivery}/payload.json")
        page = await browser.see(f"/deliveries/{delivery}")
    assert file.headers["Content-Disposition"].startswith("attachment; filename=")
    assert file.headers["X-Content-Type-Options"] == "nosniff"
    assert file.headers["Content-Type"] == "application/json"
    assert "default-src 'none'" in file.headers["Content-Security-Policy"]
    assert "It cannot be read any more" in page


async def test_what_came_again_says_how_often(desk: Desk) -> None:
    came = arrival(draft())
    for _ in range(3):
        await desk.deliveries.accept(came)
    async with Browser(desk) as browser:
        page = await browser.see(f"/deliveries/{came.envelope.delivery}")
    assert "2 times, and nothing was done twice" in words(page)


@pytest.mark.parametrize("below", ["", "/payload.json", "/replay"])
async def test_a_delivery_that_is_not_there_is_a_page_that_says_so(desk: Desk, below: str) -> None:
    async with Browser(desk) as browser:
        page = await browser.see(f"/deliveries/no-such{below}", 404)
    assert "There is no delivery no-such" in words(page)


# --- replay ---------------------------------------------------------------------------------------

HEADERS = {
    "content-type": "application/json",
    "x-github-event": "pull_request",
    "x-github-delivery": "00000000-0000-4000-8000-0000000000aa",
}
PULL = {
    "action": "opened",
    "number": 7,
    "sender": {"login": "mona", "id": 5, "type": "User"},
    "repository": {"id": 1, "full_name": "acme/r1", "default_branch": "main", "private": False},
    "pull_request": {
        "number": 7,
        "title": "T",
        "state": "open",
        "draft": False,
        "user": {"login": "mona", "id": 5, "type": "User"},
        "author_association": "MEMBER",
        "head": {"sha": "a" * 40, "ref": "x", "repo": {"id": 1, "full_name": "acme/r1"}},
        "base": {"sha": "b" * 40, "ref": "main", "repo": {"id": 1, "full_name": "acme/r1"}},
    },
}


async def test_a_replay_is_foreseen_before_it_is_asked_for(
    desk: Desk, database: sqlite3.Connection
) -> None:
    delivery = await keep(desk, body=json.dumps(PULL).encode(), headers=HEADERS)
    async with Browser(desk) as browser:
        before = list(database.iterdump())
        page = await browser.see(f"/deliveries/{delivery}/replay?rule=review")
        assert list(database.iterdump()) == before
    told = words(page)
    assert "by rule review alone" in told
    assert "a new task" in told
    assert forms(page) == ["/logout", f"/deliveries/{delivery}/replay"]


async def test_a_replay_leads_to_the_new_delivery_and_stands_in_the_audit(desk: Desk) -> None:
    delivery = await keep(desk, body=json.dumps(PULL).encode(), headers=HEADERS)
    async with Browser(desk) as browser:
        page = await browser.send(f"/deliveries/{delivery}/replay", rule="review")
        audit = words(await browser.see("/audit"))
    assert "Replayed: this is the new delivery; it is routed and asks for 1 task." in words(page)
    assert "by replay" in words(page)
    assert f"operator replay {delivery}" in audit


async def test_a_replay_that_cannot_be_leads_back_and_says_why(desk: Desk) -> None:
    delivery = await keep(desk, body=b"not json")
    async with Browser(desk) as browser:
        page = await browser.send(f"/deliveries/{delivery}/replay")
        assert "conflict" in words(await browser.see("/audit"))
    assert "cannot be read any more" in words(page)


async def test_who_may_only_look_sees_all_but_the_forms(desk: Desk) -> None:
    delivery = await keep(desk, body=json.dumps(PULL).encode(), headers=HEADERS)
    async with Browser(desk, READERS_TOKEN) as browser:
        for path in ("/deliveries", f"/deliveries/{delivery}", f"/deliveries/{delivery}/replay"):
            assert forms(await browser.see(path)) == ["/logout"]
        answer = await browser.ask(f"/deliveries/{delivery}/replay", "POST", {"csrf": "x"})
    assert answer.status == 403


async def test_a_form_of_another_page_replays_nothing(
    desk: Desk, database: sqlite3.Connection
) -> None:
    delivery = await keep(desk, body=json.dumps(PULL).encode(), headers=HEADERS)
    async with Browser(desk) as browser:
        answer = await browser.ask(f"/deliveries/{delivery}/replay", "POST", {"csrf": "0" * 64})
    assert answer.status == 403
    assert database.execute("SELECT count(*) FROM deliveries").fetchone() == (1,)
