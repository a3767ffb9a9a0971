"""Explain says that a rule starts something if and only if taking the event in makes its task: for
any rules, events and past.
"""

from __future__ import annotations

from random import Random
from typing import Any
from uuid import uuid4

import orjson
import pytest

from covend.core.errors import QueueFullError
from covend.core.intake import Refused, fold
from covend.core.model import Trust
from covend.core.settings import Admission, Rule, Terms, When
from covend.demo import payloads
from covend.store.deliveries import StoredDeliveries
from tests.services.house import House, a_rule, an_agent
from tests.services.rooms import WEBHOOK_SECRET
from tests.services.test_explaining import explaining

SEEDS = range(3)
STEPS = 25
EVENTS = sorted(payloads.SAMPLES)
PULLS = [name for name in EVENTS if name.startswith("pull_request.")]
WHENS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"draft": True},
    {"base": ("main",)},
    {"author": ("nobody",)},
    {"labels": ("urgent",)},
    {"paths": ("src/**",)},
    {"title": ("*",)},
)
KEYS = (None, None, "one", "{{ subject.number }}")
TRUSTS: tuple[dict[Trust, Terms], ...] = (
    {},
    {Trust.FIRST_TIME: Terms(admission=Admission.REFUSE)},
    {trust: Terms(admission=Admission.HOLD) for trust in Trust},
)


def some_rule(random: Random, name: str) -> Rule:
    """Any rule that a configuration may have."""
    of = random.choice((PULLS, PULLS, EVENTS))
    return a_rule(
        name=name,
        on=tuple(random.sample(of, random.randint(1, min(6, len(of)))))
        + random.choice(((), ("command.review",), ("pull_request.*",))),
        when=When(**random.choice(WHENS)),
        key=random.choice(KEYS),
        trust=random.choice(TRUSTS),
        supersede=random.random() < 0.7,
        debounce_s=random.choice((0.0, 0.0, 30.0)),
    )


def some_event(house: House, random: Random, serial: int) -> tuple[str, bytes]:
    """Any event; some of a moment that is past, some of a head that was there before."""
    event = random.choice((*PULLS, *EVENTS))
    sender = random.choice((payloads.AUTHOR, payloads.MAINTAINER, payloads.OWNER))
    scene = house.github.scene(
        house.till,
        7,
        serial=serial,
        sender=sender,
        text=random.choice(("@covend-demo review", "Hm.")),
    )
    body: dict[str, Any] = orjson.loads(payloads.encode(payloads.SAMPLES[event](scene)))
    pull = body.get("pull_request")
    if pull is not None and "updated_at" in pull:
        pull["updated_at"] = f"20{random.randint(20, 30)}-01-01T00:00:00Z"
        if random.random() < 0.4:
            pull["head"]["sha"] = f"{random.randint(1, 4):040x}"
    body["serial"] = serial  # the same body once more is the same delivery
    return event.partition(".")[0], orjson.dumps(body)


async def take_in(house: House, name: str, body: bytes, queue_max: int) -> set[str] | None:
    """Give the rules for which a task was made; None where there was no room."""
    before = {row[0] for row in house.ask("SELECT id FROM tasks")}
    headers = payloads.signed(body, WEBHOOK_SECRET, name, str(uuid4()))
    deliveries = StoredDeliveries(house.connection, queue_max=queue_max)
    try:
        accepted = await house.intake(deliveries).receive(fold(headers.items()), body)
    except QueueFullError:
        return None
    assert not isinstance(accepted, Refused)
    assert not accepted.duplicate
    return {row[1] for row in house.ask("SELECT id, rule FROM tasks") if row[0] not in before}


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_is_explained_is_what_happens(house: House, seed: int) -> None:
    random = Random(seed)
    rules = [some_rule(random, f"r{place}") for place in range(random.randint(1, 4))]
    for rule in rules:
        await house.adopt(rule, an_agent())
    for step in range(STEPS):
        name, body = some_event(house, random, 100 + step)
        queue_max = random.choice((9_999, 9_999, 1))
        room = explaining(house, *rules, queue_max=queue_max)
        found = await room.of_payload(name, body)
        told = {each.verdict.rule for each in found.rules if each.starts}
        made = await take_in(house, name, body, queue_max)
        assert (made or set()) == told, (step, found.event.full_name, found.end)
        assert found.starts == bool(told)
        if random.random() < 0.5:
            await house.ripen()
        if random.random() < 0.2:
            house.meddle(
                "UPDATE tasks SET state = 'ignored', finished_at = 1 WHERE state = 'received'"
            )
        house.clock.turn(s=random.choice((0.5, 60.0)))
