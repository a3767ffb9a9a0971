"""Runs covend: the order in which things start and stop. Nothing is claimed before recovery is
over, and nothing is accepted while it drains.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Protocol

import anyio

from covend.app.listening import Desk, listen
from covend.app.loops import loops_of
from covend.app.parts import ClockOf, Parts, clock_from, open_parts
from covend.app.rooms import (
    dispatcher_of,
    giving_back_of,
    installing_of,
    operations_of,
    recovery_of,
    refuse_unconfined,
)
from covend.app.ways_in import (
    intake_of,
    listener_of,
    reconciler_of,
    replaying_of,
    scheduler_of,
    submitting_of,
)
from covend.app.ways_out import (
    calling_of,
    publisher_of,
    publishing_of,
    resending_of,
    settlements_of,
)
from covend.core.audit import Way, Wish
from covend.core.errors import ConfigError, StoreError
from covend.core.safeguards.names import DRAIN
from covend.core.settings import Settings
from covend.services.auditing import Auditing
from covend.services.collector import calm_collector
from covend.services.dispatcher import Dispatcher
from covend.services.doors import Doors
from covend.services.keeping import Service, keep
from covend.services.known_secrets import Secrets
from covend.services.operations import OPERATOR
from covend.services.rulebook import Accept, Reload
from covend.telemetry import logs, notify
from covend.web.addresses import Addresses
from covend.web.findings import Examine

PUBLISH_S = 5.0
"""How long the end waits for what is on its way to GitHub."""

RELOADING = Wish(
    who=OPERATOR,
    way=Way.SIGNAL,
    address=None,
    client=None,
    verb="reload",
    target=None,
    details="{}",
)
"""A signal does not say who sends it: the system lets nobody but root and covend's own user."""

END_S = 60.0
"""How long an end that nobody asked for waits for attempts; what is cut off is recovered."""

log = logs.Log("app")


async def serve(
    settings: Settings,
    environ: Mapping[str, str],
    reload: Reload,
    secrets: Secrets | None = None,
    examine: Examine | None = None,
) -> None:
    """Run until SIGTERM or SIGINT, drain, and return; a second signal drains no longer.

    SIGHUP puts the rules and agents that `reload` gives in force, for later deliveries. `examine`
    looks at the real world for the dashboard's page of findings, in a thread.
    """
    address = notify.take_address()
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with running(settings, environ, secrets, examine=examine) as daemon:
            notify.notify(address, "READY=1")
            async for received in signals:
                if received is signal.SIGHUP:
                    await daemon.reload(reload)
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


class Outbox(Protocol):
    """What is emptied before the end."""

    def drain(self) -> None:
        """Send what is due already, and end."""
        ...

    async def drained(self, seconds: float) -> None:
        """Wait until nothing is under way, so long at most."""
        ...


class Daemon:
    """A covend that runs."""

    def __init__(
        self,
        addresses: Addresses,
        parts: Parts,
        doors: Doors,
        dispatcher: Dispatcher,
        outboxes: Sequence[Outbox],
        accept: Accept,
    ) -> None:
        """Made by `running`."""
        self.addresses = addresses
        self._parts = parts
        self._accept = accept
        self._doors = doors
        self._dispatcher = dispatcher
        self._outboxes = outboxes
        self._hurried = anyio.Event()
        self._is_drained = False

    async def reload(self, reload: Reload) -> bool:
        """Put other rules and agents in force, where this machine can follow them; the audit has
        it, as every wish of an operator. False where everything stays as it was.
        """
        auditing = Auditing(audit=self._parts.audit, clock=self._parts.clock)
        try:
            async with auditing.noting(RELOADING) as noted:
                is_done = await self._parts.rulebook.reload(reload, self._accept)
                if not is_done:
                    noted.outcome = ConfigError.code
                return is_done
        except StoreError as error:
            log.error("the configuration stays as it was", code=error.code, error=str(error))
            return False

    async def drain(self, seconds: float) -> None:
        """Accept and claim nothing more, let attempts finish for a while, interrupt the rest, and
        publish what is due; a second call does nothing more.
        """
        if self._is_drained:
            return
        self._doors.stop()
        self._dispatcher.drain()
        async with anyio.create_task_group() as group:
            group.start_soon(self._interrupt_when_hurried)
            await self._dispatcher.drained(seconds)
            group.cancel_scope.cancel()
        seconds = 0 if self._hurried.is_set() else PUBLISH_S
        async with anyio.create_task_group() as group:
            for outbox in self._outboxes:
                outbox.drain()
                group.start_soon(outbox.drained, seconds)
        self._is_drained = True

    def hurry(self) -> None:
        """Interrupt at once what a drain still waits for."""
        self._hurried.set()

    async def _interrupt_when_hurried(self) -> None:
        await self._hurried.wait()
        self._dispatcher.interrupt()


@asynccontextmanager
async def running(
    settings: Settings,
    environ: Mapping[str, str],
    secrets: Secrets | None = None,
    *,
    clock_of: ClockOf = clock_from,
    examine: Examine | None = None,
) -> AsyncIterator[Daemon]:
    """Start everything, give the daemon, and stop everything in reverse; `secrets` learns what must
    not be seen.

    Raises StateDirectoryInUseError, StoreError, ConfigError, GitHubError or OSError where it cannot
    start.
    """
    async with AsyncExitStack() as stack:
        parts = await open_parts(settings, secrets or Secrets(), stack, clock_of)
        publishing = publishing_of(parts)
        settlements = settlements_of(parts, publishing)
        places = (settings.state_dir, parts.workspaces.root)
        accept = partial(refuse_unconfined, *places, environ)
        await accept(settings)
        giving_back = giving_back_of(parts, settlements, environ)
        await parts.rulebook.adopt(settings)
        await recovery_of(parts, giving_back).run()
        dispatcher = dispatcher_of(parts, settlements, environ)
        intake = intake_of(parts, dispatcher)
        listener = listener_of(parts, intake)
        doors = Doors(
            readiness=parts.readiness,
            close=listener.drain,
            on_open=parts.wakeups.reconcile.wake,
        )
        is_drained = await parts.guards.find(DRAIN) is not None
        listener.drain(is_drained)
        desk = Desk(
            operations=operations_of(parts, settlements, dispatcher, doors.drain),
            submitting=submitting_of(parts, intake),
            replaying=replaying_of(parts, intake),
            installing=installing_of(parts, dispatcher),
            resending=resending_of(parts),
            reconciler=reconciler_of(parts, intake),
            examine=examine,
        )
        addresses = await listen(parts, listener, desk, stack)
        publisher, calling = publisher_of(parts, settlements), calling_of(parts)
        loops = (
            *loops_of(parts, publishing, settlements, dispatcher, giving_back, desk),
            scheduler_of(parts, intake),
        )
        group = await stack.enter_async_context(anyio.create_task_group())
        services: tuple[Service, ...] = (dispatcher, publisher, calling, *loops)
        for service in services:
            group.start_soon(keep, service)
        calm_collector()
        doors.drain(is_drained)
        log.info("ready", public=addresses.public, admin=addresses.admin, own_login=parts.own_login)
        daemon = Daemon(addresses, parts, doors, dispatcher, (publisher, calling), accept)
        try:
            yield daemon
        finally:
            with anyio.move_on_after(END_S, shield=True):
                await daemon.drain(0)
            group.cancel_scope.cancel()
