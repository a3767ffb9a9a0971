"""The process and its store as a whole: is it ready, how much is there, and its metrics."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence

import orjson
from aiohttp import web

from covend import __version__
from covend.core.errors import StoreError
from covend.core.model import Moment
from covend.core.safeguards.circuit import CLOSED, HALF_OPEN, OPEN
from covend.core.safeguards.shapes import Safeguard, SafeguardKind
from covend.core.safeguards.spending import everything
from covend.core.states import EffectState, TaskState
from covend.core.waiting import holds_now, is_over
from covend.store.protocol import Gauges
from covend.telemetry.logs import Log
from covend.telemetry.metrics import CONTENT_TYPE, Metrics
from covend.web.api import described, schemas, shapes
from covend.web.api.query import Query
from covend.web.rooms import Rooms
from covend.web.routes import Answer, Route, get

STORE_WAIT_S = 2.0
"""A store that has not answered by then does not answer, as far as /readyz and /metrics care."""

_READY = Answer(
    about="How it stands; beside this, facts of the process.",
    schema=schemas.made_of(
        "How it stands.",
        {
            "ready": schemas.YES_OR_NO,
            "state": schemas.TEXT,
            "store": schemas.one_of(("ok", "unavailable")),
            "paused": schemas.array(schemas.TEXT),
            "version": schemas.TEXT,
        },
    ),
)
log = Log("web.system")


class SystemApi:
    """`/readyz`, `/metrics` and `/api/v1/stats`."""

    def __init__(self, rooms: Rooms) -> None:
        """Read from the store and from what the process says of itself."""
        self._upkeep = rooms.upkeep
        self._guards = rooms.guards
        self._metrics = rooms.metrics
        self._clock = rooms.clock
        self._readiness = rooms.readiness
        self._terms = rooms.terms
        self._quota = rooms.quota

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here."""
        return (
            get(
                "/readyz",
                self.ready,
                "ready",
                summary="Whether deliveries are taken and the store answers.",
                answers={200: _READY, 503: _READY},
            ),
            get(
                "/metrics",
                self.metrics,
                "metrics",
                summary="Metrics, as Prometheus reads them.",
                answers={200: Answer(about="Text.", content_type="text/plain")},
            ),
            get(
                "/api/v1/stats",
                self.stats,
                "stats",
                summary="Sizes of the whole.",
                answers={200: described.item("Stats", "Now.")},
            ),
        )

    async def ready(self, _request: web.Request) -> web.Response:
        """Answer 200 where deliveries are taken and the store answers, else 503.

        A pause takes deliveries as ever: it is told, and no more. A drain takes none.
        """
        held = await self._held()
        state = self._state(held or ())
        is_ready = held is not None and state == "ready"
        body = {
            "ready": is_ready,
            "state": state,
            "store": "unavailable" if held is None else "ok",
            "paused": [each.scope for each in held or () if each.kind is SafeguardKind.PAUSE],
            "version": __version__,
            **self._readiness.notes,
        }
        return web.Response(
            status=200 if is_ready else 503,
            body=orjson.dumps(body),
            content_type="application/json",
        )

    async def metrics(self, _request: web.Request) -> web.Response:
        """Give all metrics; sizes that the store does not tell in time are NaN."""
        now = self._clock.now()
        try:
            async with asyncio.timeout(STORE_WAIT_S):
                _show(await self._upkeep.gauges(now), now, self._metrics)
                _show_circuits(await self._guards.list(), self._metrics)
        except (StoreError, TimeoutError) as error:
            log.error("the store's sizes cannot be measured", error=str(error))
            _show_nothing(self._metrics)
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    async def stats(self, request: web.Request) -> web.Response:
        """Give the sizes as JSON."""
        Query(request)
        now = self._clock.now()
        gauges = await self._upkeep.gauges(now)
        spent = await self._upkeep.spent(everything(now))
        holding = [each for each in await self._guards.list() if holds_now(each, now)]
        terms, quota = self._terms(), self._quota()
        return shapes.answer(
            {
                "state": self._readiness.state,
                "version": __version__,
                "now": shapes.moment(now),
                "uptime_s": max(0, now - self._clock.started_at) / 1000,
                "slots": {
                    "used": gauges.tasks.get(TaskState.RUNNING, 0),
                    "total": terms.concurrency,
                },
                "money": {
                    "today_usd": spent.usd,
                    "cap_usd": terms.usd_per_day,
                    "today_tokens": spent.tokens,
                    "cap_tokens": terms.tokens_per_day,
                },
                "github": {
                    "remaining": quota.remaining if quota else None,
                    "limit": quota.limit if quota else None,
                    "reset_at": shapes.moment(quota.reset_at) if quota else None,
                },
                "holding": len(holding),
                "oldest_queued": shapes.moment(gauges.oldest_queued_at),
                "tasks": {state.value: gauges.tasks.get(state, 0) for state in TaskState},
                "effects": {state.value: gauges.effects.get(state, 0) for state in EffectState},
                "queue_oldest_seconds": _age_s(gauges.oldest_queued_at, now),
                "outbox_oldest_seconds": _age_s(gauges.oldest_effect_at, now),
                "wal_bytes": gauges.wal_bytes,
            }
        )

    async def _held(self) -> Sequence[Safeguard] | None:
        """Give what holds or counts; None where the store does not answer."""
        try:
            async with asyncio.timeout(STORE_WAIT_S):
                await self._upkeep.ping()
                found = await self._guards.list()
        except (StoreError, TimeoutError):
            return None
        now = self._clock.now()
        return [each for each in found if not is_over(each, now)]

    def _state(self, held: Iterable[Safeguard]) -> str:
        is_drained = any(each.kind is SafeguardKind.DRAIN for each in held)
        return "draining" if is_drained else self._readiness.state


def _show(gauges: Gauges, now: Moment, metrics: Metrics) -> None:
    for task_state in TaskState:
        metrics.tasks.labels(task_state).set(gauges.tasks.get(task_state, 0))
    for effect_state in EffectState:
        metrics.effects.labels(effect_state).set(gauges.effects.get(effect_state, 0))
    metrics.queue_oldest.set(_age_s(gauges.oldest_queued_at, now))
    metrics.outbox_oldest.set(_age_s(gauges.oldest_effect_at, now))
    metrics.wal_bytes.set(gauges.wal_bytes)


_CIRCUIT_STATES = {CLOSED: 0, HALF_OPEN: 1, OPEN: 2}


def _show_circuits(guards: Iterable[Safeguard], metrics: Metrics) -> None:
    """Show what the store has; a circuit that was reset is not shown any more."""
    metrics.circuit_state.clear()
    for each in guards:
        if each.kind is SafeguardKind.CIRCUIT:
            metrics.circuit_state.labels(each.scope).set(_CIRCUIT_STATES[each.state])


def _show_nothing(metrics: Metrics) -> None:
    metrics.circuit_state.clear()
    for task_state in TaskState:
        metrics.tasks.labels(task_state).set(math.nan)
    for effect_state in EffectState:
        metrics.effects.labels(effect_state).set(math.nan)
    for gauge in (metrics.queue_oldest, metrics.outbox_oldest, metrics.wal_bytes):
        gauge.set(math.nan)


def _age_s(since: Moment | None, now: Moment) -> float:
    return 0.0 if since is None else max(0, now - since) / 1000
