"""The process and its store as a whole: is it ready, how much is there, and its metrics."""

from __future__ import annotations

import asyncio
import math

import orjson
from aiohttp import web

from covend import __version__
from covend.core.errors import StoreError
from covend.core.model import Moment
from covend.core.states import EffectState, TaskState
from covend.services.clock import Clock
from covend.services.readiness import Readiness
from covend.store.protocol import Gauges, Upkeep
from covend.telemetry.logs import Log
from covend.telemetry.metrics import CONTENT_TYPE, Metrics
from covend.web.api import shapes
from covend.web.api.query import Query

STORE_WAIT_S = 2.0
"""A store that has not answered by then does not answer, as far as /readyz and /metrics care."""

log = Log("web.system")


class SystemApi:
    """`/readyz`, `/metrics` and `/api/v1/stats`."""

    def __init__(
        self, *, upkeep: Upkeep, metrics: Metrics, clock: Clock, readiness: Readiness
    ) -> None:
        """Read from the store and from what the process says of itself."""
        self._upkeep = upkeep
        self._metrics = metrics
        self._clock = clock
        self._readiness = readiness

    async def ready(self, _request: web.Request) -> web.Response:
        """Answer 200 where deliveries are taken and the store answers, else 503."""
        answers = await self._store_answers()
        is_ready = answers and self._readiness.state == "ready"
        body = {
            "ready": is_ready,
            "state": self._readiness.state,
            "store": "ok" if answers else "unavailable",
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
        except (StoreError, TimeoutError) as error:
            log.error("the store's sizes cannot be measured", error=str(error))
            _show_nothing(self._metrics)
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    async def stats(self, request: web.Request) -> web.Response:
        """Give the sizes as JSON."""
        Query(request)
        now = self._clock.now()
        gauges = await self._upkeep.gauges(now)
        return shapes.answer(
            {
                "state": self._readiness.state,
                "version": __version__,
                "now": shapes.moment(now),
                "tasks": {state.value: gauges.tasks.get(state, 0) for state in TaskState},
                "effects": {state.value: gauges.effects.get(state, 0) for state in EffectState},
                "queue_oldest_seconds": _age_s(gauges.oldest_queued_at, now),
                "outbox_oldest_seconds": _age_s(gauges.oldest_effect_at, now),
                "wal_bytes": gauges.wal_bytes,
            }
        )

    async def _store_answers(self) -> bool:
        try:
            async with asyncio.timeout(STORE_WAIT_S):
                await self._upkeep.ping()
        except (StoreError, TimeoutError):
            return False
        return True


def _show(gauges: Gauges, now: Moment, metrics: Metrics) -> None:
    for task_state in TaskState:
        metrics.tasks.labels(task_state).set(gauges.tasks.get(task_state, 0))
    for effect_state in EffectState:
        metrics.effects.labels(effect_state).set(gauges.effects.get(effect_state, 0))
    metrics.queue_oldest.set(_age_s(gauges.oldest_queued_at, now))
    metrics.outbox_oldest.set(_age_s(gauges.oldest_effect_at, now))
    metrics.wal_bytes.set(gauges.wal_bytes)


def _show_nothing(metrics: Metrics) -> None:
    for task_state in TaskState:
        metrics.tasks.labels(task_state).set(math.nan)
    for effect_state in EffectState:
        metrics.effects.labels(effect_state).set(math.nan)
    for gauge in (metrics.queue_oldest, metrics.outbox_oldest, metrics.wal_bytes):
        gauge.set(math.nan)


def _age_s(since: Moment | None, now: Moment) -> float:
    return 0.0 if since is None else max(0, now - since) / 1000
