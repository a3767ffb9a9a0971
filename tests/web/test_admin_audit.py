"""Every change that is asked for is written down before it is tried, with what came of it."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from covend.core.audit import DETAILS_MAX, Way, Wish
from covend.core.errors import StoreBusyError
from covend.core.model import Moment
from covend.services.auditing import Auditing
from covend.store.auditing import StoredAudit
from covend.web.routes import TABLE
from tests.web.desk import BEARER, READERS_TOKEN, TOKEN, Desk, StandingClock


async def post(desk: Desk, path: str, body: object = None, **headers: str) -> Any:
    data = None if body is None else orjson.dumps(body)
    return await desk.ask(f"/api/v1/{path}", "POST", {**BEARER, **headers}, data)


async def last(desk: Desk) -> Any:
    return (await desk.get("audit?limit=1"))["items"][0]


# --- what is written ------------------------------------------------------------------------------


async def test_a_change_is_told_with_who_what_from_where_and_what_came_of_it(desk: Desk) -> None:
    task = await desk.arrive()
    headers = {"User-Agent": "a program/1"}
    answer = await post(desk, f"tasks/{task}/cancel", {"reason": "no more"}, **headers)
    assert answer.status == 200
    told = await last(desk)
    assert told.pop("number") == 1
    assert told == {
        "at": "2026-09-21T14:14:20.000Z",
        "who": "operator",
        "via": "api",
        "from": "127.0.0.1",
        "client": "a program/1",
        "verb": "cancel",
        "target": task,
        "details": {"reason": "no more"},
        "outcome": "ok",
        "ended_at": "2026-09-21T14:14:20.000Z",
    }


@pytest.mark.parametrize(
    ("path", "body", "outcome"),
    [
        ("tasks/none/cancel", None, "not_found"),
        ("tasks/none/cancel", {"reason": 1}, "bad_request"),
        ("pause", {"scope": "everything"}, "bad_request"),
        ("effects/none/retry", None, "not_found"),
        ("deliveries/none/replay", {}, "not_found"),
        ("resume", {}, "ok"),
    ],
)
async def test_what_was_refused_is_told_with_its_code(
    desk: Desk, path: str, body: object, outcome: str
) -> None:
    await post(desk, path, body)
    assert (await last(desk))["outcome"] == outcome


@pytest.mark.parametrize("depth", [300, 1_000])
async def test_what_is_nested_deeper_than_any_wish_is_refused_and_told(
    desk: Desk, depth: int
) -> None:
    body = b'{"reason": "x", "more": ' + b"[" * depth + b"]" * depth + b"}"
    answer = await desk.ask("/api/v1/pause", "POST", BEARER, body)
    assert answer.status == 400
    told = await last(desk)
    assert (told["verb"], told["outcome"]) == ("pause", "bad_request")
    assert told["details"]["reason"] == "x"


async def test_every_post_of_the_api_that_changes_something_writes_one_row(desk: Desk) -> None:
    routes = [each for each in desk.app[TABLE].values() if not each.is_page and each.verb]
    assert len(routes) >= 11
    for number, route in enumerate(routes, start=1):
        if route.name == "reconcile":  # it waits for its loop, which no one runs here
            path = "/api/v1/reconcile?no=1"
        else:
            path = route.path.replace("{id:.+}", "x").replace("{id}", "x")
        await desk.ask(path, route.method)
        told = await last(desk)
        assert (told["number"], told["verb"]) == (number, route.verb)
        assert told["outcome"] is not None


async def test_whatever_changes_something_has_a_verb(desk: Desk) -> None:
    changes_nothing = {"explain", "log_in_page", "log_out_page"}
    for route in desk.app[TABLE].values():
        if route.method == "GET":
            assert route.verb is None, route.name
        elif not route.is_page:
            assert (route.verb is None) == (route.name in changes_nothing), route.name


async def test_looking_and_being_refused_at_the_door_write_nothing(desk: Desk) -> None:
    await desk.get("tasks")
    await desk.ask("/api/v1/pause", "POST", headers={})
    await desk.ask("/api/v1/pause", "POST", {"Authorization": f"Bearer {READERS_TOKEN}"})
    await desk.ask("/api/v1/pause", "POST", {**BEARER, "Origin": "https://evil.example"})
    assert (await desk.get("audit"))["items"] == []


async def test_the_row_is_there_before_the_change_and_stays_open_where_covend_is_killed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    async def killed(self: object, task: str, why: str = "") -> None:
        seen.append(await last(desk))

    async def nobody_ends(self: object, number: int, outcome: str, now: Moment) -> None:
        raise StoreBusyError

    monkeypatch.setattr("covend.services.operations.Operations.cancel", killed)
    monkeypatch.setattr(StoredAudit, "end", nobody_ends)
    await post(desk, "tasks/some/cancel")
    assert [(row["verb"], row["outcome"]) for row in seen] == [("cancel", None)]
    told = await last(desk)
    assert (told["outcome"], told["ended_at"]) == (None, None)


async def test_what_is_cancelled_in_the_middle_stays_unknown(desk: Desk) -> None:
    auditing = Auditing(audit=StoredAudit(desk.connection), clock=StandingClock())
    wish = Wish(
        who="operator", way=Way.API, address=None, client=None, verb="x", target=None, details="{}"
    )
    begun = asyncio.Event()

    async def change() -> None:
        async with auditing.noting(wish):
            begun.set()
            await asyncio.Event().wait()

    changing = asyncio.create_task(change())
    await begun.wait()
    changing.cancel()
    await asyncio.wait([changing])
    told = await last(desk)
    assert (told["verb"], told["outcome"]) == ("x", None)


async def test_a_wish_that_cannot_be_written_is_not_fulfilled(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(self: object, wish: object, now: Moment) -> int:
        raise StoreBusyError

    monkeypatch.setattr(StoredAudit, "begin", busy)
    assert (await post(desk, "pause")).status == 503
    assert (await desk.get("safeguards"))["items"] == []


async def test_a_fault_of_covends_own_is_told_as_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def faulty(self: object, scope: str, why: str = "") -> None:
        raise RuntimeError

    monkeypatch.setattr("covend.services.operations.Operations.pause", faulty)
    assert (await post(desk, "pause")).status == 500
    assert (await last(desk))["outcome"] == "internal"


# --- what is not written --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"reason": f"the token is {TOKEN}"},
        {"reason": {"deep": [TOKEN]}},
        {TOKEN: 1},
        {"scope": TOKEN},
        {"reason": "x" * (DETAILS_MAX - 25) + TOKEN},
    ],
    ids=["text", "deep", "name", "target", "at-the-cut"],
)
async def test_a_secret_is_never_written(
    desk: Desk, database: sqlite3.Connection, body: object
) -> None:
    await post(desk, "pause", body, **{"User-Agent": f"curl {TOKEN}"})
    (row,) = database.execute("SELECT * FROM audit").fetchall()
    written = " ".join(map(str, row))
    assert TOKEN[:12] not in written
    assert "[secret]" in written


async def test_what_is_long_is_cut_and_what_is_odd_is_written_in_one_line(desk: Desk) -> None:
    await post(desk, "pause", {"scope": "a\nb\x1b[31m", "reason": "x" * 5_000})
    told = await last(desk)
    assert told["target"] == "a?b?[31m"
    assert len(told["details"]["cut"]) == DETAILS_MAX


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[1]", b'"x"', b'{"a": 1e999}'])
async def test_a_body_that_cannot_be_read_is_refused_and_told(desk: Desk, body: bytes) -> None:
    answer = await desk.ask("/api/v1/pause", "POST", body=body)
    assert answer.status == 400
    told = await last(desk)
    assert (told["details"], told["outcome"]) == ({}, "bad_request")


async def test_what_is_json_is_read_as_such_whatever_it_is_called(desk: Desk) -> None:
    """`curl -d` calls everything a form."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await post(desk, "pause", {"reason": "deploy"}, **headers)).status == 200
    assert (await last(desk))["details"] == {"reason": "deploy"}


# --- how it is read -------------------------------------------------------------------------------


async def test_the_audit_is_read_by_verb_target_and_who_page_by_page(desk: Desk) -> None:
    task = await desk.arrive()
    for path in ("pause", f"tasks/{task}/cancel", "resume", f"tasks/{task}/retry"):
        await post(desk, path)

    async def verbs(query: str) -> list[str]:
        return [row["verb"] for row in (await desk.get(f"audit?{query}"))["items"]]

    assert await verbs("") == ["retry", "resume", "cancel", "pause"]
    assert await verbs("verb=pause") == ["pause"]
    assert await verbs(f"target={task}") == ["retry", "cancel"]
    assert await verbs(f"target={task}&verb=cancel") == ["cancel"]
    assert await verbs("who=operator") == ["retry", "resume", "cancel", "pause"]
    assert await verbs("who=@mona") == []
    first = await desk.get("audit?limit=3")
    assert [row["verb"] for row in first["items"]] == ["retry", "resume", "cancel"]
    assert await verbs(f"limit=3&cursor={first['next_cursor']}") == ["pause"]


async def test_a_row_is_ended_once(desk: Desk, tmp_path: Path) -> None:
    await post(desk, "pause")
    audit = StoredAudit(desk.connection)
    await audit.end(1, "later", 1)
    assert (await last(desk))["outcome"] == "ok"


async def test_who_asks_by_a_socket_has_no_address(desk: Desk, tmp_path: Path) -> None:
    path = str(tmp_path / "admin.sock")
    await aiohttp.web.UnixSite(desk.runner, path).start()
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session,
        session.post("http://localhost/api/v1/pause", headers=BEARER) as answer,
    ):
        assert answer.status == 200
    assert (await last(desk))["from"] == "unix"
