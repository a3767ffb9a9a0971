"""Arrivals, drafts and an opened store for tests of the store."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from msgspec import structs

from covend.core.ids import new_id
from covend.core.model import DeliveryId, Envelope, Event, Subject, SubjectType, TaskId, Trust, Via
from covend.core.policy import policy_of
from covend.core.rules.verdicts import Routing, TaskDraft
from covend.core.safeguards.shapes import Terms
from covend.core.settings import Agent, Policy, Rule
from covend.core.states import DeliveryState
from covend.store.deliveries import StoredDeliveries
from covend.store.effects import StoredEffects
from covend.store.guards import StoredGuards
from covend.store.protocol import Arrival
from covend.store.sqlite.connection import SqliteConnection
from covend.store.tasks import StoredTasks

NOW = 1_790_000_000_000
POLICY: Policy = policy_of(
    Rule(name="review", on=("pull_request.opened",), agent="echo", prompt="Review."),
    Agent(name="echo", command=("echo",)),
)
numbers = count(1)


def task_id(now: int = NOW) -> TaskId:
    """Give a fresh id, later than those before."""
    return TaskId(new_id(now, next(numbers).to_bytes(10)))


def draft(**changes: object) -> TaskDraft:
    """Give a draft for a pull request of its own, with changes."""
    number = next(numbers)
    plain = TaskDraft(
        rule="review",
        agent="echo",
        policy=POLICY.sha256,
        priority=0,
        key=f"review:1:pull:{number}:{number:040x}",
        trust=Trust.MEMBER,
        event="pull_request.opened",
        subject=Subject(
            type=SubjectType.PULL_REQUEST, number=number, title="T", head_sha=f"{number:040x}"
        ),
    )
    return structs.replace(plain, **changes)


def arrival(
    *drafts: TaskDraft, repository_id: int = 1, now: int = NOW, **changes: object
) -> Arrival:
    """Give a delivery that asks for these drafts, with changes to its envelope."""
    number = next(numbers)
    body = f'{{"number": {number}}}'.encode()
    plain = Envelope(
        source="github",
        delivery=DeliveryId(f"00000000-0000-4000-8000-{number:012x}"),
        event="pull_request",
        body=body,
        body_sha256=hashlib.sha256(body).hexdigest(),
        headers={"x-github-event": "pull_request"},
        payload={"number": number},
    )
    envelope = structs.replace(plain, **changes)
    return Arrival(
        envelope=envelope,
        event=Event(
            source="github",
            delivery=envelope.delivery,
            name=envelope.event,
            action="opened",
            repository_id=repository_id,
            repository=f"acme/r{repository_id}",
        ),
        via=Via.WEBHOOK,
        routing=Routing(
            state=DeliveryState.ROUTED if drafts else DeliveryState.IGNORED,
            reason="matched" if drafts else "no_match",
            verdicts=(),
            drafts=drafts,
        ),
        received_at=now,
        task_ids=tuple(task_id(now) for _ in drafts),
    )


def terms(**changes: Any) -> Terms:
    """Give terms that bound nothing, with changes."""
    return replace(Terms(concurrency=1_000_000), **changes)


class Database:
    """The store's parts over one connection."""

    def __init__(self, path: Path, connection: SqliteConnection) -> None:
        """Give each noun its part."""
        self.path = path
        self.connection = connection
        self.deliveries = StoredDeliveries(connection, queue_max=100)
        self.tasks = StoredTasks(connection)
        self.guards = StoredGuards(connection)
        self.effects = StoredEffects(connection)
