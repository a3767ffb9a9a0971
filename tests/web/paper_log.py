"""A delivery log on paper, and the loop that looks through it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast
from uuid import uuid4

import anyio

from covend.core.errors import CovendError
from covend.core.model import DeliveryId
from covend.core.reconciling import LogEntry
from covend.edges.github.deliveries import Logged, LogPage
from covend.services.clock import Clock
from covend.services.delivery_logs import DeliveryLogs
from covend.services.fetching import Fetching
from covend.services.intake import Intake, Route
from covend.services.looking_through import LookingThrough
from covend.services.readiness import Readiness
from covend.services.reconciler import Reconciler
from covend.services.wakeups import Wakeups
from covend.store.cursors import StoredCursors
from covend.store.protocol import Deliveries
from covend.store.sqlite.connection import SqliteConnection
from covend.telemetry.metrics import Metrics


@dataclass
class PaperLog:
    """Both the list of logs and its only log; `error` is raised, and `gate` waited for, if any."""

    clock: Clock
    entries: list[LogEntry] = field(default_factory=list)
    error: CovendError | None = None
    gate: anyio.Event | None = None
    name: str = "github"
    of: str = "the App"
    needs: str = "ask somebody"

    def write(self, *, status: int = 502) -> str:
        """Note one more webhook that GitHub has sent a minute ago."""
        guid = DeliveryId(str(uuid4()))
        at = self.clock.now() - 60_000
        number = len(self.entries) + 1
        self.entries.append(LogEntry(id=number, guid=guid, delivered_at=at, status_code=status))
        return guid

    async def all(self) -> Sequence[PaperLog]:
        return [self]

    async def page(self, _following: str | None = None) -> LogPage:
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return LogPage(entries=tuple(reversed(self.entries)), following=None)

    async def show(self, _entry: int) -> Logged:
        return Logged(headers={}, event="push", payload={"ref": "refs/heads/main"})


def reconciler_of(
    paper: PaperLog,
    *,
    connection: SqliteConnection,
    deliveries: Deliveries,
    intake: Intake,
    route: Route,
    wakeups: Wakeups,
    metrics: Metrics,
    readiness: Readiness,
) -> Reconciler:
    clock = paper.clock
    is_open = lambda: readiness.state == "ready"  # noqa: E731
    return Reconciler(
        logs=cast("DeliveryLogs", paper),
        looking_through=LookingThrough(
            deliveries=deliveries,
            cursors=StoredCursors(connection),
            fetching=Fetching(
                keep=intake.keep, route=route, mention=None, clock=clock, metrics=metrics
            ),
            is_open=is_open,
            clock=clock,
            retention_s=30 * 86_400.0,
        ),
        is_open=is_open,
        clock=clock,
        wakeups=wakeups,
        readiness=readiness,
        every_s=0,
    )


@asynccontextmanager
async def looking(reconciler: Reconciler) -> AsyncIterator[None]:
    """Let its loop run for as long as the block lasts."""
    async with anyio.create_task_group() as group:
        group.start_soon(reconciler.run)
        yield
        group.cancel_scope.cancel()
