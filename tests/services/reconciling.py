"""A delivery log to look through, and the loop that does, on a house."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import anyio
import pytest

from covend.core.intake import Refused, fold
from covend.core.reconciling import BEGUN
from covend.demo import payloads
from covend.demo.github import LoggedDelivery
from covend.demo.github.deliveries import write_down
from covend.demo.records import Account
from covend.services.delivery_logs import DeliveryLogs
from covend.services.fetching import Fetching
from covend.services.looking_through import LookingThrough
from covend.services.looks import Look
from covend.services.readiness import Readiness
from covend.services.reconciler import Reconciler
from covend.store.cursors import StoredCursors
from covend.store.deliveries import StoredDeliveries
from covend.store.protocol import Accepted
from covend.telemetry import logs
from tests.services.house import House
from tests.services.rooms import WEBHOOK_SECRET

Written = Callable[[], list[dict[str, object]]]
"""What the log has said, line by line."""
EVERY_S = 600.0
DAY_S = 86_400.0


def read_log(monkeypatch: pytest.MonkeyPatch) -> Written:
    """Listen to the log for the length of a test."""
    stream = StringIO()
    monkeypatch.setattr(logs, "_lines", logs.Lines(stream, 0, str))
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


@dataclass(kw_only=True)
class Desk:
    """A house with GitHub's log of what was sent to it."""

    house: House
    readiness: Readiness = field(default_factory=lambda: Readiness(state="ready"))
    serial: int = 100
    began_ago_s: float | None = 4 * DAY_S
    """When covend first ran on this store; None where it has not yet."""

    def __post_init__(self) -> None:
        if self.began_ago_s is not None:
            at = self.house.clock.now() - round(1000 * self.began_ago_s)
            put = "INSERT INTO cursors (name, value, updated_at) VALUES (:name, :value, 0)"
            self.house.meddle(put, name=BEGUN, value=str(at))

    def reconciler(
        self,
        *,
        every_s: float = EVERY_S,
        retention_s: float = 30 * DAY_S,
        deliveries: StoredDeliveries | None = None,
        **limits: int,
    ) -> Reconciler:
        house = self.house
        cursors, stored = StoredCursors(house.connection), deliveries or house.deliveries
        return Reconciler(
            logs=DeliveryLogs(
                github=house.client, deliveries=stored, cursors=cursors, clock=house.clock
            ),
            looking_through=LookingThrough(
                deliveries=stored,
                cursors=cursors,
                fetching=Fetching(
                    keep=house.intake(stored).keep,
                    route=house.router().route,
                    mention=house.mention,
                    clock=house.clock,
                    metrics=house.metrics,
                ),
                is_open=lambda: house.is_open,
                clock=house.clock,
                retention_s=retention_s,
                go_on_s=0,
                **limits,
            ),
            is_open=lambda: house.is_open,
            clock=house.clock,
            wakeups=house.wakeups,
            readiness=self.readiness,
            every_s=every_s,
        )

    async def look(self, since_s: float | None = None, **changes: Any) -> Look:
        """Look once, by a loop of its own that is asked and ends with it."""
        async with self.running(**changes | {"every_s": 0.0}) as reconciler:
            look = reconciler.ask(since_s)
            await look.ended.wait()
        return look

    @asynccontextmanager
    async def running(self, **changes: Any) -> AsyncIterator[Reconciler]:
        """Run the loop for as long as the block lasts."""
        reconciler = self.reconciler(**changes)
        async with anyio.create_task_group() as group:
            group.start_soon(reconciler.run)
            yield reconciler
            group.cancel_scope.cancel()

    # --- what GitHub has sent ---

    def webhook(
        self,
        event: str = "pull_request.opened",
        *,
        number: int = 7,
        sender: Account = payloads.AUTHOR,
        hook: int | None = None,
        guid: str | None = None,
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Make one more webhook: its payload and headers."""
        self.serial += 1
        scene = self.house.github.scene(self.house.till, number, serial=self.serial, sender=sender)
        payload = {**payloads.SAMPLES[event](scene), "serial": self.serial}
        of_hook: dict[str, Any] = {"target_type": "repository", "hook_id": hook} if hook else {}
        name = event.partition(".")[0]
        body = payloads.encode(payload)
        return payload, payloads.signed(body, WEBHOOK_SECRET, name, guid or str(uuid4()), **of_hook)

    def lost(
        self,
        event: str = "pull_request.opened",
        *,
        ago_s: float = 60,
        status: int = 502,
        hook: int | None = None,
        **webhook: Any,
    ) -> LoggedDelivery:
        """GitHub has tried to send one more webhook, so many seconds ago; nothing has come."""
        payload, headers = self.webhook(event, hook=hook, **webhook)
        at = self.house.clock.moment() - timedelta(seconds=ago_s)
        state = self.house.github.state
        return write_down(state, payload, headers, status_code=status, at=at, hook=hook)

    def delivered(
        self, webhook: tuple[dict[str, Any], dict[str, str]], *, guid: str, ago_s: float
    ) -> None:
        """GitHub has sent a webhook once more under another id, and was answered."""
        payload, headers = webhook
        entry = LoggedDelivery(
            id=next(self.house.github.state.ids),
            guid=guid,
            event=headers["X-GitHub-Event"],
            payload=payload,
            headers={**headers, "X-GitHub-Delivery": guid},
            delivered_at=self.house.clock.moment() - timedelta(seconds=ago_s),
            status_code=202,
        )
        self.house.github.state.deliveries.append(entry)

    async def arrived(self, entry: LoggedDelivery) -> Accepted:
        """The webhook of an entry comes here all the same."""
        body = payloads.encode(entry.payload)
        kept = await self.house.intake().receive(fold(entry.headers.items()), body)
        assert not isinstance(kept, Refused)
        return kept

    # --- what is here ---

    def kept(self) -> list[tuple[Any, ...]]:
        """Id, way and state of every delivery, in the order in which they came."""
        return self.house.ask("SELECT id, via, state FROM deliveries ORDER BY number")

    def ids(self, via: str = "reconcile") -> list[str]:
        return [row[0] for row in self.kept() if row[1] == via]

    def pretend(self, ids: Sequence[str]) -> None:
        """Let deliveries be known without their having come."""
        row = (
            "github", "webhook", "push", "ignored", "no_match", 1, b"0" * 32, b"", b"{}", b"[]"
        )  # fmt: skip
        with closing(sqlite3.connect(self.house.folder / "covend.db")) as other, other:
            other.execute("DROP INDEX delivery_one_per_body")
            other.executemany(
                "INSERT INTO deliveries (id, source, via, event, state, reason, received_at,"
                " body_sha256, body, headers, verdicts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(each, *row) for each in ids],
            )

    def shown(self) -> list[str]:
        """The single deliveries that GitHub was asked for, in order."""
        paths = (each.path for each in self.house.github.requests)
        return [path.rpartition("/")[2] for path in paths if "/deliveries/" in path]
