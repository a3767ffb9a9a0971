"""Opens both listeners: the public one for webhooks, and the operator's."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from aiohttp import web

from covend.app.parts import Parts
from covend.app.rooms import live_of
from covend.app.ways_in import explaining_of
from covend.services.auditing import Auditing
from covend.services.installing import Installing
from covend.services.operations import Operations
from covend.services.reconciler import Reconciler
from covend.services.replaying import Replaying
from covend.services.resending import Resending
from covend.services.submitting import Submitting
from covend.web.addresses import Addresses, url_of
from covend.web.admin import admin_app
from covend.web.findings import Examine
from covend.web.public import PublicListener
from covend.web.rooms import Rooms
from covend.web.visitor import Visitors

CLOSE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What operators may ask for beside looking."""

    operations: Operations
    submitting: Submitting
    replaying: Replaying
    installing: Installing
    resending: Resending
    reconciler: Reconciler
    examine: Examine | None


async def listen(
    parts: Parts, listener: PublicListener, desk: Desk, stack: AsyncExitStack
) -> Addresses:
    """Open both listeners; port 0 takes a free one."""
    server, admin = parts.settings.server, parts.settings.admin
    public = web.ServerRunner(listener.server())
    await public.setup()
    stack.push_async_callback(public.cleanup)
    await web.TCPSite(public, server.host, server.port).start()
    operators = web.AppRunner(
        admin_app(
            _rooms(parts, desk),
            visitors=Visitors(parts.admin_token, admin.readers),
            hosts=frozenset({*admin.hosts, admin.host}),
            metrics_token=admin.metrics_token,
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


def _rooms(parts: Parts, desk: Desk) -> Rooms:
    return Rooms(
        deliveries=parts.deliveries,
        tasks=parts.tasks,
        effects=parts.effects,
        guards=parts.guards,
        installations=parts.installations,
        upkeep=parts.upkeep,
        audit=parts.audit,
        live=live_of(parts),
        operations=desk.operations,
        submitting=desk.submitting,
        replaying=desk.replaying,
        explaining=explaining_of(parts),
        installing=desk.installing,
        resending=desk.resending,
        reconciler=desk.reconciler,
        auditing=Auditing(audit=parts.audit, clock=parts.clock),
        metrics=parts.metrics,
        clock=parts.clock,
        readiness=parts.readiness,
        happenings=parts.happenings,
        insight=parts.insight,
        rules=parts.rulebook.in_force,
        agents=parts.rulebook.agents,
        examine=desk.examine,
        terms=parts.rulebook.terms,
        quota=parts.github.pacing.quota,
        redact=parts.secrets.text,
    )
