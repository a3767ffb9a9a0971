from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from covend.store.sqlite.connection import SqliteConnection
from covend.web.routes import TABLE
from tests.web.desk import BEARER, CONFIGURED_HOST, TOKEN, Desk, open_desk

OPEN = ["/readyz", "/metrics"]
GUARDED = [
    "/api/v1/deliveries",
    "/api/v1/deliveries/1",
    "/api/v1/deliveries/1/replay",
    "/api/v1/deliveries/1/explain",
    "/api/v1/explain",
    "/api/v1/tasks",
    "/api/v1/tasks/1",
    "/api/v1/tasks/1/attempts",
    "/api/v1/tasks/1/attempts/1/log",
    "/api/v1/tasks/1/cancel",
    "/api/v1/tasks/1/retry",
    "/api/v1/tasks/1/approve",
    "/api/v1/effects",
    "/api/v1/effects/1/retry",
    "/api/v1/safeguards",
    "/api/v1/safeguards/1/reset",
    "/api/v1/pause",
    "/api/v1/resume",
    "/api/v1/drain",
    "/api/v1/installations",
    "/api/v1/installations/1/forget",
    "/api/v1/reconcile",
    "/api/v1/stats",
    "/api/v1/audit",
    "/api/v1/events",
    "/openapi.json",
    "/no/such/path",
]


def host(name: str) -> dict[str, str]:
    return {**BEARER, "Host": name}


async def test_every_route_of_the_api_is_in_one_of_the_two_lists(desk: Desk) -> None:
    """Of pages, tests/web/test_admin_visitors.py asks all that there are."""
    routes = {route.path for route in desk.app[TABLE].values() if not route.is_page}
    named = {re.sub(r"\{\w+(:[^}]*)?\}", "1", path) for path in routes}
    assert named == {*OPEN, *GUARDED} - {"/no/such/path"}


@pytest.mark.parametrize("path", GUARDED)
async def test_without_the_token_nothing_is_told(desk: Desk, path: str) -> None:
    answer = await desk.ask(path, headers={})
    assert (answer.status, answer.data["error"]["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="covend"'


@pytest.mark.parametrize(
    "given",
    [
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer é\udcff",
    ],
)
async def test_a_wrong_token_is_no_token(desk: Desk, given: str) -> None:
    answer = await desk.ask("/api/v1/tasks", headers={"Authorization": given})
    assert answer.status == 401


async def test_two_tokens_are_no_token(desk: Desk) -> None:
    headers = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer other")]
    assert (await desk.ask("/api/v1/tasks", headers=headers)).status == 401


async def test_the_scheme_may_be_written_in_any_case(desk: Desk) -> None:
    answer = await desk.ask("/api/v1/tasks", headers={"Authorization": f"bearer {TOKEN}"})
    assert answer.status == 200


@pytest.mark.parametrize("path", OPEN)
async def test_probes_and_scrapers_need_neither_token_nor_host(desk: Desk, path: str) -> None:
    assert (await desk.ask(path, headers={"Host": "prometheus.example:9090"})).status == 200


@pytest.mark.parametrize("path", OPEN)
async def test_with_metrics_token_they_need_both(
    connection: SqliteConnection, tmp_path: Path, path: str
) -> None:
    async with open_desk(connection, tmp_path, metrics_token=True) as desk:
        assert (await desk.ask(path, headers={})).status == 401
        assert (await desk.ask(path, headers=host("evil.example"))).status == 421
        assert (await desk.ask(path)).status == 200


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1:8788",
        "[::1]:8788",
        CONFIGURED_HOST,
        f"{CONFIGURED_HOST.upper()}:443",
    ],
)
async def test_our_own_names_are_answered(desk: Desk, name: str) -> None:
    assert (await desk.ask("/api/v1/tasks", headers=host(name))).status == 200


@pytest.mark.parametrize(
    "name",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "evil.example@localhost",
        "evil.example/localhost",
        "localhost.",
        "[::1",
        "0.0.0.0",
    ],
)
async def test_a_foreign_name_is_refused_even_with_the_token(desk: Desk, name: str) -> None:
    answer = await desk.ask("/api/v1/tasks", headers=host(name))
    assert (answer.status, answer.data["error"]["code"]) == (421, "foreign_host")


@pytest.mark.parametrize("path", ["/api/v1/tasks", "/readyz", "/metrics"])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", ""])
async def test_a_page_of_another_origin_is_refused(desk: Desk, path: str, origin: str) -> None:
    answer = await desk.ask(path, headers={**BEARER, "Origin": origin})
    assert (answer.status, answer.data["error"]["code"]) == (403, "foreign_origin")


async def test_our_own_page_may_ask(desk: Desk) -> None:
    own = {**host(CONFIGURED_HOST), "Origin": f"https://{CONFIGURED_HOST}"}
    assert (await desk.ask("/api/v1/tasks", headers=own)).status == 200


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/readyz", None),
        ("/api/v1/tasks", None),
        ("/api/v1/tasks", {}),
        ("/no/such/path", None),
        ("/api/v1/tasks", {"Origin": "https://evil.example"}),
    ],
)
async def test_every_answer_keeps_browsers_out(
    desk: Desk, path: str, headers: dict[str, str] | None
) -> None:
    answer = await desk.ask(path, headers=headers)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Server"] == "covend"
    assert not [name for name in answer.headers if name.startswith("Access-Control-")]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_another_method_is_refused_with_those_that_are_not(desk: Desk, method: str) -> None:
    answer = await desk.ask("/api/v1/effects", method)
    assert (answer.status, answer.data["error"]["code"]) == (405, "wrong_method")
    assert set(answer.headers["Allow"].split(",")) == {"GET", "HEAD"}


@pytest.mark.parametrize("path", ["/api/v1", "/api/v1/tasks/", "/api/v2/tasks", "/API/v1/tasks"])
async def test_an_unknown_path_is_told_as_json(desk: Desk, path: str) -> None:
    answer = await desk.ask(path)
    assert answer.status == 404
    assert answer.data == {"error": {"code": "not_found", "message": "Not Found.", "details": {}}}


@pytest.mark.parametrize("path", ["/readyz", "/metrics", "/api/v1/tasks", "/api/v1/stats"])
async def test_head_answers_as_get_without_a_body(desk: Desk, path: str) -> None:
    got, asked = await desk.ask(path), await desk.ask(path, "HEAD")
    assert asked.status == got.status == 200
    assert asked.headers["Content-Type"] == got.headers["Content-Type"]
    assert asked.text == ""


async def test_get_changes_nothing(desk: Desk, database: sqlite3.Connection) -> None:
    task = await desk.arrive()
    await desk.complete(await desk.claim())
    before = list(database.iterdump())
    ended = [path.replace("events", "events?follow=0") for path in GUARDED]
    for path in [*OPEN, *ended, f"/api/v1/tasks/{task}", f"/api/v1/tasks/{task}/attempts/1/log"]:
        await desk.ask(path)
    assert list(database.iterdump()) == before
