"""A request in, an answer out: verify, route, commit, and only then answer.

Refuses nothing by its own judgement: the signature is judged in `core.intake`, the work in
`core.rules`, the
room in the store. What it adds is the order of these, and that the answer leaves after the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from covend.core import intake
from covend.core.intake import Headers, Refused
from covend.core.model import Event, TaskId, Via
from covend.core.rules.verdicts import Routing
from covend.core.settings import Secret
from covend.services.clock import Clock
from covend.services.wakeups import Wakeups
from covend.store.protocol import Accepted, Arrival, Deliveries
from covend.telemetry.logs import Log

Route = Callable[[Event], Routing]
log = Log("intake")


class Intake:
    """What the public listener asks."""

    def __init__(
        self,
        *,
        deliveries: Deliveries,
        route: Route,
        secrets: Sequence[Secret],
        mention: str | None,
        clock: Clock,
        wakeups: Wakeups,
    ) -> None:
        """Take deliveries signed by any of `secrets`; `mention` is the name that hears commands."""
        self._deliveries = deliveries
        self._route_event = route
        self._secrets = secrets
        self._mention = mention
        self._clock = clock
        self._wakeups = wakeups

    async def receive(self, headers: Headers, body: bytes) -> Accepted | Refused:
        """Keep a GitHub webhook; on disk when this returns `Accepted`.

        Raises StoreError (QueueFullError among them) where it cannot be kept: nothing of it was.
        """
        read = intake.read(headers, body, self._secrets, self._mention)
        if isinstance(read, Refused):
            return read
        name, repository = read.event.full_name, read.event.repository
        keeping = self._deliveries.accept(self._route(read))
        del read  # while the disk is waited for, nothing holds the payload
        accepted = await keeping
        self._tell(name, repository, accepted)
        return accepted

    def _route(self, read: intake.Accepted) -> Arrival:
        routing = self._route_event(read.event)
        return Arrival(
            envelope=read.envelope,
            event=read.event,
            via=Via.WEBHOOK,
            routing=routing,
            received_at=self._clock.now(),
            task_ids=tuple(TaskId(self._clock.new_id()) for _ in routing.drafts),
        )

    def _tell(self, event: str, repository: str | None, accepted: Accepted) -> None:
        if accepted.tasks and not accepted.duplicate:
            self._wakeups.received.wake()
            self._wakeups.queued.wake()
        log.info(
            "repetition answered" if accepted.duplicate else "delivery kept",
            delivery=accepted.delivery,
            event=event,
            repository=repository,
            state=accepted.state,
            reason=accepted.reason,
            tasks=accepted.tasks,
        )
