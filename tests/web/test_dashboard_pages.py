"""What every page of the dashboard promises, whatever is in the store."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import astuple
from pathlib import Path

import pytest

from covend.core.errors import StoreError
from covend.store.protocol import Gauges
from covend.store.sqlite.connection import SqliteConnection
from covend.store.upkeep import StoredUpkeep
from covend.web.dashboard.pages import NAVIGATION, POLICY
from tests.web.browsing import Browser, forms, words
from tests.web.desk import BEARER, READERS_TOKEN, Desk, open_desk
from tests.web.full_house import EVIL_URL, HOSTILE, fill
from tests.web.reading_html import parse

PAGES = [path for path, _ in NAVIGATION]
NARROWED = ["/tasks?state=failed", "/tasks?search=acme/r1%237", "/tasks?search=%3Cb%3E&rule=review"]
HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def dumped(database: sqlite3.Connection) -> str:
    return "\n".join(database.iterdump())


@pytest.mark.parametrize("path", [*PAGES, *NARROWED])
async def test_every_page_is_there_while_there_is_nothing_to_show(desk: Desk, path: str) -> None:
    async with Browser(desk) as browser:
        assert parse(await browser.see(path)).problems == []


@pytest.mark.parametrize("path", [*PAGES, *NARROWED])
async def test_no_text_from_outside_becomes_part_of_a_page(
    desk: Desk, database: sqlite3.Connection, path: str
) -> None:
    await fill(desk, database)
    async with Browser(desk) as browser:
        page = await browser.see(path)
    assert parse(page).problems == []
    assert not HARMFUL.search(page)


async def test_no_text_from_outside_becomes_part_of_a_tasks_page(
    desk: Desk, database: sqlite3.Connection
) -> None:
    full = await fill(desk, database)
    async with Browser(desk) as browser:
        for task in astuple(full):
            page = await browser.see(f"/tasks/{task}")
            assert parse(page).problems == []
            assert not HARMFUL.search(page)
            assert EVIL_URL not in page


async def test_what_is_shown_can_be_read_as_it_was_written(
    desk: Desk, database: sqlite3.Connection
) -> None:
    full = await fill(desk, database)
    async with Browser(desk) as browser:
        shown = parse(await browser.see(f"/tasks/{full.done}")).text
    assert HOSTILE.partition("\u202e")[0] in shown
    assert "\\u202e" in shown


@pytest.mark.parametrize("path", ["/login", *PAGES, "/no/such/page", "/tasks/none"])
async def test_a_page_lets_a_browser_run_nothing_but_our_own_files(desk: Desk, path: str) -> None:
    answer = await desk.ask(path, headers={**BEARER, "Accept": "text/html"})
    if path == "/login":
        answer = await desk.ask(path, headers={})
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    # Browsers that tell no referrer post forms with `Origin: null`, which is refused.
    assert answer.headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("path", PAGES)
async def test_every_form_that_changes_something_brings_the_sessions_mark(
    desk: Desk, database: sqlite3.Connection, path: str
) -> None:
    await fill(desk, database)
    async with Browser(desk) as browser:
        page = await browser.see(path)
    assert forms(page)
    assert len(forms(page)) == page.count('name="csrf"') == page.count('method="post"')


@pytest.mark.parametrize("path", [*PAGES, "/tasks?state=failed"])
async def test_who_may_only_look_sees_no_form_but_the_way_out(
    desk: Desk, database: sqlite3.Connection, path: str
) -> None:
    await fill(desk, database)
    async with Browser(desk, READERS_TOKEN) as browser:
        page = await browser.see(path)
    # To have something explained changes nothing.
    assert set(forms(page)) <= {"/logout", "/rules/explain#explain"}
    assert "grafana" in words(page)


async def test_who_may_only_look_sees_no_button_on_a_task(
    desk: Desk, database: sqlite3.Connection
) -> None:
    full = await fill(desk, database)
    async with Browser(desk, READERS_TOKEN) as browser:
        for task in astuple(full):
            assert forms(await browser.see(f"/tasks/{task}")) == ["/logout"]


@pytest.mark.parametrize("path", PAGES)
async def test_looking_changes_nothing(desk: Desk, database: sqlite3.Connection, path: str) -> None:
    await fill(desk, database)
    before = dumped(database)
    async with Browser(desk) as browser:
        await browser.see(path)
    assert dumped(database) == before


@pytest.mark.parametrize("path", ["/login", *PAGES])
async def test_a_page_can_be_asked_for_without_its_body(desk: Desk, path: str) -> None:
    headers = {} if path == "/login" else BEARER
    answer = await desk.ask(path, "HEAD", headers=headers)
    assert (answer.status, answer.text) == (200, "")
    assert int(answer.headers["Content-Length"]) > 0


@pytest.mark.parametrize("path", PAGES)
async def test_the_page_one_is_on_is_marked_in_the_navigation(desk: Desk, path: str) -> None:
    async with Browser(desk) as browser:
        links = parse(await browser.see(path)).all("a")
    assert [link["href"] for link in links if link.get("aria-current") == "page"] == [path]


# --- errors ---------------------------------------------------------------------------------------


async def test_what_is_not_there_is_told_as_a_page(desk: Desk) -> None:
    async with Browser(desk) as browser:
        page = await browser.see("/tasks/01nothing", 404)
    assert "There is no task 01nothing." in words(page)
    assert parse(page).problems == []


async def test_a_path_that_nobody_knows_is_told_to_people_as_a_page(desk: Desk) -> None:
    answer = await desk.ask("/x", headers={**BEARER, "Accept": "text/html"})
    assert (answer.status, parse(answer.text).problems) == (404, [])


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v1/tasks/none"])
async def test_programs_get_json_although_they_would_take_a_page(desk: Desk, path: str) -> None:
    answer = await desk.ask(path, headers={**BEARER, "Accept": "text/html"})
    assert (answer.status, answer.data["error"]["code"]) == (404, "not_found")


async def test_a_query_that_is_nonsense_is_told_as_a_page(desk: Desk) -> None:
    async with Browser(desk) as browser:
        page = await browser.see("/tasks?state=%22%3E%3Cscript%3E", 400)
    assert "state must be one of received, queued" in words(page)
    assert parse(page).problems == []


async def test_who_may_only_look_is_told_so_as_a_page(desk: Desk) -> None:
    task = await desk.arrive()
    async with Browser(desk, READERS_TOKEN) as browser:
        found = re.search(r'name="csrf" value="(\w+)"', await browser.see("/"))
        assert found is not None
        answer = await browser.ask(f"/tasks/{task}/cancel", "POST", {"csrf": found[1]})
    assert (answer.status, parse(answer.text).problems) == (403, [])
    assert "may look, and change nothing" in words(answer.text)


async def test_a_store_that_does_not_answer_is_told_as_a_page(
    connection: SqliteConnection, tmp_path: Path
) -> None:
    class Away(StoredUpkeep):
        async def gauges(self, now: int) -> Gauges:
            raise StoreError("the disk is gone")

    upkeep = Away(connection, tmp_path / "covend.db-wal")
    async with open_desk(connection, tmp_path, upkeep=upkeep) as desk, Browser(desk) as browser:
        page = await browser.see("/", 503)
    assert "The store cannot answer now." in words(page)
    assert "disk" not in page


# --- assets ---------------------------------------------------------------------------------------


async def test_a_page_names_its_files_as_they_are_now(desk: Desk) -> None:
    answer = await desk.ask("/login", headers={})
    for element, name in (("link", "href"), ("script", "src"), ("img", "src")):
        for attributes in parse(answer.text).all(element):
            file = await desk.ask(attributes[name], headers={})
            assert file.status == 200
            assert file.text


@pytest.mark.parametrize("name", ["none.css", "..%2Fpages.py", "style.css%00", "STYLE.CSS"])
async def test_no_other_file_is_served(desk: Desk, name: str) -> None:
    assert (await desk.ask(f"/static/{name}", headers={})).status == 404


def test_the_script_is_small_and_writes_no_html() -> None:
    script = (Path("covend") / "web" / "dashboard" / "static" / "covend.js").read_text("utf-8")
    assert len(script.splitlines()) <= 250
    for word in ("innerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("):
        assert word not in script
