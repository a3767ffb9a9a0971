"""A request in, an answer out: verify, route, commit, and only then answer.

Refuses nothing by its own judgement: the signature is judged in `core.intake`, the work in
`core.rules`, the
room in the store. What it adds is the order of these, and that the answer leaves after the commit.
What the commit has made pointless is asked to stop after it: the wish is on disk by then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from covend.core import intake
from covend.core.contract.outcome import StopReason
from covend.core.installing import NEWS
from covend.core.intake import Headers, Refused
from covend.core.model import Event, TaskId, Via
from covend.core.outside import Source
from covend.core.rerunning import ASKS
from covend.core.rules.verdicts import Routing
from covend.core.secret import Secret
from covend.services.clock import Clock
from covend.services.wakeups import Wakeups
from covend.store.protocol import Accepted, Arrival, Deliveries
from covend.telemetry.logs import Log

Route = Callable[[Event], Routing]
StopAttempt = Callable[[TaskId, StopReason], object]
"""Ask what runs of a task to end now."""
CountTask = Callable[[str, str, str], object]
"""Count a task that has ended: its rule, its repository, and how."""
log = Log("intake")


def runs_nothing(_task: TaskId, _reason: StopReason) -> None:
    """Stop nobody: for a process in which nothing runs."""


def counts_nothing(_rule: str, _repository: str, _outcome: str) -> None:
    """Count nowhere: for a process that shows no metrics."""


class _Told(NamedTuple):
    """What is told of an event when it is kept, without holding on to its payload."""

    name: str
    repository: str | None
    is_closing: bool
    is_command: bool
    is_news: bool
    """Of where covend is installed."""
    asks_again: bool
    """For checks that were made."""


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
        stop_attempt: StopAttempt = runs_nothing,
        count_task: CountTask = counts_nothing,
    ) -> None:
        """Take deliveries signed by any of `secrets`; `mention` is the name that hears commands.

        What a delivery overtakes or closes is stopped by `stop_attempt`, which the dispatcher has;
        what never ran has ended by then, and is counted by `count_task`.
        """
        self._deliveries = deliveries
        self._route_event = route
        self._secrets = secrets
        self._mention = mention
        self._clock = clock
        self._wakeups = wakeups
        self._stop_attempt = stop_attempt
        self._count_task = count_task

    async def receive(self, headers: Headers, body: bytes) -> Accepted | Refused:
        """Keep a GitHub webhook; on disk when this returns `Accepted`.

        Raises StoreError (QueueFullError among them) where it cannot be kept: nothing of it was.
        """
        return await self._take_in(intake.read(headers, body, self._secrets, self._mention))

    async def receive_from(
        self, source: Source, headers: Headers, body: bytes
    ) -> Accepted | Refused:
        """As `receive`, what a sender beside GitHub has signed."""
        now = self._clock.wall()
        return await self._take_in(intake.read_foreign(source, headers, body, now))

    async def _take_in(self, read: intake.Accepted | Refused) -> Accepted | Refused:
        if isinstance(read, Refused):
            return read
        told = _told(read.event)
        keeping = self._deliveries.accept(self._route(read))
        del read  # while the disk is waited for, nothing holds the payload
        accepted = await keeping
        self._tell(told, accepted)
        return accepted

    async def keep(self, arrival: Arrival) -> Accepted:
        """Keep what did not come by the public listener, and tell whom it concerns; on disk when
        this returns. Raises as `receive`.
        """
        told = _told(arrival.event)
        accepted = await self._deliveries.accept(arrival)
        self._tell(told, accepted)
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

    def _tell(self, told: _Told, accepted: Accepted) -> None:
        if not accepted.duplicate:
            self._wake(told, accepted)
        for task in accepted.overtaken:
            self._stop_attempt(
                task, StopReason.CANCELLED if told.is_closing else StopReason.SUPERSEDED
            )
        for ended in accepted.ended:
            self._count_task(ended.rule, ended.repository or "none", ended.state)
            self._wakeups.followers.wake(ended.task)
        log.info(
            "repetition answered" if accepted.duplicate else "delivery kept",
            delivery=accepted.delivery,
            event=told.name,
            repository=told.repository,
            state=accepted.state,
            reason=accepted.reason,
            tasks=accepted.tasks,
            **({"overtaken": accepted.overtaken} if accepted.overtaken else {}),
        )

    def _wake(self, told: _Told, accepted: Accepted) -> None:
        if accepted.tasks:
            self._wakeups.received.wake()
            self._wakeups.queued.wake()
        if accepted.leaves_overdue:
            self._wakeups.overdue.wake()
        if told.is_command:
            self._wakeups.commands.wake()
        if told.is_news:
            self._wakeups.installations.wake()
        if told.asks_again:
            self._wakeups.reruns.wake()


def _told(event: Event) -> _Told:
    return _Told(
        name=event.full_name,
        repository=event.repository,
        is_closing=event.closed_at is not None,
        is_command=event.command is not None,
        is_news=event.name in NEWS,
        asks_again=event.full_name in ASKS,
    )
