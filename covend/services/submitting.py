"""Takes in work that an operator asks for by a rule's name, the way of all deliveries: what it
becomes is decided by the same routing, and kept by the same transaction.

Refuses a rule that is not in force, a repository that covend cannot reach, and another request
under an `Idempotency-Key` that is taken; nothing of these is kept.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol

from covend.core.errors import (
    CovendError,
    DrainingError,
    KeyReusedError,
    NotFoundError,
    NotPermittedError,
    UserError,
)
from covend.core.model import DeliveryId, Event, Repository, Task, TaskId, Via
from covend.core.rules.verdicts import Routing
from covend.core.sources import submission as source
from covend.core.sources.own import delivery_named
from covend.core.sources.request import Refused
from covend.core.sources.submission import Submission
from covend.edges.github.client import GitHubClient
from covend.services.clock import Clock
from covend.services.repositories import Repositories
from covend.services.unavailable import as_unavailable
from covend.store.protocol import Accepted, Arrival, Deliveries, Tasks
from covend.telemetry.logs import Log
from covend.telemetry.metrics import Metrics

Keep = Callable[[Arrival], Awaitable[Accepted]]
"""Put it on disk, and tell whom it concerns."""
IsOpen = Callable[[], bool]
"""Whether deliveries are taken in now."""
log = Log("submitting")


class Rules(Protocol):
    """The rules in force: a `Rulebook`."""

    def route(self, event: Event) -> Routing:
        """Give their verdicts."""
        ...

    def rules(self) -> Sequence[str]:
        """List their names."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """The task that does the work, and whether this was asked for before."""

    task: Task
    is_repeated: bool


class Submitting:
    """What `POST tasks` asks."""

    def __init__(
        self,
        *,
        deliveries: Deliveries,
        tasks: Tasks,
        github: GitHubClient,
        rulebook: Rules,
        keep: Keep,
        is_open: IsOpen,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """Keep by `keep`, which is the intake's; look up by `github` what no task knows."""
        self._deliveries = deliveries
        self._tasks = tasks
        self._repositories = Repositories(tasks=tasks, github=github)
        self._rulebook = rulebook
        self._keep = keep
        self._is_open = is_open
        self._clock = clock
        self._metrics = metrics

    async def submit(self, asked: Submission, key: str | None = None) -> Submitted:
        """Keep it, and give its task; on disk when this returns. Under a `key` that has been used
        for the very same, give the task of that time; without one, each is new work.

        Raises UserError for what cannot be asked for, KeyReusedError where the key is another
        request's, GitHubError where a repository cannot be looked up, DrainingError, QueueFullError
        and StoreError: nothing was kept then.
        """
        try:
            with as_unavailable():
                submitted = await self._submit(asked, key)
        except CovendError as error:
            self._count(error.code)
            raise
        self._count("duplicate" if submitted.is_repeated else "routed")
        return submitted

    async def _submit(self, asked: Submission, key: str | None) -> Submitted:
        delivery = self._name(key)
        if key is not None and (known := await self._repeated(delivery, asked)) is not None:
            return known
        require_rule(asked.rule, self._rulebook.rules())
        require_open(is_open=self._is_open())
        repository = await self._repositories.find(asked.repository)
        accepted = await self._keep(self._arrival(asked, repository, delivery))
        if accepted.duplicate:  # the same key, in the same instant
            repeated = await self._repeated(delivery, asked)
            assert repeated is not None, "it has just been met"
            return repeated
        log.info("submitted", task=accepted.tasks[0], rule=asked.rule, repository=asked.repository)
        return Submitted(task=await self._task(accepted.tasks), is_repeated=False)

    def _name(self, key: str | None) -> DeliveryId:
        """Give the delivery an id: the key decides, so that the store tells a repetition."""
        if key is not None:
            return delivery_named(f"submission by key:{key}")
        return delivery_named(f"submission:{self._clock.new_id()}")

    async def _repeated(self, delivery: DeliveryId, asked: Submission) -> Submitted | None:
        """Give what was submitted under this id; None where nothing was."""
        stored = await self._deliveries.find(delivery)
        if stored is None:
            return None
        opened = source.reopen(stored.headers, stored.body)
        if isinstance(opened, Refused) or not source.asks_for(opened, asked):
            raise KeyReusedError(delivery=delivery)
        return Submitted(task=await self._task(stored.delivery.tasks), is_repeated=True)

    async def _task(self, tasks: Sequence[TaskId]) -> Task:
        story = await self._tasks.story(tasks[0]) if tasks else None
        if story is None:
            raise NotFoundError("The task of this Idempotency-Key is not kept any more.")
        return story.task

    def _arrival(self, asked: Submission, repository: Repository, delivery: DeliveryId) -> Arrival:
        envelope = source.submitted(asked, repository, delivery)
        event = source.read_event(envelope, None)
        routing = self._rulebook.route(event)
        if not routing.drafts:
            message = f"The rule {asked.rule} refuses what is submitted."
            raise NotPermittedError(message, reason=routing.reason)
        return Arrival(
            envelope=envelope,
            event=event,
            via=Via.API,
            routing=routing,
            received_at=self._clock.now(),
            task_ids=tuple(TaskId(self._clock.new_id()) for _ in routing.drafts),
        )

    def _count(self, result: str) -> None:
        self._metrics.deliveries.labels(source.NAME, source.EVENT, result).inc()


def require_rule(name: str, known: Sequence[str]) -> None:
    """Raise UserError, which names the nearest, where no rule in force is called that."""
    if name in known:
        return
    near = get_close_matches(name, known, n=1)
    there = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known) or 'none'}."
    raise UserError(f"There is no rule {name!r}: {there}", name="rule")


def require_open(*, is_open: bool) -> None:
    """Raise DrainingError while nothing is taken in."""
    if not is_open:
        raise DrainingError
