"""Fetches one missed delivery from GitHub's log, and keeps it by the way of all deliveries.

Refuses to be stopped by what cannot be had or read: that is said, counted, and passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from covend.core import intake
from covend.core.errors import CovendError, GitHubError, StoreError
from covend.core.intake import Refused, fold
from covend.core.model import TaskId, Via
from covend.core.reconciling import Missed
from covend.core.sources.request import JSON
from covend.core.states import DeliveryState
from covend.edges.github.deliveries import DeliveryLog, Logged
from covend.edges.github.errors import MissingPermission, RateLimited, Unauthorized, Unreachable
from covend.services.clock import Clock
from covend.services.intake import Route
from covend.services.looks import Look
from covend.services.submitting import Keep
from covend.store.protocol import Arrival
from covend.telemetry.logs import Log
from covend.telemetry.metrics import Metrics

_OF_ALL = (MissingPermission, RateLimited, Unauthorized, Unreachable, StoreError)
"""What would go wrong with every other delivery as well."""
log = Log("reconciler")


class UnusableError(CovendError):
    """GitHub's log does not have this delivery in a form that can be read."""

    code = "unusable_delivery"


class Fetching:
    """Turns an entry of the log into a delivery of this store."""

    def __init__(
        self, *, keep: Keep, route: Route, mention: str | None, clock: Clock, metrics: Metrics
    ) -> None:
        """Keep by `keep`, which is the intake's; `mention` is the name that hears commands."""
        self._keep = keep
        self._route = route
        self._mention = mention
        self._clock = clock
        self._metrics = metrics

    async def fetch(self, look: Look, of: DeliveryLog, missed: Missed) -> None:
        """Keep it, and count that; what cannot be had is counted as failed.

        Raises StoreError (QueueFullError among them) and the errors of `edges.github.errors` that
        would meet all others too; nothing of it was kept then.
        """
        try:
            logged = await of.show(missed.entry)
            look.fetched += 1
            await self._take_in(look, missed, logged)
        except _OF_ALL:
            raise
        except (GitHubError, UnusableError) as error:
            log.error(
                "a missed delivery cannot be had from GitHub",
                delivery=missed.guid,
                code=error.code,
                error=str(error),
            )
            _pass_over(look, missed)
        except Exception:
            log.exception("a missed delivery cannot be taken in", delivery=missed.guid)
            _pass_over(look, missed)

    async def _take_in(self, look: Look, missed: Missed, logged: Logged) -> None:
        arrival = self._arrival(_read(missed, logged, self._mention))
        accepted = await self._keep(arrival)
        if accepted.duplicate:  # the webhook has come meanwhile
            look.known += 1
            return
        look.kept += 1
        look.ignored += accepted.state is DeliveryState.IGNORED
        self._metrics.reconciled.inc()
        if missed.was_taken:
            look.unknown_delivered += 1
            self._metrics.unknown_delivered.inc()
            log.error(
                "GitHub says that this was delivered, and it was not here", delivery=missed.guid
            )

    def _arrival(self, read: intake.Accepted) -> Arrival:
        routing = self._route(read.event)
        return Arrival(
            envelope=read.envelope,
            event=read.event,
            via=Via.RECONCILE,
            routing=routing,
            received_at=self._clock.now(),
            task_ids=tuple(TaskId(self._clock.new_id()) for _ in routing.drafts),
        )


def _pass_over(look: Look, missed: Missed) -> None:
    look.failed += 1
    look.passed_over.add(missed.guid)


def _read(missed: Missed, logged: Logged, mention: str | None) -> intake.Accepted:
    """Read what GitHub shows as if it had come; UnusableError where it cannot be."""
    if logged.payload is None:
        raise UnusableError("GitHub does not keep the payload")
    read = intake.reopen(_headers(missed, logged), _body(logged.payload), mention)
    if isinstance(read, Refused):
        raise UnusableError(read.message)
    return read


def _headers(missed: Missed, logged: Logged) -> dict[str, str]:
    """Give the headers with which it was sent; the log's own word on id and event counts, and the
    body is JSON whatever it was sent as.
    """
    return {
        **fold(logged.headers.items()),
        "x-github-delivery": missed.guid,
        "x-github-event": logged.event,
        "content-type": JSON,
    }


def _body(payload: Mapping[str, Any]) -> bytes:
    return orjson.dumps(payload)
