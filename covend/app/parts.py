"""Opens what the daemon is made of: the state directory, the store, and the way to GitHub."""

from __future__ import annotations

import hashlib
import sqlite3
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.resources import files
from math import nan
from pathlib import Path

import aiohttp
import anyio.to_thread

from covend import __version__
from covend.core.errors import ConfigError
from covend.core.model import Moment
from covend.core.secret import Secret
from covend.core.settings import Settings
from covend.edges.agents.tree import Containment, Limit, probe
from covend.edges.github.auth import Learn, open_auth
from covend.edges.github.client import GitHubClient
from covend.edges.workspace.keeping import Workspaces
from covend.services.clock import Clock
from covend.services.identity import kept_secret, learn_own_login
from covend.services.known_secrets import Secrets
from covend.services.readiness import Readiness
from covend.services.rulebook import Rulebook
from covend.services.wakeups import Wakeups
from covend.store.auditing import StoredAudit
from covend.store.callbacks import StoredCallbacks
from covend.store.commands import StoredCommands
from covend.store.concluding import StoredLeftOpen
from covend.store.connection import FromThread
from covend.store.cursors import StoredCursors
from covend.store.deliveries import StoredDeliveries
from covend.store.effects import StoredEffects
from covend.store.guards import StoredGuards
from covend.store.happenings import StoredHappenings
from covend.store.insight import StoredInsight
from covend.store.installing import StoredInstallations
from covend.store.outlook import StoredOutlook
from covend.store.queries import load_queries
from covend.store.rerunning import StoredReruns
from covend.store.retention import StoredRetention
from covend.store.sqlite.connection import open_sqlite
from covend.store.sqlite.lock import hold_state_directory, make_state_directory
from covend.store.sqlite.migrate import migrate
from covend.store.sqlite.restore import refuse_half_restored
from covend.store.tasks import StoredTasks
from covend.store.upkeep import StoredUpkeep
from covend.telemetry.logs import Log
from covend.telemetry.metrics import Metrics

OWNER_CHARACTERS = 12
NOBODY = "covend"
"""The name that hears commands where covend has no account."""
ClockOf = Callable[[Moment], Clock]
"""Makes the clock of a process, given the newest moment that its store knows."""
log = Log("app")


@dataclass(slots=True, kw_only=True)
class Parts:
    """What the start has built and the stop needs."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    wakeups: Wakeups
    readiness: Readiness
    deliveries: StoredDeliveries
    tasks: StoredTasks
    tasks_from_thread: StoredTasks
    """The same, for a thread that is not the event loop's."""
    guards: StoredGuards
    installations: StoredInstallations
    reruns: StoredReruns
    callbacks: StoredCallbacks
    left_open: StoredLeftOpen
    cursors: StoredCursors
    commands: StoredCommands
    effects: StoredEffects
    upkeep: StoredUpkeep
    outlook: StoredOutlook
    audit: StoredAudit
    retention: StoredRetention
    happenings: StoredHappenings
    insight: StoredInsight
    github: GitHubClient
    own_login: str
    rulebook: Rulebook
    containment: Containment
    workspaces: Workspaces
    secrets: Secrets
    admin_token: Secret

    @property
    def mention(self) -> str:
        """The name that hears commands: configured, or the App's own."""
        return self.settings.github.mention or self.own_login.removesuffix("[bot]") or NOBODY


def clock_from(not_before: Moment) -> Clock:
    """Make the clock that begins at this moment at the earliest."""
    return Clock(not_before=not_before)


async def open_parts(
    settings: Settings, secrets: Secrets, stack: AsyncExitStack, clock_of: ClockOf = clock_from
) -> Parts:
    """Open the state directory, the store and the way to GitHub."""
    secrets.keep(settings.secret_texts())
    make_state_directory(settings.state_dir)
    stack.enter_context(hold_state_directory(settings.state_dir))
    metrics = Metrics(repositories_max=settings.limits.label_repositories_max)
    path = database_path(settings)
    refuse_half_restored(path)
    queries = load_queries(files("covend.store.sqlite") / "queries")
    connection = await stack.enter_async_context(
        open_sqlite(path, queries, migrate, metrics.observe_commit)
    )
    upkeep = StoredUpkeep(connection, path.with_name(path.name + "-wal"))
    clock = clock_of(await upkeep.newest_moment())
    session = await stack.enter_async_context(aiohttp.ClientSession())
    github = _github(settings, session, clock, metrics, secrets.learn)
    stack.push_async_callback(github.aclose)
    admin_token = settings.admin.token or Secret(kept_secret(settings.state_dir / "admin.token"))
    secrets.keep([admin_token.reveal()])
    readiness = Readiness()
    readiness.notes["sqlite"] = sqlite3.sqlite_version
    containment = await _contain(settings, stack)
    readiness.notes.update(containment.describe())
    metrics.build.labels(__version__, sys.version.split()[0], sqlite3.sqlite_version).set(1)
    own_login = await learn_own_login(settings, github)
    deliveries = StoredDeliveries(connection, queue_max=settings.limits.queue_max)
    return Parts(
        settings=settings,
        clock=clock,
        metrics=metrics,
        wakeups=Wakeups(),
        readiness=readiness,
        deliveries=deliveries,
        tasks=StoredTasks(connection),
        tasks_from_thread=StoredTasks(FromThread(connection)),
        guards=StoredGuards(connection),
        installations=StoredInstallations(connection),
        reruns=StoredReruns(connection),
        callbacks=StoredCallbacks(connection),
        left_open=StoredLeftOpen(connection),
        cursors=StoredCursors(connection),
        commands=StoredCommands(connection),
        effects=StoredEffects(connection),
        upkeep=upkeep,
        outlook=StoredOutlook(connection),
        audit=StoredAudit(connection),
        retention=StoredRetention(connection),
        happenings=StoredHappenings(connection),
        insight=StoredInsight(connection),
        github=github,
        own_login=own_login,
        rulebook=Rulebook(deliveries=deliveries, clock=clock, own_logins=filter(None, [own_login])),
        containment=containment,
        workspaces=Workspaces(settings.state_dir),
        secrets=secrets,
        admin_token=admin_token,
    )


async def _contain(settings: Settings, stack: AsyncExitStack) -> Containment:
    """Find out how agents can be held, and say which of their limits cannot."""
    owner = hashlib.sha256(bytes(settings.state_dir.resolve())).hexdigest()[:OWNER_CHARACTERS]
    containment = await anyio.to_thread.run_sync(probe, owner)
    stack.callback(containment.close)
    log.info("agents are held", **containment.describe())
    for agent in settings.agents.values():
        if agent.limits.cpus is not None and not containment.enforces(Limit.CPUS):
            why = containment.describe()[Limit.CPUS]
            log.warning("limits.cpus does nothing", agent=agent.name, why=why)
    return containment


def database_path(settings: Settings) -> Path:
    scheme, _, rest = settings.store.url.partition(":")
    if scheme != "sqlite":
        message = f"store.url: {scheme}: only sqlite is there yet"
        raise ConfigError(message)
    return settings.state_dir / rest


def _github(
    settings: Settings,
    session: aiohttp.ClientSession,
    clock: Clock,
    metrics: Metrics,
    learn: Learn,
) -> GitHubClient:
    def observe(operation: str, status: str) -> None:
        metrics.github_requests.labels(operation, status).inc()

    auth = open_auth(settings.github, session, clock.now, observe, wall=clock.wall, learn=learn)
    client = GitHubClient(session, settings.github.api_url, auth, clock.now, observe)
    metrics.github_remaining.set_function(lambda: _known_or_nan(client.pacing.remaining))
    return client


def _known_or_nan(number: int | None) -> float:
    return nan if number is None else number
