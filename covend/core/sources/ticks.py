"""Covend's own source of ticks: what a schedule brings when it is due, and asks one rule for.

Nothing comes in by this source: a request in its name is refused, whoever signs it. What it writes
is stored like any delivery, and read again as it was.

The payload, of which all but the first four may be null:

    action          the schedule's name
    rule            the rule's name
    cron            the expression that came due
    tick            when it was due
    repository      id, full_name, default_branch, clone_url
    installation    id

Whoever writes the configuration is the operator: the trust is `admin`, and nobody is its sender.
"""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from covend.core.model import DeliveryId, Envelope, Event, Moment, Repository, Trust
from covend.core.outside import Schedule
from covend.core.rules import facts
from covend.core.sources import own
from covend.core.sources.kept import headers_of, read_ask_again
from covend.core.sources.request import Headers, Refused

NAME = "schedule"
EVENT = "schedule"

BAD_RECORD = Refused(
    status=400, code="bad_record", message="This is not what covend has written of a tick."
)

check_head = own.check_head
verify = own.verify


def delivery_of(schedule: str, tick: Moment) -> DeliveryId:
    """Give the id of a tick: one for each, whoever brings it and when."""
    return own.delivery_named(f"schedule:{schedule}:{tick}")


def ticked(schedule: Schedule, tick: Moment, repository: Repository | None) -> Envelope:
    """Write down that a schedule is due, in the repository as it is known."""
    body = orjson.dumps(
        {
            "action": schedule.name,
            "rule": schedule.rule,
            "cron": schedule.cron,
            "tick": datetime.fromtimestamp(tick // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "repository": None
            if repository is None
            else {
                "id": repository.id,
                "full_name": repository.full_name,
                "default_branch": repository.default_branch,
                "clone_url": repository.clone_url,
            },
            "installation": {"id": repository.installation_id if repository else None},
        }
    )
    opened = reopen(headers_of(EVENT, delivery_of(schedule.name, tick)), body)
    assert not isinstance(opened, Refused)
    return opened


def reopen(headers: Headers, body: bytes) -> Envelope | Refused:
    """Read again what was stored."""
    return read_ask_again(headers, body, source=NAME, event=EVENT, otherwise=BAD_RECORD)


def read_event(envelope: Envelope, mention: str | None) -> Event:  # noqa: ARG001
    """Read what the rule is asked for; it commands nothing, so `mention` is not listened to."""
    payload = facts.mapping(envelope.payload)
    repository = facts.mapping(payload.get("repository"))
    return Event(
        source=NAME,
        delivery=envelope.delivery,
        name=envelope.event,
        action=facts.name(payload.get("action")),
        installation_id=facts.number(facts.mapping(payload.get("installation")).get("id")),
        repository_id=facts.number(repository.get("id")),
        repository=facts.repository(repository.get("full_name")),
        default_branch=facts.name(repository.get("default_branch")),
        clone_url=facts.name(repository.get("clone_url")),
        rule=facts.name(payload.get("rule")),
        trust=Trust.ADMIN,
        payload=envelope.whole,
    )
