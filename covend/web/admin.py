"""The admin listener's application: its routes in one table, behind the guard of `auth`.

GET changes nothing.
"""

from __future__ import annotations

from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from covend.core.settings import Secret
from covend.services.clock import Clock
from covend.services.readiness import Readiness
from covend.store.protocol import Deliveries, Effects, Tasks, Upkeep
from covend.telemetry.metrics import Metrics
from covend.web.api.deliveries import DeliveriesApi
from covend.web.api.effects import EffectsApi
from covend.web.api.system import SystemApi
from covend.web.api.tasks import TasksApi
from covend.web.auth import add_security_headers, guard
from covend.web.errors import answer_errors

API = "/api/v1"
BODY_MAX = 1 << 20


def admin_app(  # noqa: PLR0913 - the one door to the rooms behind it
    *,
    deliveries: Deliveries,
    tasks: Tasks,
    effects: Effects,
    upkeep: Upkeep,
    metrics: Metrics,
    clock: Clock,
    readiness: Readiness,
    token: Secret,
    hosts: frozenset[str],
    metrics_token: bool,
    logs: Path,
) -> web.Application:
    """Make it; `hosts` are accepted in Host beside loopback, attempts have their logs in `logs`."""
    app = web.Application(
        middlewares=[answer_errors, guard(token=token, hosts=hosts, metrics_token=metrics_token)],
        client_max_size=BODY_MAX,
    )
    app.on_response_prepare.append(add_security_headers)
    system = SystemApi(upkeep=upkeep, metrics=metrics, clock=clock, readiness=readiness)
    for path, handler in _routes(
        DeliveriesApi(deliveries), TasksApi(tasks, logs), EffectsApi(effects), system
    ):
        app.router.add_get(path, handler)
    return app


def _routes(
    deliveries: DeliveriesApi, tasks: TasksApi, effects: EffectsApi, system: SystemApi
) -> tuple[tuple[str, Handler], ...]:
    """Every path with what answers it; HEAD answers as GET does."""
    return (
        ("/readyz", system.ready),
        ("/metrics", system.metrics),
        (f"{API}/deliveries", deliveries.page),
        (f"{API}/deliveries/{{id}}", deliveries.one),
        (f"{API}/tasks", tasks.page),
        (f"{API}/tasks/{{id}}", tasks.one),
        (f"{API}/tasks/{{id}}/attempts", tasks.attempts),
        (f"{API}/tasks/{{id}}/attempts/{{number}}/log", tasks.log),
        (f"{API}/effects", effects.page),
        (f"{API}/stats", system.stats),
    )
