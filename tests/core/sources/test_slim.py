"""The part that is looked at tells the same as the whole, and the whole is there when asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import fields

from covend.core.model import DeliveryId, Envelope, Event
from covend.core.sources.github_event import read_event
from covend.core.sources.slim import Whole, slim
from covend.demo import payloads
from covend.demo.records import EPOCH
from tests.core.github_samples import HEAD, recorded


def event_of(text: bytes, payload: dict[str, Any]) -> Event:
    envelope = Envelope(
        source="github",
        delivery=DeliveryId("d"),
        event="pull_request",
        body=text,
        body_sha256="",
        headers={},
        payload=payload,
        whole=Whole(text),
    )
    return read_event(envelope, "covend")


def test_every_recorded_pull_request_reads_the_same_in_part_and_whole(shared: Path) -> None:
    bodies = [body for name, body in recorded(shared) if name == "pull_request"]
    assert len(bodies) > 5
    for body in bodies:
        part = slim(body)
        assert part is not None
        assert event_of(body, part) == event_of(body, json.loads(body))
        assert len(json.dumps(part)) < len(body) / 4


def test_a_pull_request_of_ours_is_read_with_no_field_left_empty_by_the_part() -> None:
    scene = payloads.scene(now=EPOCH, serial=1)
    body = payloads.encode(payloads.SAMPLES["pull_request.opened"](scene))
    part = slim(body)
    assert part is not None
    assert event_of(body, part) == event_of(body, json.loads(body))
    assert all(getattr(event_of(body, part), name) is not None for name in TOLD)


TOLD = {field.name for field in fields(Event)} - {
    "parent",
    "rule",
    "before_sha",
    "closed_at",
    "conclusion",
    "ref",
    "comment_id",
    "command",
    "paths",
}
"""What the payload of an opened pull request tells."""


def test_what_only_some_pull_requests_tell_is_in_the_part_as_well() -> None:
    moments = {"closed_at": "2026-03-01T10:00:00Z", "updated_at": "2026-03-01T10:00:01Z"}
    pull = {"number": 7, "head": {"sha": HEAD}, **moments}
    body = json.dumps({"action": "closed", "before": HEAD, "pull_request": pull}).encode()
    part = slim(body)
    assert part is not None
    event = event_of(body, part)
    assert event == event_of(body, json.loads(body))
    assert event.closed_at is not None
    assert event.subject_updated_at == event.closed_at + 1_000
    assert event.before_sha == HEAD


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{",
        b'{"a": tru}',
        b'{"a": 1} b',
        b'{"pull_request": [1]}',
        b'{"sender": "me"}',
        b'{"pull_request": {"title": "\xff\xfe"}}',
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_has_another_shape_is_left_to_the_whole_parser(text: bytes) -> None:
    assert slim(text) is None


def test_the_whole_is_parsed_when_it_is_looked_into() -> None:
    whole = Whole(b'{"pull_request": {"milestone": {"title": "1.0"}}}')
    assert whole["pull_request"]["milestone"]["title"] == "1.0"
    assert list(whole) == ["pull_request"]
    assert dict(Whole(b'{"a": "\xff"}')) == {}


def test_a_changed_part_is_seen_as_a_change() -> None:
    """The comparison above can fail."""
    scene = payloads.scene(now=EPOCH, serial=1)
    body = payloads.encode(payloads.SAMPLES["pull_request.opened"](scene))
    part = slim(body)
    assert part is not None
    part["pull_request"]["head"].pop("sha")
    assert event_of(body, part) != event_of(body, json.loads(body))
