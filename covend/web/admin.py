"""The admin listener's application: its routes in one table, behind the guard of `auth`.

GET changes nothing; whatever changes something stands in the audit.
"""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import hdrs, web

from covend.web.api.audit import AuditApi
from covend.web.api.deliveries import DeliveriesApi
from covend.web.api.effects import EffectsApi
from covend.web.api.events import EventsApi
from covend.web.api.explaining import Explaining
from covend.web.api.explanations import ExplanationsApi
from covend.web.api.installations import InstallationsApi
from covend.web.api.reconciling import ReconcilingApi
from covend.web.api.safeguards import SafeguardsApi
from covend.web.api.system import SystemApi
from covend.web.api.tasks import TasksApi
from covend.web.auditing import auditor
from covend.web.auth import add_security_headers, guard
from covend.web.dashboard.frame import Dashboard
from covend.web.dashboard.telling import tell_browsers
from covend.web.errors import answer_errors
from covend.web.openapi import Description
from covend.web.rooms import Rooms
from covend.web.routes import TABLE, Route
from covend.web.streams import Streams
from covend.web.visitor import Visitors

BODY_MAX = 1 << 20
STREAMS = web.AppKey("streams", Streams)


def admin_app(
    rooms: Rooms, *, visitors: Visitors, hosts: frozenset[str], metrics_token: bool
) -> web.Application:
    """Make it; `hosts` are accepted in Host beside loopback."""
    app = web.Application(
        middlewares=[
            tell_browsers,
            answer_errors,
            guard(visitors=visitors, hosts=hosts, metrics_token=metrics_token, now=rooms.clock.now),
            auditor(rooms.auditing, rooms.redact),
        ],
        client_max_size=BODY_MAX,
    )
    app.on_response_prepare.append(add_security_headers)
    app[STREAMS] = Streams()
    app.on_shutdown.append(_end_streams)
    dashboard = Dashboard(rooms, visitors=visitors, streams=app[STREAMS])
    dashboard.furnish(app)
    routes = (*_routes(rooms, app[STREAMS]), *dashboard.routes())
    table = {route.name: route for route in routes}
    app[TABLE] = table
    for route in table.values():
        _add(app, route)
    return app


async def _end_streams(app: web.Application) -> None:
    """End them where the listener does: it waits for what is still being answered."""
    app[STREAMS].close()


def _add(app: web.Application, route: Route) -> None:
    """HEAD answers as GET does."""
    if route.method == hdrs.METH_GET:
        app.router.add_get(route.path, route.handler, name=route.name)
    else:
        app.router.add_route(route.method, route.path, route.handler, name=route.name)


def _routes(rooms: Rooms, streams: Streams) -> Iterable[Route]:
    explaining = Explaining(guards=rooms.guards, clock=rooms.clock)
    yield from SystemApi(rooms).routes()
    yield from DeliveriesApi(rooms).routes()
    yield from TasksApi(rooms, streams, explaining).routes()
    yield from EffectsApi(rooms).routes()
    yield from SafeguardsApi(rooms).routes()
    yield from InstallationsApi(rooms).routes()
    yield from ReconcilingApi(rooms).routes()
    yield from AuditApi(rooms).routes()
    yield from EventsApi(rooms, streams).routes()
    yield from ExplanationsApi(rooms).routes()
    yield from Description().routes()
