"""Brings the ticks of schedules, each once: a tick is a delivery whose id is made of the schedule's
name and the moment, and how far a schedule has come stands in the store.

Refuses to lose a tick that it has begun with: while the repository cannot be looked up, or the
store or the queue takes nothing, it is tried again. What has been missed by then, or before the
start, is made up for once or passed over, as the schedule says. A schedule that is new, or whose
`cron` is another than before, begins now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio
import orjson

from covend.core.cron import Tick, choose_tick, next_after
from covend.core.errors import CovendError, StoreError
from covend.core.model import Moment, Repository, TaskId, Via
from covend.core.outside import Schedule
from covend.core.rules import facts
from covend.core.sources import ticks
from covend.edges.github.errors import RateLimited
from covend.services.clock import Clock
from covend.services.repositories import LookUp
from covend.services.submitting import IsOpen, Keep, Rules
from covend.store.protocol import Arrival, Cursors
from covend.telemetry.logs import Log
from covend.telemetry.metrics import Metrics

LOOK_EVERY_S = 15.0
"""A reload may bring a schedule whenever it likes."""
WAIT_MIN_S = 0.01
AGAIN_MIN_MS = 15_000
AGAIN_MAX_MS = 300_000
AT_ONCE = 10
"""So many ticks of one schedule come in one round; then it is the others' turn."""
Schedules = Callable[[], Sequence[Schedule]]
"""Gives those in force."""
log = Log("scheduler")


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A tick that could not be kept yet."""

    cron: str
    at: Moment
    again_at: Moment


class Scheduler:
    """Follows the schedules in force."""

    def __init__(
        self,
        *,
        schedules: Schedules,
        cursors: Cursors,
        rulebook: Rules,
        look_up: LookUp,
        keep: Keep,
        is_open: IsOpen,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """Keep by `keep`, which is the intake's; `look_up` finds a repository by its name."""
        self._schedules = schedules
        self._cursors = cursors
        self._rulebook = rulebook
        self._look_up = look_up
        self._keep = keep
        self._is_open = is_open
        self._clock = clock
        self._metrics = metrics
        self._begun: dict[str, Begun] = {}

    async def run(self) -> None:
        """Bring ticks until cancelled."""
        while True:
            brought = await self.bring_due()
            await anyio.sleep(WAIT_MIN_S if brought else self._pause_s())

    async def bring_due(self) -> int:
        """Bring what is due now, side by side; say how many ticks were attended to. While nothing
        is taken in, none is.
        """
        counts: list[int] = []

        async def follow(schedule: Schedule) -> None:
            counts.append(await self._follow(schedule))

        async with anyio.create_task_group() as group:
            for schedule in self._schedules() if self._is_open() else ():
                group.start_soon(follow, schedule)
        return sum(counts)

    async def _follow(self, schedule: Schedule) -> int:
        """Attend to some ticks of one; whatever goes wrong with it is no other's trouble."""
        count = 0
        try:
            while count < AT_ONCE and await self._attend_next(schedule):
                count += 1
        except StoreError as error:
            log.error("not followed: the store", schedule=schedule.name, error=str(error))
        except Exception:
            log.exception("a schedule cannot be followed", schedule=schedule.name)
        return count

    async def _attend_next(self, schedule: Schedule) -> bool:
        """Attend to the next tick; False where none is due, or it has to wait."""
        begun = self._begun.get(schedule.name)
        if begun is not None and begun.cron != schedule.cron:
            del self._begun[schedule.name]
        elif begun is not None:
            is_time = self._clock.now() >= begun.again_at
            return is_time and await self._bring(schedule, begun.at)
        tick = await self._choose(schedule)
        if tick is None:
            return False
        if tick.is_wanted:
            return await self._bring(schedule, tick.at)
        log.info("ticks passed over", schedule=schedule.name, up_to=tick.at)
        await self._move_on(schedule, tick.at)
        return True

    async def _choose(self, schedule: Schedule) -> Tick | None:
        now = self._clock.now()
        after = _read(await self._cursors.find(_cursor(schedule)), schedule.cron)
        if after is None:
            await self._move_on(schedule, now)
            log.info("a schedule begins", schedule=schedule.name, cron=schedule.cron)
            return None
        return choose_tick(
            schedule.cron,
            after=after,
            now=now,
            lived_since=self._clock.started_at,
            missed=schedule.missed,
        )

    async def _bring(self, schedule: Schedule, at: Moment) -> bool:
        """Keep a tick, then move on; False where it has to be tried again later."""
        try:
            repository = await self._look_up(schedule.repository) if schedule.repository else None
            accepted = await self._keep(self._arrival(schedule, at, repository))
        except StoreError:
            self._put_off(schedule, at, None)
            raise
        except CovendError as error:
            self._put_off(schedule, at, error)
            log.warning("a tick waits", schedule=schedule.name, tick=at, error=str(error))
            return False
        await self._move_on(schedule, at)
        self._begun.pop(schedule.name, None)
        result = "duplicate" if accepted.duplicate else accepted.state.value
        self._metrics.deliveries.labels(ticks.NAME, ticks.EVENT, result).inc()
        log.info(
            "tick",
            schedule=schedule.name,
            tick=at,
            delivery=accepted.delivery,
            result=result,
            reason=accepted.reason,
            tasks=accepted.tasks,
        )
        return True

    def _arrival(self, schedule: Schedule, at: Moment, repository: Repository | None) -> Arrival:
        envelope = ticks.ticked(schedule, at, repository)
        event = ticks.read_event(envelope, None)
        routing = self._rulebook.route(event)
        return Arrival(
            envelope=envelope,
            event=event,
            via=Via.SCHEDULE,
            routing=routing,
            received_at=self._clock.now(),
            task_ids=tuple(TaskId(self._clock.new_id()) for _ in routing.drafts),
        )

    async def _move_on(self, schedule: Schedule, at: Moment) -> None:
        value = orjson.dumps({"cron": schedule.cron, "at": at}).decode()
        await self._cursors.put(_cursor(schedule), value, self._clock.now())

    def _put_off(self, schedule: Schedule, at: Moment, error: CovendError | None) -> None:
        """Hold on to a tick, whatever else comes due: about as long again as it has waited."""
        now = self._clock.now()
        until = now + min(AGAIN_MAX_MS, max(AGAIN_MIN_MS, now - at))
        if isinstance(error, RateLimited):
            until = max(now + AGAIN_MIN_MS, error.retry_at)
        self._begun[schedule.name] = Begun(cron=schedule.cron, at=at, again_at=until)

    def _pause_s(self) -> float:
        now = self._clock.now()
        dues = [self._due_at(schedule, now) for schedule in self._schedules()]
        soonest = min((due for due in dues if due is not None), default=None)
        if soonest is None:
            return LOOK_EVERY_S
        return min(LOOK_EVERY_S, max(WAIT_MIN_S, (soonest - now) / 1000))

    def _due_at(self, schedule: Schedule, now: Moment) -> Moment | None:
        begun = self._begun.get(schedule.name)
        return begun.again_at if begun is not None else next_after(schedule.cron, now)


def _cursor(schedule: Schedule) -> str:
    return f"schedule/{schedule.name}"


def _read(value: str | None, cron: str) -> Moment | None:
    """Give how far a schedule has come; None where that is of another one, or of none."""
    try:
        written = facts.mapping(orjson.loads(value or ""))
    except ValueError:
        return None
    return facts.number(written.get("at")) if written.get("cron") == cron else None
