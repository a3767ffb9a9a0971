"""The admin listener's application: its routes in one table, behind the guard of `auth`.

GET changes nothing.
"""

from __future__ import annotations

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from covend.core.secret import Secret
from covend.services.clock import Clock
from covend.services.installing import Installing
from covend.services.live import Live
from covend.services.operations import Operations
from covend.services.readiness import Readiness
from covend.services.reconciler import Reconciler
from covend.services.replaying import Replaying
from covend.services.resending import Resending
from covend.services.submitting import Submitting
from covend.store.protocol import Deliveries, Effects, Guards, Installations, Tasks, Upkeep
from covend.telemetry.metrics import Metrics
from covend.web.api.deliveries import DeliveriesApi
from covend.web.api.effects import EffectsApi
from covend.web.api.explaining import Explaining
from covend.web.api.installations import InstallationsApi
from covend.web.api.reconciling import ReconcilingApi
from covend.web.api.safeguards import SafeguardsApi
from covend.web.api.system import SystemApi
from covend.web.api.tasks import TasksApi
from covend.web.auth import add_security_headers, guard
from covend.web.errors import answer_errors
from covend.web.streams import Streams

API = "/api/v1"
BODY_MAX = 1 << 20
STREAMS = web.AppKey("streams", Streams)


def admin_app(  # noqa: PLR0913 - the one door to the rooms behind it
    *,
    deliveries: Deliveries,
    tasks: Tasks,
    effects: Effects,
    guards: Guards,
    installations: Installations,
    upkeep: Upkeep,
    live: Live,
    operations: Operations,
    submitting: Submitting,
    replaying: Replaying,
    installing: Installing,
    reconciler: Reconciler,
    resending: Resending,
    metrics: Metrics,
    clock: Clock,
    readiness: Readiness,
    token: Secret,
    hosts: frozenset[str],
    metrics_token: bool,
) -> web.Application:
    """Make it; `hosts` are accepted in Host beside loopback."""
    app = web.Application(
        middlewares=[answer_errors, guard(token=token, hosts=hosts, metrics_token=metrics_token)],
        client_max_size=BODY_MAX,
    )
    app.on_response_prepare.append(add_security_headers)
    app[STREAMS] = Streams()
    app.on_shutdown.append(_end_streams)
    routes = _routes(
        DeliveriesApi(deliveries=deliveries, replaying=replaying),
        TasksApi(
            tasks=tasks,
            live=live,
            streams=app[STREAMS],
            operations=operations,
            submitting=submitting,
            explaining=Explaining(guards=guards, clock=clock),
        ),
        EffectsApi(effects=effects, resending=resending),
        SafeguardsApi(guards=guards, clock=clock, operations=operations),
        InstallationsApi(installations=installations, installing=installing),
        ReconcilingApi(reconciler),
        SystemApi(upkeep=upkeep, guards=guards, metrics=metrics, clock=clock, readiness=readiness),
    )
    for method, path, handler in routes:
        if method == hdrs.METH_GET:
            app.router.add_get(path, handler)
        else:
            app.router.add_route(method, path, handler)
    return app


async def _end_streams(app: web.Application) -> None:
    """End them where the listener does: it waits for what is still being answered."""
    app[STREAMS].close()


def _routes(
    deliveries: DeliveriesApi,
    tasks: TasksApi,
    effects: EffectsApi,
    safeguards: SafeguardsApi,
    installations: InstallationsApi,
    reconciling: ReconcilingApi,
    system: SystemApi,
) -> tuple[tuple[str, str, Handler], ...]:
    """Every method and path with what answers it; HEAD answers as GET does."""
    get, post = hdrs.METH_GET, hdrs.METH_POST
    return (
        (get, "/readyz", system.ready),
        (get, "/metrics", system.metrics),
        (get, f"{API}/deliveries", deliveries.page),
        (get, f"{API}/deliveries/{{id}}", deliveries.one),
        (post, f"{API}/deliveries/{{id}}/replay", deliveries.replay),
        (get, f"{API}/tasks", tasks.page),
        (post, f"{API}/tasks", tasks.submit),
        (get, f"{API}/tasks/{{id}}", tasks.one),
        (get, f"{API}/tasks/{{id}}/attempts", tasks.attempts),
        (get, f"{API}/tasks/{{id}}/attempts/{{number}}/log", tasks.log),
        (post, f"{API}/tasks/{{id}}/cancel", tasks.cancel),
        (post, f"{API}/tasks/{{id}}/retry", tasks.retry),
        (post, f"{API}/tasks/{{id}}/approve", tasks.approve),
        (get, f"{API}/effects", effects.page),
        (post, f"{API}/effects/{{id}}/retry", effects.retry),
        (get, f"{API}/safeguards", safeguards.page),
        # An id has slashes, as they are or as %2F.
        (post, f"{API}/safeguards/{{id:.+}}/reset", safeguards.reset),
        (post, f"{API}/pause", safeguards.pause),
        (post, f"{API}/resume", safeguards.resume),
        (post, f"{API}/drain", safeguards.drain),
        (get, f"{API}/installations", installations.page),
        (post, f"{API}/installations/{{id}}/forget", installations.forget),
        (get, f"{API}/reconcile", reconciling.page),
        (post, f"{API}/reconcile", reconciling.ask),
        (get, f"{API}/stats", system.stats),
    )
