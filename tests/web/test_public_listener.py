from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from urllib.parse import quote_plus
from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families

from covend.core.errors import StoreBusyError, StoreFullError
from covend.core.sources.request import BODY_MAX
from covend.store.deliveries import StoredDeliveries
from covend.store.protocol import Accepted, Arrival
from covend.store.sqlite.connection import SqliteConnection
from tests.web.door import Answer, Door, open_door, sample, signed

FORM = "application/x-www-form-urlencoded"


def told(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.data["error"]["code"]


# --- what is kept ---------------------------------------------------------------------------------


async def test_a_new_delivery_is_kept_and_answered_with_its_task(door: Door) -> None:
    answer = await door.send()
    assert answer.status == 202
    assert answer.data["state"] == "routed"
    assert [answer.data["delivery"]] == [row[0] for row in door.rows("SELECT id FROM deliveries")]
    assert answer.data["tasks"] == [row[0] for row in door.rows("SELECT id FROM tasks")]
    assert "duplicate" not in answer.data


async def test_the_same_id_again_is_answered_with_the_first_tasks(door: Door) -> None:
    body = sample()
    headers = signed(body)
    first = await door.post(body, headers)
    again = await door.post(body, headers)
    assert (first.status, again.status) == (202, 200)
    assert again.data == {**first.data, "duplicate": True}
    assert door.count("deliveries") == door.count("tasks") == 1


async def test_the_same_body_under_a_new_id_is_the_same_delivery(door: Door) -> None:
    body = sample()
    first = await door.post(body, signed(body))
    again = await door.post(body, signed(body))
    assert (again.status, again.data["duplicate"]) == (200, True)
    assert again.data["delivery"] == first.data["delivery"]
    assert again.data["tasks"] == first.data["tasks"]
    assert door.count("deliveries") == 1


async def test_an_id_that_comes_back_with_another_body_is_still_a_repetition(door: Door) -> None:
    first, second, one_id = sample(), sample(), str(uuid4())
    await door.post(first, signed(first, x_github_delivery=one_id))
    answer = await door.post(second, signed(second, x_github_delivery=one_id))
    assert (answer.status, answer.data["duplicate"]) == (200, True)
    assert door.count("tasks") == 1


async def test_many_at_once_are_each_kept_once(door: Door) -> None:
    bodies = [sample() for _ in range(20)]
    requests = [door.post(body, signed(body)) for body in bodies * 2]
    answers = await asyncio.gather(*requests)
    assert sorted(answer.status for answer in answers) == [200] * 20 + [202] * 20
    assert door.count("deliveries") == door.count("tasks") == 20


async def test_a_ping_is_answered_with_200(door: Door) -> None:
    answer = await door.send("ping")
    assert (answer.status, answer.data["reason"]) == (200, "ping")
    assert answer.data["tasks"] == []


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("pull_request.closed", "pull_request"),
        ("push", "push"),
        ("push", "an_event_of_tomorrow"),
    ],
)
async def test_what_no_rule_wants_is_kept_as_ignored_with_its_reason(
    door: Door, name: str, event: str
) -> None:
    body = sample(name)
    answer = await door.post(body, signed(body, event))
    assert (answer.status, answer.data["state"]) == (202, "ignored")
    assert answer.data["reason"]
    assert door.rows("SELECT state, reason FROM deliveries") == [("ignored", answer.data["reason"])]
    assert door.count("tasks") == 0


async def test_a_form_is_read_as_its_payload_and_its_raw_body_is_signed(door: Door) -> None:
    body = b"payload=" + quote_plus(sample()).encode()
    answer = await door.post(body, signed(body, content_type=FORM))
    assert (answer.status, answer.data["state"]) == (202, "routed")


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "sha256=" + "0" * 64,
        "sha1=" + "0" * 40,
        "sha256=é",
    ],
)
async def test_a_bad_signature_is_refused_and_nothing_kept(
    door: Door, signature: str | None
) -> None:
    answer = await door.send(x_hub_signature_256=signature)
    assert told(answer) == (401, "bad_signature")
    assert door.is_empty()


async def test_a_doubled_signature_is_refused_even_if_both_are_good(door: Door) -> None:
    body = sample()
    headers = list(signed(body).items())
    headers.append(next(pair for pair in headers if pair[0] == "x-hub-signature-256"))
    answer = await door.post(body, headers)
    assert told(answer) == (401, "bad_signature")
    assert door.is_empty()


async def test_a_signature_of_bytes_that_are_no_text_is_refused(door: Door) -> None:
    body = sample()
    head = [f"{name}: {value}" for name, value in signed(body, x_hub_signature_256=None).items()]
    request = "\r\n".join(["POST /webhooks/github HTTP/1.1", "Host: h", "Connection: close", *head])
    answer = await door.speak(
        request.encode()
        + b"\r\nX-Hub-Signature-256: sha256=\xff\xfe\r\nContent-Length: %d\r\n\r\n" % len(body)
        + body
    )
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert door.is_empty()


async def test_a_changed_body_is_refused(door: Door) -> None:
    body = sample()
    answer = await door.post(body.replace(b"acme", b"evil"), signed(body))
    assert told(answer) == (401, "bad_signature")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"x_github_delivery": None}, "bad_delivery_id"),
        ({"x_github_delivery": "7"}, "bad_delivery_id"),
        ({"x_github_delivery": "../../etc/passwd"}, "bad_delivery_id"),
        ({"x_github_event": None}, "bad_event_name"),
        ({"x_github_event": "Pull Request"}, "bad_event_name"),
    ],
)
async def test_malformed_headers_are_refused(
    door: Door, changed: dict[str, str | None], code: str
) -> None:
    assert told(await door.send(**changed)) == (400, code)
    assert door.is_empty()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"text"',
        b"{",
        b'{"a": NaN}',
        b'{"a": "\xff"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
async def test_a_signed_body_that_is_no_json_object_is_refused(door: Door, body: bytes) -> None:
    assert told(await door.post(body, signed(body))) == (400, "bad_body")
    assert door.is_empty()


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"content_type": "text/plain"}, "unsupported_type"),
        ({"content_type": "multipart/form-data; boundary=x"}, "unsupported_type"),
        ({"content_encoding": "gzip"}, "encoded_body"),
    ],
)
async def test_another_type_or_an_encoded_body_is_refused(
    door: Door, changed: dict[str, str | None], code: str
) -> None:
    assert told(await door.send(**changed)) == (415, code)
    assert door.is_empty()


async def test_a_body_that_declares_to_be_too_large_is_refused_unread(door: Door) -> None:
    answer = await door.speak(
        b"POST /webhooks/github HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % (BODY_MAX + 1) + b"{"
    )
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close" in answer
    assert door.is_empty()


async def test_a_chunked_body_is_refused_once_it_is_too_large(door: Door) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(26):
            yield b" " * (1 << 20)

    answer = await door.post(chunks(), signed(b""))
    assert told(answer) == (413, "too_large")
    assert door.is_empty()


async def test_the_largest_body_is_taken(door: Door) -> None:
    body = sample()
    padded = body[:-1] + b" " * (BODY_MAX - len(body)) + b"}"
    assert len(padded) == BODY_MAX
    assert (await door.post(BytesIO(padded), signed(padded))).status == 202


# --- when the store cannot ------------------------------------------------------------------------


async def test_a_full_queue_refuses_work_but_takes_the_rest(
    connection: SqliteConnection, database: sqlite3.Connection
) -> None:
    async with open_door(connection, database, queue_max=1) as door:
        body = sample()
        headers = signed(body)
        assert (await door.post(body, headers)).status == 202
        refused = await door.send()
        assert told(refused) == (503, "queue_full")
        assert int(refused.headers["Retry-After"]) > 0
        assert door.count("deliveries") == door.count("tasks") == 1
        assert (await door.send("pull_request.closed")).status == 202
        assert (await door.post(body, headers)).status == 200
        assert (await door.send("ping")).status == 200


class Failing(StoredDeliveries):
    """A store whose disk is another's, or full."""

    error: Exception = StoreBusyError()

    async def accept(self, arrival: Arrival) -> Accepted:
        raise self.error


@pytest.mark.parametrize("error", [StoreBusyError(), StoreFullError()])
async def test_a_store_that_cannot_is_answered_with_503(
    connection: SqliteConnection, database: sqlite3.Connection, error: Exception
) -> None:
    failing = Failing(connection, queue_max=100)
    failing.error = error
    async with open_door(connection, database, deliveries=failing) as door:
        answer = await door.send()
    assert told(answer) == (503, getattr(error, "code", None))
    assert "Retry-After" in answer.headers


async def test_a_database_that_another_holds_is_answered_with_503_and_keeps_nothing(
    door: Door, database: sqlite3.Connection
) -> None:
    body = sample()
    headers = signed(body)
    database.execute("BEGIN IMMEDIATE")
    begun = time.monotonic()
    busy = await door.post(body, headers)
    took = time.monotonic() - begun
    database.execute("ROLLBACK")
    assert told(busy) == (503, "store_busy")
    assert "Retry-After" in busy.headers
    assert took < 8
    assert door.is_empty()
    assert (await door.post(body, headers)).status == 202


async def test_while_it_drains_every_webhook_is_put_off(door: Door) -> None:
    door.listener.drain(True)
    answer = await door.send()
    assert told(answer) == (503, "draining")
    assert "Retry-After" in answer.headers
    assert door.is_empty()
    async with door.session.get(f"{door.url}/healthz") as response:
        assert response.status == 200


# --- as GitHub really sends -----------------------------------------------------------------------


async def test_every_recorded_payload_is_answered_by_the_table_and_kept_with_a_verdict(
    door: Door, shared: Path
) -> None:
    recorded = sorted((shared / "github" / "payloads").glob("*.json"))
    assert len(recorded) > 20
    for path in recorded:
        body = path.read_bytes()
        answer = await door.post(body, signed(body, path.name.partition(".")[0]))
        assert answer.status in {200, 202}, path.name
        assert answer.data["reason"]
    kept = door.rows("SELECT state, reason, verdicts FROM deliveries")
    assert len(kept) == len(recorded)
    for state, reason, verdicts in kept:
        assert state in {"routed", "ignored"}
        assert reason
        assert isinstance(json.loads(verdicts), list)


async def test_every_answer_is_counted_under_a_label_of_a_fixed_set(door: Door) -> None:
    await door.send()
    await door.send("push")
    await door.send(x_hub_signature_256=None)
    await door.send(x_hub_signature_256=None, x_github_event="made-up-by-a-stranger")
    families = text_string_to_metric_families(door.metrics.render().decode())
    counted = {
        (sample.labels["event"], sample.labels["result"]): sample.value
        for family in families
        for sample in family.samples
        if sample.name == "covend_deliveries_total"
    }
    assert counted == {
        ("pull_request", "routed"): 1,
        ("other", "ignored"): 1,
        ("pull_request", "bad_signature"): 1,
        ("other", "bad_signature"): 1,
    }
