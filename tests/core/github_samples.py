"""Requests, events and rules made up for the tests of the core's front door."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from covend.core.model import DeliveryId, Envelope, Event, Subject, SubjectType, Trust
from covend.core.rules.routing import Router, prepare
from covend.core.secret import Secret
from covend.core.settings import Agent, Policy, Rule, When
from covend.core.sources.github_event import read_event

SECRET = Secret("It's a Secret to Everybody")
DELIVERY = DeliveryId("72d3162e-cc78-11e3-81ab-4c9367dc0958")
HEAD = "ec26c3e57ca3a959ca5aad62de7213c562f8c821"
OTHER_HEAD = "a" * 40


def sign(body: bytes, secret: Secret = SECRET) -> str:
    return "sha256=" + hmac.digest(secret.reveal().encode(), body, "sha256").hex()


def headers(
    body: bytes, *, event: str | None = "pull_request", **changed: str | None
) -> list[tuple[str, str]]:
    """A good request's headers; a keyword (`content_type`) replaces one, None leaves it out."""
    good: dict[str, str | None] = {
        "host": "covend.example.org",
        "user-agent": "GitHub-Hookshot/044aadd",
        "content-type": "application/json",
        "x-github-delivery": DELIVERY,
        "x-github-event": event,
        "x-hub-signature-256": sign(body),
    }
    good |= {name.replace("_", "-"): value for name, value in changed.items()}
    return [(name.title(), value) for name, value in good.items() if value is not None]


def recorded(shared: Path) -> Iterator[tuple[str, bytes]]:
    """Every recorded payload with the name of its event."""
    paths = sorted((shared / "github" / "payloads").glob("*.json"))
    assert len(paths) > 20
    for path in paths:
        yield path.name.partition(".")[0], path.read_bytes()


def load(shared: Path, name: str) -> dict[str, Any]:
    payload = json.loads((shared / "github" / "payloads" / f"{name}.json").read_text())
    assert isinstance(payload, dict)
    return payload


def envelope(name: str, payload: dict[str, Any]) -> Envelope:
    return Envelope(
        source="github",
        delivery=DELIVERY,
        event=name,
        body=b"",
        body_sha256="",
        headers={},
        payload=payload,
    )


def read(name: str, payload: dict[str, Any], mention: str | None = "covend") -> Event:
    return read_event(envelope(name, payload), mention)


def pull_request(**changed: Any) -> Event:
    """A member's opened pull request of the repository acme/widgets."""
    subject = Subject(
        type=SubjectType.PULL_REQUEST, number=7, head_sha=HEAD, head_ref="topic", base_ref="main"
    )
    fields: dict[str, Any] = {
        "source": "github",
        "delivery": DELIVERY,
        "name": "pull_request",
        "action": "opened",
        "repository_id": 42,
        "repository": "acme/widgets",
        "sender": "octocat",
        "author": "octocat",
        "trust": Trust.MEMBER,
        "subject": subject,
    }
    return Event(**fields | changed)


def rule(name: str = "review", *on: str, when: When | None = None, **more: Any) -> Rule:
    return Rule(
        name=name,
        on=on or ("pull_request.opened",),
        when=when or When(),
        agent="claude",
        prompt="Look at it.",
        **more,
    )


def router(*rules: Rule, own: tuple[str, ...] = (), ignored: tuple[str, ...] = ()) -> Router:
    agent = Agent(name="claude", command=("claude",))
    policies = {one.name: Policy(sha256=f"of {one.name}", rule=one, agent=agent) for one in rules}
    return prepare(rules, policies, own, ignored)
