"""Puts covend together: opens the store and the edges, builds the services, runs them in one task
group.

The only file that names concrete classes of every room, and the only one that knows in which order
things start and stop: nothing is claimed before recovery is over, and nothing is accepted while it
drains.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from math import nan
from pathlib import Path

import aiohttp
import anyio
from aiohttp import web

from covend import __version__
from covend.config.github_events import GITHUB_EVENTS
from covend.core.errors import ConfigError
from covend.core.settings import Secret, Settings
from covend.edges.github.auth import open_auth
from covend.edges.github.client import GitHubClient
from covend.services.attempt import Attempts
from covend.services.clock import Clock
from covend.services.collector import calm_collector
from covend.services.dispatcher import Dispatcher
from covend.services.giving_back import GivingBack
from covend.services.identity import kept_secret, learn_own_login
from covend.services.intake import Intake
from covend.services.keeping import keep
from covend.services.leases import Leases
from covend.services.publisher import Publisher
from covend.services.readiness import Readiness
from covend.services.recovery import Recovery
from covend.services.ripening import Ripening
from covend.services.rulebook import Reload, Rulebook
from covend.services.settling import Publishing, Settlements
from covend.services.surroundings import Surroundings
from covend.services.wakeups import Wakeups
from covend.store.deliveries import StoredDeliveries
from covend.store.effects import StoredEffects
from covend.store.queries import load_queries
from covend.store.sqlite.connection import open_sqlite
from covend.store.sqlite.lock import hold_state_directory, make_state_directory
from covend.store.sqlite.migrate import migrate
from covend.store.tasks import StoredTasks
from covend.store.upkeep import StoredUpkeep
from covend.telemetry import logs, notify
from covend.telemetry.metrics import Metrics
from covend.web.addresses import Addresses, url_of
from covend.web.admin import admin_app
from covend.web.public import PublicListener

CLOSE_S = 5.0
PUBLISH_S = 5.0
"""How long the end waits for what is on its way to GitHub."""

END_S = 60.0
"""How long an end that nobody asked for waits for attempts; what is cut off is recovered."""

log = logs.Log("app")


@dataclass(slots=True, kw_only=True)
class _Parts:
    """What the start has built and the stop needs."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    wakeups: Wakeups
    readiness: Readiness
    deliveries: StoredDeliveries
    tasks: StoredTasks
    effects: StoredEffects
    upkeep: StoredUpkeep
    github: GitHubClient
    own_login: str
    rulebook: Rulebook
    secrets: tuple[str, ...]
    admin_token: Secret

    @property
    def mention(self) -> str:
        """The name that hears commands: configured, or the App's own."""
        return self.settings.github.mention or self.own_login.removesuffix("[bot]")


async def serve(settings: Settings, environ: Mapping[str, str], reload: Reload) -> None:
    """Run until SIGTERM or SIGINT, drain, and return; a second signal drains no longer.

    SIGHUP puts the rules and agents that `reload` gives in force, for later deliveries.
    """
    address = notify.take_address()
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with running(settings, environ) as daemon:
            notify.notify(address, "READY=1")
            async for received in signals:
                if received is signal.SIGHUP:
                    await daemon.rulebook.reload(reload)
                    continue
                log.info("stopping", signal=received.name)
                break
            notify.notify(address, "STOPPING=1")
            async with anyio.create_task_group() as group:
                group.start_soon(_hurry_on_signal, daemon, signals)
                await daemon.drain(settings.limits.drain_s)
                group.cancel_scope.cancel()


async def _hurry_on_signal(daemon: Daemon, signals: AsyncIterator[signal.Signals]) -> None:
    async for received in signals:
        if received is not signal.SIGHUP:
            log.warning("stopping at once", signal=received.name)
            daemon.hurry()


class Daemon:
    """A covend that runs."""

    def __init__(
        self,
        addresses: Addresses,
        parts: _Parts,
        listener: PublicListener,
        dispatcher: Dispatcher,
        publisher: Publisher,
    ) -> None:
        """Made by `running`."""
        self.addresses = addresses
        self.rulebook = parts.rulebook
        self._parts = parts
        self._listener = listener
        self._dispatcher = dispatcher
        self._publisher = publisher
        self._hurried = anyio.Event()
        self._is_drained = False

    async def drain(self, seconds: float) -> None:
        """Accept and claim nothing more, let attempts finish for a while, interrupt the rest, and
        publish what is due; a second call does nothing more.
        """
        if self._is_drained:
            return
        self._parts.readiness.state = "draining"
        self._listener.drain()
        self._dispatcher.drain()
        async with anyio.create_task_group() as group:
            group.start_soon(self._interrupt_when_hurried)
            await self._dispatcher.drained(seconds)
            group.cancel_scope.cancel()
        self._publisher.drain()
        await self._publisher.drained(0 if self._hurried.is_set() else PUBLISH_S)
        self._is_drained = True

    def hurry(self) -> None:
        """Interrupt at once what a drain still waits for."""
        self._hurried.set()

    async def _interrupt_when_hurried(self) -> None:
        await self._hurried.wait()
        self._dispatcher.interrupt()


@asynccontextmanager
async def running(settings: Settings, environ: Mapping[str, str]) -> AsyncIterator[Daemon]:
    """Start everything, give the daemon, and stop everything in reverse.

    Raises StateDirectoryInUseError, StoreError, ConfigError, GitHubError or OSError where it cannot
    start.
    """
    async with AsyncExitStack() as stack:
        parts = await _open(settings, stack)
        publishing = Publishing(
            is_app=settings.github.app_id is not None,
            key=kept_secret(settings.state_dir / "marker.key").encode(),
        )
        settlements = Settlements(clock=parts.clock, publishing=publishing)
        giving_back = GivingBack(
            tasks=parts.tasks, clock=parts.clock, metrics=parts.metrics, settlements=settlements
        )
        await Recovery(
            tasks=parts.tasks,
            effects=parts.effects,
            clock=parts.clock,
            giving_back=giving_back,
            workspaces=settings.state_dir / "workspaces",
        ).run()
        dispatcher = _dispatcher(parts, settlements, environ)
        await parts.rulebook.adopt(settings)
        listener = _listener(parts)
        addresses = await _listen(parts, listener, stack)
        publisher = _publisher(parts)
        loops = _loops(parts, dispatcher, giving_back)
        group = await stack.enter_async_context(anyio.create_task_group())
        for service in (dispatcher, publisher, *loops):
            group.start_soon(keep, service)
        calm_collector()
        parts.readiness.state = "ready"
        log.info("ready", public=addresses.public, admin=addresses.admin, own_login=parts.own_login)
        daemon = Daemon(addresses, parts, listener, dispatcher, publisher)
        try:
            yield daemon
        finally:
            with anyio.move_on_after(END_S, shield=True):
                await daemon.drain(0)
            group.cancel_scope.cancel()


async def _open(settings: Settings, stack: AsyncExitStack) -> _Parts:
    """Open the state directory, the store and the way to GitHub."""
    make_state_directory(settings.state_dir)
    stack.enter_context(hold_state_directory(settings.state_dir))
    metrics = Metrics(repositories_max=settings.limits.label_repositories_max)
    path = _database_path(settings)
    queries = load_queries(files("covend.store.sqlite") / "queries")
    connection = await stack.enter_async_context(
        open_sqlite(path, queries, migrate, metrics.observe_commit)
    )
    upkeep = StoredUpkeep(connection, path.with_name(path.name + "-wal"))
    clock = Clock(not_before=await upkeep.newest_moment())
    session = await stack.enter_async_context(aiohttp.ClientSession())
    github = _github(settings, session, clock, metrics)
    admin_token = settings.admin.token or Secret(kept_secret(settings.state_dir / "admin.token"))
    readiness = Readiness()
    readiness.notes["sqlite"] = sqlite3.sqlite_version
    metrics.build.labels(__version__, sys.version.split()[0], sqlite3.sqlite_version).set(1)
    own_login = await learn_own_login(settings, github)
    deliveries = StoredDeliveries(connection, queue_max=settings.limits.queue_max)
    return _Parts(
        settings=settings,
        clock=clock,
        metrics=metrics,
        wakeups=Wakeups(),
        readiness=readiness,
        deliveries=deliveries,
        tasks=StoredTasks(connection),
        effects=StoredEffects(connection),
        upkeep=upkeep,
        github=github,
        own_login=own_login,
        rulebook=Rulebook(deliveries=deliveries, clock=clock, own_logins=[own_login]),
        secrets=(*settings.secret_texts(), admin_token.reveal()),
        admin_token=admin_token,
    )


def _database_path(settings: Settings) -> Path:
    scheme, _, rest = settings.store.url.partition(":")
    if scheme != "sqlite":
        message = f"store.url: {scheme}: only sqlite is there yet"
        raise ConfigError(message)
    return settings.state_dir / rest


def _github(
    settings: Settings, session: aiohttp.ClientSession, clock: Clock, metrics: Metrics
) -> GitHubClient:
    def observe(operation: str, status: str) -> None:
        metrics.github_requests.labels(operation, status).inc()

    auth = open_auth(settings.github, session, clock.now, observe, wall=clock.wall)
    client = GitHubClient(session, settings.github.api_url, auth, clock.now, observe)
    metrics.github_remaining.set_function(lambda: _known_or_nan(client.pacing.remaining))
    return client


def _known_or_nan(number: int | None) -> float:
    return nan if number is None else number


def _dispatcher(parts: _Parts, settlements: Settlements, environ: Mapping[str, str]) -> Dispatcher:
    settings = parts.settings
    attempts = Attempts(
        tasks=parts.tasks,
        github=parts.github,
        clock=parts.clock,
        wakeups=parts.wakeups,
        metrics=parts.metrics,
        settlements=settlements,
        surroundings=Surroundings(
            workspaces=settings.state_dir / "workspaces",
            logs=settings.state_dir / "logs",
            api_url=settings.github.api_url,
            environ=dict(environ),
            secrets=parts.secrets,
        ),
    )
    return Dispatcher(
        tasks=parts.tasks,
        run=attempts.run,
        clock=parts.clock,
        wakeups=parts.wakeups,
        metrics=parts.metrics,
        node=os.uname().nodename,
        limits=settings.limits,
        agents={
            name: agent.concurrency
            for name, agent in settings.agents.items()
            if agent.concurrency is not None
        },
    )


def _publisher(parts: _Parts) -> Publisher:
    return Publisher(
        effects=parts.effects,
        github=parts.github,
        clock=parts.clock,
        wakeups=parts.wakeups,
        metrics=parts.metrics,
    )


def _loops(
    parts: _Parts, dispatcher: Dispatcher, giving_back: GivingBack
) -> tuple[Leases, Ripening]:
    return (
        Leases(
            tasks=parts.tasks,
            running=dispatcher.running,
            giving_back=giving_back,
            clock=parts.clock,
            metrics=parts.metrics,
            lease_s=parts.settings.limits.lease_s,
        ),
        Ripening(
            tasks=parts.tasks,
            deliveries=parts.deliveries,
            github=parts.github,
            clock=parts.clock,
            wakeups=parts.wakeups,
            mention=parts.mention,
        ),
    )


def _listener(parts: _Parts) -> PublicListener:
    intake = Intake(
        deliveries=parts.deliveries,
        route=parts.rulebook.route,
        secrets=parts.settings.github.webhook_secrets,
        mention=parts.mention,
        clock=parts.clock,
        wakeups=parts.wakeups,
    )
    return PublicListener(
        receive=intake.receive, metrics=parts.metrics, events=frozenset(GITHUB_EVENTS)
    )


async def _listen(parts: _Parts, listener: PublicListener, stack: AsyncExitStack) -> Addresses:
    """Open both listeners; port 0 takes a free one."""
    server, admin = parts.settings.server, parts.settings.admin
    public = web.ServerRunner(listener.server())
    await public.setup()
    stack.push_async_callback(public.cleanup)
    await web.TCPSite(public, server.host, server.port).start()
    operators = web.AppRunner(
        admin_app(
            deliveries=parts.deliveries,
            tasks=parts.tasks,
            effects=parts.effects,
            upkeep=parts.upkeep,
            metrics=parts.metrics,
            clock=parts.clock,
            readiness=parts.readiness,
            token=parts.admin_token,
            hosts=frozenset({*admin.hosts, admin.host}),
            metrics_token=admin.metrics_token,
            logs=parts.settings.state_dir / "logs",
        ),
        access_log=None,
        shutdown_timeout=CLOSE_S,
    )
    await operators.setup()
    stack.push_async_callback(operators.cleanup)
    if admin.socket is not None:
        await web.UnixSite(operators, admin.socket).start()
    else:
        await web.TCPSite(operators, admin.host, admin.port).start()
    return Addresses(
        public=url_of(public),
        admin=f"unix:{admin.socket}" if admin.socket else url_of(operators),
        admin_token=parts.admin_token,
    )
