"""The public listener on a loopback port, over a real store, and requests as GitHub makes them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import uuid4

import aiohttp
from aiohttp import web

from covend.core.outside import Source
from covend.core.policy import policy_of
from covend.core.rules.routing import prepare
from covend.core.secret import Secret
from covend.core.settings import Agent, Rule
from covend.demo import payloads
from covend.services.clock import Clock
from covend.services.intake import Intake
from covend.services.wakeups import Wakeups
from covend.store.deliveries import StoredDeliveries
from covend.store.protocol import Deliveries
from covend.store.sqlite.connection import SqliteConnection
from covend.telemetry.metrics import Metrics
from covend.web.public import PublicListener, senders_of

SECRET = "It's a Secret to Everybody"
RULE = Rule(name="review", on=("pull_request.opened",), agent="echo", prompt="Review.")
POLICY = policy_of(RULE, Agent(name="echo", command=("echo",)))
NO_SOURCES: Mapping[str, Source] = {}
KNOWN_EVENTS = frozenset({"pull_request", "ping"})
LIMIT_S = 10.0
serials = count(1)


@asynccontextmanager
async def listening(runner: web.BaseRunner) -> AsyncIterator[int]:
    """Serve on a loopback port and give it."""
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def sample(name: str = "pull_request.opened") -> bytes:
    """A payload unlike any before."""
    scene = payloads.scene(now=datetime.now(UTC), serial=next(serials), number=next(serials))
    return payloads.encode(payloads.SAMPLES[name](scene))


def signed(body: bytes, event: str = "pull_request", **changed: str | None) -> dict[str, str]:
    """A good request's headers; a keyword (`content_type`) replaces one, None leaves it out."""
    good: dict[str, str | None] = {
        name.lower(): value
        for name, value in payloads.signed(body, SECRET, event, str(uuid4())).items()
    }
    good |= {name.replace("_", "-"): value for name, value in changed.items()}
    return {name: value for name, value in good.items() if value is not None}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    data: Any


@dataclass
class Door:
    """A listener and what is behind it."""

    session: aiohttp.ClientSession
    database: sqlite3.Connection
    port: int
    listener: PublicListener
    metrics: Metrics

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def post(self, body: Any, headers: Any, to: str = "github") -> Answer:
        async with self.session.post(
            f"{self.url}/webhooks/{to}", data=body, headers=headers
        ) as response:
            return Answer(response.status, response.headers, await response.json())

    async def send(self, name: str = "pull_request.opened", /, **changed: str | None) -> Answer:
        """Send a fresh sample as GitHub would."""
        body = sample(name)
        return await self.post(body, signed(body, name.partition(".")[0], **changed))

    async def speak(self, data: bytes) -> bytes:
        """Send bytes on a connection of its own, and give all that comes until it is closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            async with asyncio.timeout(LIMIT_S):
                return await reader.read()
        finally:
            writer.close()

    def rows(self, query: str) -> list[Any]:
        """Look into the database by a connection of one's own."""
        return self.database.execute(query).fetchall()

    def count(self, table: str) -> int:
        return int(self.rows(f"SELECT count(*) FROM {table}")[0][0])

    def is_empty(self) -> bool:
        return not any(self.count(table) for table in ("deliveries", "tasks", "timeline"))


@asynccontextmanager
async def open_door(
    connection: SqliteConnection,
    database: sqlite3.Connection,
    *,
    queue_max: int = 100,
    deliveries: Deliveries | None = None,
    sources: Mapping[str, Source] = NO_SOURCES,
    on: Sequence[str] = RULE.on,
    **limits: float,
) -> AsyncIterator[Door]:
    """Listen in front of a store whose one rule wants what is in `on`."""
    stored = deliveries or StoredDeliveries(connection, queue_max=queue_max)
    clock, metrics = Clock(), Metrics()
    rule = replace(RULE, on=tuple(on))
    policy = policy_of(rule, POLICY.agent)
    await stored.save_policy(policy, clock.now())
    intake = Intake(
        deliveries=stored,
        route=prepare([rule], {rule.name: policy}, ["covend-demo[bot]"], []).route,
        secrets=[Secret(SECRET)],
        mention="covend",
        clock=clock,
        wakeups=Wakeups(),
    )
    listener = PublicListener(
        receive=intake.receive,
        metrics=metrics,
        events=KNOWN_EVENTS,
        others=senders_of(sources, intake.receive_from),
        **limits,
    )
    async with (
        listening(web.ServerRunner(listener.server())) as port,
        aiohttp.ClientSession() as session,
    ):
        yield Door(session, database, port, listener, metrics)
