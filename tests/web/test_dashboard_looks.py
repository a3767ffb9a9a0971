"""The pages of rules, of the doctor's findings and of the audit."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from covend.core.audit import Way, Wish
from covend.store.auditing import StoredAudit
from covend.store.sqlite.connection import SqliteConnection
from covend.web.dashboard import doctor
from covend.web.findings import Finding
from tests.store.arrivals import NOW
from tests.web.browsing import Browser, words
from tests.web.desk import READERS_TOKEN, TOKEN, Desk, open_desk
from tests.web.test_dashboard_deliveries import HOSTILE, PULL

# --- rules ----------------------------------------------------------------------------------------


async def test_rules_tell_how_they_are_written_and_what_they_came_to(desk: Desk) -> None:
    await desk.arrive()
    async with Browser(desk) as browser:
        told = words(await browser.see("/rules"))
    assert "review by echo 1 task last 1 min ago" in told
    assert "on pull_request.opened" in told
    assert "came to queued 1" in told


async def test_a_pasted_payload_is_explained_and_starts_nothing(
    desk: Desk, database: sqlite3.Connection
) -> None:
    async with Browser(desk) as browser:
        before = list(database.iterdump())
        page = await browser.send("/rules/explain", event="pull_request", payload=json.dumps(PULL))
        assert list(database.iterdump()) == before
    told = words(page)
    assert "would start task of rule review with key review:1:" in told
    assert "starts work" in told
    assert "on yes" in told


async def test_who_may_only_look_may_have_it_explained(desk: Desk) -> None:
    async with Browser(desk, READERS_TOKEN) as browser:
        page = await browser.see("/rules")
        csrf = page.partition('name="csrf" value="')[2][:64]
        fields = {"csrf": csrf, "event": "pull_request", "payload": json.dumps(PULL)}
        answer = await browser.ask("/rules/explain", "POST", fields)
    assert answer.status == 200
    assert "starts work" in words(answer.text)


@pytest.mark.parametrize(
    ("event", "payload", "told"),
    [
        ("", "{}", "Which event is it?"),
        ("pull_request", "", "Paste the payload"),
        ("pull_request", "[]", "JSON object"),
        ("pull_request", "{", "JSON object"),
        ("pull_request", "{" * 5_000, "JSON object"),
        ("pull_request.opened", "{}", "Write pull_request: the action stands in the payload."),
        ("<script>", "{}", "event"),
        ("x" * 500, "{}", "Which event is it?"),
    ],
    ids=["no-event", "no-payload", "list", "broken", "deep", "action", "markup", "long"],
)
async def test_what_cannot_be_explained_is_told_kindly_with_what_was_pasted(
    desk: Desk, event: str, payload: str, told: str
) -> None:
    async with Browser(desk) as browser:
        fields = {"csrf": await browser.csrf(), "event": event, "payload": payload}
        answer = await browser.ask("/rules/explain", "POST", fields)
    page = answer.text
    assert answer.status == 400
    assert told in words(page)
    assert 'role="alert"' in page
    assert f">{payload}</textarea>" in page
    assert "<script>" not in page.replace("<script src=", "")


async def test_a_payload_beyond_the_bound_is_refused_as_a_page(desk: Desk) -> None:
    async with Browser(desk) as browser:
        page = await browser.send("/rules/explain", event="push", payload="x" * (2 << 20))
    assert "Too much at once" in page


async def test_a_hostile_payload_is_explained_as_text(desk: Desk) -> None:
    pull = json.loads(json.dumps(PULL))
    pull["pull_request"]["title"] = pull["pull_request"]["head"]["ref"] = HOSTILE
    pull["sender"]["login"] = HOSTILE
    async with Browser(desk) as browser:
        page = await browser.send("/rules/explain", event="pull_request", payload=json.dumps(pull))
    assert "<script>window" not in page
    assert "<img src=x" not in page


# --- doctor ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """A finding."""

    name: str
    level: str
    what: str
    fix: str = ""


async def test_findings_come_gravest_first_with_their_fix_and_no_secret(
    connection: SqliteConnection, tmp_path: Path
) -> None:
    seen: list[Finding] = [
        Seen("sqlite", "ok", "3.51"),
        Seen("clock", "warning", f"{HOSTILE} by {TOKEN}", "set the clock"),
        Seen("git", "failed", "not found", "install git"),
    ]
    async with (
        open_desk(connection, tmp_path, examine=lambda _: seen) as desk,
        Browser(desk) as browser,
    ):
        page = await browser.see("/doctor")
    told = words(page)
    assert told.index("install git") < told.index("set the clock") < told.index("3.51")
    assert "1 failed 1 warning 1 ok" in told
    assert TOKEN not in page
    assert "<script>window" not in page


async def test_a_look_is_kept_for_a_minute_and_made_anew_on_demand(
    connection: SqliteConnection, tmp_path: Path
) -> None:
    notes: list[Mapping[str, str]] = []

    def look(told: Mapping[str, str]) -> list[Finding]:
        notes.append(told)
        return [Seen("look", "ok", f"look number {len(notes)}")]

    async with open_desk(connection, tmp_path, examine=look) as desk:
        desk.readiness.notes["trees"] = "cgroup"
        async with Browser(desk) as browser:
            for _ in range(3):
                assert "look number 1" in await browser.see("/doctor")
            assert "look number 2" in await browser.send("/doctor")
    assert notes[0]["trees"] == "cgroup"
    assert len(notes) == 2


async def test_only_the_operator_asks_for_another_look_and_no_page_by_itself(
    connection: SqliteConnection, tmp_path: Path
) -> None:
    looks: list[int] = []

    def look(_: Mapping[str, str]) -> list[Finding]:
        looks.append(1)
        return []

    async with (
        open_desk(connection, tmp_path, examine=look) as desk,
        Browser(desk, READERS_TOKEN) as browser,
    ):
        page = await browser.see("/doctor")
        refused = await browser.send("/doctor")
        await browser.see("/doctor")
        assert "data-events" in await browser.see("/safeguards")
    assert "data-events" not in page
    assert "Only the operator" in words(refused)
    assert looks == [1]


async def test_a_look_that_takes_long_is_one_and_holds_no_page_up(
    connection: SqliteConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "WAIT_S", 0.01)
    goes_on, begun = threading.Event(), []

    def look(_: Mapping[str, str]) -> list[Finding]:
        begun.append(1)
        assert goes_on.wait(20)
        return [Seen("slow", "ok", "came in the end")]

    async with open_desk(connection, tmp_path, examine=look) as desk, Browser(desk) as browser:
        try:
            for _ in range(3):
                assert "It is being looked" in await browser.see("/doctor")
        finally:
            goes_on.set()
        monkeypatch.setattr(doctor, "WAIT_S", 20.0)
        assert "came in the end" in await browser.see("/doctor")
    assert begun == [1]


async def test_an_examination_that_breaks_is_told_and_the_page_stays(
    connection: SqliteConnection, tmp_path: Path
) -> None:
    def look(_: Mapping[str, str]) -> list[Finding]:
        raise RuntimeError("the secret is 42")

    async with open_desk(connection, tmp_path, examine=look) as desk, Browser(desk) as browser:
        page = await browser.see("/doctor")
    assert "It could not be looked" in page
    assert "the secret is" not in page


async def test_without_a_doctor_the_page_says_where_it_is(desk: Desk) -> None:
    async with Browser(desk) as browser:
        assert "covend doctor does" in words(await browser.see("/doctor"))


# --- audit ----------------------------------------------------------------------------------------


async def test_the_audit_tells_who_what_from_where_and_how_it_ended(
    desk: Desk, connection: SqliteConnection
) -> None:
    audit = StoredAudit(connection)
    wish = Wish(
        who=f"@{HOSTILE}",
        way=Way.COMMENT,
        address="203.0.113.9",
        client=HOSTILE,
        verb="cancel",
        target="01abc",
        details='{"reason": "too slow", "inputs": {"a": 1}}',
    )
    await audit.end(await audit.begin(wish, NOW), "conflict", NOW)
    await audit.begin(wish, NOW)
    async with Browser(desk) as browser:
        page = await browser.see("/audit")
        none = await browser.see("/audit?verb=pause")
        some = await browser.see("/audit?verb=cancel&target=01abc&limit=1")
    told = words(page)
    assert "comment, 203.0.113.9" in told
    assert 'reason: too slow; inputs: {"a":1}' in told
    assert "conflict" in told
    assert "not known" in told
    assert "<script>window" not in page
    assert "No change fits" in none
    assert some.count('data-label="Who"') == 1
    assert "Older" in some
