"""Routes a stored delivery once more, by the rules in force now, as a new delivery.

What it asks for is done although it may have been done before: only an open task of the same work
is met. Refuses to close anything: a subject that was closed then may be open by now.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import structs

from covend.core import intake
from covend.core.errors import ConflictError, NotFoundError
from covend.core.intake import Refused
from covend.core.model import DeliveryId, TaskId, Via
from covend.core.rules.routing import Reason
from covend.core.rules.verdicts import Routing, Verdict
from covend.core.sources.own import delivery_named
from covend.core.states import DeliveryState
from covend.services.clock import Clock
from covend.services.submitting import IsOpen, Keep, Rules, require_open, require_rule
from covend.services.unavailable import as_unavailable
from covend.store.protocol import Accepted, Arrival, Deliveries, Foreseen
from covend.telemetry.logs import Log

log = Log("replaying")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What the rules said, and what has become of it, or would."""

    delivery: DeliveryId
    """The one that was stored before."""
    verdicts: tuple[Verdict, ...]
    came_to: Accepted | Foreseen


class Replaying:
    """What `POST deliveries/{id}/replay` asks."""

    def __init__(
        self,
        *,
        deliveries: Deliveries,
        rulebook: Rules,
        mention: str | None,
        keep: Keep,
        is_open: IsOpen,
        clock: Clock,
    ) -> None:
        """Keep by `keep`, which is the intake's; `mention` is the name that hears commands."""
        self._deliveries = deliveries
        self._rulebook = rulebook
        self._mention = mention
        self._keep = keep
        self._is_open = is_open
        self._clock = clock

    async def replay(self, delivery: str, *, rule: str | None = None) -> Replayed:
        """Route it again, by one rule alone or by all, and keep what comes of it; on disk when this
        returns.

        Raises NotFoundError, UserError for an unknown rule, ConflictError where it cannot be read
        any more, DrainingError, QueueFullError and StoreError: nothing was kept then.
        """
        with as_unavailable():
            arrival = await self._arrival(delivery, rule)
            require_open(is_open=self._is_open())
            verdicts, again = arrival.routing.verdicts, arrival.envelope.delivery
            accepted = await self._keep(arrival)
        log.info("replayed", delivery=delivery, again=again, tasks=accepted.tasks)
        return Replayed(delivery=DeliveryId(delivery), verdicts=verdicts, came_to=accepted)

    async def foresee(self, delivery: str, *, rule: str | None = None) -> Replayed:
        """Say what `replay` would come to now, and keep nothing; raises as it does."""
        with as_unavailable():
            arrival = await self._arrival(delivery, rule)
            foreseen = await self._deliveries.foresee(arrival)
        verdicts = arrival.routing.verdicts
        return Replayed(delivery=DeliveryId(delivery), verdicts=verdicts, came_to=foreseen)

    async def _arrival(self, delivery: str, rule: str | None) -> Arrival:
        if rule is not None:
            require_rule(rule, self._rulebook.rules())
        read = await self._read(DeliveryId(delivery))
        event = structs.replace(read.event, closed_at=None)
        routing = self._rulebook.route(event)
        if rule is not None:
            routing = _by_one(routing, rule)
        again = delivery_named(f"replay:{self._clock.new_id()}")
        return Arrival(
            envelope=structs.replace(read.envelope, delivery=again),
            event=event,
            via=Via.REPLAY,
            routing=routing,
            received_at=self._clock.now(),
            task_ids=tuple(TaskId(self._clock.new_id()) for _ in routing.drafts),
            is_anew=True,
        )

    async def _read(self, delivery: DeliveryId) -> intake.Accepted:
        """Read it as it came: its event keeps the first id, so that its tasks keep their keys."""
        stored = await self._deliveries.find(delivery)
        if stored is None:
            raise NotFoundError(f"There is no delivery {delivery}.", id=delivery)
        source = stored.delivery.source
        read = intake.reopen(stored.headers, stored.body, self._mention, source=source)
        if not isinstance(read, Refused):
            return read
        raise ConflictError(f"Delivery {delivery} cannot be read any more.", id=delivery)


def _by_one(routing: Routing, rule: str) -> Routing:
    """Leave out what all other rules say."""
    drafts = tuple(draft for draft in routing.drafts if draft.rule == rule)
    verdicts = tuple(verdict for verdict in routing.verdicts if verdict.rule == rule)
    if drafts or not routing.drafts:
        return structs.replace(routing, verdicts=verdicts, drafts=drafts)
    return Routing(state=DeliveryState.IGNORED, reason=Reason.NO_MATCH, verdicts=verdicts)
