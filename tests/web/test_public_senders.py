"""Each sender beside GitHub has a door of its own, and is answered by the same table."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from io import BytesIO
from itertools import count
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from covend.core.intake import Accepted, reopen
from covend.core.model import Trust
from covend.core.outside import Source
from covend.core.sources.request import BODY_MAX
from covend.store.sqlite.connection import SqliteConnection
from tests.core.sources.foreign_samples import (
    GITEA,
    GITEA_PULL,
    GITLAB,
    GITLAB_MERGE,
    SIGNED,
    SIGNING_GITLAB,
    STANDARD,
    gitea_headers,
    gitlab_headers,
    signed_headers,
    standard_headers,
)
from tests.web.door import Answer, Door, open_door

serials = count(1)
Headers = Callable[[bytes, str], dict[str, str]]


def now() -> str:
    return str(int(time.time()))


KINDS: Mapping[str, tuple[Source, Mapping[str, Any], Headers]] = {
    "standard": (
        STANDARD.source,
        {"type": "thing.happened"},
        lambda body, given: standard_headers(body, delivery=given, seconds=now()),
    ),
    "ci": (
        SIGNED.source,
        {"done": True},
        lambda body, given: {**signed_headers(body), "x-request-id": given},
    ),
    "forge": (
        GITEA.source,
        GITEA_PULL,
        lambda body, given: {**gitea_headers(body), "x-gitea-delivery": given},
    ),
    "lab": (
        GITLAB.source,
        GITLAB_MERGE,
        lambda body, given: {**gitlab_headers(body), "idempotency-key": given},
    ),
    "newer-lab": (
        SIGNING_GITLAB.source,
        GITLAB_MERGE,
        lambda body, given: {
            **standard_headers(body, delivery=given, seconds=now()),
            "x-gitlab-event": "Merge Request Hook",
        },
    ),
}
SOURCES = {
    name: replace(source, name=name, trust=Trust.MEMBER) for name, (source, _, _) in KINDS.items()
}
ON = (
    "pull_request.opened",
    "standard:thing.happened",
    "ci:build.done",
    "forge:pull_request.opened",
    "lab:merge_request.open",
    "newer-lab:merge_request",
)
every_sender = pytest.mark.parametrize("sender", KINDS)
SIGNATURES = ("webhook-signature", "x-signature", "x-gitea-signature", "x-gitlab-token")


@pytest.fixture
async def door(connection: SqliteConnection, database: sqlite3.Connection) -> AsyncIterator[Door]:
    async with open_door(connection, database, sources=SOURCES, on=ON) as opened:
        yield opened


def a_request(sender: str, given: str | None = None) -> tuple[bytes, dict[str, str]]:
    """A body unlike any before, and its headers."""
    _, payload, headers = KINDS[sender]
    body = json.dumps({**payload, "serial": next(serials)}).encode()
    return body, headers(body, given or f"id-{next(serials)}")


async def post(door: Door, sender: str, **changed: str | None) -> Answer:
    body, headers = a_request(sender)
    headers |= {name.replace("_", "-"): value or "" for name, value in changed.items()}
    return await door.post(body, headers, sender)


def told(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.data["error"]["code"]


@every_sender
async def test_a_new_delivery_is_kept_with_its_task_and_can_be_read_again(
    door: Door, sender: str
) -> None:
    answer = await post(door, sender)
    assert (answer.status, answer.data["state"]) == (202, "routed")
    ((delivery, source, event, via),) = door.rows("SELECT id, source, event, via FROM deliveries")
    assert (delivery, source, via) == (answer.data["delivery"], sender, "webhook")
    assert event.startswith(f"{sender}:")
    ((task, asked, trust, state),) = door.rows("SELECT id, event, trust, state FROM tasks")
    assert [task] == answer.data["tasks"]
    assert asked in ON or asked == "newer-lab:merge_request.open"
    assert (trust, state) == ("member", "queued")
    ((headers,),) = door.rows("SELECT CAST(headers AS TEXT) FROM deliveries")
    assert not any(name in headers for name in SIGNATURES)


@every_sender
async def test_the_same_delivery_again_is_answered_with_the_first_tasks(
    door: Door, sender: str
) -> None:
    body, headers = a_request(sender)
    first = await door.post(body, headers, sender)
    again = await door.post(body, headers, sender)
    assert (first.status, again.status) == (202, 200)
    assert again.data == {**first.data, "duplicate": True}
    assert door.count("deliveries") == door.count("tasks") == 1


async def test_one_id_of_two_senders_is_two_deliveries(door: Door) -> None:
    answers = []
    for sender in KINDS:
        body, headers = a_request(sender, "the-same-id")
        answers.append(await door.post(body, headers, sender))
    assert [answer.status for answer in answers] == [202] * len(KINDS)
    assert len({answer.data["delivery"] for answer in answers}) == len(KINDS)


@every_sender
async def test_what_no_rule_wants_is_kept_and_ignored(
    connection: SqliteConnection, database: sqlite3.Connection, sender: str
) -> None:
    async with open_door(connection, database, sources=SOURCES) as door:
        answer = await post(door, sender)
        assert (answer.status, answer.data["state"]) == (202, "ignored")
        assert answer.data["reason"] == "event_not_wanted"


@every_sender
async def test_nothing_unsigned_is_kept(door: Door, sender: str) -> None:
    body, headers = a_request(sender)
    (name,) = [each for each in SIGNATURES if each in headers]
    unsigned = {key: value for key, value in headers.items() if key != name}
    doubled = [*headers.items(), (name, headers[name])]
    wrong = {**headers, name: headers[name][:-2] + "xx"}
    odd = {**headers, name: headers[name].replace(headers[name][-2], "é")}
    for each in (unsigned, doubled, wrong, odd):
        assert told(await door.post(body, each, sender)) == (401, "bad_signature")
    assert door.is_empty()


@pytest.mark.parametrize("sender", ["standard", "newer-lab"])
@pytest.mark.parametrize("away_s", [-301, 301])
async def test_what_was_signed_long_ago_or_in_the_future_is_refused(
    door: Door, sender: str, away_s: int
) -> None:
    body, _ = a_request(sender)
    seconds = str(int(time.time()) + away_s + (5 if away_s > 0 else 0))
    headers = standard_headers(body, seconds=seconds)
    headers["x-gitlab-event"] = "Push Hook"
    assert told(await door.post(body, headers, sender)) == (401, "bad_timestamp")
    assert door.is_empty()


@every_sender
async def test_checks_run_in_the_order_that_is_promised(door: Door, sender: str) -> None:
    assert told(await post(door, sender, content_type="text/plain")) == (415, "unsupported_type")
    encoded = await post(door, sender, content_encoding="br")
    assert told(encoded) == (415, "encoded_body")
    _, headers = a_request(sender)
    answer = await door.post(BytesIO(b" " * (BODY_MAX + 1)), headers, sender)
    assert told(answer) == (413, "too_large")
    body = b"[1]"
    headers = KINDS[sender][2](body, "an-id")
    assert told(await door.post(body, headers, sender)) == (400, "bad_body")
    assert door.is_empty()


@every_sender
async def test_a_full_queue_is_503_and_repetitions_still_pass(
    connection: SqliteConnection, database: sqlite3.Connection, sender: str
) -> None:
    async with open_door(connection, database, sources=SOURCES, on=ON, queue_max=1) as door:
        body, headers = a_request("standard")
        first = await door.post(body, headers, "standard")
        assert first.status == 202
        other = "ci" if sender == "standard" else sender
        full = await post(door, other)
        assert (full.status, full.headers["Retry-After"]) == (503, "10")
        assert (await door.post(body, headers, "standard")).status == 200
        door.listener.drain(True)
        assert told(await post(door, sender)) == (503, "draining")


@pytest.mark.parametrize(
    "path",
    ["webhooks/nobody", "webhooks/", "webhooks", "webhooks/Forge", "webhooks/forge/", "forge"],
)
async def test_who_is_not_configured_has_no_door(door: Door, path: str) -> None:
    body, headers = a_request("forge")
    async with door.session.post(f"{door.url}/{path}", data=body, headers=headers) as response:
        assert response.status == 404
    assert door.is_empty()


async def test_only_posts_come_in(door: Door) -> None:
    async with door.session.get(f"{door.url}/webhooks/forge") as response:
        assert (response.status, response.headers["Allow"]) == (405, "POST")


async def test_a_senders_signature_opens_no_other_door(door: Door) -> None:
    body, headers = a_request("forge")
    for other in ("github", "ci", "standard", "lab", "newer-lab"):
        assert (await door.post(body, headers, other)).status == 401
    assert door.is_empty()


async def test_answers_are_counted_by_sender(door: Door) -> None:
    await door.send()
    for sender in KINDS:
        await post(door, sender)
    await post(door, "forge", x_gitea_signature="", x_github_event="pull_request")
    counted = {
        (sample.labels["source"], sample.labels["event"], sample.labels["result"])
        for family in text_string_to_metric_families(door.metrics.render().decode())
        for sample in family.samples
        if sample.name == "covend_deliveries_total"
    }
    assert counted == {
        ("github", "pull_request", "routed"),
        *((sender, "other", "routed") for sender in KINDS),
        ("forge", "other", "bad_signature"),
    }


async def test_what_the_store_has_kept_is_read_without_a_configuration(door: Door) -> None:
    for sender in KINDS:
        await post(door, sender)
    rows = door.rows("SELECT source, CAST(headers AS TEXT), id FROM deliveries")
    assert len(rows) == len(KINDS)
    for source, headers, delivery in rows:
        body = json.dumps({"anything": True}).encode()
        read = reopen(json.loads(headers), body, None, source=source)
        assert isinstance(read, Accepted)
        assert read.envelope.delivery == delivery
