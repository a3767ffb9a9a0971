from __future__ import annotations

import asyncio
import sqlite3

import pytest

from covend.store.sqlite.connection import SqliteConnection
from tests.web.door import Door, open_door

POSSIBLE = b"sha256=" + b"0" * 64
"""What a signature looks like."""


async def test_a_body_that_dribbles_is_given_up(
    connection: SqliteConnection, database: sqlite3.Connection
) -> None:
    async with open_door(connection, database, body_s=0.1) as door:
        answer = await door.speak(
            b"POST /webhooks/github HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
            b"X-Hub-Signature-256: " + POSSIBLE + b"\r\nContent-Length: 100\r\n\r\n{"
        )
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_what_cannot_be_signed_is_refused_before_its_body_is_read(
    connection: SqliteConnection, database: sqlite3.Connection
) -> None:
    async with open_door(connection, database, body_s=60.0) as door:
        answer = await door.speak(
            b"POST /webhooks/github HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
            b"Content-Length: 20000000\r\n\r\n{"
        )
    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_a_connection_that_never_finishes_its_head_is_closed(
    connection: SqliteConnection, database: sqlite3.Connection
) -> None:
    async with open_door(connection, database, idle_s=0.1) as door:
        assert await door.speak(b"POST /webhooks/github HTTP/1.1\r\nHost: h\r\nX-") == b""


async def test_a_sender_who_hangs_up_in_the_middle_leaves_nothing_behind(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(
        b"POST /webhooks/github HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
        b"X-Hub-Signature-256: " + POSSIBLE + b"\r\nContent-Length: 100\r\n\r\n{"
    )
    await writer.drain()
    writer.transport.abort()
    assert (await door.send()).status == 202
    assert door.count("deliveries") == 1
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_body_of_broken_chunks_is_refused(door: Door) -> None:
    answer = await door.speak(
        b"POST /webhooks/github HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
        b"X-Hub-Signature-256: " + POSSIBLE + b"\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nno number\r\n{}\r\n"
    )
    assert answer.split()[1] == b"400"
    assert door.is_empty()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("HEAD", "/healthz", 200),
        ("POST", "/healthz", 405),
        ("GET", "/webhooks/github", 405),
        ("PUT", "/webhooks/github", 405),
        ("OPTIONS", "/webhooks/github", 405),
        ("POST", "/webhooks/github/", 404),
        ("POST", "/webhooks/other", 404),
        ("GET", "/", 404),
        ("GET", "/metrics", 404),
        ("GET", "/readyz", 404),
        ("GET", "/api/v1/tasks", 404),
        ("GET", "/healthz/../metrics", 404),
    ],
)
async def test_nothing_else_answers_here(door: Door, method: str, path: str, status: int) -> None:
    async with door.session.request(method, f"{door.url}{path}") as response:
        assert response.status == status
        if status == 405:
            assert response.headers["Allow"]
