"""The admin listener on a loopback port over a real store, and tasks for it to tell of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiohttp
from aiohttp import web

from covend.core.ending import Ending, Result
from covend.core.model import (
    Claim,
    ClaimToken,
    Conclusion,
    EffectDraft,
    EffectId,
    EffectKind,
    TaskId,
    Trust,
    Usage,
)
from covend.core.rules.routing import prepare
from covend.core.safeguards.shapes import Terms
from covend.core.secret import Secret
from covend.core.settings import Policy
from covend.core.states import Outcome, TaskState
from covend.edges.github.client import GitHubClient
from covend.edges.github.errors import NotFound
from covend.edges.github.pacing import Quota
from covend.edges.workspace.keeping import Workspaces
from covend.services.auditing import Auditing
from covend.services.clock import Clock
from covend.services.explaining import Explaining, Stored
from covend.services.installing import Installing
from covend.services.intake import Intake
from covend.services.live import Live
from covend.services.operations import Operations
from covend.services.readiness import Readiness
from covend.services.reconciler import Reconciler
from covend.services.replaying import Replaying
from covend.services.resending import Resending
from covend.services.settling import Publishing, Settlements
from covend.services.submitting import Submitting
from covend.services.wakeups import Wakeups
from covend.store.auditing import StoredAudit
from covend.store.deliveries import StoredDeliveries
from covend.store.effects import StoredEffects
from covend.store.guards import StoredGuards
from covend.store.happenings import StoredHappenings
from covend.store.insight import StoredInsight
from covend.store.installing import StoredInstallations
from covend.store.outlook import StoredOutlook
from covend.store.protocol import Deliveries, Guards, Settlement, Upkeep
from covend.store.sqlite.connection import SqliteConnection
from covend.store.tasks import StoredTasks
from covend.store.upkeep import StoredUpkeep
from covend.telemetry.metrics import Metrics
from covend.web.admin import STREAMS, admin_app
from covend.web.findings import Examine
from covend.web.rooms import Rooms
from covend.web.streams import Streams
from covend.web.visitor import Visitors
from tests.store.arrivals import NOW, POLICY, arrival, draft, task_id
from tests.web.door import listening
from tests.web.paper_log import PaperLog, reconciler_of

TOKEN = "the-operators-token"
READER, READERS_TOKEN = "grafana", "the-readers-token"
TERMS = Terms(concurrency=100, usd_per_day=50.0)
QUOTA = Quota(remaining=4_321, limit=5_000, reset_at=NOW + 600_000)
CONFIGURED_HOST = "covend.internal"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class StandingClock(Clock):
    """Says a minute past the arrivals."""

    def now(self) -> int:
        return NOW + 60_000


class OneRule:
    """Routes by the rule of `POLICY` alone."""

    def __init__(self) -> None:
        self.route = prepare((POLICY.rule,), {POLICY.rule.name: POLICY}, (), ()).route

    def rules(self) -> tuple[str, ...]:
        return (POLICY.rule.name,)

    def policy(self, rule: str, _trust: Trust) -> Policy | None:
        return POLICY if rule == POLICY.rule.name else None

    def terms(self) -> Terms:
        return TERMS

    def chain_depth(self) -> int:
        return 5


class _NoGitHub:
    """A GitHub that knows no repository, and a covend that is no App."""

    app_id = None

    @property
    def auth(self) -> _NoGitHub:
        return self

    async def request(self, operation: str, method: str, path: str, **_: object) -> None:
        raise NotFound(f"{operation}: 404 {path}", status=404)

    async def installation_of(self, repository: str) -> None:
        raise NotFound(f"get_installation: 404 {repository}", status=404)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    data: Any
    text: str


@dataclass
class Desk:
    """What a test asks, and what it puts into the store to ask about."""

    connection: SqliteConnection
    session: aiohttp.ClientSession
    port: int
    logs: Path
    readiness: Readiness
    metrics: Metrics
    app: web.Application
    runner: web.AppRunner
    wakeups: Wakeups
    stopped: list[TaskId]
    """The tasks whose attempts were asked to stop, in order."""
    reconciler: Reconciler
    paper: PaperLog
    """The delivery log that it looks through."""
    drains: list[bool]
    """What the daemon was told of a drain, in order."""
    headers: dict[str, str] = field(default_factory=lambda: dict(BEARER))

    def __post_init__(self) -> None:
        self.deliveries = StoredDeliveries(self.connection, queue_max=1000)
        self.tasks = StoredTasks(self.connection)
        self.effects = StoredEffects(self.connection)
        self.guards = StoredGuards(self.connection)
        self.installations = StoredInstallations(self.connection)

    @property
    def streams(self) -> Streams:
        return self.app[STREAMS]

    async def ask(
        self, path: str, method: str = "GET", headers: Any = None, body: bytes | None = None
    ) -> Answer:
        """Ask with the token, unless other headers are given."""
        url = f"http://127.0.0.1:{self.port}{path}"
        given = self.headers if headers is None else headers
        async with self.session.request(method, url, headers=given, data=body) as response:
            text = await response.text()
            is_json = response.content_type == "application/json" and text
            data = await response.json() if is_json else None
            return Answer(response.status, response.headers, data, text)

    async def get(self, path: str) -> Any:
        """Ask the API for what is there."""
        answer = await self.ask(f"/api/v1/{path}")
        assert answer.status == 200, answer.text
        return answer.data

    async def arrive(self, *, title: str = "T", **changes: object) -> TaskId:
        """Let a delivery in that asks for one task."""
        plain = draft()
        subject = type(plain.subject)(
            type=plain.subject.type,
            number=plain.subject.number,
            title=title,
            head_sha=plain.subject.head_sha,
        )
        accepted = await self.deliveries.accept(arrival(draft(subject=subject), **changes))  # type: ignore[arg-type]
        return accepted.tasks[0]

    async def claim(self, at: int = NOW + 1_000) -> Claim:
        taken = await self.tasks.claim(
            node="here", token=ClaimToken(task_id()), now=at, lease_s=90, terms=TERMS
        )
        assert taken.claim is not None
        return taken.claim

    async def complete(self, claim: Claim, summary: str = "Fine.") -> None:
        """Settle with a verdict and an effect."""
        await self.tasks.settle(claim, completion(summary), NOW + 5_000)


def completion(summary: str) -> Settlement:
    """A success that wants a comment."""
    result = Result(
        conclusion=Conclusion.SUCCESS, summary=summary, usage=Usage(input_tokens=7, cost_usd=0.25)
    )
    comment = EffectDraft(
        kind=EffectKind.COMMENT, slot="s", subject="acme/r1#1", target="acme/r1#1", request={}
    )
    return Settlement(
        target=TaskState.COMPLETED,
        reason="succeeded",
        ending=Ending(outcome=Outcome.SUCCEEDED, result=result, exit_code=0),
        log_bytes=10,
        effects=((EffectId(task_id()), comment),),
    )


@asynccontextmanager
async def open_desk(
    connection: SqliteConnection,
    folder: Path,
    *,
    metrics_token: bool = False,
    deliveries: Deliveries | None = None,
    upkeep: Upkeep | None = None,
    guards: Guards | None = None,
    examine: Examine | None = None,
) -> AsyncIterator[Desk]:
    """Listen, over a store that knows the policy of `draft`."""
    stored = StoredDeliveries(connection, queue_max=1000)
    await stored.save_policy(POLICY, NOW)
    readiness, metrics = Readiness(state="ready"), Metrics()
    logs = folder / "logs"
    logs.mkdir()
    tasks, clock, wakeups = StoredTasks(connection), StandingClock(), Wakeups()
    stopped: list[TaskId] = []
    drains: list[bool] = []
    safeguards = guards or StoredGuards(connection)
    intake = Intake(
        deliveries=deliveries or stored,
        route=OneRule().route,
        secrets=(),
        mention=None,
        clock=clock,
        wakeups=wakeups,
    )
    paper = PaperLog(clock)
    reconciler = reconciler_of(
        paper,
        connection=connection,
        deliveries=stored,
        intake=intake,
        route=OneRule().route,
        wakeups=wakeups,
        metrics=metrics,
        readiness=readiness,
    )
    rooms = Rooms(
        deliveries=deliveries or stored,
        tasks=tasks,
        effects=StoredEffects(connection),
        guards=safeguards,
        upkeep=upkeep or StoredUpkeep(connection, folder / "covend.db-wal"),
        live=Live(tasks=tasks, bells=wakeups.followers, logs=logs),
        operations=Operations(
            tasks=tasks,
            guards=safeguards,
            clock=clock,
            wakeups=wakeups,
            metrics=metrics,
            settlements=Settlements(
                clock=clock, publishing=Publishing(is_app=True, key=b"the key of markers")
            ),
            stop_attempt=lambda task, _reason: not stopped.append(task),  # type: ignore[func-returns-value]
            on_drain=drains.append,
        ),
        submitting=Submitting(
            deliveries=deliveries or stored,
            tasks=tasks,
            github=cast("GitHubClient", _NoGitHub()),
            rulebook=OneRule(),
            keep=intake.keep,
            is_open=lambda: readiness.state == "ready",
            clock=clock,
            metrics=metrics,
        ),
        replaying=Replaying(
            deliveries=deliveries or stored,
            rulebook=OneRule(),
            mention=None,
            keep=intake.keep,
            is_open=lambda: readiness.state == "ready",
            clock=clock,
        ),
        explaining=Explaining(
            rules=OneRule(),
            mention=None,
            clock=clock,
            stored=Stored(
                deliveries=deliveries or stored, tasks=tasks, outlook=StoredOutlook(connection)
            ),
            github=cast("GitHubClient", _NoGitHub()),
        ),
        installations=StoredInstallations(connection),
        installing=Installing(
            installations=StoredInstallations(connection),
            tasks=tasks,
            clock=clock,
            wakeups=wakeups,
            logs=logs,
            workspaces=Workspaces(logs.parent),
            term_s=1.0,
        ),
        resending=Resending(effects=StoredEffects(connection), clock=clock, wakeups=wakeups),
        metrics=metrics,
        clock=clock,
        readiness=readiness,
        reconciler=reconciler,
        audit=StoredAudit(connection),
        auditing=Auditing(audit=StoredAudit(connection), clock=clock),
        happenings=StoredHappenings(connection),
        insight=StoredInsight(connection),
        rules=lambda: (POLICY.rule,),
        agents=lambda: {POLICY.agent.name: POLICY.agent},
        examine=examine,
        terms=lambda: TERMS,
        quota=lambda: QUOTA,
        redact=lambda text: text.replace(TOKEN, "[secret]"),
    )
    app = admin_app(
        rooms,
        visitors=Visitors(Secret(TOKEN), {READER: Secret(READERS_TOKEN)}),
        hosts=frozenset({CONFIGURED_HOST}),
        metrics_token=metrics_token,
    )
    runner = web.AppRunner(app)
    async with listening(runner) as port, aiohttp.ClientSession() as session:
        yield Desk(
            connection=connection,
            session=session,
            port=port,
            logs=logs,
            readiness=readiness,
            metrics=metrics,
            app=app,
            runner=runner,
            wakeups=wakeups,
            stopped=stopped,
            reconciler=reconciler,
            paper=paper,
            drains=drains,
        )
